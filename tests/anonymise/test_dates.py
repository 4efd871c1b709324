"""Dates of the demo company, masked: what training alone tells of the real ones, and which intervals stay."""

# ruff: noqa: S608 - names of tables and columns are the schema's

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from operations.anonymise.catalogue.loader import load
from operations.anonymise.model import Catalogue
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.grammar import parse
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.plain import FILES_TABLE
from operations.anonymise.rules.scope import relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.schema import Schema, read_schema
from operations.anonymise.sessions import Endpoint, reader
from tests.anonymise.masking import TODAY
from tests.anonymise.support import Server

PEOPLE = ("res_partner", "sale_order", "account_move", "crm_lead", "hr_employee")
MOST_WEEKS = 104
"""More than a run and a person ever move a date, together."""

Rows = dict[str, list[dict[str, Any]]]


@dataclass(kw_only=True)
class Company:
    """The company's rows as they are and masked, by table in one order: keys, links and dates only."""

    schema: Schema
    catalogue: Catalogue
    weeks: int
    real: Rows = field(default_factory=dict)
    masked: Rows = field(default_factory=dict)

    def both(self, table: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        masked = {row["id"]: row for row in self.masked[table]}
        yield from ((row, masked[row["id"]]) for row in self.real[table] if row["id"] in masked)

    def moved(self, column: tuple[str, str]) -> bool:
        line = self.catalogue.column(*column)
        return line is not None and parse(line.rule).word in {"shift-date", "shift-with"}

    def stamps(self) -> Iterator[tuple[str, str]]:
        for name, table in self.schema.tables.items():
            times = [column.name for column in table.columns if column.kind is Kind.TIMESTAMP]
            yield from ((name, column) for column in times if name in self.masked)


_LINKS = {"id", "model", "res_model", "res_id", "partner_id", "employee_id", "move_id", "state"}


@pytest.fixture(scope="module")
def company(server: Server, demo: str) -> Iterator[Company]:
    with server.copy(demo) as name, server.connect(name) as connection:
        connection.execute(FILES_TABLE.encode())
        schema = read_schema(connection)
        run = Run(schema=schema, catalogue=load())
        secrets = session_settings(RunKey(secret=bytearray(b"d" * 32)), run, TODAY)
        made = Company(schema=schema, catalogue=run.catalogue, weeks=int(secrets["careops_mask.run_weeks"]))
        with reader(Endpoint(conninfo=server.conninfo(name)), secrets) as session:
            for plan in compile_tables(run):
                table = schema.tables[plan.table]
                days = [column.name for column in table.columns if column.kind in {Kind.DATE, Kind.TIMESTAMP}]
                wanted = [column for column in plan.columns if column in _LINKS or column in days]
                where = f" WHERE {plan.where}" if plan.where else ""
                source = f"(SELECT * FROM {plan.source}{where}) t"
                select = plan.scope.select({column: plan.expressions[column] for column in wanted}, source)
                made.masked[plan.table] = _rows(session, select, wanted)
                listed = ", ".join(f'"{column}"' for column in wanted)
                made.real[plan.table] = _rows(connection, f"SELECT {listed} FROM {relation(plan.table)}", wanted)
        yield made


def _rows(session: Any, select: str, columns: list[str]) -> list[dict[str, Any]]:
    if not columns:
        return []
    return [dict(zip(columns, row, strict=True)) for row in session.execute(select.encode()).fetchall()]


def test_no_stamp_that_stays_tells_how_far_the_run_moved_its_dates(company: Company):
    stay, moved = set(), []
    for table, column in company.stamps():
        values = [row[column] for row in company.masked[table] if row[column] is not None]
        if company.moved((table, column)):
            moved += values
        else:
            stay.update(values)
    hits = Counter(
        {k: sum(value + datetime.timedelta(weeks=k) in stay for value in moved) for k in range(MOST_WEEKS + 1)}
    )
    assert len(moved) > 5000
    assert hits.total() == 0


def test_who_knows_how_far_the_run_moved_recovers_no_stamp_of_a_person(company: Company):
    known = {
        row[column] + datetime.timedelta(weeks=company.weeks * company.moved((table, column)))
        for table, column in company.stamps()
        for row in company.masked[table]
        if row[column] is not None
    }
    recovered = Counter()
    for table in PEOPLE:
        for real, masked in company.both(table):
            shifted = [masked["create_date"] + datetime.timedelta(weeks=k) for k in range(MOST_WEEKS + 1)]
            recovered[table] += any(candidate in known and candidate == real["create_date"] for candidate in shifted)
    assert sum(len(company.masked[table]) for table in PEOPLE) > 200
    assert recovered.total() == 0


def test_no_masked_time_has_microseconds_or_the_real_time_of_day_of_a_stamp(company: Company):
    fractions, kept = [], []
    for table, column in company.stamps():
        masked = [row[column] for row in company.masked[table] if row[column] is not None]
        fractions += [f"{table}.{column}" for value in masked if value.microsecond]
        if column in {"create_date", "write_date"} and "id" in company.schema.tables[table].primary_key:
            pairs = [(real[column], made[column]) for real, made in company.both(table) if real[column]]
            kept += [f"{table}.{column}" for real, made in pairs if made and real.time() == made.time()]
    assert sorted(set(fractions)) == []
    assert kept == []


def test_the_notes_about_a_persons_record_move_with_it(company: Company):
    records = {
        (model, row["id"]): (row["create_date"], made["create_date"])
        for model in ("res.partner", "sale.order", "crm.lead", "hr.employee", "account.move")
        for row, made in company.both(model.replace(".", "_"))
    }
    compared = 0
    for real, made in company.both("mail_message"):
        about = records.get((real["model"], real["res_id"]))
        if about and about[0]:
            compared += 1
            assert real["date"].date() - about[0].date() == made["date"].date() - about[1].date()
    assert compared > 100


@pytest.mark.parametrize(
    ("table", "start", "stop"),
    [
        ("calendar_event", "start", "stop"),
        ("hr_attendance", "check_in", "check_out"),
        ("hr_leave", "date_from", "date_to"),
        ("event_event", "date_begin", "date_end"),
        ("account_move", "invoice_date", "invoice_date_due"),
        ("hr_attendance_overtime_line", "time_start", "time_stop"),
    ],
)
def test_what_lasts_lasts_as_long_as_before(company: Company, table: str, start: str, stop: str):
    compared = 0
    for real, made in company.both(table):
        if real[start] is not None and real[stop] is not None:
            compared += 1
            assert real[stop] - real[start] == made[stop] - made[start]
            assert made[start] < real[start]
    assert compared


def test_an_employees_attendances_stay_in_order_with_the_breaks_between_them(company: Company):
    people: dict[int, list[tuple[Any, Any]]] = {}
    for real, made in company.both("hr_attendance"):
        people.setdefault(real["employee_id"], []).append((real["check_in"], made["check_in"]))
    compared = 0
    for pairs in people.values():
        for one, other in pairwise(sorted(pairs)):
            compared += 1
            assert other[0] - one[0] == other[1] - one[1]
    assert compared > 10


def test_no_record_is_changed_before_it_is_made(company: Company):
    wrong = [
        f"{table} {row['id']}"
        for table, rows in company.masked.items()
        for row in rows
        if "id" in row and row.get("create_date") and row.get("write_date") and row["write_date"] < row["create_date"]
    ]
    real = sum(
        bool(row.get("create_date") and row.get("write_date") and row["write_date"] < row["create_date"])
        for rows in company.real.values()
        for row in rows
    )
    assert len(wrong) <= real, wrong[:5]


def test_people_move_by_weeks_of_their_own_that_have_nothing_to_do_with_the_run(company: Company):
    weeks = {
        (real["create_date"].date() - made["create_date"].date()).days // 7
        for real, made in company.both("res_partner")
        if real["create_date"]
    }
    assert all(1 <= count <= 52 for count in weeks)
    assert len(weeks) > 20
    assert min(weeks) < company.weeks, "nobody's weeks are counted on top of the run's"
