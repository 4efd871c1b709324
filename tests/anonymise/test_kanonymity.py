"""Who shares a combination with too few is found, and emptied; nobody is known by a job that is theirs alone."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from operations.anonymise import chart
from operations.anonymise.catalogue.loader import load
from operations.anonymise.model import Catalogue
from operations.anonymise.schema import Schema, read_schema
from operations.anonymise.verify import kanonymity
from operations.anonymise.verify.quasi import QuasiSet
from operations.anonymise.verify.report import Status, run
from tests.anonymise.masking import Source, catalogue, source
from tests.anonymise.support import Server

NOBODY = Catalogue(columns={}, tables={}, version="test")
"""Without a line, a column counts as real."""
TABLES = (
    "CREATE TABLE hr_department (id int PRIMARY KEY, manager_id int)",
    "CREATE TABLE hr_employee (id int PRIMARY KEY, birthday date, parent_id int, current_version_id int,"
    " active boolean DEFAULT true)",
    "CREATE TABLE hr_version (id int PRIMARY KEY, employee_id int REFERENCES hr_employee, job_id int,"
    " department_id int REFERENCES hr_department, sex text)",
    "CREATE TABLE hr_leave (id int PRIMARY KEY, employee_id int REFERENCES hr_employee, department_id int)",
    "INSERT INTO hr_department SELECT n FROM generate_series(1, 3) n",
    # 18 nurses (job 1) of departments 1 and 2, and the chief physician, who alone has job 9 and department 3.
    "INSERT INTO hr_employee (id, current_version_id, birthday)"
    " SELECT n, n, make_date(1960 + 10 * (n % 2), 1, 1) FROM generate_series(1, 19) n",
    "INSERT INTO hr_version SELECT n, n, 1, 1 + n % 2, 'female' FROM generate_series(1, 18) n",
    "INSERT INTO hr_version VALUES (19, 19, 9, 3, 'female')",
    "INSERT INTO hr_leave SELECT n, n, 1 + n % 2 FROM generate_series(1, 18) n",
    "INSERT INTO hr_leave VALUES (19, 19, 3)",
)
ROLE = QuasiSet(
    table="hr_version", columns=("job_id", "department_id", "sex", "employee_id.birthday"), person="employee_id"
)


@pytest.fixture
def made(server: Server) -> Iterator[Source]:
    with source(server, "k_anonymity") as database:
        database.execute(*TABLES)
        yield database


@pytest.fixture
def target(made: Source) -> Iterator[psycopg.Connection]:
    with made.server.connect(made.database) as connection:
        yield connection


@pytest.fixture
def schema(target: psycopg.Connection) -> Schema:
    return read_schema(target)


def one(target: psycopg.Connection, query: str) -> tuple:
    row = target.execute(query.encode()).fetchone()
    assert row
    return row


def test_a_declared_set_with_a_single_person_fails_the_verification(target: psycopg.Connection, schema: Schema):
    declared = QuasiSet(table="hr_version", columns=("job_id",), declared=True)
    result = run("k-anonymity", lambda: kanonymity.check(target, schema, NOBODY, 5, (declared,)))
    assert result.status is Status.FAILED
    (finding,) = (each for each in result.findings if each.table == "hr_version")
    assert (finding.column, finding.what, finding.count) == ("job_id", "people in groups of 1, fewer than 5", 1)


def test_what_stands_in_the_certificate_of_a_set_are_columns_and_counts(target: psycopg.Connection, schema: Schema):
    declared = QuasiSet(table="hr_version", columns=("sex",), threshold=20, declared=True)
    result = run("k-anonymity", lambda: kanonymity.check(target, schema, NOBODY, 5, (declared,)))
    assert result.as_json()["groups"] == [
        {
            "table": "hr_version",
            "columns": ["sex"],
            "people": 19,
            "smallest": 19,
            "threshold": 20,
            "declared": True,
        }
    ]
    assert not result.passed, "19 people pass the run's threshold, not the set's own"
    assert "female" not in str(result.as_json())


def test_a_threshold_below_that_of_the_run_does_not_weaken_it(target: psycopg.Connection, schema: Schema):
    declared = QuasiSet(table="hr_version", columns=("job_id",), threshold=1, declared=True)
    looked = kanonymity.check(target, schema, NOBODY, 5, (declared,))
    assert [group.threshold for group in looked.groups] == [5]
    assert list(looked.findings)


def test_the_states_of_one_persons_record_are_one_person(target: psycopg.Connection, schema: Schema):
    target.execute("INSERT INTO hr_version SELECT 100 + n, 19, 9, 3, 'female' FROM generate_series(1, 9) n")
    declared = QuasiSet(table="hr_version", columns=("job_id",), person="employee_id")
    looked = kanonymity.check(target, schema, NOBODY, 5, (declared,))
    assert [group.smallest for group in looked.groups] == [1]


def test_the_only_chief_loses_the_job_and_somebody_else_hides_that(target: psycopg.Connection, schema: Schema):
    assert kanonymity.suppress(target, schema, NOBODY, 5, (ROLE,)) > 0
    assert one(target, "SELECT job_id, department_id FROM hr_version WHERE id = 19") == (None, None)
    looked = kanonymity.check(target, schema, NOBODY, 5, (ROLE,), adopted=False)
    assert list(looked.findings) == []
    (blank,) = one(target, "SELECT count(*) FROM hr_version WHERE job_id IS NULL AND department_id IS NULL")
    assert blank == 0 or blank >= 5, "one row without a job would be the chief's"
    assert one(target, "SELECT count(*) FROM hr_version") == (19,), "suppressing empties columns, it removes nobody"


@pytest.mark.parametrize("forgets", [True, False], ids=["written anew", "as an UPDATE leaves it"])
def test_what_was_emptied_is_not_left_in_dead_rows_either(
    target: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, forgets: bool
):
    """The second case shows that the test would see it."""
    if not forgets:
        monkeypatch.setattr(kanonymity, "_forget", lambda *_: None)
    target.execute("ALTER TABLE hr_version ADD COLUMN title text")
    target.execute("UPDATE hr_version SET title = CASE id WHEN 19 THEN 'Chief of Nephrology' ELSE 'Nurse' END")
    target.execute("VACUUM (FULL, ANALYZE) hr_version")
    declared = QuasiSet(table="hr_version", columns=("title",), person="employee_id", declared=True)
    file = "SELECT strpos(encode(pg_read_binary_file(pg_relation_filepath('hr_version')), 'escape'), %s) > 0"

    def stored() -> bool:
        target.execute("CHECKPOINT")
        row = target.execute(file.encode(), ("Chief of Nephrology",)).fetchone()
        assert row
        return row[0]

    assert stored()
    kanonymity.suppress(target, read_schema(target), NOBODY, 5, (declared,))
    assert stored() is not forgets


def test_the_least_useful_column_goes_first(target: psycopg.Connection, schema: Schema):
    target.execute("DELETE FROM hr_leave WHERE id = 19")
    target.execute("DELETE FROM hr_version WHERE id = 19")
    target.execute("UPDATE hr_employee SET birthday = make_date(1950 + id, 1, 1)")
    kanonymity.suppress(target, schema, NOBODY, 5, (ROLE,))
    kept = "SELECT count(job_id), count(department_id), count(sex), count(e.birthday) FROM hr_version v"
    assert one(target, f"{kept} JOIN hr_employee e ON e.id = v.employee_id") == (18, 18, 18, 0)


def test_rows_that_nothing_is_left_of_are_a_group_until_the_adoption_adds_some(
    target: psycopg.Connection, schema: Schema
):
    target.execute("UPDATE hr_version SET job_id = NULL WHERE id = 19")
    alone = QuasiSet(table="hr_version", columns=("job_id",), person="employee_id")
    looked = kanonymity.check(target, schema, NOBODY, 5, (alone,), adopted=False)
    assert [f.what for f in looked.findings] == ["people of whom nothing is left, and fewer than 5"]
    assert list(kanonymity.check(target, schema, NOBODY, 5, (alone,), adopted=True).findings) == []
    kanonymity.suppress(target, schema, NOBODY, 5, (alone,))
    assert list(kanonymity.check(target, schema, NOBODY, 5, (alone,), adopted=False).findings) == []


def test_a_column_that_takes_no_null_is_not_emptied_but_fails_the_check(made: Source):
    made.execute("ALTER TABLE hr_version ALTER job_id SET NOT NULL")
    declared = QuasiSet(table="hr_version", columns=("job_id",), declared=True)
    with made.server.connect(made.database) as target:
        schema = read_schema(target)
        kanonymity.suppress(target, schema, NOBODY, 5, (declared,))
        assert list(kanonymity.check(target, schema, NOBODY, 5, (declared,)).findings)


def test_a_column_that_the_masking_replaces_does_not_count(target: psycopg.Connection, schema: Schema):
    lines = catalogue({"hr_version.job_id": "null"})
    declared = QuasiSet(table="hr_version", columns=("job_id",), declared=True)
    looked = kanonymity.check(target, schema, lines, 5, (declared,))
    assert list(looked.findings) == []
    assert [(group.columns, group.people) for group in looked.groups] == [((), 0)], "and the certificate says so"


def test_a_copy_that_tells_what_was_emptied_is_found_and_emptied(target: psycopg.Connection, schema: Schema):
    target.execute("UPDATE hr_version SET department_id = NULL WHERE id = 19")
    found = [f for f in kanonymity.check(target, schema, NOBODY, 5, ()).findings if f.table == "hr_leave"]
    assert [(f.column, f.count) for f in found] == [("department_id", 1)]
    assert kanonymity.suppress(target, schema, NOBODY, 5, ()) == 1
    assert list(kanonymity.check(target, schema, NOBODY, 5, ()).findings) == []


def test_what_an_employee_once_applied_for_does_not_tell_the_job(made: Source):
    made.execute(
        "CREATE TABLE hr_applicant (id int PRIMARY KEY, employee_id int REFERENCES hr_employee, job_id int,"
        " department_id int)",
        "INSERT INTO hr_applicant SELECT n, NULL, 9, 3 FROM generate_series(1, 8) n",
        "INSERT INTO hr_applicant VALUES (9, 19, 9, 3)",
        "UPDATE hr_version SET job_id = NULL, department_id = NULL WHERE id = 19",
    )
    with made.server.connect(made.database) as target:
        schema = read_schema(target)
        kanonymity.suppress(target, schema, NOBODY, 5, ())
        assert one(target, "SELECT job_id, department_id FROM hr_applicant WHERE employee_id = 19") == (None, None)
        assert one(target, "SELECT count(job_id) FROM hr_applicant") == (8,), "of the others nobody knows who they are"


def test_tags_that_too_few_carry_are_left_out_by_the_shipped_condition(made: Source):
    shipped = load().tables["res_partner_res_partner_category_rel"].where
    made.execute(
        "CREATE TABLE res_partner_res_partner_category_rel (partner_id int, category_id int,"
        " PRIMARY KEY (partner_id, category_id))",
        "INSERT INTO res_partner_res_partner_category_rel SELECT n, 1 FROM generate_series(1, 7) n",
        "INSERT INTO res_partner_res_partner_category_rel VALUES (1, 2), (2, 2)",
    )
    with made.server.connect(made.database) as session:
        kept = "SELECT count(*), max(category_id) FROM res_partner_res_partner_category_rel WHERE " + shipped  # noqa: S608 - the catalogue's own text
        assert one(session, kept) == (7, 1)
        session.execute("SELECT set_config('careops_mask.k', '8', false)")
        assert one(session, kept) == (0, None), "a stricter site leaves out more"


def test_the_rule_lets_stay_what_enough_people_share(made: Source):
    made.execute("INSERT INTO hr_version SELECT 100 + n, 19, 9, 3, 'female' FROM generate_series(1, 9) n")
    columns = [f"{table}.{column}" for table, columns in {
        "hr_department": ("id", "manager_id"), "hr_leave": ("id", "employee_id", "department_id"),
        "hr_employee": ("id", "birthday", "parent_id", "current_version_id", "active"),
        "hr_version": ("id", "employee_id", "department_id", "sex"),
    }.items() for column in columns]  # fmt: skip
    lines = catalogue({**dict.fromkeys(columns, "keep"), "hr_version.job_id": "shared(employee_id)"})
    kept = [(row[1], row[2]) for row in made.read(lines)["hr_version"]]
    assert {job for employee, job in kept if employee != 19} == {1}
    assert {job for employee, job in kept if employee == 19} == {None}, "ten rows are one person"


def test_a_department_gets_a_leader_by_chance_and_the_others_are_below(target: psycopg.Connection, schema: Schema):
    target.execute("UPDATE hr_version SET department_id = NULL WHERE id = 19")
    assert chart.make(target, schema) == 2
    assert one(target, "SELECT manager_id FROM hr_department WHERE id = 3") == (None,)
    below = "SELECT count(*) FROM hr_employee e JOIN hr_version v ON v.employee_id = e.id"
    same = "JOIN hr_department d ON d.id = v.department_id AND d.manager_id = e.parent_id"
    assert one(target, f"{below} {same}") == (16,)
    assert one(target, "SELECT count(*) FROM hr_employee WHERE parent_id = id") == (0,)


def test_a_schema_without_staff_gets_no_chart(target: psycopg.Connection):
    assert chart.make(target, Schema(tables={})) == 0
