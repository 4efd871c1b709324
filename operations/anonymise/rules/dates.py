"""Dates and amounts, made less exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.rules.at import CompileError
from operations.anonymise.rules.grammar import Reference
from operations.anonymise.rules.scope import SETTINGS, large, literal, small
from operations.anonymise.rules.words import Kind

if TYPE_CHECKING:
    from operations.anonymise.rules.at import At
    from operations.anonymise.rules.grammar import Rule
from operations.anonymise.rules.scope import Cell

OLDEST = 89
"""Years; older people are one group: 45 CFR 164.514(b)(2)(i)(C)."""

PERSON_WEEKS = 26
RUN_WEEKS = 26
"""Everything moves 1 to 26 weeks back with the run, and a person's dates 0 to 25 more: nothing moves to the future."""

TODAY = f"(SELECT current_setting('{SETTINGS}.today')::date)"
RUN_SHIFT = f"(SELECT current_setting('{SETTINGS}.run_weeks')::int)"


def birthday(_: Rule, cell: Cell, __: At) -> str:
    """Return 1 January of the year; everybody who is, or this year gets, older than 89 has the same date."""
    year = f"greatest(extract(year FROM {cell.raw})::int, extract(year FROM {TODAY})::int - {OLDEST + 1})"
    return f"CASE WHEN isfinite({cell.raw}) THEN make_date({year},1,1)::{cell.type} END"


def shift_date(rule: Rule, cell: Cell, at: At) -> str:
    """Return the date some whole weeks earlier: those of the run and those of the person.

    Weekdays and the time of day stay, and so do intervals among the dates of a person; without a column, or without a
    person in it, only the run's weeks count.
    """
    weeks, person = RUN_SHIFT, None
    if rule.names:
        person = at.scope.digest("shift", _person(rule.names[0], at))
        weeks += f"+coalesce({small(person, 0)}%{PERSON_WEEKS},0)"
    # Hours, as PostgreSQL takes a time apart to count days; a session that reads is in UTC, where both are the same.
    moved = f"{cell.raw}-7*({weeks})" if cell.kind is Kind.DATE else f"{cell.raw}-make_interval(hours=>168*({weeks}))"
    moved = f"CASE WHEN {cell.raw} IS NOT NULL THEN {moved} END"
    if person and "stay" in rule.names[1:]:
        return f"CASE WHEN {person} IS NULL THEN {cell.raw} ELSE {moved} END"
    return moved


def _person(path: str, at: At) -> str:
    """Return SQL of what names the person: a table and a key of it.

    Raises:
        CompileError: A step of the path is no column, or no foreign key where one is needed.
    """
    column, _, further = path.partition(".")
    if further:
        found = at.table.foreign_key(column)
        if found is None:
            raise CompileError(f"{at.table.name}.{column} is no foreign key, so {path} leads nowhere")
        reference = Reference(table=found.target, column=further.partition(".")[0], via=column)
        return _person(further, at.referenced(reference))
    if at.table.column(column) is None:
        raise CompileError(f"{at.table.name} has no column {column}")
    return f"{literal(_whose(column, at) + ':')}||({at.row(column)})::text"


def _whose(column: str, at: At) -> str:
    """Return the table whose rows a column names: the same person is then moved the same in every table."""
    if at.table.primary_key == (column,):
        return at.table.name
    found = at.table.foreign_key(column)
    return found.target if found else f"{at.table.name}.{column}"


def jitter(rule: Rule, cell: Cell, at: At) -> str:
    """Return an amount some percent up or down, by the amount itself or by the row that a column points to.

    With a column, all amounts of that row get one whole percentage and are not rounded, so that sums which agreed
    (debit and credit of a journal entry) still agree exactly. Zero stays zero, and signs stay. Without one an amount is
    rounded to at most as many digits as it has, 4 behind the point (2 of a floating-point number).
    """
    numbers = [name for name in rule.names if name.replace(".", "", 1).isdigit()]
    columns = [name for name in rule.names if name not in numbers]
    percent = float(numbers[0]) if numbers else 10.0
    if not 1 <= percent < 100:  # noqa: PLR2004 - percent
        raise CompileError(f"{cell.table}.{cell.column}: jitter takes 1 to 99 percent")
    whole = int(percent)
    if columns:
        digest = at.scope.digest("jitter", _person(columns[0], at))
        factor = f"(100+{small(digest, 0)}%{2 * whole + 1}-{whole})*0.01"
    else:
        # A whole percentage would leave 21 candidates, of which a wage is most often the only round one.
        digest = at.scope.digest("jitter", f"({cell.raw})::text")
        factor = f"({100 - whole}+{2 * whole}*{large(digest, 0)}/16777216.0)*0.01"
    if cell.kind is Kind.INTEGER:
        return f"round({cell.raw}::numeric*{factor})::{cell.type}"
    if columns:
        return f"({cell.raw}*{factor})" if cell.type.startswith("numeric") else f"({cell.raw}*{factor})::{cell.type}"
    # With all its digits the result would tell which amounts it can be of.
    places = f"least(scale({cell.raw}),4)" if cell.type.startswith("numeric") else "2"
    return f"round({cell.raw}::numeric*{factor},{places})::{cell.type}"


def run_weeks(shift: bytes) -> int:
    """Return how many weeks the whole run moves back, from random bytes."""
    return 1 + int.from_bytes(shift[:4]) % RUN_WEEKS
