"""Indexes and constraints of the target: those that can be made as soon as a table's rows are there.

`pg_restore` makes them when all rows are there, each in a transaction of its own, and one foreign key after the other
wherever two point to the same table, as thousands of Odoo's do to its users. Here a table's indexes are made while
other tables are copied, a table's foreign keys in one statement, and those of large tables are proved side by side.

Only plain ones are made here, whose definition PostgreSQL itself gives whole. What has more to it (partitions, an index
that a table is clustered by, statistics of an expression) stays in the archive's list, for `pg_restore`.
"""

# ruff: noqa: S608 - identifiers are quoted by PostgreSQL, the rest is this file's own text
from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg

from operations.anonymise.faults import of_database
from operations.anonymise.pool import StoppedError, Task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from operations.anonymise.pool import Desk

LARGE = 1 << 20
"""Bytes of a table from which on each index, and the proof of its foreign keys, is a task of its own."""
_ENTRY = re.compile(r"^\d+; \d+ (\d+) (?:FK CONSTRAINT|CONSTRAINT|INDEX) ")
_TABLE = "CASE n.nspname WHEN 'public' THEN t.relname ELSE n.nspname || '.' || t.relname END"
_FROM = "JOIN pg_namespace n ON n.oid = t.relnamespace WHERE t.relkind = 'r' AND NOT t.relispartition"
_INDEXES = f"""
    SELECT coalesce(k.oid, x.oid)::bigint, {_TABLE}, pg_table_size(t.oid), k.oid IS NOT NULL, CASE WHEN k.oid IS NULL
        THEN pg_get_indexdef(x.oid) ELSE format('ALTER TABLE ONLY %I.%I ADD CONSTRAINT %I %s', n.nspname, t.relname,
        k.conname, pg_get_constraintdef(k.oid)) END
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x') {_FROM}
    AND i.indisvalid AND NOT i.indisclustered AND NOT i.indisreplident AND x.reltablespace = 0 AND NOT x.relispartition
    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = x.oid AND a.attstattarget >= 0)
    AND (k.oid IS NULL OR k.contype <> 'x' AND x.reloptions IS NULL AND k.conparentid = 0 AND k.coninhcount = 0)
    ORDER BY 1
"""
_KEYS = f"""
    SELECT k.oid::bigint, {_TABLE}, pg_table_size(t.oid), format('%I.%I', n.nspname, t.relname),
        format('%I', k.conname), pg_get_constraintdef(k.oid)
    FROM pg_constraint k JOIN pg_class f ON f.oid = k.confrelid JOIN pg_class t ON t.oid = k.conrelid {_FROM}
    AND k.contype = 'f' AND k.convalidated AND k.conparentid = 0 AND f.relkind = 'r' AND NOT f.relispartition
    ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index, or a unique constraint with its index.

    Attributes:
        oid: What the archive's list knows it by.
        size: Bytes of the table.
        constraint: The statement locks the table against all others.
    """

    oid: int
    table: str
    size: int
    constraint: bool
    statement: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Key:
    """A foreign key.

    Attributes:
        oid: What the archive's list knows it by.
        size: Bytes of the table.
        relation: The table as SQL.
        name: The constraint as SQL.
        definition: What stands behind the name.
    """

    oid: int
    table: str
    size: int
    relation: str
    name: str
    definition: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """What makes the rows of a target a database.

    Attributes:
        indexes: By table.
        keys: Foreign keys.
        rest: Lines of the archive's list that are left to `pg_restore`; empty for none.
    """

    indexes: Mapping[str, Sequence[Index]]
    keys: Sequence[Key]
    rest: str


def read(keeper: psycopg.Connection[Any], listing: str) -> Definitions:
    """Return what is made here of an archive's list, and what is not.

    Args:
        keeper: A session with the source.
        listing: What `pg_restore --list` says of everything that is made after the rows.
    """
    before = keeper.execute("SELECT current_setting('search_path'), set_config('search_path', '', true)").fetchone()
    try:  # without a search path every name in a definition is whole
        indexes = [
            Index(oid=oid, table=table, size=size, constraint=constraint, statement=statement)
            for oid, table, size, constraint, statement in keeper.execute(_INDEXES.encode())
        ]
        keys = [
            Key(oid=oid, table=table, size=size, relation=relation, name=name, definition=definition)
            for oid, table, size, relation, name, definition in keeper.execute(_KEYS.encode())
        ]
    finally:
        keeper.execute("SELECT set_config('search_path', %s, true)", (before[0] if before else "",))
    return divide(listing, indexes, keys)


def divide(listing: str, indexes: Iterable[Index], keys: Iterable[Key]) -> Definitions:
    """Return what is made here: what the archive has too; and the lines of all else."""
    entries = [line for line in listing.splitlines() if line.strip() and not line.startswith(";")]
    listed = {int(found.group(1)): line for line in entries if (found := _ENTRY.match(line))}
    by_table: defaultdict[str, list[Index]] = defaultdict(list)
    for index in indexes:
        if index.oid in listed:
            by_table[index.table].append(index)
    kept = [key for key in keys if key.oid in listed]
    ours = {listed[each.oid] for each in (*kept, *(index for found in by_table.values() for index in found))}
    rest = [line for line in entries if line not in ours]
    return Definitions(indexes=dict(by_table), keys=kept, rest="".join(f"{line}\n" for line in rest))


def build(indexes: Sequence[Index]) -> list[Task]:
    """Return the tasks that make the indexes of one table, whose rows must be there."""
    constraints = [index for index in indexes if index.constraint]
    others = [index for index in indexes if not index.constraint]
    if indexes and indexes[0].size < LARGE:
        return [_task([*constraints, *others])]
    alone = [_task([index]) for index in others]
    # A constraint's statement would wait for the others, and the others for it.
    return [_task(constraints, alone)] if constraints else alone


def _task(indexes: Sequence[Index], then: Sequence[Task] = ()) -> Task:
    statements = [index.statement for index in indexes]
    table, size = indexes[0].table, indexes[0].size
    return Task(do=partial(_execute, table=table, statements=statements, then=then), size=size, late=True)


def _execute(desk: Desk, *, table: str, statements: Sequence[str], then: Sequence[Task] = ()) -> Sequence[Task]:
    for statement in statements:
        if desk.stopped.is_set():
            raise StoppedError
        try:
            desk.writing.execute(statement.encode())
        except psycopg.Error as error:
            raise of_database("constraints", error, table=table, server=desk.target) from None
    return then


def connect(keys: Sequence[Key]) -> list[Task]:
    """Return the task that adds all foreign keys, which brings those that prove the keys of large tables.

    They are added by one session: two that add keys between the same tables would wait for each other.
    """
    if not keys:
        return []
    tables: defaultdict[str, list[Key]] = defaultdict(list)
    for key in keys:
        tables[key.table].append(key)
    proofs = [_proof(found) for found in tables.values() if found[0].size >= LARGE]

    def add(desk: Desk) -> Sequence[Task]:
        for table, found in tables.items():
            _execute(desk, table=table, statements=[_addition(found)])
        return proofs

    return [Task(do=add, size=sum(found[0].size for found in tables.values()))]


def _addition(keys: Sequence[Key]) -> str:
    later = " NOT VALID" if keys[0].size >= LARGE else ""
    actions = ", ".join(f"ADD CONSTRAINT {key.name} {key.definition}{later}" for key in keys)
    return f"ALTER TABLE ONLY {keys[0].relation} {actions}"


def _proof(keys: Sequence[Key]) -> Task:
    statements = [f"ALTER TABLE ONLY {key.relation} VALIDATE CONSTRAINT {key.name}" for key in keys]
    return Task(do=partial(_execute, table=keys[0].table, statements=statements), size=keys[0].size)


def at_once(indexes: Mapping[str, Sequence[Index]], filled: set[str]) -> Iterator[Task]:
    """Yield the tasks of tables that get no rows."""
    for table, found in indexes.items():
        if table not in filled:
            yield from build(found)
