"""The catalogue against a schema: what is unclassified, what is gone, and which rules cannot hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.anonymise.catalogue.check import compare
from operations.anonymise.schema import Column, Schema, Table
from tests.unit.anonymise.support import catalogue, check, column, line, link, schema, table, unique

NAME = "direct-identifier\tA\tpersonal"
ID = "t.id"


def misfits(folder: Path, of: Schema, *lines: str, tables: tuple[str, ...] = ()) -> list[str]:
    return [str(misfit) for misfit in compare(of, catalogue(folder, lines, tables)).misfits]


def one(*columns: Column, **more: object) -> Schema:
    return schema(table("t", *columns, **more))


def test_a_catalogue_that_fits_lets_a_run_start(tmp_path: Path):
    found = compare(one(column("a")), catalogue(tmp_path, [line(ID, "keep"), line("t.a", "filler")]))
    assert found.usable
    assert (found.unclassified, found.unlisted, found.vanished, found.misfits) == ((), (), (), ())


def test_a_column_and_a_table_that_nobody_classified_stop_the_run(tmp_path: Path):
    live = schema(table("t", column("a")), table("u"))
    found = compare(live, catalogue(tmp_path, [line(ID, "keep")]))
    assert found.unclassified == (("t", "a"), ("u", "id"))
    assert found.unlisted == ("u",)
    assert not found.usable


def test_what_is_gone_is_told_and_stops_nothing(tmp_path: Path):
    lines = [line(ID, "keep"), line("t.old", "keep"), line("t.x_plan#_id", "keep"), line("gone.id", "keep")]
    found = compare(one(), catalogue(tmp_path, lines))
    assert found.vanished == ("gone", "t.old")
    assert found.usable


@pytest.mark.parametrize(
    ("type_", "rule", "why"),
    [
        ("integer", "filler", "filler fits text"),
        ("jsonb", "name(person)", "name fits text"),
        ("character varying", "json-text(filler)", "json-text fits json"),
        ("date", "jitter", "jitter fits integer, number"),
        ("text[]", "filler", "filler fits text"),
        ("integer", "shipped(filler)", "filler does not fit integer"),
        ("jsonb", "json-text(jitter)", "jitter does not fit the texts of a document"),
    ],
)
def test_a_rule_that_does_not_fit_the_type_is_told(tmp_path: Path, type_: str, rule: str, why: str):
    columns = (column("a", type_), column("write_uid", "integer"))
    told = misfits(tmp_path, one(*columns), line(ID, "keep"), line("t.write_uid", "keep"), line("t.a", rule))
    assert why in told[0]
    assert told[0].startswith("columns.tsv:4: t.a: ")


@pytest.mark.parametrize(
    ("rule", "fits"), [("null", False), ("recompute", False), ("empty-text", True), ("filler", True)]
)
def test_a_column_that_is_not_null_gets_no_rule_that_may_empty_it(tmp_path: Path, rule: str, fits: bool):
    told = misfits(tmp_path, one(column("a", not_null=True)), line(ID, "keep"), line("t.a", rule))
    assert bool(told) is not fits
    assert fits or "NOT NULL" in told[0]


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ("email", True),
        ("keep", True),
        ("null", True),
        ("filler", False),
        ("name(person)", False),
        ("phone", False),
        ("constant('x')", False),
    ],
)
def test_a_unique_column_gets_only_a_rule_that_keeps_values_apart(tmp_path: Path, rule: str, fits: bool):
    live = one(column("a"), unique=[unique("a")])
    told = misfits(
        tmp_path, live, line(ID, "keep"), line("t.a", rule, NAME if rule != "keep" else "technical\t-\tnone")
    )
    assert bool(told) is not fits
    assert fits or "may collide in a_uniq" in told[0]


def test_null_is_no_way_out_where_nulls_collide(tmp_path: Path):
    live = one(column("a"), unique=[unique("a", nulls_distinct=False)])
    assert "may collide" in misfits(tmp_path, live, line(ID, "keep"), line("t.a", "null"))[0]


def test_a_unique_index_is_safe_when_its_other_columns_are_unique_already(tmp_path: Path):
    live = one(column("a"), unique=[unique("id", "a")])
    assert misfits(tmp_path, live, line(ID, "keep"), line("t.a", "filler")) == []


def test_a_shift_keeps_days_of_one_person_apart_only_within_the_person(tmp_path: Path):
    columns = (column("who", "integer"), column("day", "date"))
    people = table("p")
    within = schema(table("t", *columns, links=[link("who", "p")], unique=[unique("who", "day")]), people)
    across = schema(table("t", *columns, links=[link("who", "p")], unique=[unique("day")]), people)
    lines = [line(ID, "keep"), line("p.id", "keep"), line("t.who", "keep"), line("t.day", "shift-date(who)")]
    assert misfits(tmp_path, within, *lines) == []
    assert "may collide" in misfits(tmp_path, across, *lines)[0]


NULLS = "CHECK ((((type)::text = 'contact'::text) AND (name IS NOT NULL)) OR ((type)::text <> 'contact'::text))"


@pytest.mark.parametrize(
    ("definition", "rules", "fits"),
    [
        (NULLS, {"name": "name(person)", "type": "keep"}, True),
        (NULLS, {"name": "recompute", "type": "keep"}, False),
        (NULLS, {"name": "name(person)", "type": "filler"}, False),
        ("CHECK (char_length((name)::text) = 8)", {"name": "filler"}, False),
        ("CHECK ((start_day <= end_day))", {"start_day": "shift-date", "end_day": "shift-date"}, True),
        ("CHECK ((start_day <= end_day))", {"start_day": "shift-date", "end_day": "keep"}, False),
        ("CHECK ((opened <= closed))", {"opened": "shift-date", "closed": "shift-date"}, True),
        ("CHECK ((opened < closed))", {"opened": "shift-date", "closed": "shift-date"}, False),
        ("CHECK ((opened < closed))", {"opened": "shift-date(id,hours)", "closed": "shift-date(id,hours)"}, True),
        ("CHECK ((amount >= (0)::numeric))", {"amount": "jitter"}, True),
        ("CHECK ((amount >= 0.0))", {"amount": "jitter"}, True),
        ("CHECK ((amount <= (100)::numeric))", {"amount": "jitter"}, False),
        (
            "CHECK (((value IS NOT NULL) OR (COALESCE(name, ''::text) <> ''::text)))",
            {"name": "filler", "value": "keep"},
            True,
        ),
        (
            "CHECK (((value IS NOT NULL) OR (COALESCE(name, ''::text) <> ''::text)))",
            {"name": "empty-text", "value": "keep"},
            False,
        ),
    ],
)
def test_a_check_must_be_shown_to_hold(tmp_path: Path, definition: str, rules: dict[str, str], fits: bool):
    stamp = "timestamp without time zone"
    types = {
        "start_day": "date",
        "end_day": "date",
        "opened": stamp,
        "closed": stamp,
        "amount": "numeric",
        "value": "integer",
    }
    columns = [column(name, types.get(name, "text")) for name in rules]
    live = one(*columns, checks=[check(definition, *rules)])
    told = misfits(tmp_path, live, line(ID, "keep"), *(line(f"t.{name}", rule) for name, rule in rules.items()))
    assert bool(told) is not fits
    assert fits or "cannot be shown" in told[0]


def test_keys_stay_and_point_to_tables_that_are_copied(tmp_path: Path):
    live = schema(table("t", column("who", "integer"), links=[link("who", "p")]), table("p"))
    copied = [line(ID, "keep"), line("p.id", "keep")]
    assert misfits(tmp_path, live, *copied, line("t.who", "keep")) == []
    assert misfits(tmp_path, live, *copied, line("t.who", "null")) == []
    told = misfits(tmp_path, live, *copied, line("t.who", "jitter"))
    assert "points to p; its rule is keep, null or shared" in told[0]
    assert "primary key" in misfits(tmp_path, live, line(ID, "jitter"), line("p.id", "keep"), line("t.who", "keep"))[0]
    empty = ("p\tempty\t\twhy",)
    lines = (line(ID, "keep"), line("p.id", "empty-table"))
    assert "p, which is emptied" in misfits(tmp_path, live, *lines, line("t.who", "keep"), tables=empty)[0]
    assert misfits(tmp_path, live, *lines, line("t.who", "null"), tables=empty) == []


def test_the_rule_of_an_emptied_table_says_so_and_of_no_other(tmp_path: Path):
    empty = ("t\tempty\t\twhy",)
    assert "the rule is empty-table, not keep" in misfits(tmp_path, one(), line(ID, "keep"), tables=empty)[0]
    assert "no file says that the table is emptied" in misfits(tmp_path, one(), line(ID, "empty-table"))[0]


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ("filler", True),
        ("ip", True),
        ("constant('x')", True),
        ("email", False),
        ("filler-html", False),
        (f"constant('{'x' * 46}')", False),
    ],
)
def test_a_text_of_limited_length_gets_no_rule_that_may_exceed_it(tmp_path: Path, rule: str, fits: bool):
    told = misfits(tmp_path, one(column("a", "character varying(45)")), line(ID, "keep"), line("t.a", rule))
    assert bool(told) is not fits


def test_a_rule_reads_only_columns_that_are_there(tmp_path: Path):
    texts = (column("a"), column("flag"))
    assert (
        "no column is_company"
        in misfits(tmp_path, one(column("a")), line(ID, "keep"), line("t.a", "name(is_company)"))[0]
    )
    told = misfits(tmp_path, one(*texts), line(ID, "keep"), line("t.flag", "keep"), line("t.a", "name(flag)"))
    assert "flag says whether it is a company" in told[0]
    assert "no write_uid" in misfits(tmp_path, one(column("a")), line(ID, "keep"), line("t.a", "shipped(filler)"))[0]


@pytest.mark.parametrize(
    ("path", "fits"),
    [("id", True), ("who", True), ("who.boss", True), ("number", False), ("who.number", False), ("number.boss", False)],
)
def test_a_date_is_moved_by_a_person_that_a_link_leads_to(tmp_path: Path, path: str, fits: bool):
    people = table("p", column("boss", "integer"), column("number", "integer"), links=[link("boss", "p")])
    columns = (column("who", "integer"), column("number", "integer"), column("day", "date"))
    live = schema(table("t", *columns, links=[link("who", "p")]), people)
    kept = ("t.id", "t.who", "t.number", "p.id", "p.boss", "p.number")
    told = misfits(tmp_path, live, *(line(name, "keep") for name in kept), line("t.day", f"shift-date({path})"))
    assert bool(told) is not fits
    assert fits or "points to no person" in told[0]


@pytest.mark.parametrize(("start", "fits"), [("shift-date", True), ("keep", False), ("run-month", False)])
def test_an_end_follows_a_beginning_that_is_moved_itself(tmp_path: Path, start: str, fits: bool):
    stamp = "timestamp without time zone"
    live = one(column("start", stamp), column("stop", stamp))
    told = misfits(tmp_path, live, line(ID, "keep"), line("t.start", start), line("t.stop", "shift-with(start)"))
    assert bool(told) is not fits
    assert fits or "shift-date moves" in told[0]


def test_whom_a_record_is_about_is_asked_only_where_a_row_names_a_record(tmp_path: Path):
    named = one(column("model"), column("res_id", "integer"), column("day", "date"))
    lines = [line(ID, "keep"), line("t.model", "keep"), line("t.res_id", "keep"), line("t.day", "shift-date(record)")]
    assert misfits(tmp_path, named, *lines) == []
    assert "points to no person" in misfits(tmp_path, one(column("day", "date")), lines[0], lines[3])[0]


def test_times_that_are_made_up_do_not_keep_rows_apart(tmp_path: Path):
    stamp = column("at", "timestamp without time zone")
    live = one(stamp, unique=[unique("id", "at"), unique("at")])
    told = misfits(tmp_path, live, line(ID, "keep"), line("t.at", "shift-date(id)"))
    assert any("may collide" in why for why in told)


def linked(to: Table) -> Schema:
    return schema(table("t", column("a"), column("who", "integer"), links=[link("who", "p")]), to)


def test_a_copy_of_another_column_needs_the_link_the_column_and_a_mask(tmp_path: Path):
    kept = [line("t.id", "keep"), line("t.who", "keep"), line("p.id", "keep")]
    copy = line("t.a", "same-as(p.name via who)", NAME)
    masked, kept_name = line("p.name", "name(person)", NAME), line("p.name", "keep", "internal\t-\tnone")
    person = table("p", column("name"))
    assert misfits(tmp_path, linked(person), *kept, copy, masked) == []
    assert "stays as it is" in misfits(tmp_path, linked(person), *kept, copy, kept_name)[0]
    assert "has no column name" in misfits(tmp_path, linked(table("p")), *kept, copy)[0]
    assert (
        "is no foreign key to q"
        in misfits(tmp_path, linked(person), *kept, masked, line("t.a", "same-as(q.name via who)", NAME))[0]
    )
    number = table("p", column("name", "integer"))
    assert "is integer, this column is" in misfits(tmp_path, linked(number), *kept, copy, line("p.name", "null"))[0]


def test_large_objects_stop_the_run(tmp_path: Path):
    live = schema(table("t"), large_objects=2)
    assert "2 large objects" in misfits(tmp_path, live, line(ID, "keep"))[0]


def test_a_column_that_postgresql_computes_is_never_copied(tmp_path: Path):
    live = one(Column(name="a", type="text", not_null=False, generated=True))
    assert misfits(tmp_path, live, line(ID, "keep"), line("t.a", "generated")) == []
    assert "generated" in misfits(tmp_path, live, line(ID, "keep"), line("t.a", "keep"))[0]
    assert "generated" in misfits(tmp_path, one(column("a")), line(ID, "keep"), line("t.a", "generated"))[0]


def test_a_counter_is_taken_of_a_document_number_only(tmp_path: Path):
    live = one(column("name"), column("no", "integer"))
    counter = line("t.no", "counter-of(name)")
    assert misfits(tmp_path, live, line(ID, "keep"), counter, line("t.name", "document-number")) == []
    assert "no made document number" in misfits(tmp_path, live, line(ID, "keep"), counter, line("t.name", "filler"))[0]
