"""Training's next database: who gets in while it is made."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from operations.anonymise.marks import DATABASE
from operations.anonymise.sessions import Endpoint
from operations.anonymise.target import Target
from operations.refresh import leftover
from tests.anonymise.support import Server

ROLES = ("refresh", "odoo")


class Watched:
    """A session that, after each statement, has training's role try to get into the next database."""

    def __init__(self, inner: psycopg.Connection[Any], intruder: str) -> None:
        self._inner = inner
        self._intruder = intruder
        self.tries = 0
        self.inside: list[psycopg.Connection[Any]] = []

    def __enter__(self) -> Watched:
        return self

    def __exit__(self, *_: object) -> None:
        self._inner.close()

    def execute(self, *statement: Any) -> Any:
        found = self._inner.execute(*statement)
        self.tries += 1
        with contextlib.suppress(psycopg.OperationalError):
            self.inside.append(psycopg.connect(self._intruder))
        return found


class WatchedServer(Endpoint):
    """Training's server, whose sessions outside the next database are watched."""

    intruder = ""
    last: Watched

    def connect(self) -> Any:
        session = super().connect()
        if session.info.dbname == DATABASE:
            return session
        type(self).last = Watched(session, self.intruder)
        return self.last


@pytest.fixture
def training(server: Server) -> Iterator[WatchedServer]:
    """A server with training's roles and its database."""
    with server.connect() as connection:
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role} LOGIN CREATEDB".encode())
        connection.execute("GRANT odoo TO refresh")
        connection.execute("CREATE DATABASE odoo OWNER odoo")
    conninfo = make_conninfo(server.conninfo(), user="refresh")
    WatchedServer.intruder = make_conninfo(server.conninfo(DATABASE), user="odoo")
    yield WatchedServer(conninfo=conninfo)
    with server.connect() as connection:
        for name in (DATABASE, "odoo"):
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())
        for role in ROLES:
            connection.execute(f"DROP OWNED BY {role}".encode())
            connection.execute(f"DROP ROLE {role}".encode())


def test_at_no_moment_of_its_making_can_trainings_own_role_get_into_the_next_database(training: WatchedServer):
    target = Target(server=training, run="1")
    with target.make() as marked:
        watched = training.last
        assert watched.tries >= 5, "the statements that make the database were not watched"
        assert watched.inside == []
        assert marked.execute("SELECT current_user, session_user").fetchone() == ("odoo", "refresh")
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(training.intruder)


class Asking:
    """The cluster of the command line, as far as a question to training's server goes."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def ask(self, _namespace: str, database: str, statement: str, /) -> tuple[tuple[str, ...], ...]:
        with self._server.connect(database) as connection:
            found = connection.execute(statement.encode())
            return tuple(tuple(map(str, row)) for row in found.fetchall()) if found.description else ()


def _databases(server: Server) -> set[str]:
    with server.connect() as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'odoo%'")}


def test_the_command_line_drops_the_database_of_a_run_once_nobody_is_at_work_in_it(
    server: Server, training: WatchedServer
):
    cluster: Any = Asking(server)
    times = iter((0.0, 1.0, leftover.LEAVE_SECONDS))
    with Target(server=training, run="1").make():
        assert "still at work" in leftover.drop(cluster, "riverside", "1", lambda: next(times), lambda _: None)
        assert DATABASE in _databases(server)
    assert leftover.drop(cluster, "riverside", "2", lambda: 0.0, lambda _: None) == "", "another run's is none of ours"
    assert DATABASE in _databases(server)
    with psycopg.connect(make_conninfo(server.conninfo(DATABASE), user="refresh")):  # a session that was forgotten
        assert leftover.drop(cluster, "riverside", "1", lambda: 0.0, lambda _: None) == ""
    assert _databases(server) & {DATABASE, leftover.DISCARDED} == set()
