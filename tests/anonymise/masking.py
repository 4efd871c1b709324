"""Tables made for a test, masked by the rules that the test names."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from operations.anonymise.model import Action, Catalogue, Classification, ColumnRule, Gdpr, TableRule
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.lists import LANGUAGES, Lists
from operations.anonymise.schema import read_schema
from operations.anonymise.sessions import Endpoint, reader
from operations.anonymise.transfer import Result, Tools, transfer
from tests.anonymise.support import PROGRAMS, SOCKETS, SUPERUSER, UID, Server
from toolchain.images.sandbox import Inside

TODAY = datetime.date(2026, 11, 24)


def catalogue(rules: Mapping[str, str], tables: Mapping[str, str] | None = None) -> Catalogue:
    """Return a catalogue from rules by ``table.column``, and conditions (or "empty") by table."""
    columns: dict[str, dict[str, ColumnRule]] = {}
    for name, rule in rules.items():
        table, column = name.rsplit(".", 1)
        columns.setdefault(table, {})[column] = ColumnRule(
            table=table,
            column=column,
            classification=Classification.TECHNICAL,
            safe_harbor=None,
            gdpr=Gdpr.NONE,
            rule=rule,
        )
    lines = {
        table: TableRule(table=table, action=Action.EMPTY if where == "empty" else Action.WHERE, where=where)
        for table, where in (tables or {}).items()
    }
    return Catalogue(columns=columns, tables=lines, version="test")


@dataclass(frozen=True, kw_only=True)
class Source:
    """A database with tables of the test."""

    server: Server
    database: str
    key: RunKey

    def run(self, lines: Catalogue, languages: tuple[str, ...] = LANGUAGES, country: str = "US") -> Run:
        with self.server.connect(self.database) as connection:
            schema = read_schema(connection)
        return Run(schema=schema, catalogue=lines, lists=Lists(languages=languages), country=country)

    def execute(self, *statements: str) -> None:
        with self.server.connect(self.database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def read(self, lines: Catalogue, *, key: RunKey | None = None, **options: Any) -> dict[str, list[tuple[Any, ...]]]:
        """Return the masked rows by table, in the order they are stored."""
        run = self.run(lines, **options)
        secrets = session_settings(key or self.key, run, TODAY)
        with reader(Endpoint(conninfo=self.server.conninfo(self.database)), secrets) as session:
            return {plan.table: session.execute(plan.select().encode()).fetchall() for plan in compile_tables(run)}

    def one(
        self, rule: str, *values: object, type_: str = "text", key: RunKey | None = None, **options: Any
    ) -> list[Any]:
        """Return what a rule makes of values of a column."""
        self.execute("DROP TABLE IF EXISTS lone", f"CREATE TABLE lone (v {type_})")
        with self.server.connect(self.database) as connection:
            for value in values:
                connection.execute("INSERT INTO lone VALUES (%s)", (value,))
        lines = catalogue({"lone.v": rule})
        run = self.run(lines, **options)
        plan = next(
            plan
            for plan in compile_tables(
                Run(schema=run.schema, catalogue=_and_keep(lines, run), lists=run.lists, country=run.country)
            )
            if plan.table == "lone"
        )
        secrets = session_settings(key or self.key, run, TODAY)
        with reader(Endpoint(conninfo=self.server.conninfo(self.database)), secrets) as session:
            return [row[0] for row in session.execute(plan.select().encode()).fetchall()]

    def transfer(self, target: str, lines: Catalogue, jobs: int = 2) -> Result:
        run = self.run(lines)
        return transfer(
            Endpoint(conninfo=self.server.conninfo(self.database)),
            Endpoint(conninfo=self.server.conninfo(target)),
            compile_tables(run),
            session_settings(self.key, run, TODAY),
            tools(self.server),
            jobs=jobs,
        )


def _and_keep(lines: Catalogue, run: Run) -> Catalogue:
    """Return the lines, and `keep` for every column of tables that they do not speak of."""
    rules = {
        f"{table.name}.{column.name}": "keep"
        for table in run.schema.tables.values()
        for column in table.columns
        if not column.generated
    }
    rules |= {
        f"{table}.{column}": line.rule for table, found in lines.columns.items() for column, line in found.items()
    }
    return catalogue(rules)


def tools(server: Server) -> Tools:
    """Return PostgreSQL's programs, run beside the server; they go on when it is killed."""

    def command(argv: Any) -> list[str]:
        seen = [f"{PROGRAMS}/{argv[0]}", *(server.seen(part) for part in argv[1:])]
        environment = {"PGHOST": SOCKETS, "PGUSER": SUPERUSER}
        return server.session.command(Inside(tree=server.tree, argv=tuple(seen), uid=UID, env=environment))

    return Tools(folder=server.sockets, seen_as=SOCKETS, command=command)


@contextmanager
def source(server: Server, name: str, key: RunKey | None = None) -> Iterator[Source]:
    """Yield an empty database, dropped at the end."""
    with server.connect() as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    try:
        yield Source(server=server, database=name, key=key or RunKey(secret=bytearray(b"k" * 32)))
    finally:
        with server.connect() as connection:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def everything_else(base: Source) -> dict[str, str]:
    """Return lines that keep every column there is but those of `lone`."""
    with base.server.connect(base.database) as connection:
        found = connection.execute(
            "SELECT table_name || '.' || column_name FROM information_schema.columns "
            "WHERE table_schema = 'public' AND table_name <> 'lone'"
        ).fetchall()
    return {row[0]: "keep" for row in found}
