"""Dates and amounts, made less exact."""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from operations.anonymise.rules.at import CompileError
from operations.anonymise.rules.grammar import Reference, parse
from operations.anonymise.rules.scope import SETTINGS, large, literal, neutral, quoted, relation, small
from operations.anonymise.rules.words import FLAGS, RECORD, Kind

if TYPE_CHECKING:
    from operations.anonymise.rules.at import At
    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.rules.scope import Cell
    from operations.anonymise.schema import Schema, Table

OLDEST = 89
"""Years; older people are one group: 45 CFR 164.514(b)(2)(i)(C)."""

PERSON_WEEKS = 52
RUN_WEEKS = 52
"""Dates move 1 to 52 weeks back: a person's by weeks of the person alone, all others by those of the run.

The two have nothing in common: how far a run moved its data shows in its newest record of nobody, so a person's weeks
must not be counted from there.
"""

TODAY = f"(SELECT current_setting('{SETTINGS}.today')::date)"
RUN_SHIFT = f"(SELECT current_setting('{SETTINGS}.run_weeks')::int)"
_RUN_SECONDS = f"(SELECT current_setting('{SETTINGS}.run_seconds')::int)"
_RUN_MONTH = f"(SELECT date_trunc('month',current_setting('{SETTINGS}.today')::timestamp))"

_MOST_SECONDS = 5400
"""How far a time of day moves with `hours`, either way: a shift stays one of the day or of the night."""

_OPENS = 6 * 3600
_STEP, _STEPS = 7, 6171
_QUARTER, _QUARTERS = 900, 48
"""Made times of day are from 06:00 to 18:00 UTC: 7 seconds from one row to the next, or quarters of an hour."""

_SERIES = {"calendar_event": "recurrence_id"}
"""Columns whose row the rows of a series belong to: they have one time of day, or the series would fall apart."""

_OF_RECORDS = (("model", "res_id"), ("res_model", "res_id"))
"""Odoo's two ways to name any record: columns with its model and its id."""


def birthday(_: Rule, cell: Cell, __: At) -> str:
    """Return 1 January of the year; everybody who is, or this year gets, older than 89 has the same date."""
    year = f"greatest(extract(year FROM {cell.raw})::int, extract(year FROM {TODAY})::int - {OLDEST + 1})"
    return f"CASE WHEN isfinite({cell.raw}) THEN make_date({year},1,1)::{cell.type} END"


def run_month(_: Rule, cell: Cell, __: At) -> str:
    """Return the first day of the month that the run is in: some date is needed, and nobody needs the real one."""
    return f"CASE WHEN {cell.raw} IS NOT NULL THEN {_RUN_MONTH}::{cell.type} END"


def shift_date(rule: Rule, cell: Cell, at: At) -> str:
    """Return the day some whole weeks earlier: those of the person, or of the run where a row names nobody.

    Weekdays stay, and so do intervals in days among the dates of a person. A time of day is not moved but made, of the
    row's id: one and the same for all stamps of a row, so that their order stays, and nothing of the real one is left,
    of which the microseconds alone tell which records were made together. With the word `hours` the real one moves by
    up to one and a half hours, all those of a person alike.
    """
    persons = [name for name in rule.names if name not in FLAGS]
    person = at.scope.digest("shift", _persons(persons, at)) if persons else None
    weeks = at.scope.let(f"coalesce({small(person, 0)}%{PERSON_WEEKS}+1,{RUN_SHIFT})") if person else RUN_SHIFT
    if cell.kind is Kind.DATE:
        moved = f"({cell.raw}-7*{weeks})"
    else:
        seconds = _offset(person) if "hours" in rule.names else _time_of_day(cell, at)
        # Hours, as PostgreSQL takes a time apart to count days; a session that reads is in UTC: both are the same.
        interval = at.scope.let(f"make_interval(hours=>-168*{weeks},secs=>{seconds})")
        day = cell.raw if "hours" in rule.names else f"({cell.raw})::date"
        moved = f"({day}+{interval})::{cell.type}"
    if person and "stay" in rule.names:
        return f"CASE WHEN {person} IS NULL THEN {cell.raw} ELSE {moved} END"
    return moved


def shift_with(rule: Rule, cell: Cell, at: At) -> str:
    """Return a time as many seconds after (or before) the masked one of another column as it was after the real one.

    Raises:
        CompileError: The other column is not moved by itself.
    """
    column = rule.names[0]
    text, other = at.rule(column), at.cell(column)
    if not text.startswith("shift-date") or other.kind is not cell.kind:
        raise CompileError(f"{cell.table}.{cell.column}: {column} is no {cell.kind} that shift-date moves")
    alone = at.compile(at, text, cell)
    moved = at.compile(at, text, other)
    lasted = f"({cell.raw}-{other.raw})"
    if cell.kind is Kind.TIMESTAMP:
        lasted = f"date_trunc('second',{lasted})"
    return f"coalesce(({moved}+{lasted})::{cell.type},{alone})"


def _offset(person: str | None) -> str:
    """Return SQL of the seconds that times of day move by."""
    if person is None:
        return _RUN_SECONDS
    return f"coalesce({large(person, 2)}%{2 * _MOST_SECONDS + 1}-{_MOST_SECONDS},{_RUN_SECONDS})"


def _time_of_day(cell: Cell, at: At) -> str:
    """Return SQL of the seconds after midnight that stand in for the time of day of a row."""
    if at.table.primary_key != ("id",):
        return str(_OPENS + _STEP * _STEPS // 2)
    series = _SERIES.get(at.table.name)
    number = f"coalesce({at.row(series)},{at.row('id')})" if series else at.row("id")
    lines = at.run.catalogue.columns.get(at.table.name, {}).values()
    # What has an end is an appointment, and those begin at a quarter of an hour; stamps rise with the ids of a day.
    step, steps = (_STEP, _STEPS)
    if any(line.rule == f"shift-with({cell.column})" for line in lines):
        step, steps = (_QUARTER, _QUARTERS)
    # Rows of two tables with one id must not be taken for rows of one moment.
    return f"{_OPENS}+{step}*(({number}+{crc32(at.table.name.encode()) % steps})%{steps})"


def _persons(paths: list[str], at: At) -> str:
    """Return SQL of who is meant by the first of some paths that leads to somebody."""
    found = [_of_record(at) if path == RECORD else _person(path, at) for path in paths]
    return f"coalesce({','.join(found)})" if len(found) > 1 else found[0]


def _of_record(at: At) -> str:
    """Return SQL of whom the record that a row names by model and id is about: by the rule of the record's own dates.

    A CASE looks up what one record needs and no more; a join would read every table that a message may be about.

    Raises:
        CompileError: The table has no such columns.
    """
    pair = record_columns(at.table)
    if pair is None:
        raise CompileError(f"{at.table.name} names no record: it needs model (or res_model) and res_id")
    name_of, number = neutral(at.row(pair[0])), at.row(pair[1])
    tables = sorted(at.run.schema.tables.values(), key=lambda table: (-table.size, table.name))
    branches: dict[str, str] = {}
    for table in tables:
        # A record of a record is looked up by its own links alone.
        paths = [path for path in _about(table, at) if path.rpartition(".")[2] != RECORD]
        if not paths:
            continue
        found = [_looked_up(table, path, number, at) for path in paths]
        about = f"coalesce({','.join(found)})" if len(found) > 1 else found[0]
        for name in models(at.run.schema, table.name):
            word = name.partition(".")[0]
            branches[word] = branches.get(word, "") + f" WHEN {literal(name)} THEN {about}"
    # By the first word first: a CASE compares one by one, and there are some sixty models.
    of_words = "".join(f" WHEN {literal(word)} THEN CASE {name_of}{cases} END" for word, cases in branches.items())
    return f"CASE split_part({name_of},'.',1){of_words} END" if branches else "NULL::text"


def _about(table: Table, at: At) -> list[str]:
    """Return the paths to whom the rows of a table are about, by the rules of its dates; its creation first."""
    if table.primary_key != ("id",):
        return []
    lines = at.run.catalogue.columns.get(table.name, {})
    for name in sorted(lines, key=lambda column: (column != "create_date", column)):
        if lines[name].rule.startswith("shift-date(") and table.column(name) is not None:
            paths = [path for path in parse(lines[name].rule).names if path not in FLAGS]
            if paths:
                return paths
    return []


def _looked_up(table: Table, path: str, number: str, at: At) -> str:
    """Return SQL, without anything computed before, of the person that a path from a row of a table leads to."""
    steps = path.split(".")
    if steps == ["id"]:
        return f"{literal(table.name + ':')}||{number}::text"
    joins, here, alias = f"{relation(table.name)} r0", table, "r0"
    for place, step in enumerate(steps[:-1], start=1):
        key = here.foreign_key(step)
        if key is None or key.target not in at.run.schema.tables:
            raise CompileError(f"{here.name}.{step} is no foreign key, so {path} leads nowhere")
        joins += (
            f" JOIN {relation(key.target)} r{place} ON r{place}.{quoted(key.target_columns[0])}={alias}.{quoted(step)}"
        )
        here, alias = at.run.schema.tables[key.target], f"r{place}"
    whose = literal(_whose(steps[-1], here) + ":")
    return f'(SELECT {whose}||{alias}.{quoted(steps[-1])}::text FROM {joins} WHERE r0."id"={number})'


def record_columns(table: Table) -> tuple[str, str] | None:
    """Return the columns by which a table names any record, model first, or None."""
    return next((pair for pair in _OF_RECORDS if all(table.column(name) for name in pair)), None)


def models(schema: Schema, table: str) -> list[str]:
    """Return the models whose records are in a table."""
    known = sorted({field.model for field in schema.orm.get(table, {}).values()})
    return known or [table.replace("_", ".")]


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
        row = at.referenced(reference)
        return _of_record(row) if further == RECORD else _person(further, row)
    if at.table.column(column) is None:
        raise CompileError(f"{at.table.name} has no column {column}")
    return f"{literal(_whose(column, at.table) + ':')}||({at.row(column)})::text"


def _whose(column: str, table: Table) -> str:
    """Return the table whose rows a column names: the same person is then moved the same in every table."""
    if table.primary_key == (column,):
        return table.name
    found = table.foreign_key(column)
    return found.target if found else f"{table.name}.{column}"


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


def run_seconds(shift: bytes) -> int:
    """Return by how many seconds times of day that the run moves do, from random bytes."""
    return int.from_bytes(shift[4:8]) % (2 * _MOST_SECONDS + 1) - _MOST_SECONDS
