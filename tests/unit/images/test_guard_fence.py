"""Connections of a serving pod: only to the database that fits its image."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from careops_odoo import fence as fences
from careops_odoo.fence import MAIN_PROCESS, Fence, differing_modules, fenced

IMAGE = {"base": "1", "crm": "1", "stock": "1"}
GUARD = Path(__file__).parents[3] / "odoo-image" / "guard"


class Ended(BaseException):
    """Stands for the end of the process."""


class NoTableError(Exception):
    """psycopg2's ProgrammingError."""


class BrokenError(Exception):
    """psycopg2's OperationalError."""


class Database:
    """What the fake connections lead to; counts what it is asked."""

    def __init__(self, *, name="odoo", identity="riverside/dev", modules=None, generation=None, error=None):
        self.name = name
        self.identity = identity
        self.record = None if modules is None else json.dumps(modules)
        self.generation = generation
        self.error = error
        self.asked = 0

    def answer(self, query):
        self.asked += 1
        if self.error:
            raise self.error
        if "sha256" in query:
            digest = self.record and hashlib.sha256(self.record.encode()).hexdigest()
            return (self.identity, digest, self.generation)
        return (self.record,)


class Cursor:
    def __init__(self, connection):
        self._connection = connection

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def execute(self, query):
        assert self._connection.autocommit, "a question within a transaction costs three round trips"
        self._row = self._connection.database.answer(query)

    def fetchone(self):
        return self._row


class Connection:
    """A connection as psycopg2 makes it: open once its constructor has ended."""

    def __init__(self, database):
        self.database = database
        self.autocommit = False
        self.closed = False
        self.info = SimpleNamespace(dbname=database.name)

    def cursor(self):
        return Cursor(self)

    def close(self):
        self.closed = True


@pytest.fixture
def fence(monkeypatch):
    monkeypatch.setattr(fences, "driver", lambda: SimpleNamespace(ProgrammingError=NoTableError))

    def end(why):
        raise Ended(why)

    return Fence(database="odoo", identity="riverside/dev", modules=IMAGE, generation=None, end=end)


def test_a_database_that_was_migrated_for_this_image_is_used(fence):
    database = Database(modules={"base": "1", "crm": "1"})
    connection = fenced(Connection, fence)(database)
    assert not connection.closed
    assert connection.autocommit is False, "Odoo expects transactions"


def test_a_known_database_costs_one_question_for_each_connection(fence):
    database = Database(modules={"base": "1"})
    kind = fenced(Connection, fence)
    kind(database)
    before = database.asked
    kind(database)
    assert database.asked - before == 1


def test_a_database_that_was_migrated_for_another_image_ends_the_pod_before_odoo_gets_the_connection(fence):
    opened = []

    class Watched(Connection):
        def __init__(self, database):
            super().__init__(database)
            opened.append(self)

    with pytest.raises(Ended, match="modules that differ: crm"):
        fenced(Watched, fence)(Database(modules={"base": "1", "crm": "2"}))
    assert opened[0].closed


def test_a_database_that_changes_under_the_pod_ends_it_at_the_next_connection(fence):
    kind = fenced(Connection, fence)
    kind(Database(modules={"base": "1"}))
    with pytest.raises(Ended, match="base"):
        kind(Database(modules={"base": "2"}))


@pytest.mark.parametrize(("started_for", "found"), [(None, "417"), ("417", "418"), ("418", "417"), ("417", None)])
def test_a_database_that_a_refresh_or_a_rollback_replaced_ends_the_pod(fence, started_for, found):
    fence._generation = started_for
    with pytest.raises(Ended, match=f"refresh {found or 'none'} made it, not {started_for or 'none'}"):
        fenced(Connection, fence)(Database(modules={"base": "1"}, generation=found))


def test_the_database_of_the_refresh_that_the_pod_was_started_for_is_used(fence):
    fence._generation = "417"
    assert not fenced(Connection, fence)(Database(modules={"base": "1"}, generation="417")).closed


def test_modules_that_a_migration_added_from_the_same_image_do_not_end_the_pod(fence):
    kind = fenced(Connection, fence)
    kind(Database(modules={"base": "1"}))
    kind(Database(modules={"base": "1", "stock": "1"}))


@pytest.mark.parametrize(
    ("database", "why"),
    [
        (Database(identity="riverside/prod", modules={"base": "1"}), "belongs to riverside/prod, not to riverside/dev"),
        (Database(identity=None, modules=None), "belongs to nobody"),
        (Database(modules=None), "no migration has recorded"),
        (Database(error=NoTableError("no such table\nLINE 1")), "no Odoo database: no such table"),
        (Database(modules={"base": "1", "helpdesk": "1"}), "helpdesk"),
    ],
)
def test_another_environment_s_an_unmarked_an_empty_and_a_foreign_database_end_the_pod(fence, database, why):
    with pytest.raises(Ended, match=why):
        fenced(Connection, fence)(database)


def test_other_databases_of_the_server_are_not_asked(fence):
    database = Database(name="postgres")
    fenced(Connection, fence)(database)
    assert database.asked == 0


def test_a_connection_that_breaks_during_the_check_is_an_error_of_the_connection_and_not_the_pod_s_end(fence):
    with pytest.raises(BrokenError):
        fenced(Connection, fence)(Database(error=BrokenError("server closed the connection")))


def test_modules_are_named_in_order_when_their_content_differs_or_the_image_lacks_them():
    assert differing_modules({"stock": "2", "base": "1", "helpdesk": "1"}, IMAGE) == ["helpdesk", "stock"]


def test_a_worker_that_meets_a_wrong_database_ends_the_container_s_main_process_and_says_why():
    worker = (
        f"import sys; sys.path.insert(0, {str(GUARD)!r}); from careops_odoo.fence import end_pod; end_pod('because')"
    )
    main = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, subprocess, sys, time\n"
            f"environ = {{**os.environ, {MAIN_PROCESS!r}: str(os.getpid())}}\n"
            "subprocess.Popen([sys.executable, '-c', sys.argv[1]], env=environ)\n"
            "time.sleep(60)",
            worker,
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    _, log = main.communicate(timeout=30)
    assert main.returncode == -9
    assert "not what the pod was started for: because" in log


def test_a_main_process_that_meets_a_wrong_database_ends_with_the_status_of_trying_again():
    program = (
        f"import os, sys; sys.path.insert(0, {str(GUARD)!r}); from careops_odoo import fence\n"
        f"os.environ[{MAIN_PROCESS!r}] = str(os.getpid()); fence.end_pod('because')"
    )
    done = subprocess.run([sys.executable, "-c", program], env=dict(os.environ), capture_output=True, check=False)
    assert done.returncode == 75
