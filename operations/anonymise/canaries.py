"""Canaries: made values planted in the isolated copy before it is masked, and searched for in the target after.

They are rows of their own, so no real row changes: `plant` adds one row per table of `canaries.tsv` to the isolated
copy (never to production), masking carries them like any other, `check` searches the target for what must be gone, and
`remove` takes the rows out of both again, before Odoo starts on them. Every canary has random letters of its own, so it
tells where it came from, and no real value can be one.
"""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

import datetime
import json
import re
import secrets
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.verify.dictionary import blocks, cell, searchable
from operations.anonymise.verify.report import Finding, Looked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from operations.anonymise.schema import Column, Schema, Table

DATA = Path(__file__).with_name("canaries.tsv")
HEADER = ("place", "table", "column", "kind")
LEAST = 60
"""Canaries that must have been planted; fewer prove too little."""
_LETTERS = "bcdfghkmnpqrtvwz"
_MARK = "zqxj"
_SEARCH = re.compile(rf"{_MARK}[{_LETTERS}]{{12}}|9990\d{{11}}")
_SEPARATORS = re.compile(r"[\s().+-]")
_FIRST_DAY = datetime.date(1801, 1, 1)
_DEEPEST = 4
"""Tables that are given a row so that a canary's row may point to one."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a canary goes, and as what kind of value."""

    place: str
    table: str
    column: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A canary that was planted.

    Attributes:
        needle: What is searched for: lower-case letters, digits, or a day.
    """

    place: Place
    needle: str


@dataclass(frozen=True, kw_only=True)
class Planting:
    """What was planted.

    Attributes:
        canaries: Each with its place.
        rows: Rows that were added, by table, in the order they were made.
        refused: Tables that took no row, with the SQLSTATE.
    """

    canaries: tuple[Canary, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    refused: Mapping[str, str] = field(default_factory=dict)


def places(path: Path = DATA) -> tuple[Place, ...]:
    """Return the list of places.

    Raises:
        ValueError: A line is not one of a place.
    """
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines() if line[:1] not in {"", "#"}]
    if not lines or tuple(lines[0]) != HEADER:
        raise ValueError(f"{path.name}: the first line must be {' '.join(HEADER)!r}")
    found = [Place(**dict(zip(HEADER, line, strict=True))) for line in lines[1:]]
    unknown = sorted({place.kind for place in found} - set(MAKERS))
    if unknown:
        raise ValueError(f"{path.name}: unknown kinds {', '.join(unknown)}; there are {', '.join(sorted(MAKERS))}")
    return tuple(found)


def _word() -> str:
    return _MARK + "".join(secrets.choice(_LETTERS) for _ in range(12))


def _digits() -> str:
    return "9990" + "".join(secrets.choice("0123456789") for _ in range(11))


def _day() -> str:
    return (_FIRST_DAY + datetime.timedelta(days=secrets.randbelow(20_000))).isoformat()


MAKERS: dict[str, tuple[Callable[[], str], Callable[[str], object]]] = {
    "name": (_word, lambda word: f"{word.capitalize()} Canary"),
    "text": (_word, lambda word: f"careops canary {word}"),
    "street": (_word, lambda word: f"12 {word.capitalize()} Lane"),
    "html": (_word, lambda word: f"<p>The canary is called <b>{word}</b>.</p>"),
    "email": (_word, lambda word: f"{word}@canary.example"),
    "url": (_word, lambda word: f"https://{word}.example/canary"),
    "identifier": (_word, str.upper),
    "filename": (_word, lambda word: f"{word}.pdf"),
    "bytes": (_word, lambda word: f"canary {word}".encode()),
    "translated": (_word, lambda word: json.dumps({"en_US": f"careops canary {word}"})),
    "by-company": (_word, lambda word: json.dumps({"1": f"careops canary {word}"})),
    "properties": (_word, lambda word: json.dumps({"ca9a41e5ca9a41e5": f"careops canary {word}"})),
    "json": (_word, lambda word: json.dumps({"holder": {"name": word}})),
    "phone": (_digits, lambda digits: f"+{digits[:3]} {digits[3:6]} {digits[6:9]}-{digits[9:]}"),
    "date": (_day, lambda day: day),
}
"""By kind: what makes the needle, and the value around it. 999 is a country code that nobody has."""


def plant(source: psycopg.Connection[Any], schema: Schema, wanted: Iterable[Place] | None = None) -> Planting:
    """Plant one row with canaries in each table of the list that the schema has.

    Args:
        source: To the isolated copy, as its owner, autocommit.
        schema: Of the source.
        wanted: Other places than the shipped list.
    """
    by_table: dict[str, list[Canary]] = {}
    for place in wanted if wanted is not None else places():
        table = schema.tables.get(place.table)
        if table is not None and table.column(place.column) is not None:
            canary = Canary(place=place, needle=MAKERS[place.kind][0]())
            by_table.setdefault(place.table, []).append(canary)
    planter = _Planter(source=source, schema=schema)
    done: list[Canary] = []
    refused = {}
    for name, canaries in by_table.items():
        values = {canary.place.column: MAKERS[canary.place.kind][1](canary.needle) for canary in canaries}
        try:
            planter.row(schema.tables[name], values)
        except psycopg.Error as error:
            refused[name] = error.sqlstate or type(error).__name__
        else:
            done += canaries
    return Planting(canaries=tuple(done), rows=tuple(planter.rows), refused=refused)


@dataclass(frozen=True, kw_only=True)
class _Planter:
    source: psycopg.Connection[Any]
    schema: Schema
    rows: list[tuple[str, int]] = field(default_factory=list)

    def row(self, table: Table, values: Mapping[str, object], depth: int = 0) -> int:
        """Add a row with these values and whatever else the table asks for, and return its id."""
        with self.source.transaction():
            made = len(self.rows)
            try:
                with self.source.transaction():
                    return self._insert(table, values, depth)
            except psycopg.errors.CheckViolation:
                # Columns that may be empty must fit each other: take them as another row has them.
                del self.rows[made:]
                return self._insert(table, {**self._like_another(table), **values}, depth)
            except psycopg.Error:
                del self.rows[made:]
                raise

    def _insert(self, table: Table, values: Mapping[str, object], depth: int) -> int:
        single = {index.columns[0] for index in table.unique if len(index.columns) == 1}
        given: dict[str, object] = {}
        for column in table.columns:
            if column.name in values:
                value = values[column.name]
                given[column.name] = value[: column.length] if column.length and isinstance(value, str) else value
            elif column.not_null and not column.default and not column.generated:
                given[column.name] = self._needed(table, column, alone=column.name in single, depth=depth)
        names = ", ".join(map(quoted, given))
        marks = ", ".join(f"%s::{column.type}" for name in given if (column := table.column(name)))
        values_of = f"({names}) VALUES ({marks})" if given else "DEFAULT VALUES"
        query = f"INSERT INTO {relation(table.name)} {values_of} RETURNING id"
        row = self.source.execute(query.encode(), list(given.values())).fetchone()
        number = int(row[0]) if row else 0
        self.rows.append((table.name, number))
        return number

    def _like_another(self, table: Table) -> dict[str, object]:
        single = {column for index in table.unique for column in index.columns}
        names = [c.name for c in table.columns if c.name not in {*single, "id"} and not c.generated]
        wanted = ", ".join(f"{quoted(name)}::text" for name in names)
        query = f"SELECT {wanted} FROM {relation(table.name)} ORDER BY id DESC LIMIT 1"
        row = self.source.execute(query.encode()).fetchone()
        return {name: value for name, value in zip(names, row or (), strict=False) if value is not None}

    def _needed(self, table: Table, column: Column, *, alone: bool, depth: int) -> object:
        """Return a value for a column that must have one: as other rows have it, when it need not be alone."""
        key = table.foreign_key(column.name)
        if key is not None:
            return self._target(key.target, alone=alone, depth=depth)
        if not alone:
            name = quoted(column.name)
            query = f"SELECT {name}::text FROM {relation(table.name)} WHERE {name} IS NOT NULL LIMIT 1"
            row = self.source.execute(query.encode()).fetchone()
            if row:
                return row[0]
        if column.kind is Kind.TEXT:
            return _word()[: column.length]
        return _NOTHING.get(column.kind, "0")

    def _target(self, name: str, *, alone: bool, depth: int) -> int | None:
        planted = next((number for table, number in reversed(self.rows) if table == name), None)
        if planted is not None:
            return planted
        if not alone:
            row = self.source.execute(f"SELECT min(id) FROM {relation(name)}".encode()).fetchone()
            if row and row[0] is not None:
                return row[0]
        return self.row(self.schema.tables[name], {}, depth + 1) if depth < _DEEPEST else None


_NOTHING: dict[Kind, object] = {
    Kind.JSON: "{}",
    Kind.BOOLEAN: "false",
    Kind.DATE: "2000-01-01",
    Kind.TIMESTAMP: "2000-01-01",
    Kind.BYTES: "",
}


def check(
    target: psycopg.Connection[Any],
    schema: Schema,
    planted: Planting,
    files: Iterable[tuple[str, bytes]] = (),
) -> Looked:
    """Search every text column, every file and every planted date of the target for canaries.

    Args:
        target: The masked database, before `remove`.
        schema: Of the target.
        planted: What was planted in its source.
        files: Name and content of the target's files.

    Raises:
        ValueError: Fewer than `LEAST` were planted, so their absence proves too little.
    """
    if len(planted.canaries) < LEAST:
        raise ValueError(f"{len(planted.canaries)} canaries were planted, at least {LEAST} are needed")
    needles = {canary.needle: canary for canary in planted.canaries if canary.place.kind != "date"}
    found: Counter[tuple[str, str, str]] = Counter()
    rows = 0
    for table in schema.tables.values():
        columns = searchable(table)
        if not columns:
            continue
        query = f"SELECT {', '.join(map(cell, columns))} FROM {relation(table.name)}"
        for block in blocks(target, query):
            rows += block.count(b"\n")
            for needle, column in _in_block(block, needles):
                found[table.name, columns[column].name, needles[needle].place.place] += 1
    for name, content in files:
        for needle in _needles(name + " " + content.decode("utf-8", "ignore")) & needles.keys():
            found["filestore", "", needles[needle].place.place] += 1
    for canary in planted.canaries:
        if canary.place.kind == "date" and _has_day(target, schema, canary):
            found[canary.place.table, canary.place.column, canary.place.place] += 1
    findings = [
        Finding(table=table, column=column, what=f"holds the canary of: {place}", count=count)
        for (table, column, place), count in found.items()
    ]
    facts = {"planted": len(planted.canaries), "rows searched": rows, "refused tables": len(planted.refused)}
    return Looked(findings=findings, facts=facts, required=("planted", "rows searched"))


def _needles(text: str) -> set[str]:
    lowered = text.lower()
    return {*_SEARCH.findall(lowered), *_SEARCH.findall(_SEPARATORS.sub("", lowered))}


def _in_block(block: bytes, needles: Mapping[str, Canary]) -> list[tuple[str, int]]:
    """Return canaries in a block of rows, each with the position of its column."""
    text = block.decode("utf-8", "replace")
    if not _needles(text) & needles.keys():
        return []
    hits = []
    for row in text.split("\n"):
        for column, value in enumerate(row.split("\t")):
            hits += [(needle, column) for needle in _needles(value) & needles.keys()]
    return hits


def _has_day(target: psycopg.Connection[Any], schema: Schema, canary: Canary) -> bool:
    table = schema.tables.get(canary.place.table)
    if table is None or table.column(canary.place.column) is None:
        return False
    column = quoted(canary.place.column)
    query = f"SELECT EXISTS (SELECT FROM {relation(table.name)} WHERE {column}::date = %s::date)"
    row = target.execute(query.encode(), [canary.needle]).fetchone()
    return bool(row and row[0])


def remove(connection: psycopg.Connection[Any], schema: Schema, planted: Planting) -> int:
    """Take the planted rows out of a database, the last first, and return how many there were.

    Args:
        connection: To the isolated copy or to the target.
        schema: Of that database.
        planted: What `plant` returned.
    """
    gone = 0
    with connection.transaction():
        for table, number in reversed(planted.rows):
            if table in schema.tables:
                query = f"DELETE FROM {relation(table)} WHERE id = %s"
                gone += connection.execute(query.encode(), [number]).rowcount
    return gone
