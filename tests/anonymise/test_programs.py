"""Export and mask against real servers, killed at every step: nothing is left that the next run cannot deal with.

The company is a small one, with tables of Odoo's names, so that the shipped catalogue is what masks it. Adoption and
proof are played by the test; `tests/images/test_refresh.py` has the real ones.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from infra.model import RefreshSizes
from infra.quantities import memory_bytes
from operations.anonymise import marks
from operations.anonymise.export import Export
from operations.anonymise.files import inspect
from operations.anonymise.marks import DATABASE, Program, Step
from operations.anonymise.outcome import FAILED, REFUSED, WAITED, RefreshError
from operations.anonymise.rules.lists import FILLER_MOST
from operations.anonymise.snapshot import LiveSnapshot
from operations.anonymise.transfer import Tools
from operations.anonymise.waiting import Patience
from tests.anonymise.playing import (
    EXPORT_STEPS,
    EXPORTED,
    MASK_STEPS,
    MASKED,
    NAME,
    RUN,
    Adoption,
    Parts,
    World,
    exported_state,
    killed_at,
    make_roles,
    of,
    target_state,
)
from tests.anonymise.support import Server, serving
from tests.sampling import sample

HUGE = 100_000_000
"""Characters of one message."""
WORKER_BYTES = memory_bytes(RefreshSizes().mask.memory_limit)


@pytest.fixture(scope="module")
def servers() -> Iterator[Server]:
    silent = ("log_min_messages=fatal", "log_min_error_statement=panic", "log_parameter_max_length=0")
    with serving((*silent, "log_parameter_max_length_on_error=0", f"cluster_name={RUN}")) as server:
        make_roles(server)
        yield server


@pytest.fixture
def world(servers: Server, tmp_path: Path) -> World:
    """Production, an empty isolated database, and training's server; database `odoo` plays both ends' own."""
    made = World(server=servers, data=tmp_path)
    made.start_over()
    return made


@pytest.fixture
def exported(world: World) -> World:
    world.export(lambda _: None)
    return world


def test_an_export_brings_the_database_and_facts_about_its_files_and_says_so_last(world: World):
    said: list[str] = []
    world.export(said.append)
    assert [text.split(":")[0] for text in said] == list(EXPORT_STEPS)
    assert exported_state(world) == EXPORTED
    detail = world.rows("source", "SELECT detail FROM careops_source.export")[0][0]
    assert detail["identity"] == "riverside/prod"
    assert (detail["release"], detail["modules"]) == ("19.0.0-2", {"base": "1"})
    assert world.rows("source", "SELECT last_value FROM res_partner_id_seq") == [(7,)]


@pytest.mark.parametrize("step", sample(EXPORT_STEPS, 3))
def test_an_export_killed_at_any_step_is_done_whole_by_the_next(world: World, step: str):
    assert killed_at(step, world.export) == "killed"
    world.export(lambda _: None)
    assert exported_state(world) == EXPORTED


def test_an_export_that_is_done_does_nothing_when_it_runs_again(exported: World):
    said: list[str] = []
    exported.export(said.append)
    assert said[-1].startswith("done before")
    assert exported_state(exported) == EXPORTED


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("UPDATE ir_config_parameter SET value = 'elsewhere/prod' WHERE id = 1", "the database belongs to elsewhere"),
        ("SELECT lo_create(4711)", "holds 1 large objects"),
    ],
)
def test_a_source_that_is_not_what_it_should_be_is_refused(world: World, spoil: str, why: str):
    world.execute("odoo", spoil)
    with pytest.raises(RefreshError, match=why) as refused:
        world.export(lambda _: None)
    assert refused.value.code == REFUSED


def test_a_filestore_of_another_environment_is_refused(world: World):
    (world.data / ".careops-identity").write_text("riverside/training\n")
    with pytest.raises(RefreshError, match="the filestore belongs to riverside/training"):
        world.export(lambda _: None)


def test_an_isolated_server_of_another_run_is_waited_for_in_vain(world: World):
    snapshot = LiveSnapshot(
        database=of(world.prod, "refresh_source", "odoo"), data=world.data, identity="x", tools=Tools(folder=world.data)
    )
    other = Export(
        run="418",
        source=snapshot,
        isolated=of(world.server, "source", "source"),
        inspect=inspect,
        wait_seconds=0,
        step=lambda _: None,
    )
    with pytest.raises(RefreshError, match="waited in vain for the isolated PostgreSQL") as waited:
        other.go()
    assert waited.value.code == WAITED


def test_a_row_whose_file_is_gone_is_counted_and_no_error(world: World):
    (world.data / "filestore/odoo" / NAME).unlink()
    world.export(lambda _: None)
    detail = world.rows("source", "SELECT detail FROM careops_source.export")[0][0]
    assert (detail["files"], detail["files_missing"]) == (0, 1)


def test_a_file_whose_name_is_not_text_stops_no_export(world: World):
    unnameable = os.fsencode(world.data / "filestore/odoo/ab") + b"/\xff\xfe R\xe9sum\xe9.pdf"
    Path(os.fsdecode(unnameable)).write_bytes(b"abc")
    world.execute("odoo", "INSERT INTO ir_attachment (id, store_fname) VALUES (3, 'ab/R\u00e9sum\u00e9.pdf')")
    world.export(lambda _: None)
    assert exported_state(world) == EXPORTED, "no row can name it, so nobody asks for it"


def test_a_message_of_100_mb_is_masked_in_the_memory_that_the_worker_has(world: World):
    said = "Person of Production writes at length. "
    world.execute(
        "odoo",
        "CREATE TABLE mail_message (id int PRIMARY KEY, body text)",
        f"INSERT INTO mail_message VALUES (1, repeat('{said}', {HUGE // len(said)}))",  # noqa: S608 - this file's constants
    )
    world.export(lambda _: None)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with Adoption(world):
        world.mask(lambda _: None)
    used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert target_state(world) == MASKED
    ((length, real),) = world.next("SELECT length(body), position('Person of' in body) FROM mail_message")
    assert real == 0
    assert FILLER_MOST // 2 < length < 2 * FILLER_MOST, "longer than any screen shows, and no longer"
    assert used < WORKER_BYTES // 2


def test_a_run_masks_waits_for_the_adoption_and_leaves_the_certificate(exported: World):
    said: list[str] = []
    with Adoption(exported) as adoption:
        exported.mask(said.append)
    assert said == list(MASK_STEPS)
    assert target_state(exported) == MASKED
    assert "masked" in adoption.seen
    details = dict(exported.rows(DATABASE, "SELECT step, detail FROM careops_refresh.state"))
    assert details["masked"]["recompute"] == [] or details["masked"]["recompute"]
    assert {key: details["masked"][key] for key in ("run", "identity", "release", "modules", "rows")} == {
        "run": RUN,
        "identity": "riverside/prod",
        "release": "19.0.0-2",
        "modules": {"base": "1"},
        "rows": 504,
    }
    assert details["verified"] == {"run": RUN, "certificate": {"run": RUN}}
    assert details["masked"]["source_time"] < time.strftime("%Y-%m-%dT%H:%M:%S+99", time.gmtime())


@pytest.mark.parametrize("step", sample(MASK_STEPS, 5))
def test_a_mask_killed_at_any_step_shows_training_nothing_and_the_next_run_needs_no_cleaning(
    exported: World, step: str
):
    before = exported.rows("postgres", "SELECT oid FROM pg_database WHERE datname = 'odoo'")
    with Adoption(exported):
        assert killed_at(step, exported.mask) == "killed"
    assert exported.rows("postgres", "SELECT oid FROM pg_database WHERE datname = 'odoo'") == before
    if exported.rows("postgres", f"SELECT FROM pg_database WHERE datname = '{DATABASE}'"):
        entering = f"SELECT has_database_privilege('odoo', '{DATABASE}', 'CONNECT')"
        assert exported.rows("postgres", entering) == [(False,)]
    exported.empty_isolated()
    exported.export(lambda _: None)
    with Adoption(exported):
        exported.mask(lambda _: None)
    assert target_state(exported) == MASKED


def failing(world: World, answer: Step = Step.ADOPTED, **changes: Any) -> RefreshError:
    """Return what a run ends with; afterwards the target is gone and adopt knows why."""
    with Adoption(world, answer) as adoption, pytest.raises(RefreshError) as failed:
        world.mask(lambda _: None, **changes)
    assert world.rows("postgres", f"SELECT FROM pg_database WHERE datname = '{DATABASE}'") == []
    # One that comes only now finds nothing, and ends when its patience does.
    assert adoption.seen == [] or "failed" in adoption.seen
    return failed.value


def test_findings_are_refused_named_and_the_masked_database_is_dropped_at_once(exported: World):
    error = failing(exported, parts=Parts(findings=("dictionary: res_partner.name: a real name (2)",)))
    assert error.code == REFUSED
    assert "res_partner.name: a real name (2)" in str(error)


def test_an_adoption_that_failed_is_not_waited_for(exported: World):
    error = failing(exported, Step.FAILED)
    assert (error.code, "the adoption says so" in error.why) == (FAILED, True)


def test_an_adoption_that_never_comes_ends_the_run(exported: World):
    with pytest.raises(RefreshError, match="waited in vain for adopt") as waited:
        exported.mask(lambda _: None, patience=Patience(never=1, gone=1, say=lambda _: None))
    assert waited.value.code == WAITED
    assert exported.rows("postgres", f"SELECT FROM pg_database WHERE datname = '{DATABASE}'") == []


def test_a_column_that_nobody_classified_ends_the_run_before_a_row_is_read(exported: World):
    exported.execute("source", "ALTER TABLE res_partner ADD COLUMN x_blood_group text")
    error = failing(exported)
    assert error.code == REFUSED
    assert "res_partner\tx_blood_group\t" in str(error)


def test_a_row_that_breaks_a_constraint_ends_the_run_without_its_values(exported: World):
    dangling = "INSERT INTO res_company VALUES (2, 'Nowhere', 99999)"
    exported.execute("source", "SET session_replication_role = replica", dangling)
    error = failing(exported)
    assert error.code == FAILED
    assert "res_company_partner_id_fkey" in str(error), "what a person needs"
    assert "99999" not in str(error)


def test_a_source_that_is_another_productions_is_refused(exported: World):
    exported.execute("source", 'UPDATE careops_source.export SET detail = detail || \'{"identity": "elsewhere/prod"}\'')
    error = failing(exported)
    assert (error.code, "elsewhere/prod" in error.what) == (REFUSED, True)


def test_another_runs_adoption_is_left_alone(exported: World):
    endpoint = of(exported.training, "refresh", DATABASE)
    exported.execute("postgres", f"CREATE DATABASE {DATABASE} OWNER refresh")
    with psycopg.connect(endpoint.conninfo, autocommit=True) as other:
        assert marks.be_present(other, Program.ADOPT)
        with pytest.raises(RefreshError, match="another refresh") as busy:
            exported.mask(lambda _: None)
        assert busy.value.code == WAITED
        assert other.execute("SELECT 1").fetchone() == (1,), "it was not even disturbed"
    with Adoption(exported):
        exported.mask(lambda _: None)
    assert target_state(exported) == MASKED


def test_marks_are_json_that_both_sides_read(exported: World):
    with Adoption(exported):
        exported.mask(lambda _: None)
    for (detail,) in exported.rows(DATABASE, "SELECT detail::text FROM careops_refresh.state"):
        assert json.loads(detail)["run"] == RUN
