"""Training's next database while it is made: its own name, its own owner, and nobody else let in."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from operations.anonymise import marks
from operations.anonymise.environment import within
from operations.anonymise.marks import DATABASE, Program
from operations.anonymise.outcome import NotYet, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

    import psycopg

    from operations.anonymise.sessions import Endpoint

LIVE = "odoo"
"""Training's database, whose locale the next one gets; also the role that will own the next one."""

LEAVE_SECONDS = 15.0
"""How long adopt gets to see that the run has failed before its database goes."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Training's server, as role `refresh`.

    Attributes:
        server: How its database `postgres` is reached.
        run: Which run this is.
    """

    server: Endpoint
    run: str

    @property
    def database(self) -> Endpoint:
        """Return the next database; what is made in it belongs to training's role."""
        return within(self.server, DATABASE, role=LIVE)

    def make(self) -> psycopg.Connection[Any]:
        """Drop what an earlier run left, make the database, and be present in it.

        Returns:
            The session that holds the presence lock: keep it open for as long as the run lasts.

        Raises:
            NotYet: Another run is under way.
            Refused: Training has no database yet.
        """
        with self.server.connect() as server:
            self._drop_stale(server)
            self._create(server)
        connection = self.database.connect()
        try:
            mine = marks.be_present(connection, Program.MASK)
            connection.execute(marks.STATE)
            marks.write(connection, marks.Step.STARTED, self.run, {})
        except BaseException:
            connection.close()
            raise
        if not mine:
            connection.close()
            raise _busy("another program masks at the same time")
        return connection

    def drop(self) -> None:
        """Drop the database at once, when it is this run's; adopt gets a moment to see why."""
        with self.server.connect() as server:
            if _comment(server) != marks.comment(self.run):
                return
            deadline = time.monotonic() + LEAVE_SECONDS
            while Program.ADOPT in marks.present(server, DATABASE) and time.monotonic() < deadline:
                time.sleep(1)
            _drop(server)

    def _drop_stale(self, server: psycopg.Connection[Any]) -> None:
        found = marks.present(server, DATABASE)
        if found:
            # Adopt takes its lock only once it has seen that the database is its own run's.
            who = ", ".join(sorted(found))
            raise _busy(f"{who} is at work in {DATABASE}")
        _drop(server)

    def _create(self, server: psycopg.Connection[Any]) -> None:
        name, role = sql.Identifier(DATABASE), sql.Identifier(LIVE)
        # Closed from its first moment: PUBLIC may connect to a new database, and taking that right away afterwards ends
        # no session that is in already, which would see everything that is written later.
        made = sql.SQL("CREATE DATABASE {} TEMPLATE template0 {} ALLOW_CONNECTIONS false")
        server.execute(made.format(name, _locale(server)))
        # Its owner alone may connect: neither training's Odoo nor anybody else, until the swap.
        server.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        server.execute(sql.SQL("GRANT CREATE, TEMPORARY ON DATABASE {} TO {}").format(name, role))
        server.execute(sql.SQL("COMMENT ON DATABASE {} IS {}").format(name, sql.Literal(marks.comment(self.run))))
        server.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))
        with within(self.server, DATABASE).connect() as inside:
            inside.execute(sql.SQL("GRANT CREATE, USAGE ON SCHEMA public TO {}").format(role))


def _drop(server: psycopg.Connection[Any]) -> None:
    server.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(DATABASE)))


def _comment(server: psycopg.Connection[Any]) -> str:
    row = server.execute(
        "SELECT coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database WHERE datname = %s", (DATABASE,)
    ).fetchone()
    return row[0] if row else ""


def _locale(server: psycopg.Connection[Any]) -> sql.Composable:
    """Return the clause that gives a new database the locale of training's: indexes must sort the same."""
    row: Sequence[Any] | None = server.execute(
        "SELECT pg_encoding_to_char(encoding), datlocprovider::text, datcollate, datctype, datlocale"
        " FROM pg_database WHERE datname = %s",
        (LIVE,),
    ).fetchone()
    if row is None:
        raise Refused(
            f"training's server has no database {LIVE}",
            why="a refresh replaces training's database, and this one was never made",
            action="deploy training first: careops up",
        )
    encoding, provider, collate, ctype, locale = row
    parts = [
        sql.SQL("ENCODING {} LC_COLLATE {} LC_CTYPE {}").format(*map(sql.Literal, (encoding, collate, ctype))),
        sql.SQL({"b": "LOCALE_PROVIDER builtin", "i": "LOCALE_PROVIDER icu", "c": "LOCALE_PROVIDER libc"}[provider]),
    ]
    if locale:
        word = "BUILTIN_LOCALE" if provider == "b" else "ICU_LOCALE"
        parts.append(sql.SQL(f"{word} {{}}").format(sql.Literal(locale)))
    return sql.SQL(" ").join(parts)


def _busy(why: str) -> NotYet:
    return NotYet(
        "another refresh of this environment is under way", why=why, action="wait until it has ended, then start again"
    )
