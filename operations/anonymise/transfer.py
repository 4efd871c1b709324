"""The masked transfer: schema, rows masked while they are read, constraints that prove them, sequences, statistics."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from operations.anonymise import indexes, pool, sessions
from operations.anonymise.faults import TransferError, of_database, of_program
from operations.anonymise.pool import Desk, StoppedError, Task
from operations.anonymise.rules.scope import quoted, relation

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from operations.anonymise.rules.compile import SelectPlan
    from operations.anonymise.sessions import Endpoint

_PAGE = 8192
_WORTH_FREEZING = 1 << 20  # bytes; below, the new file that TRUNCATE makes costs more than it saves
_CHUNK = 1 << 17  # bytes handed to the target at once
_ARCHIVE, _LIST = "careops-schema.dump", "careops-schema.list"
_DUMP = (
    *("--schema-only", "--format=custom", "--compress=none", "--no-owner", "--no-privileges", "--no-comments"),
    *("--no-security-labels", "--no-publications", "--no-subscriptions", "--no-tablespaces"),
    *("--exclude-schema=careops_*", "--lock-wait-timeout=60s"),
)
"""Only what makes a database: nobody's name in an owner or grant, no text of a comment, and no statistics, which
pg_dump 17 never writes: the most common values of a column are real ones."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """PostgreSQL's own client programs, of the server's major version or newer.

    Attributes:
        folder: Where the schema's archive is kept while the transfer runs.
        seen_as: The same folder as the programs see it; empty when that is the same.
        command: Gives the command line for a program and its arguments.
    """

    folder: Path
    seen_as: str = ""
    command: Callable[[Sequence[str]], list[str]] = list

    def file(self, name: str) -> tuple[Path, str]:
        """Return where a file of the transfer is, for us and for the programs."""
        return self.folder / name, f"{self.seen_as or self.folder}/{name}"

    def run(self, step: str, argv: Sequence[str], endpoint: Endpoint) -> None:
        """Run a program to its end, with an endpoint's password.

        Raises:
            TransferError: It failed; of its messages only what names objects is told.
        """
        environment = {**os.environ, **({"PGPASSWORD": endpoint.password} if endpoint.password else {})}
        done = subprocess.run(self.command(argv), capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            raise of_program(step, argv[0], done.returncode, done.stderr + done.stdout, server=endpoint.server)


@dataclass(frozen=True, kw_only=True)
class Result:
    """What was transferred.

    Attributes:
        rows: By table, read and written alike.
        seconds: By step.
    """

    rows: Mapping[str, int]
    seconds: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A piece of a table that one pair of sessions copies.

    Attributes:
        pages: First page and the one after the last (None for the end); None for the whole table.
        freeze: The rows can be written as visible to all, once and for good.
    """

    plan: SelectPlan
    size: int
    pages: tuple[int, int | None] | None = None
    freeze: bool = False


@dataclass(kw_only=True)
class _Progress:
    rows: dict[str, int] = field(default_factory=dict)
    _parts: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, parts: Sequence[_Part]) -> None:
        self._parts.update(part.plan.table for part in parts)

    def add(self, table: str, rows: int) -> bool:
        """Count the rows of a part, and return whether it was the table's last."""
        with self._lock:
            self.rows[table] = self.rows.get(table, 0) + rows
            self._parts[table] -= 1
            return not self._parts[table]


def transfer(
    source: Endpoint,
    target: Endpoint,
    plans: Sequence[SelectPlan],
    secrets: Mapping[str, str],
    tools: Tools,
    *,
    jobs: int = 2,
    on_step: Callable[[str], None] = lambda _: None,
) -> Result:
    """Copy a database, masked, into an empty one.

    Everything is read under one snapshot. Indexes are made when a table's rows are there, foreign keys at the end; they
    prove the rows: uniqueness, references and checks. Memory does not grow with the rows, only with the longest one.

    Args:
        source: The isolated copy of production.
        target: An empty database that nobody uses yet.
        plans: How each table is read; tables without a plan stay empty.
        secrets: Settings with the run's keys, for the reading sessions' memory only.
        tools: PostgreSQL's programs.
        jobs: How many tables (or indexes) at a time.
        on_step: Told of each step as it starts.

    Raises:
        TransferError: It could not be done; the target is then good for nothing but being dropped.
    """
    seconds: dict[str, float] = {}

    def step(name: str, work: Callable[[], None]) -> None:
        on_step(name)
        started = time.monotonic()
        work()
        seconds[name] = time.monotonic() - started

    def read() -> psycopg.Connection[Any]:
        return sessions.reader(source, secrets, snapshot)

    _refuse_used(target)
    progress = _Progress()
    (dump, seen), (listing, list_seen) = tools.file(_ARCHIVE), tools.file(_LIST)
    with sessions.reader(source, secrets) as keeper:
        snapshot = _value(keeper, "SELECT pg_export_snapshot()")
        of_source = [f"--snapshot={snapshot}", f"--file={seen}", f"--dbname={source.conninfo}"]
        contents = ["pg_restore", "--list", "--section=post-data", f"--file={list_seen}", seen]
        try:
            step("read schema", lambda: tools.run("read schema", ["pg_dump", *_DUMP, *of_source], source))
            step("create tables", lambda: _restore(tools, target, seen, "--section=pre-data", "--transaction-size=200"))
            tools.run("read schema", contents, source)
            made = indexes.read(keeper, listing.read_text())
            parts = _parts(keeper, plans, jobs)
            step("copy", lambda: _copy_all(partial(_desk, (source, target), read), parts, progress, made, jobs))
            _prove_split(keeper, parts, progress.rows)
            step("sequences", lambda: _sequences(keeper, target))
            step("constraints", lambda: _constrain(tools, (source, target), made, jobs))
            step("analyze", lambda: _finish(target, [plan.table for plan in plans], jobs))
        finally:
            dump.unlink(missing_ok=True)
            listing.unlink(missing_ok=True)
    return Result(rows=dict(sorted(progress.rows.items())), seconds=seconds)


def _refuse_used(target: Endpoint) -> None:
    with target.connect() as connection:
        found = _value(
            connection,
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname !~ '^(pg_|careops_)' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p')",
        )
    if found:
        raise TransferError("check", f"the target has {found} tables already", "create an empty database for it")


def _restore(tools: Tools, target: Endpoint, archive: str, *options: str) -> None:
    conninfo = target.with_options({"synchronous_commit": "off", "maintenance_work_mem": "512MB"})
    step = "constraints" if "--section=post-data" in options else "create tables"
    argv = ["pg_restore", "--no-owner", "--exit-on-error", *options, f"--dbname={conninfo}", archive]
    tools.run(step, argv, target)


def _constrain(tools: Tools, ends: tuple[Endpoint, Endpoint], made: indexes.Definitions, jobs: int) -> None:
    """Make what is not made yet: what only `pg_restore` knows, then the foreign keys, which may need some of that."""
    (_, seen), (listing, list_seen) = tools.file(_ARCHIVE), tools.file(_LIST)
    if made.rest:
        listing.unlink(missing_ok=True)  # it is the program's own, which may be another user
        listing.write_text(made.rest)
        _restore(tools, ends[1], seen, "--section=post-data", f"--jobs={jobs}", f"--use-list={list_seen}")
    pool.run(indexes.connect(made.keys), partial(_desk, ends, None), jobs=jobs)


@contextmanager
def _desk(
    ends: tuple[Endpoint, Endpoint], read: Callable[[], psycopg.Connection[Any]] | None, stopped: threading.Event
) -> Generator[Desk]:
    """Open the sessions of a thread: one that writes, and one that reads where something is to be read."""
    source, target = ends
    with sessions.writer(target) as writing:
        desk = Desk(writing=writing, source=source.server, target=target.server, stopped=stopped)
        if read is None:
            yield desk
            return
        with read() as reading:
            yield replace(desk, reading=reading)


def _parts(keeper: psycopg.Connection[Any], plans: Sequence[SelectPlan], jobs: int) -> list[_Part]:
    """Return the pieces of work, largest first; only a table that outweighs all others together is split."""
    query = (
        "SELECT CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END, c.relkind::text, "
        "pg_relation_size(c.oid), pg_table_size(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind IN ('r', 'p')"
    )
    found = {name: (kind, heap, size) for name, kind, heap, size in keeper.execute(query)}
    total = sum(found[plan.table][2] for plan in plans)
    parts = []
    for plan in plans:
        kind, heap, size = found[plan.table]
        pages = heap // _PAGE
        if kind == "r" and jobs > 1 and size > _WORTH_FREEZING and size > 1.5 * total / jobs and pages >= jobs:
            edges = [pages * place // jobs for place in range(jobs)]
            ends: list[int | None] = [*edges[1:], None]
            parts += [
                _Part(plan=plan, size=size // jobs, pages=(first, end)) for first, end in zip(edges, ends, strict=True)
            ]
        else:
            parts.append(_Part(plan=plan, size=size, freeze=kind == "r" and size > _WORTH_FREEZING))
    return sorted(parts, key=lambda part: -part.size)


def _copy_all(
    desk: Callable[[threading.Event], AbstractContextManager[Desk]],
    parts: Sequence[_Part],
    progress: _Progress,
    made: indexes.Definitions,
    jobs: int,
) -> None:
    """Copy all parts, and make the indexes of each table when its last part is there."""
    progress.expect(parts)

    def copy(part: _Part, desk: Desk) -> Sequence[Task]:
        table = part.plan.table
        last = progress.add(table, _copy(desk, part))
        return indexes.build(made.indexes.get(table, ())) if last else ()

    tasks = [Task(do=partial(copy, part), size=part.size) for part in parts]
    empty = indexes.at_once(made.indexes, {part.plan.table for part in parts})
    pool.run([*tasks, *empty], desk, jobs=jobs)


def _copy(desk: Desk, part: _Part) -> int:
    """Copy one part and return its number of rows.

    Raises:
        TransferError: A row was refused, or the two sides counted differently.
    """
    table = part.plan.table
    read = f"COPY ({part.plan.select(part.pages)}) TO STDOUT".encode()
    write = part.plan.copy_from() + (" WITH (FREEZE)" if part.freeze else "")
    try:
        with desk.writing.transaction(), desk.writing.cursor() as here:
            if part.freeze:
                # Rows may be written frozen only into a file that this transaction made.
                here.execute(f"TRUNCATE {relation(table)}".encode())
            with here.copy(write.encode()) as sink:
                sent = _read(desk, read, sink, table)
            taken = here.rowcount
    except psycopg.Error as error:
        raise of_database("copy", error, table=table, server=desk.target) from None
    if sent != taken:
        raise TransferError(
            "copy", f"{sent} rows read and {taken} written", "a rule of the target drops rows: remove it", table=table
        )
    return taken


def _read(desk: Desk, read: bytes, sink: psycopg.Copy, table: str) -> int:
    """Read into the target; returns the number of rows.

    What is raised here is told to the target, whose log keeps it: it must not be PostgreSQL's message of the source.

    Raises:
        TransferError: Either side failed.
    """

    def put(rows: bytes) -> None:
        try:
            sink.write(rows)
        except psycopg.Error as error:
            raise of_database("copy", error, table=table, server=desk.target) from None

    try:
        with desk.reader().cursor() as there:
            with there.copy(read) as rows:
                _relay(rows, put, desk.stopped)
            return there.rowcount
    except psycopg.Error as error:
        raise of_database("copy", error, table=table, server=desk.source) from None


def _relay(rows: psycopg.Copy, put: Callable[[bytes], None], stopped: threading.Event) -> None:
    """Hand on what PostgreSQL sends, a bounded amount at a time; a row arrives as one piece.

    Measured for messages of 250 bytes: 0.7 µs of CPU a row with psycopg's C library, 2.2 µs with its Python one, and
    1.1 µs with two `psql` and a pipe. PostgreSQL itself needs ten times that to read and write a row.
    """
    held: list[bytes | bytearray | memoryview] = []
    size = 0
    for row in rows:
        held.append(row)
        size += len(row)
        if size >= _CHUNK:
            put(b"".join(held))
            held.clear()
            size = 0
            if stopped.is_set():
                raise StoppedError
    if held:
        put(b"".join(held))


def _prove_split(keeper: psycopg.Connection[Any], parts: Sequence[_Part], rows: Mapping[str, int]) -> None:
    """Count tables that were copied in parts once more as a whole."""
    for plan in {part.plan.table: part.plan for part in parts if part.pages}.values():
        where = f" WHERE {plan.where}" if plan.where else ""
        counted = _value(keeper, f"SELECT count(*) FROM {plan.source}{where}")  # noqa: S608 - quoted
        if counted != rows[plan.table]:
            raise TransferError(
                "copy",
                f"{counted} rows in the source and {rows[plan.table]} copied in parts",
                "run again with one job and report the table",
                table=plan.table,
            )


def _sequences(keeper: psycopg.Connection[Any], target: Endpoint) -> None:
    query = "SELECT schemaname, sequencename FROM pg_sequences WHERE schemaname !~ '^(pg_|careops_)' ORDER BY 1, 2"
    with target.connect() as writing:
        for schema, name in keeper.execute(query).fetchall():
            sequence = f"{quoted(schema)}.{quoted(name)}"
            row = keeper.execute(f"SELECT last_value, is_called FROM {sequence}".encode()).fetchone()  # noqa: S608 - quoted
            if row is None:
                raise TransferError("sequences", f"{sequence} has no state", "look at it in the source")
            writing.execute("SELECT setval(%s::regclass, %s, %s)", (sequence, *row))


def _finish(target: Endpoint, tables: Sequence[str], jobs: int) -> None:
    """Fill materialised views, and gather statistics of the masked rows."""
    views = (
        "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE c.relkind = 'm' ORDER BY c.oid"
    )
    try:
        with sessions.writer(target) as writing:
            for schema, name in writing.execute(views).fetchall():
                writing.execute(f"REFRESH MATERIALIZED VIEW {quoted(schema)}.{quoted(name)}".encode())
        with ThreadPoolExecutor(max_workers=jobs) as pool:
            list(pool.map(lambda share: _analyze(target, tables[share::jobs]), range(jobs)))
    except psycopg.Error as error:
        raise of_database("analyze", error, server=target.server) from None


def _analyze(target: Endpoint, tables: Sequence[str]) -> None:
    with sessions.writer(target) as writing:
        for table in tables:
            writing.execute(f"ANALYZE {relation(table)}".encode())


def _value(connection: psycopg.Connection[Any], query: str) -> Any:  # noqa: ANN401 - whatever the column holds
    row = connection.execute(query.encode()).fetchone()
    return row[0] if row else None
