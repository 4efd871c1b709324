"""Check that dates and numbers about people moved: no row of the target has the source's in such a column.

The dictionary looks for text only, as a day or a number on its own stands everywhere. Here each row is compared with
itself: same table, same id. `shift-date` moves by a week at least and `run-month` and `birthday` leave one day of a
month or year, so not one cell may be as it was but those that already were that day; a number of five digits is drawn
again by chance in one of 10,000 rows. A column that a site's own line lets stay is compared by the shipped line.
"""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from operations.anonymise.model import Classification
from operations.anonymise.rules.grammar import Effect, RuleError, parse
from operations.anonymise.rules.scope import literal, quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.verify.chance import most_by_chance
from operations.anonymise.verify.collect import shipped
from operations.anonymise.verify.report import Finding, Looked
from operations.anonymise.verify.shapes import SAMPLE, merged
from operations.anonymise.verify.structure import copied

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.anonymise.model import Catalogue
    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.schema import Column, Schema, Table
    from operations.anonymise.verify.structure import Pair

_DAYS = frozenset({Kind.DATE, Kind.TIMESTAMP})
_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER})
_MOVES = frozenset({"shift-date", "shift-with", "birthday", "run-month"})
_LEAST = 10_000
"""Smaller numbers are counts and years; five digits are a record's number."""
NUMBER_ODDS = 1e-4
"""A made number of five digits is the real one in at most one of so many rows."""


@dataclass(frozen=True, kw_only=True)
class _Judged:
    """A column, SQL that is true of a row `t` of the source whose cell must change, and the odds that it does not."""

    column: str
    condition: str
    odds: float


def unmoved(pair: Pair) -> Looked:
    """Compare dates and numbers about people, row by row; of a large table one in so many rows.

    Args:
        pair: Source and target.
    """
    findings, compared, columns = [], 0, 0
    for name, table in pair.before.tables.items():
        if table.primary_key != ("id",) or name not in pair.after.tables or not copied(pair, name):
            continue
        judged = [
            each for each in _judged(table, pair.before, pair.catalogue) if pair.after.tables[name].column(each.column)
        ]
        if not judged:
            continue
        columns += len(judged)
        for each, (same, count) in zip(judged, _compared(pair, table, judged), strict=True):
            compared += count
            if same > most_by_chance(count * each.odds):
                what = "dates or numbers of the source are in the same rows"
                findings.append(Finding(table=name, column=each.column, what=what, count=same))
    facts = {"columns": columns, "cells compared": compared}
    return Looked(findings=findings, facts=facts, required=("columns", "cells compared"))


def _judged(table: Table, schema: Schema, catalogue: Catalogue) -> Iterator[_Judged]:
    made = shipped(table, schema)
    for column in table.columns:
        line = catalogue.shipped(table.name, column.name) or catalogue.column(table.name, column.name)
        try:
            outer = parse(line.rule) if line else None
        except RuleError:
            outer = None
        if line is None or outer is None:
            continue
        rule = outer.inner if outer.word == "shipped" and outer.inner else outer
        own = f"NOT {made}" if made and outer.word == "shipped" else "true"
        name = f"t.{quoted(column.name)}"
        if column.kind in _DAYS and rule.word in _MOVES:
            yield _Judged(column=column.name, condition=f"{own} AND {_moves(rule, table, column, schema)}", odds=0.0)
        elif (
            column.kind in _NUMBERS
            and line.classification in {Classification.DIRECT, Classification.CREDENTIAL}
            and rule.effect in {Effect.REPLACES, Effect.BLURS}
        ):
            yield _Judged(column=column.name, condition=f"{own} AND abs({name}) >= {_LEAST}", odds=NUMBER_ODDS)


def _moves(rule: Rule, table: Table, column: Column, schema: Schema) -> str:
    """Return SQL that is true of a row whose date the rule must make another."""
    name = f"t.{quoted(column.name)}"
    finite = f"isfinite({name})"
    if rule.word == "birthday":
        return f"{finite} AND {name}::date <> date_trunc('year', {name})::date"
    if rule.word == "run-month":
        return f"{finite} AND {name} <> date_trunc('month', {name})"
    if "stay" not in rule.names:
        return finite
    step, _, further = rule.names[0].partition(".")
    key = table.foreign_key(step)
    if not further or key is None or key.target not in schema.tables:
        return f"{finite} AND t.{quoted(step)} IS NOT NULL"
    there = f"SELECT FROM {relation(key.target)} r WHERE r.id = t.{quoted(step)} AND r.{quoted(further)} IS NOT NULL"
    return f"{finite} AND EXISTS ({there})"


def _compared(pair: Pair, table: Table, judged: list[_Judged]) -> list[tuple[int, int]]:
    """Walk both tables by id; return for each column how many cells are the same and how many were compared."""
    step = max(1, table.rows // SAMPLE)
    part = f" WHERE t.id % {literal(str(step))}::int = 0" if step > 1 else ""
    values = [_value(table, each.column) for each in judged]
    before = ", ".join(
        f"CASE WHEN {each.condition} THEN {value} END" for each, value in zip(judged, values, strict=True)
    )
    same, count = [0] * len(judged), [0] * len(judged)
    ours = f"SELECT t.id, {before} FROM {relation(table.name)} t{part} ORDER BY t.id"
    theirs = f"SELECT t.id, {', '.join(values)} FROM {relation(table.name)} t{part} ORDER BY t.id"
    with (
        pair.source.transaction(),
        pair.target.transaction(),
        pair.source.cursor("careops_left") as left,
        pair.target.cursor("careops_right") as right,
    ):
        left.execute(ours.encode())
        right.execute(theirs.encode())
        for old, new in merged(iter(left), iter(right)):
            for place, (was, now) in enumerate(zip(old[1:], new[1:], strict=True)):
                if was is not None and now is not None:
                    count[place] += 1
                    same[place] += was == now
    return list(zip(same, count, strict=True))


def _value(table: Table, name: str) -> str:
    """Return SQL of a cell that does not depend on a session's zone or style of dates."""
    column = table.column(name)
    cell = f"t.{quoted(name)}"
    return f"extract(epoch FROM {cell})" if column is not None and column.kind in _DAYS else f"{cell}::numeric"
