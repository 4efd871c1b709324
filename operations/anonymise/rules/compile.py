"""Rules to SQL: what PostgreSQL runs while it reads a table, so that nothing real ever leaves the server."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from operations.anonymise.model import Action
from operations.anonymise.rules import dates, numbering, numbers, people, places, plain, texts
from operations.anonymise.rules.at import At, CompileError, Run
from operations.anonymise.rules.grammar import RuleError, parse
from operations.anonymise.rules.scope import SETTINGS, K, Scope, quoted, relation
from operations.anonymise.rules.words import Kind

if TYPE_CHECKING:
    import datetime
    from collections.abc import Callable, Mapping

    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.rules.key import RunKey
    from operations.anonymise.rules.scope import Cell
    from operations.anonymise.schema import Table

__all__ = ["DOMAINS", "CompileError", "Run", "SelectPlan", "compile_table", "compile_tables", "session_settings"]

_RULES: Mapping[str, Callable[[Rule, Cell, At], str]] = {
    "account-number": numbers.account,
    "birthday": dates.birthday,
    "choice": plain.choice,
    "city": places.city,
    "constant": plain.constant,
    "counter-of": numbering.counter_of,
    "document-number": numbering.document_number,
    "email": people.email,
    "empty-text": plain.empty_text,
    "filename": people.filename,
    "filler": texts.filler,
    "filler-html": texts.filler_html,
    "filler-xml": texts.filler_xml,
    "hash": plain.hashed,
    "iban": numbers.account,
    "identifier": numbers.identifier,
    "ip": people.ip,
    "jitter": dates.jitter,
    "json-fill": texts.json_fill,
    "json-keep": texts.json_keep,
    "json-text": texts.json_text,
    "keep": plain.keep,
    "login": people.login,
    "name": people.name,
    "null": plain.null,
    "phone": people.phone,
    "placeholder": plain.placeholder,
    "prefix-of": numbering.prefix_of,
    "properties": texts.properties,
    "recompute": plain.recompute,
    "run-month": dates.run_month,
    "same-as": plain.same_as,
    "shared": plain.shared,
    "shift-date": dates.shift_date,
    "shift-with": dates.shift_with,
    "shipped": plain.shipped,
    "ssn": numbers.ssn,
    "street": places.street,
    "token": plain.token,
    "url": people.url,
    "uuid": plain.uuid,
    "vat": numbers.vat,
    "zip3": places.zip3,
}

DOMAINS = (
    *("account", "choice", "city", "email", "filename", "filler", "hash", "identifier", "ip", "jitter", "login"),
    *("name", "number", "phone", "shift", "ssn", "street", "url", "uuid", "vat"),
)
"""Kinds of things with a key of their own; see `RunKey.domain`."""

_SHORTEST = {"email": 29, "login": 29, "url": 28, "uuid": 36, "token": 32, "hash": 16}
"""Characters that a unique fake has; cut off it would not be unique."""

_ONCE = frozenset({"account-number", "email", "iban", "name"})
"""Words whose fake is of the text and the row alone, and dear; `phone` knows copies by itself, in another format."""

_AS_THEY_ARE = frozenset({"keep", "null", "recompute", "shared", "shipped", "generated"})


@dataclass(frozen=True, kw_only=True)
class SelectPlan:
    """How one table is read.

    Attributes:
        table: Its name as the schema has it.
        columns: Columns that are read and written, in order; generated ones are not.
        scope: What is computed once per row.
        expressions: SQL by column.
        where: Which rows are read; empty for all.
        size: Bytes on disk, for the order of work.
        only: Rows of tables that inherit from it are not its own; false for one that has nothing but partitions.
    """

    table: str
    columns: tuple[str, ...]
    scope: Scope = field(repr=False)
    expressions: Mapping[str, str] = field(repr=False)
    where: str = ""
    size: int = 0
    only: bool = True

    @property
    def source(self) -> str:
        """Return what rows are read from."""
        return f"{'ONLY ' if self.only else ''}{relation(self.table)}"

    def select(self, pages: tuple[int, int | None] | None = None) -> str:
        """Return the SELECT.

        Args:
            pages: First page of a part and the one after its last (None for the end); None for the whole table.
        """
        conditions = [f"({self.where})"] if self.where else []
        if pages:
            first, end = pages
            conditions.append(f"ctid>='({first},0)'::tid")
            conditions += [f"ctid<'({end},0)'::tid"] if end is not None else []
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        return self.scope.select(self.expressions, f"(SELECT * FROM {self.source}{where}) t")  # noqa: S608 - quoted

    def copy_from(self) -> str:
        """Return the statement that writes what the SELECT reads, but for its options."""
        return f"COPY {relation(self.table)} ({', '.join(map(quoted, self.columns))}) FROM STDIN"


def session_settings(key: RunKey, run: Run, today: datetime.date) -> dict[str, str]:
    """Return the settings that a reading session needs, by name.

    Args:
        key: The secret of the run; the values are secret too.
        run: The run.
        today: The day that ages are counted at: one for all sessions of a run.
    """
    keys = {f"{SETTINGS}.key_{domain}": key.domain(domain) for domain in DOMAINS}
    shift = bytes.fromhex(key.domain("run-weeks")[2:])
    return {
        **keys,
        **run.lists.settings(),
        f"{SETTINGS}.today": today.isoformat(),
        f"{SETTINGS}.run_weeks": str(dates.run_weeks(shift)),
        f"{SETTINGS}.run_seconds": str(dates.run_seconds(shift)),
        K: str(run.k),
    }


def compile_tables(run: Run) -> list[SelectPlan]:
    """Return a plan for each table whose rows are copied, largest first.

    Raises:
        CompileError: Rules cannot become SQL; the message has a line for each.
    """
    plans, mistakes = [], []
    for table in run.schema.tables.values():
        line = run.catalogue.table(table.name)
        if line is not None and line.action is Action.EMPTY:
            continue
        try:
            plans.append(compile_table(table, run))
        except CompileError as error:
            mistakes.append(str(error))
    if mistakes:
        raise CompileError("\n".join(mistakes))
    return sorted(plans, key=lambda plan: (-plan.size, plan.table))


def compile_table(table: Table, run: Run) -> SelectPlan:
    """Return the plan of one table.

    Raises:
        CompileError: As for `compile_tables`, of this table's columns.
    """
    scope = Scope()
    at = At(run=run, scope=scope, table=table, row=lambda column: f"t.{quoted(column)}", compile=masked)
    expressions, mistakes = {}, []
    for column in table.columns:
        if column.generated:
            continue
        try:
            expressions[column.name] = _fitted(at, at.rule(column.name), at.cell(column.name))
        except CompileError as error:
            mistakes.append(str(error))
    if mistakes:
        raise CompileError("\n".join(mistakes))
    line = run.catalogue.table(table.name)
    where = line.where if line is not None and line.action is Action.WHERE else ""
    return SelectPlan(
        table=table.name,
        columns=tuple(expressions),
        scope=scope,
        expressions=expressions,
        where=where,
        size=table.size,
        only=not table.partitioned,
    )


def masked(at: At, text: str, cell: Cell) -> str:
    """Return the SQL expression of a rule for a cell.

    Raises:
        CompileError: The rule is none, or does not fit the column.
    """
    try:
        rule = parse(text)
    except RuleError as error:
        raise CompileError(f"{cell.table}.{cell.column}: {error}") from error
    if cell.kind not in rule.spec.fits:
        fits = ", ".join(sorted(rule.spec.fits))
        raise CompileError(f"{cell.table}.{cell.column} is {cell.type}; {rule.word} fits {fits} only")
    if rule.word not in _RULES:
        raise CompileError(f"{cell.table}.{cell.column}: {rule.word} is not for a column that is copied")
    return _RULES[rule.word](rule, cell, at)


def _once(at: At, text: str, cell: Cell) -> str:
    """Return the expression of a rule; of one that most often gives two columns of a row one fake, computed once."""
    if text.partition("(")[0] not in _ONCE:
        return masked(at, text, cell)
    columns = [column.name for column in at.table.columns]
    if (name := at.original(cell.column)) is None:
        copied = any(at.original(column) == cell.column for column in columns if column != cell.column)
        return at.scope.let(masked(at, text, cell)) if copied else masked(at, text, cell)
    original = at.cell(name)
    same = f"{cell.value}={original.value}"
    other = masked(replace(at, scope=at.scope.unless(same)), text, cell)
    return f"CASE WHEN {same} THEN {at.scope.let(masked(at, text, original))} ELSE {other} END"


def _fitted(at: At, text: str, cell: Cell) -> str:
    """Return the expression of a column, no longer than the column takes."""
    expression = _once(at, text, cell)
    word = parse(text).word
    if cell.kind is not Kind.TEXT or cell.length is None or word in _AS_THEY_ARE:
        return expression
    if cell.unique and cell.length < _SHORTEST.get(word, 0):
        needed = _SHORTEST[word]
        raise CompileError(
            f"{cell.table}.{cell.column} is unique and holds {cell.length} characters; {word} needs {needed}"
        )
    return f"left({expression},{cell.length})"
