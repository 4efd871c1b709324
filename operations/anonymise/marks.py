"""How the programs of a run meet: marks in the databases they work in, and locks that last as long as they live."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, LiteralString

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

DATABASE = "odoo_refresh"
"""Training's next database until the swap."""

LOCK_SPACE = 0x63617265
"""First key of the presence locks; any number works, this one spells "care"."""


class Program(StrEnum):
    """The programs of a run."""

    EXPORT = "export"
    MASK = "mask"
    ADOPT = "adopt"

    @property
    def lock(self) -> int:
        """Return the second key of its presence lock."""
        return {Program.EXPORT: 1, Program.MASK: 2, Program.ADOPT: 3}[self]


class Step(StrEnum):
    """Marks in `odoo_refresh`; each says that everything before it is done."""

    STARTED = "started"
    MASKED = "masked"
    ADOPTED = "adopted"
    VERIFIED = "verified"
    SWAPPED = "swapped"
    FAILED = "failed"


STATE: LiteralString = """
    CREATE SCHEMA IF NOT EXISTS careops_refresh;
    CREATE TABLE IF NOT EXISTS careops_refresh.state (
        step text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), detail jsonb NOT NULL);
    CREATE TABLE IF NOT EXISTS careops_refresh.file (
        sha1 text PRIMARY KEY, mimetype text NOT NULL, content bytea NOT NULL);
"""
"""What mask makes in `odoo_refresh` and adopt drops before the swap."""

SOURCE: LiteralString = """
    CREATE SCHEMA IF NOT EXISTS careops_source;
    CREATE TABLE IF NOT EXISTS careops_source.export (
        run text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), detail jsonb NOT NULL);
    CREATE TABLE IF NOT EXISTS careops_source.files (
        store_fname text PRIMARY KEY, size bigint NOT NULL, kind text NOT NULL,
        width integer, height integer, pages integer);
"""
"""What export makes in `source`."""


def comment(run: str) -> str:
    """Return the comment on `odoo_refresh`, which tells whose it is without a connection to it."""
    return f"careops: refresh {run}"


_KEEPALIVE = {"tcp_keepalives_idle": "10", "tcp_keepalives_interval": "5", "tcp_keepalives_count": "3"}
"""A program whose node died is gone for the others after half a minute and not, as by default, after two hours."""


@dataclass(frozen=True, kw_only=True)
class State:
    """The marks of a run.

    Attributes:
        steps: Detail by step.
    """

    steps: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def of_run(self, run: str) -> State:
        """Return the marks of one run; another run's say nothing."""
        return State(steps={step: detail for step, detail in self.steps.items() if detail.get("run") == run})

    def detail(self, step: Step) -> Mapping[str, Any] | None:
        """Return what a step left, or None when it is not there."""
        return self.steps.get(step)


def read(connection: psycopg.Connection[Any]) -> State:
    """Return the marks in `odoo_refresh`; none when the schema is not there."""
    row = connection.execute("SELECT to_regclass('careops_refresh.state') IS NOT NULL").fetchone()
    if not (row and row[0]):
        return State()
    return State(steps=dict(connection.execute("SELECT step, detail FROM careops_refresh.state").fetchall()))


def write(connection: psycopg.Connection[Any], step: Step, run: str, detail: Mapping[str, Any]) -> None:
    """Leave a mark in `odoo_refresh`, at once and for good."""
    text = json.dumps({**detail, "run": run})
    with connection.transaction():
        # Everything before it was written without waiting for the disk; the mark waits, and brings all of that along.
        connection.execute("SET LOCAL synchronous_commit = on")
        connection.execute(
            "INSERT INTO careops_refresh.state (step, detail) VALUES (%s, %s::jsonb)"
            " ON CONFLICT (step) DO UPDATE SET at = now(), detail = excluded.detail",
            (step.value, text),
        )


def read_export(connection: psycopg.Connection[Any], run: str) -> Mapping[str, Any] | None:
    """Return what export left in `source` when it was done with this run, or None."""
    row = connection.execute("SELECT to_regclass('careops_source.export') IS NOT NULL").fetchone()
    if not (row and row[0]):
        return None
    found = connection.execute("SELECT detail FROM careops_source.export WHERE run = %s", (run,)).fetchone()
    return found[0] if found else None


def write_export(connection: psycopg.Connection[Any], run: str, detail: Mapping[str, Any]) -> None:
    """Say in `source` that everything of this run is there."""
    connection.execute(
        "INSERT INTO careops_source.export (run, detail) VALUES (%s, %s::jsonb)", (run, json.dumps(detail))
    )


def be_present(connection: psycopg.Connection[Any], program: Program) -> bool:
    """Take a program's presence lock; it lasts as long as the session.

    Returns:
        False when another one of the same program holds it.
    """
    for name, seconds in _KEEPALIVE.items():
        connection.execute("SELECT set_config(%s, %s, false)", (name, seconds))
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_SPACE, program.lock)).fetchone()
    return bool(row and row[0])


def present(connection: psycopg.Connection[Any], database: str) -> frozenset[Program]:
    """Return the programs that live and work in a database, asked from any database of its server."""
    rows = connection.execute(
        "SELECT l.objid::bigint FROM pg_locks l JOIN pg_database d ON d.oid = l.database"
        " WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND l.classid::bigint = %s AND d.datname = %s",
        (LOCK_SPACE, database),
    ).fetchall()
    return frozenset(_programs(number for (number,) in rows))


def _programs(numbers: Iterable[int]) -> list[Program]:
    known = {program.lock: program for program in Program}
    return [known[number] for number in numbers if number in known]
