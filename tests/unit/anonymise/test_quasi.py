"""Sets of quasi-identifiers as a site declares them: understood, found in the schema, and judged by their rules."""

from __future__ import annotations

import json

import pytest

from operations.anonymise.outcome import Refused
from operations.anonymise.verify.quasi import SETS, QuasiSet, all_sets, parse_sets, unknown, usable
from tests.unit.anonymise.support import catalogue, column, line, link, schema, table

STAFF = table("hr_employee", column("birthday", "date"))
ROUND = table("x_round", column("x_ward"), column("employee_id", "integer"), links=[link("employee_id", "hr_employee")])
LIVE = schema(STAFF, ROUND)


def declared(*columns, **more):
    return QuasiSet(table="x_round", columns=columns, declared=True, **more)


def test_what_the_settings_hand_over_is_understood():
    given = [{"table": "x_round", "columns": ["x_ward", "employee_id.birthday"], "person": None, "threshold": None},
             {"table": "x_round", "columns": ["x_ward"], "person": "employee_id", "threshold": 9}]  # fmt: skip
    assert parse_sets(json.dumps(given)) == (
        declared("x_ward", "employee_id.birthday"),
        declared("x_ward", person="employee_id", threshold=9),
    )
    assert parse_sets("[]") == parse_sets("") == ()


@pytest.mark.parametrize(
    "text",
    ["{", "{}", "[1]", '[{"table": "t"}]', '[{"table": "t", "columns": []}]', '[{"table": "", "columns": ["a"]}]',
     '[{"table": "t", "columns": "a"}]', '[{"table": "t", "columns": ["a"], "treshold": 9}]',
     '[{"table": "t", "columns": ["a"], "threshold": "9"}]', "null"],
)  # fmt: skip
def test_what_is_not_understood_is_refused_and_never_left_out(text):
    with pytest.raises(Refused, match="CAREOPS_QUASI_IDENTIFIERS"):
        parse_sets(text)


def test_every_unknown_name_is_told_at_once():
    sets = (
        declared("x_ward", "x_flor", person="patient_id"),
        declared("employee_id.birthdate"),
        declared("x_ward.name"),
        QuasiSet(table="x_rounds", columns=("x_ward",), declared=True),
        declared("x_ward", "employee_id.birthday", person="employee_id"),
    )
    assert unknown(sets, LIVE) == [
        "x_round (x_ward, x_flor): x_round has no column x_flor",
        "x_round (x_ward, x_flor): x_round has no column patient_id",
        "x_round (employee_id.birthdate): hr_employee has no column birthdate",
        "x_round (x_ward.name): x_round.x_ward points to no other table",
        "x_rounds (x_ward): there is no table x_rounds",
    ]


def test_built_in_sets_may_name_modules_that_are_not_installed():
    assert unknown(all_sets(()), LIVE) == []


def test_only_columns_whose_value_stays_count(tmp_path):
    lines = [line("x_round.id", "keep"), line("x_round.x_ward", "filler"), line("x_round.employee_id", "keep"),
             line("hr_employee.id", "keep"), line("hr_employee.birthday", "birthday")]  # fmt: skip
    rules = catalogue(tmp_path, lines)
    found = usable(declared("x_ward", "employee_id.birthday", person="employee_id"), LIVE, rules)
    assert found == declared("employee_id.birthday", person="employee_id"), "a year of birth is real, a filler is not"
    assert usable(declared("x_ward"), LIVE, rules) is None


def test_a_set_never_asks_for_less_than_the_run():
    assert declared("x_ward", threshold=3).at_least(5) == 5
    assert declared("x_ward", threshold=7).at_least(5) == 7
    assert declared("x_ward").at_least(5) == 5


def test_a_job_that_one_employee_holds_alone_is_looked_for_in_every_site():
    (versions,) = (each for each in SETS if each.table == "hr_version")
    assert versions.columns[:2] == ("job_id", "department_id")
    assert versions.person == "employee_id", "an employee has a row for each state of the contract"
