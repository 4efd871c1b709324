"""Servers that are killed and volumes that are full in a run: told, nothing swapped, and the next run works."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from operations.anonymise.marks import DATABASE
from operations.anonymise.outcome import FAILED, UNAVAILABLE, RefreshError, told
from operations.anonymise.waiting import Patience
from tests.anonymise.playing import (
    EXPORTED,
    MASK_STEPS,
    MASKED,
    RUN,
    Adoption,
    World,
    exported_state,
    make_roles,
    target_state,
)
from tests.anonymise.support import ROOT, Server, serving
from tests.sampling import sample
from toolchain.images.sandbox import scratch
from toolchain.paths import Paths

MIB = 1 << 20
VOLUME = 600 * MIB
SETTINGS = (
    *("log_min_messages=fatal", "log_min_error_statement=panic", "log_parameter_max_length=0"),
    *("log_parameter_max_length_on_error=0", "max_wal_size=64MB", "min_wal_size=32MB", f"cluster_name={RUN}"),
    "synchronous_commit=on",  # what is committed outlives a kill, as in a real server
)
READING = MASK_STEPS[1 : MASK_STEPS.index("transfer: sequences") + 1]
"""Steps of the mask that need the isolated server after them."""
MESSAGES = """
    CREATE TABLE mail_message (id int PRIMARY KEY, body text);
    INSERT INTO mail_message SELECT n, '<p>Person of Production ' || n || repeat(md5(n::text), 40) || '</p>'
        FROM generate_series(1, 30000) n
"""
COPYING = "SELECT FROM pg_stat_progress_copy WHERE bytes_processed > 100000"


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[Server, Server]]:
    """The isolated server, and one that is prod's and training's; each has a volume of its own."""
    cache = Paths.from_environment(os.environ, ROOT).cache
    with (
        scratch(cache, "test-faults") as beside,
        serving(SETTINGS, beside=beside, volume=VOLUME) as isolated,
        serving(SETTINGS, beside=beside, volume=VOLUME) as others,
    ):
        for server in (isolated, others):
            make_roles(server)
        yield isolated, others


@pytest.fixture
def world(servers: tuple[Server, Server], tmp_path: Path) -> Iterator[World]:
    isolated, others = servers
    made = World(server=isolated, data=tmp_path, prods=others, trainings=others)
    made.start_over()
    yield made
    for server in servers:
        server.empty()
        if not answers(server):
            server.start()


@pytest.fixture
def exported(world: World) -> World:
    world.export(lambda _: None)
    return world


@pytest.fixture
def large(world: World) -> World:
    """A source whose messages take seconds to copy."""
    world.execute("odoo", *MESSAGES.split(";\n"), server=world.prod)
    return world


def answers(server: Server) -> bool:
    try:
        server.connect().close()
    except psycopg.OperationalError:
        return False
    return True


def at(step: str, act: Callable[[], None]) -> Callable[[str], None]:
    """Return what does something once, when a step begins."""
    waiting = [act]

    def watching(text: str) -> None:
        if waiting and text.startswith(step):
            waiting.pop()()

    return watching


class Killing(threading.Thread):
    """Kills a server as soon as another (or itself) is in the middle of copying rows."""

    def __init__(self, victim: Server, copying: Server, *, back: bool = False) -> None:
        super().__init__(daemon=True)
        self.victim, self.copying, self.back = victim, copying, back
        self.stop, self.killed = threading.Event(), False
        self.start()

    def run(self) -> None:
        with self.copying.connect() as connection:
            while not self.stop.wait(0.01):
                if connection.execute(COPYING.encode()).fetchall():
                    self.victim.kill()
                    if self.back:
                        self.victim.start()
                    self.killed = True
                    return

    def __enter__(self) -> Killing:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.join(20)
        assert self.killed, "nothing was seen being copied: nothing was interrupted"


def fails(act: Callable[[], Any]) -> RefreshError:
    """Return what a program ends with, as it would tell it."""
    with pytest.raises((RefreshError, Exception)) as failed:
        act()
    error = told(failed.value)
    assert "Person of Production" not in str(error)
    assert "unforeseen" not in error.what
    assert "report this" not in str(error), f"a fault of the surroundings is no mistake of ours: {error}"
    assert "start a new run" in str(error)
    return error


def impatient() -> dict[str, Any]:
    return {"patience": Patience(never=3, gone=3, say=lambda _: None)}


def refused_to_training(world: World, before: dict[str, int]) -> None:
    """Training is the old one; what is left of the new one, nobody of training's may enter."""
    found = world.databases()
    assert found["odoo"] == before["odoo"]
    if DATABASE in found:
        entering = f"SELECT has_database_privilege('odoo', '{DATABASE}', 'CONNECT')"
        assert world.rows("postgres", entering, server=world.training) == [(False,)]


def next_run(world: World) -> None:
    """The isolated server is a new one in every run; nothing else is prepared."""
    world.empty_isolated()
    world.export(lambda _: None)
    with Adoption(world):
        world.mask(lambda _: None)
    assert target_state(world) == MASKED


@pytest.mark.parametrize("step", sample(READING, 2))
def test_the_isolated_server_killed_at_any_step_is_named_and_the_next_run_needs_no_cleaning(exported: World, step: str):
    before = exported.databases()
    with Adoption(exported):
        error = fails(lambda: exported.mask(at(step, exported.server.kill), **impatient()))
    assert error.code in {UNAVAILABLE, 75}
    refused_to_training(exported, before)
    assert DATABASE not in exported.databases(), "training's server works: what nobody may use is dropped at once"
    exported.server.start()
    next_run(exported)


@pytest.mark.parametrize("step", sample(MASK_STEPS[:-1], 3))
def test_trainings_server_killed_at_any_step_is_named_and_the_next_run_needs_no_cleaning(exported: World, step: str):
    before = exported.databases()
    with Adoption(exported):
        error = fails(lambda: exported.mask(at(step, exported.training.kill), **impatient()))
    assert error.code == UNAVAILABLE
    assert "training's PostgreSQL" in str(error) or "a database cannot be reached" in error.what
    exported.training.start()
    refused_to_training(exported, before)
    next_run(exported)


@pytest.mark.parametrize("victim", ["isolated", "training"])
def test_a_server_killed_in_the_middle_of_the_masked_stream_is_named(large: World, victim: str):
    large.export(lambda _: None)
    before = large.databases()
    killed = large.server if victim == "isolated" else large.training
    with Adoption(large), Killing(killed, copying=large.training):
        error = fails(lambda: large.mask(lambda _: None, **impatient()))
    assert error.code == UNAVAILABLE
    assert error.what == "the step copy failed"
    named = "the isolated PostgreSQL" if victim == "isolated" else "training's PostgreSQL"
    assert named in error.why
    killed.start()
    refused_to_training(large, before)
    next_run(large)


def test_a_training_server_that_is_back_soon_is_rid_of_the_half_database_at_once(large: World):
    large.export(lambda _: None)
    before = large.databases()
    with Adoption(large), Killing(large.training, copying=large.training, back=True):
        error = fails(lambda: large.mask(lambda _: None))
    assert error.code == UNAVAILABLE
    assert large.databases() == before
    next_run(large)


@pytest.mark.parametrize("victim", ["prod", "isolated"])
def test_a_server_killed_in_the_middle_of_the_export_is_named_and_the_next_run_is_whole(large: World, victim: str):
    killed = large.prod if victim == "prod" else large.server
    with Killing(killed, copying=large.server):
        error = fails(lambda: large.export(lambda _: None))
    assert error.code == UNAVAILABLE
    assert ("prod's PostgreSQL" if victim == "prod" else "the isolated PostgreSQL") in error.why
    killed.start()
    if victim == "isolated":
        large.empty_isolated()
    large.export(lambda _: None)
    assert exported_state(large)["partners"] == EXPORTED["partners"]
    assert large.rows("source", "SELECT count(*) FROM mail_message") == [(30000,)]


@pytest.mark.parametrize("step", ["snapshot", "files", "statistics"])
def test_a_source_that_is_gone_before_or_after_its_rows_were_read_is_named_and_no_export_is_marked(
    world: World, step: str
):
    if step == "statistics":  # nothing is asked of the source any more: what was read under its snapshot is whole
        world.export(at(step, world.prod.kill))
        world.prod.start()
        assert exported_state(world) == EXPORTED
        return
    error = fails(lambda: world.export(at(step, world.prod.kill)))
    assert error.code == UNAVAILABLE
    world.prod.start()
    marked = "SELECT to_regclass('careops_source.export') IS NOT NULL"
    if world.rows("source", marked) == [(True,)]:
        assert world.rows("source", "SELECT run FROM careops_source.export") == []
    world.export(lambda _: None)
    assert exported_state(world) == EXPORTED


def test_a_full_volume_of_the_isolated_copy_is_told_with_the_setting_that_gives_it_room(large: World):
    large.server.fill(leave=20 * MIB)
    error = fails(lambda: large.export(lambda _: None))
    assert error.code == FAILED
    assert "the volume of the isolated PostgreSQL is full" in error.why
    assert "refresh.sizes.isolated_storage" in error.why
    large.server.empty()
    next_run(large)


def test_a_full_volume_of_trainings_database_is_told_and_emptied_at_once_and_the_next_run_works(large: World):
    def fill() -> None:
        # The volume's last bytes are for rows: a new segment of the server's log is there before.
        large.execute("postgres", "SELECT pg_switch_wal()", "CHECKPOINT", server=large.training)
        large.training.fill(leave=4 * MIB)

    large.export(lambda _: None)
    before = large.databases()
    with Adoption(large):
        error = fails(lambda: large.mask(at("transfer: copy", fill)))
    assert error.code == FAILED
    assert "training's PostgreSQL reports DiskFull (SQLSTATE 53100): its volume is full" in error.why
    assert "database.storage in Pulumi.training.yaml" in error.why
    assert large.databases() == before, "what filled it is dropped without anybody's help"
    large.training.empty()
    next_run(large)
