"""Checks that masking changed what it must and kept the shape of what people are trained with."""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.anonymise.model import Action, Classification
from operations.anonymise.rules.grammar import Effect, RuleError, parse
from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.verify.report import Finding, Looked
from operations.anonymise.verify.structure import copied

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Table
    from operations.anonymise.verify.structure import Pair

SAMPLE = 100_000
"""Rows of a large table that are judged: enough for shares, and sorting all of them would take longer than copying."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """How far a column's shape may be from the source's.

    Attributes:
        nulls: Share of NULL, in points of one.
        distinct: The lowest share of the source's different values that must be left.
        length: The lowest and highest ratio of a middle or long text's length.
        rows: Columns with fewer values are not judged: chance rules there.
    """

    nulls: float = 0.02
    distinct: float = 0.5
    length: tuple[float, float] = (0.2, 5.0)
    rows: int = 50


_MEANT_TO_STAY_USEFUL = frozenset(
    {"name", "email", "login", "phone", "filler", "filler-html", "identifier", "iban", "account-number", "vat"}
    | {"document-number", "shift-date", "shift-with", "jitter", "keep"}
)
_FEWER_BY_DESIGN = frozenset({"name"})
"""Rules that may map different values to the same: lists of names are finite."""

_OF_LENGTH_ONLY = frozenset({"filler", "filler-html"})
"""Rules whose result says nothing but how long the text was: notes of one length all become the same text."""


_STAMPS = frozenset({"write_date"})
"""Odoo's stamps of the last change; they are all of one moment once the adoption has computed a column again."""


def shapes(pair: Pair, tolerance: Tolerance = Tolerance(), *, adopted: bool = False) -> Looked:
    """Compare the shapes of masked and kept columns: NULLs, different values, lengths.

    A column whose rule keeps the shape must not have collapsed: training with one name in all rows teaches nothing.

    Args:
        pair: Source and target.
        tolerance: How far shapes may differ.
        adopted: Whether Odoo has worked on the target: its stamps are then not judged.
    """
    left = _STAMPS if adopted else frozenset()
    findings, judged = [], 0
    for name, table in pair.before.tables.items():
        line = pair.catalogue.table(name)
        if name not in pair.after.tables or (line is not None and line.action is not Action.COPY):
            continue
        if name in pair.added:
            continue  # rows that nobody masked would be judged with the others; before they came, these were
        words = {
            column: word
            for column, word in _useful(table, pair.catalogue)
            if pair.after.tables[name].column(column) and column not in left
        }
        if not words:
            continue
        before = _shape(pair.source, table, list(words))
        after = _shape(pair.target, table, list(words))
        for column, word in words.items():
            if before[column].values < tolerance.rows:
                continue
            judged += 1
            findings += [
                Finding(table=name, column=column, what=what, count=after[column].values)
                for what in _differs(before[column], after[column], word, tolerance)
            ]
    return Looked(findings=findings, facts={"columns judged": judged})


@dataclass(frozen=True, kw_only=True)
class _Shape:
    rows: int
    values: int
    distinct: int
    middle: float
    long: float


_OTHER_LENGTH = frozenset({"identifier", "email", "login"})
"""Rules whose fakes are as long as they must be to be different."""


def _useful(table: Table, catalogue: Catalogue) -> Iterator[tuple[str, str]]:
    for column in table.columns:
        line = catalogue.column(table.name, column.name)
        if line is None or line.classification is Classification.CREDENTIAL or column.kind in {Kind.BYTES, Kind.OTHER}:
            continue
        try:
            rule = parse(line.rule)
        except RuleError:
            continue
        masked = rule.effect in {Effect.REPLACES, Effect.BLURS}
        if rule.word in _MEANT_TO_STAY_USEFUL and (masked or line.classification is Classification.INTERNAL):
            yield column.name, rule.word


def _shape_query(table: Table, columns: list[str]) -> str:
    parts = ["count(*)"]
    for column in columns:
        value = f"{quoted(column)}::text"
        length = f"length({value})"
        parts += [
            f"count({value})",
            f"count(DISTINCT hashtextextended({value}, 0))",
            f"coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY {length}), 0)",
            f"coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY {length}), 0)",
        ]
    sample = ""
    if table.rows > 2 * SAMPLE:
        sample = f" TABLESAMPLE SYSTEM ({100 * SAMPLE / table.rows:.6f}) REPEATABLE (1)"
    return f"SELECT {', '.join(parts)} FROM {relation(table.name)}{sample}"


def _shape(connection: psycopg.Connection[Any], table: Table, columns: list[str]) -> dict[str, _Shape]:
    row = connection.execute(_shape_query(table, columns).encode()).fetchone()
    total, *rest = row or [0] * (1 + PARTS * len(columns))
    shapes = {}
    for place, column in enumerate(columns):
        values, distinct, middle, long = rest[place * PARTS : (place + 1) * PARTS]
        shapes[column] = _Shape(rows=total, values=values, distinct=distinct, middle=middle, long=long)
    return shapes


PARTS = 4
"""Measures of a column."""


def _differs(before: _Shape, after: _Shape, word: str, tolerance: Tolerance) -> Iterator[str]:
    nulls = abs((1 - before.values / max(1, before.rows)) - (1 - after.values / max(1, after.rows)))
    if nulls > tolerance.nulls:
        yield "the share of empty values changed"
    least = tolerance.distinct * (0.1 if word in _FEWER_BY_DESIGN else 1) * before.distinct
    if word not in _OF_LENGTH_ONLY and after.distinct < min(least, before.distinct):
        yield "different values became the same"
    if word in _OTHER_LENGTH:
        return
    low, high = tolerance.length
    for old, new in ((before.middle, after.middle), (before.long, after.long)):
        if old > 0 and not low <= (new or 0) / old <= high:
            yield "texts became much shorter or longer"
            break


def unchanged(pair: Pair) -> Looked:
    """Check that what is masked changed: cells of identifying columns that the same row has in the source too.

    Compared are hashes of each cell by primary key. A few equal cells are let pass where a rule chooses among few
    values (`ALIKE`); of identifiers proper, none.
    """
    findings, compared = [], 0
    for name, table in pair.before.tables.items():
        if table.primary_key != ("id",) or name not in pair.after.tables or not copied(pair, name):
            continue
        columns = [column for column in _replaced(table, pair.catalogue) if pair.after.tables[name].column(column)]
        if columns:
            same, count = _same(pair, name, columns)
            compared += count
            findings += [
                Finding(table=name, column=column, what="cells are the same as in the source", count=number)
                for column, number in same.items()
                if number
            ]
    return Looked(findings=findings, facts={"cells compared": compared})


_ALWAYS_OTHER = frozenset({"email", "iban", "ssn", "uuid", "hash", "url", "token", "identifier"})


def _replaced(table: Table, catalogue: Catalogue) -> list[str]:
    found = []
    for column in table.columns:
        line = catalogue.column(table.name, column.name)
        try:
            rule = parse(line.rule) if line else None
        except RuleError:
            continue
        if rule is not None and rule.word in _ALWAYS_OTHER and column.kind is Kind.TEXT:
            found.append(column.name)
    return found


_FEWEST = 5
"""Characters from which on a made value cannot equal the real one by chance."""


def _same(pair: Pair, name: str, columns: list[str]) -> tuple[dict[str, int], int]:
    """Walk both tables by id and count equal cells."""
    cells = ", ".join(
        f"CASE WHEN length({quoted(column)}) >= {_FEWEST} THEN hashtextextended({quoted(column)}::text, 0) END"
        for column in columns
    )
    query = f"SELECT id, {cells} FROM {relation(name)} ORDER BY id".encode()
    same, compared = dict.fromkeys(columns, 0), 0
    with pair.source.transaction(), pair.target.transaction():
        left = pair.source.cursor("careops_left")
        right = pair.target.cursor("careops_right")
        left.execute(query)
        right.execute(query)
        for before, after in merged(iter(left), iter(right)):
            for column, old, new in zip(columns, before[1:], after[1:], strict=True):
                if new is not None:
                    compared += 1
                    same[column] += old == new
        left.close()
        right.close()
    return same, compared


def merged(left: Iterator[Any], right: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Yield pairs of rows with the same first cell, of two that are sorted by it."""
    before = next(left, None)
    for after in right:
        while before is not None and before[0] < after[0]:
            before = next(left, None)
        if before is not None and before[0] == after[0]:
            yield before, after
