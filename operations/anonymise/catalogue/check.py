"""Compare the catalogue with the live schema: what nobody classified, what is gone, which rules cannot hold."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from operations.anonymise.catalogue.constraints import check_holds, unique_holds
from operations.anonymise.model import Action, Classification
from operations.anonymise.rules.dates import record_columns
from operations.anonymise.rules.grammar import Rule, parse
from operations.anonymise.rules.words import FLAGS, NAMED, RECORD, Effect, Kind, ParameterKind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.anonymise.model import Catalogue, ColumnRule
    from operations.anonymise.schema import Column, Schema, Table

_LINKS = frozenset({"keep", "null", "shared", "empty-table"})
"""Words of a column that is part of a key: a made number would point to somebody else, or to nothing."""

_UNBOUNDED = frozenset({"filler-html", "filler-xml"})


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """A line of the catalogue that cannot be carried out on the live schema.

    Attributes:
        where: The table or ``table.column``.
        why: The fact that stands against it.
        origin: ``file:line``, or empty.
    """

    where: str
    why: str
    origin: str = ""

    def __str__(self) -> str:
        """Return it as one line."""
        return f"{self.origin + ': ' if self.origin else ''}{self.where}: {self.why}"


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What stands between a catalogue and a schema.

    Attributes:
        unclassified: (table, column) that no file classifies.
        unlisted: Tables that no file lists.
        vanished: ``table.column`` (or table) that only the catalogue knows; modules that are not installed, so no harm.
        misfits: Rules that cannot hold.
    """

    unclassified: tuple[tuple[str, str], ...] = ()
    unlisted: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    misfits: tuple[Misfit, ...] = ()

    @property
    def usable(self) -> bool:
        """Tell whether a run may start."""
        return not (self.unclassified or self.unlisted or self.misfits)


def compare(schema: Schema, catalogue: Catalogue) -> Comparison:
    """Compare; reads nothing but its arguments.

    Args:
        schema: The live one.
        catalogue: Every line of every file.
    """
    misfits = [misfit for table in schema.tables.values() for misfit in _of_table(table, schema, catalogue)]
    if schema.large_objects:
        why = f"{schema.large_objects} large objects exist, and no rule reaches them; remove them from the source first"
        misfits.append(Misfit(where="pg_largeobject", why=why))
    return Comparison(
        unclassified=tuple(
            (table.name, column.name)
            for table in schema.tables.values()
            for column in table.columns
            if catalogue.column(table.name, column.name) is None
        ),
        unlisted=tuple(name for name in schema.tables if catalogue.table(name) is None),
        vanished=tuple(_vanished(schema, catalogue)),
        misfits=tuple(misfits),
    )


def _vanished(schema: Schema, catalogue: Catalogue) -> Iterator[str]:
    for name in sorted(catalogue.tables.keys() | catalogue.columns.keys()):
        table = schema.tables.get(name)
        if table is None:
            yield name
            continue
        live = {column.name for column in table.columns}
        yield from (f"{name}.{column}" for column in sorted(catalogue.columns.get(name, {})) if _absent(column, live))


def _absent(column: str, live: set[str]) -> bool:
    """Tell whether a column is gone; one with a place for a number may be there any number of times, or not."""
    return "#" not in column and column not in live


def _of_table(table: Table, schema: Schema, catalogue: Catalogue) -> Iterator[Misfit]:
    listed = catalogue.table(table.name)
    emptied = listed is not None and listed.action is Action.EMPTY
    rules = _rules(table, catalogue)
    for column in table.columns:
        line = catalogue.column(table.name, column.name)
        if line is None:
            continue
        whys = _emptied(rules[column.name], emptied=emptied) if listed else []
        if not emptied:
            whys = [*whys, *_of_column(column, line, table, schema, catalogue)]
        yield from (Misfit(where=line.name, why=why, origin=line.origin) for why in whys)
    if emptied or len(rules) != len(table.columns):
        return
    for index in table.unique:
        why = unique_holds(index, rules, table)
        if why:
            yield Misfit(where=table.name, why=why)
    for check in table.checks:
        why = check_holds(check, rules, table)
        if why:
            yield Misfit(where=table.name, why=why)


def _rules(table: Table, catalogue: Catalogue) -> dict[str, Rule]:
    lines = [(column.name, catalogue.column(table.name, column.name)) for column in table.columns]
    return {name: parse(line.rule) for name, line in lines if line is not None}


def _emptied(rule: Rule, *, emptied: bool) -> list[str]:
    if emptied and rule.word != "empty-table":
        return [f"the table is emptied, so the rule is empty-table, not {rule}"]
    if not emptied and rule.word == "empty-table":
        return ["the rule is empty-table, but no file says that the table is emptied"]
    return []


def _of_column(column: Column, line: ColumnRule, table: Table, schema: Schema, catalogue: Catalogue) -> Iterator[str]:
    rule = parse(line.rule)
    if column.kind not in rule.spec.fits:
        fits = ", ".join(sorted(rule.spec.fits))
        yield f"{rule.word} fits {fits}; the column is {column.type}"
    if rule.inner and rule.word == "shipped" and column.kind not in rule.inner.spec.fits:
        yield f"{rule.inner.word} does not fit {column.type}"
    if rule.inner and rule.word == "json-text" and Kind.TEXT not in rule.inner.spec.fits:
        yield f"{rule.inner.word} does not fit the texts of a document"
    if column.not_null and _may_empty(rule, table, schema, catalogue):
        yield f"{rule.word} may give NULL, and the column is NOT NULL"
    if column.generated != (rule.word == "generated"):
        yield "the rule generated is for columns that PostgreSQL computes, and the only one for them"
    if column.length is not None:
        yield from _too_long(rule, column.length)
    if rule.word == "shift-with":
        other, start = catalogue.column(table.name, rule.names[0]), table.column(rule.names[0])
        if other is None or parse(other.rule).word != "shift-date" or not start or start.kind is not column.kind:
            yield f"{rule.names[0]} is no {column.kind} that shift-date moves"
    if rule.word in {"counter-of", "prefix-of"}:
        number = catalogue.column(table.name, rule.names[0])
        if number is None or parse(number.rule).word != "document-number":
            yield f"{rule.names[0]} has no made document number to take the digits of"
    yield from _of_key(column, rule, table, catalogue)
    yield from _of_arguments(rule, table, schema)
    yield from _of_reference(line, rule, table, schema, catalogue)


def _may_empty(rule: Rule, table: Table, schema: Schema, catalogue: Catalogue) -> bool:
    if rule.word == "shipped" and rule.inner:
        return _may_empty(rule.inner, table, schema, catalogue)
    if rule.word != "same-as" or rule.reference is None:
        return rule.spec.may_empty
    via = table.column(rule.reference.via)
    target = schema.tables.get(rule.reference.table)
    copied = target.column(rule.reference.column) if target else None
    return not (via and via.not_null and copied and copied.not_null)


def _too_long(rule: Rule, length: int) -> Iterator[str]:
    if rule.word == "shipped" and rule.inner:
        yield from _too_long(rule.inner, length)
    elif rule.word in {"constant", "choice"}:
        yield from (f"{text!r} is longer than {length} characters" for text in rule.names if len(text) > length)
    elif rule.word in _UNBOUNDED or (not rule.spec.bounded and length < rule.spec.longest):
        yield f"{rule.word} may give more than {length} characters"


def _of_key(column: Column, rule: Rule, table: Table, catalogue: Catalogue) -> Iterator[str]:
    if column.name in table.primary_key and rule.word != "keep":
        yield f"the column is of the primary key, which links rows; its rule is keep, not {rule}"
    for key in table.foreign_keys:
        if column.name not in key.columns:
            continue
        if rule.word not in _LINKS:
            yield f"the column points to {key.target}; its rule is keep, null or shared, not {rule}"
        target = catalogue.table(key.target)
        if rule.word in {"keep", "shared"} and target and target.action is Action.EMPTY:
            yield f"the column points to {key.target}, which is emptied; its rule is null, or this table is emptied too"


def _of_arguments(rule: Rule, table: Table, schema: Schema) -> Iterator[str]:
    for name in rule.row_columns:
        if table.column(name) is None:
            yield f"{table.name} has no column {name}, which the rule reads"
    for position, argument in enumerate(rule.names):
        column = table.column(argument)
        kind = rule.spec.parameter(position)
        if kind is ParameterKind.NAMED and argument not in NAMED and column and column.kind is not Kind.BOOLEAN:
            yield f"{argument} says whether it is a company, so it is a boolean; it is {column.type}"
        if kind is ParameterKind.PERSON and argument not in FLAGS and not _points(argument, table, schema):
            yield f"{argument} points to no person: a foreign key, or one of the row it points to, is needed"
    if rule.word == "shipped" and "write_uid" not in {column.name for column in table.columns}:
        yield "shipped needs to know who wrote a row last, and the table has no write_uid"
    if rule.inner:
        yield from _of_arguments(rule.inner, table, schema)


def _points(path: str, table: Table, schema: Schema) -> bool:
    if path == "id":
        return table.primary_key == ("id",)
    if path == RECORD:
        return record_columns(table) is not None
    first, _, further = path.partition(".")
    key = table.foreign_key(first)
    target = schema.tables.get(key.target) if key else None
    return key is not None and (not further or (target is not None and _points(further, target, schema)))


def _of_reference(line: ColumnRule, rule: Rule, table: Table, schema: Schema, catalogue: Catalogue) -> Iterator[str]:
    reference = rule.reference
    if reference is None:
        return
    key = table.foreign_key(reference.via)
    if key is None or key.target != reference.table:
        yield f"{reference.via} is no foreign key to {reference.table}"
    target = schema.tables.get(reference.table)
    copied = target.column(reference.column) if target else None
    column = table.column(line.column)
    if copied is None or column is None:
        yield f"{reference.table} has no column {reference.column}"
        return
    if copied.kind is not column.kind and rule.word == "same-as":
        yield f"{reference.table}.{reference.column} is {copied.type}, this column is {column.type}"
    there = catalogue.column(reference.table, reference.column)
    if there is None or rule.word != "same-as":
        return
    effect = parse(there.rule).effect
    if line.classification in {Classification.DIRECT, Classification.CREDENTIAL} and effect is Effect.KEEPS:
        yield f"{there.name} stays as it is, so this {line.classification} would too"
    if re.match("same-as|recompute", there.rule):
        yield f"{there.name} is itself {there.rule}; name the column that holds the masked value"
