"""Export and mask against real servers, killed at every step: nothing is left that the next run cannot deal with.

The company is a small one, with tables of Odoo's names, so that the shipped catalogue is what masks it. Adoption and
proof are played by the test; `tests/images/test_refresh.py` has the real ones.
"""
# ruff: noqa: S608 - the statements are made of this file's own constants

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from operations.anonymise import marks
from operations.anonymise.environment import Pod
from operations.anonymise.export import Export
from operations.anonymise.files import inspect
from operations.anonymise.marks import DATABASE, Program, Step
from operations.anonymise.mask import Mask
from operations.anonymise.outcome import FAILED, REFUSED, WAITED, RefreshError, told
from operations.anonymise.rules.plain import FILES_TABLE
from operations.anonymise.sessions import Endpoint
from operations.anonymise.snapshot import LiveSnapshot
from operations.anonymise.target import Target
from operations.anonymise.transfer import Tools
from operations.anonymise.waiting import Patience
from tests.anonymise.masking import tools
from tests.anonymise.support import Server, serving

RUN = "417"
NAME = "ab/" + "ab" * 20
COMPANY = """
    CREATE TABLE ir_config_parameter (id int PRIMARY KEY, key text, value text);
    CREATE TABLE res_country (id int PRIMARY KEY, code text);
    CREATE TABLE res_partner (id int PRIMARY KEY, name varchar, is_company boolean, email varchar,
        country_id int REFERENCES res_country, complete_name varchar);
    CREATE TABLE res_company (id int PRIMARY KEY, name varchar NOT NULL UNIQUE, partner_id int REFERENCES res_partner);
    CREATE TABLE ir_attachment (id int PRIMARY KEY, store_fname varchar, mimetype varchar, checksum varchar,
        file_size int, url varchar, write_uid int);
    CREATE SEQUENCE res_partner_id_seq START 7;
    CREATE EXTENSION pg_trgm;
    CREATE INDEX ON res_partner USING gin (name gin_trgm_ops);
    INSERT INTO res_country VALUES (1, 'FR');
    INSERT INTO res_partner SELECT n, 'Person of Production ' || n, false, 'person' || n || '@hospital.test', 1, 'x'
        FROM generate_series(1, 500) n;
    INSERT INTO res_company VALUES (1, 'Riverside Hospital', 1);
    INSERT INTO ir_config_parameter VALUES (1, 'careops.identity', 'riverside/prod'),
        (2, 'careops.modules', '{"base": "1"}'), (3, 'careops.release', '19.0.0-2');
"""
EXPORT_STEPS = ("wait for the isolated server", "snapshot", "load", "files", "statistics", "mark", "done")
MASK_STEPS = (
    *("target", "wait for the export", "catalogue", "canaries", "files", "compile"),
    *("transfer: read schema", "transfer: create tables", "transfer: copy", "transfer: sequences"),
    *("transfer: constraints", "transfer: analyze", "judge the data", "mark masked", "wait for the adoption"),
    *("verify", "mark verified", "done"),
)
POD = Pod(run=RUN, source_identity="riverside/prod", target_identity="riverside/training", wait_seconds=30)


@dataclass(frozen=True, kw_only=True)
class World:
    server: Server
    data: Path

    def of(self, user: str, database: str) -> Endpoint:
        return Endpoint(conninfo=f"host={self.server.sockets} user={user} dbname={database}")

    def execute(self, database: str, *statements: str) -> None:
        with self.server.connect(database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def rows(self, database: str, query: str) -> list[tuple]:
        with self.server.connect(database) as connection:
            return connection.execute(query.encode()).fetchall()

    def export(self, step: Callable[[str], None], wait: float = 10) -> None:
        source = LiveSnapshot(
            database=self.of("refresh_source", "odoo"),
            data=self.data,
            identity="riverside/prod",
            tools=tools(self.server),
        )
        isolated = self.of("source", "source")
        Export(run=RUN, source=source, isolated=isolated, inspect=inspect, wait_seconds=wait, step=step).go()

    def mask(self, step: Callable[[str], None], **changes: Any) -> None:
        given = {
            "pod": POD,
            "isolated": self.of("source", "source"),
            "target": Target(server=self.of("refresh", "postgres"), run=RUN),
            "catalogues": (),
            "parts": Parts(),
            "tools": tools(self.server),
            "step": step,
            "patience": Patience(never=30, gone=3, say=lambda _: None),
            **changes,
        }
        Mask(**given).go()


@dataclass(kw_only=True)
class Parts:
    """Stands for `parts.Proof`: one file, and a verdict that the test gives."""

    findings: Sequence[str] = ()
    certificate: Mapping[str, Any] | None = field(default_factory=lambda: {"run": RUN})

    def plant(self, source: psycopg.Connection[Any], schema: object) -> None:
        assert source
        assert schema

    def place_files(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> int:
        source.execute(FILES_TABLE.encode())
        return len(target.execute("SELECT FROM careops_refresh.file").fetchall())

    def judge_data(self, *_: object) -> Sequence[str]:
        return ()

    def verify(self, *_: object) -> tuple[Mapping[str, Any] | None, Sequence[str]]:
        return (None if self.findings else self.certificate), self.findings


@pytest.fixture(scope="module")
def servers() -> Iterator[Server]:
    silent = ("log_min_messages=fatal", "log_min_error_statement=panic", "log_parameter_max_length=0")
    with serving((*silent, "log_parameter_max_length_on_error=0", f"cluster_name={RUN}")) as server:
        with server.connect() as connection:
            connection.execute("CREATE ROLE refresh_source LOGIN IN ROLE pg_read_all_data")
            connection.execute("CREATE ROLE source LOGIN")
            connection.execute("CREATE ROLE odoo LOGIN")
            connection.execute("CREATE ROLE refresh LOGIN CREATEDB IN ROLE odoo")
        yield server


@pytest.fixture
def world(servers: Server, tmp_path: Path) -> World:
    """Production, an empty isolated database, and training's server; database `odoo` plays both ends' own."""
    made = World(server=servers, data=tmp_path)
    for name in (DATABASE, "source", "odoo"):
        made.execute("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
    made.execute("postgres", "CREATE DATABASE odoo OWNER odoo", "CREATE DATABASE source OWNER source")
    made.execute("odoo", *COMPANY.split(";\n"))
    made.execute("odoo", f"INSERT INTO ir_attachment (id, store_fname) VALUES (1, '{NAME}'), (2, '../../etc')")
    (tmp_path / ".careops-identity").write_text("riverside/prod\n")
    (tmp_path / "filestore/odoo/ab").mkdir(parents=True)
    (tmp_path / "filestore/odoo" / NAME).write_bytes(b"abc")
    return made


@pytest.fixture
def exported(world: World) -> World:
    world.export(lambda _: None)
    return world


def killed_at(step: str, act: Callable[[Callable[[str], None]], None]) -> str:
    """Run a program in a process of its own that is killed, as with SIGKILL from outside, when it begins a step.

    Returns:
        "killed", "done", or what it ended with.
    """

    def watching(text: str) -> None:
        if text.startswith(step):
            os.kill(os.getpid(), signal.SIGKILL)

    child = os.fork()
    if child == 0:
        status = 1
        try:
            act(watching)
            status = 0
        except BaseException as error:
            print(told(error), file=sys.stderr)
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL else f"status {status}"


class Adoption(threading.Thread):
    """Plays adopt: is present once the database is this run's, and leaves a mark when it is masked."""

    def __init__(self, world: World, answer: Step = Step.ADOPTED) -> None:
        super().__init__(daemon=True)
        self.world, self.answer, self.seen = world, answer, list[str]()
        self.stop = threading.Event()
        self.start()

    def run(self) -> None:
        endpoint = self.world.of("refresh", DATABASE)
        while not self.stop.wait(0.1):
            try:
                with psycopg.connect(endpoint.conninfo, autocommit=True, options="-c role=odoo") as connection:
                    self.attend(connection)
            except psycopg.Error:
                continue

    def attend(self, connection: psycopg.Connection[Any]) -> None:
        while not self.stop.wait(0.1):
            state = marks.read(connection).of_run(RUN)
            if not state.steps:
                return
            marks.be_present(connection, Program.ADOPT)
            self.seen += [step for step in state.steps if step not in self.seen]
            if Step.FAILED in state.steps or Step.VERIFIED in state.steps:
                self.stop.set()
                return
            if Step.MASKED in state.steps and self.answer not in state.steps:
                marks.write(connection, self.answer, RUN, {"why": "the adoption says so"})

    def __enter__(self) -> Adoption:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(10)


def exported_state(world: World) -> dict[str, Any]:
    return {
        "marks": world.rows("source", "SELECT run, detail->>'files' FROM careops_source.export"),
        "files": world.rows("source", "SELECT * FROM careops_source.files"),
        "partners": world.rows("source", "SELECT count(*), count(DISTINCT name) FROM res_partner"),
        "indexes": world.rows("source", "SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'"),
    }


EXPORTED = {
    "marks": [(RUN, "1")],
    "files": [(NAME, 3, "text", None, None, None)],
    "partners": [(500, 500)],
    "indexes": [(7,)],
}


def test_an_export_brings_the_database_and_facts_about_its_files_and_says_so_last(world: World):
    said: list[str] = []
    world.export(said.append)
    assert [text.split(":")[0] for text in said] == list(EXPORT_STEPS)
    assert exported_state(world) == EXPORTED
    detail = world.rows("source", "SELECT detail FROM careops_source.export")[0][0]
    assert detail["identity"] == "riverside/prod"
    assert (detail["release"], detail["modules"]) == ("19.0.0-2", {"base": "1"})
    assert world.rows("source", "SELECT last_value FROM res_partner_id_seq") == [(7,)]


@pytest.mark.parametrize("step", EXPORT_STEPS)
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
        database=world.of("refresh_source", "odoo"), data=world.data, identity="x", tools=Tools(folder=world.data)
    )
    other = Export(
        run="418",
        source=snapshot,
        isolated=world.of("source", "source"),
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


def target_state(world: World) -> dict[str, Any]:
    return {
        "partners": world.rows(DATABASE, "SELECT count(*), count(DISTINCT name) > 100 FROM res_partner"),
        "real": world.rows(DATABASE, "SELECT count(*) FROM res_partner WHERE name LIKE 'Person of Production%'"),
        "owner": world.rows(DATABASE, "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname ~ '^res_'"),
        "enters": world.rows(DATABASE, f"SELECT has_database_privilege('odoo', '{DATABASE}', 'CONNECT')"),
        "marks": world.rows(DATABASE, "SELECT step FROM careops_refresh.state ORDER BY at"),
    }


MASKED = {
    "partners": [(500, True)],
    "real": [(0,)],
    "owner": [("odoo",)],
    "enters": [(False,)],
    "marks": [("started",), ("masked",), ("adopted",), ("verified",)],
}


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


@pytest.mark.parametrize("step", MASK_STEPS)
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
    # The sidecar's server ends with its pod, and the next run has a new one: here the copy is exported again.
    exported.execute("postgres", "DROP DATABASE source WITH (FORCE)", "CREATE DATABASE source OWNER source")
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
    endpoint = exported.of("refresh", DATABASE)
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
