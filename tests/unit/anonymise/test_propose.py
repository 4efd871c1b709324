"""Proposed lines: by type, name and what Odoo knows, and always the safest."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.anonymise.catalogue.check import compare
from operations.anonymise.catalogue.loader import column_line, judge, table_line
from operations.anonymise.catalogue.propose import proposals, propose, propose_table
from operations.anonymise.schema import OrmField
from tests.unit.anonymise.support import HEADER, catalogue, column, line, link, schema, table, unique, write


def proposed(name: str, type_: str, *, not_null: bool = False, **known: object) -> str:
    orm = [("t", OrmField(model="t", name=name, **known))] if known else []
    one = table("t", column(name, type_, not_null=not_null))
    line_ = propose(one.columns[1], one, schema(one, orm=orm))
    assert judge(line_) == [], "a proposal must be a valid line"
    return f"{line_.classification} {line_.safe_harbor} {line_.rule}"


@pytest.mark.parametrize(
    ("name", "type_", "expected"),
    [
        ("x_remarks", "character varying", "free-text R filler"),
        ("x_email", "character varying", "direct-identifier F email"),
        ("mobile", "character varying", "direct-identifier D phone"),
        ("api_key", "character varying", "credential None token"),
        ("medical_record_no", "character varying", "direct-identifier H identifier(MRN)"),
        ("x_blood_group", "character varying", "free-text R filler"),
        ("emergency_contact_name", "text", "direct-identifier A name(any)"),
        ("x_score", "integer", "quasi-identifier R jitter"),
        ("x_age", "integer", "quasi-identifier R null"),
        ("sequence", "integer", "technical None keep"),
        ("x_latitude", "double precision", "quasi-identifier B null"),
        ("date_of_birth", "date", "quasi-identifier C birthday"),
        ("x_dob", "date", "quasi-identifier C birthday"),
        ("admitted_on", "timestamp without time zone", "quasi-identifier C shift-date"),
        ("is_pregnant", "boolean", "quasi-identifier R null"),
        ("active", "boolean", "technical None keep"),
        ("x_scan", "bytea", "direct-identifier Q null"),
        ("x_any", "jsonb", "free-text R json-fill"),
        ("x_list", "text[]", "free-text R null"),
    ],
)
def test_a_column_that_odoo_does_not_know_is_taken_for_personal(name: str, type_: str, expected: str):
    assert proposed(name, type_) == expected


def test_what_odoo_knows_counts():
    assert proposed("kind", "character varying", ttype="selection") == "technical None keep"
    assert proposed("body", "text", ttype="html") == "free-text R filler-html"
    assert proposed("label", "jsonb", ttype="char", translate=True) == "free-text R json-text(filler)"
    assert proposed("terms", "jsonb", ttype="html", translate=True) == "free-text R json-text(filler-html)"
    assert proposed("account", "jsonb", ttype="many2one", company_dependent=True) == "internal None keep"
    assert proposed("price", "numeric", ttype="monetary") == "financial None jitter"
    assert proposed("x_definition", "jsonb", ttype="properties_definition").startswith("internal None json-keep(name,")


@pytest.mark.parametrize(
    ("name", "type_", "rule"),
    [
        ("x_scan", "bytea", r"constant('\x')"),
        ("x_age", "integer", "constant('0')"),
        ("is_pregnant", "boolean", "constant('false')"),
        ("x_list", "text[]", "constant('{}')"),
    ],
)
def test_a_column_that_is_not_null_gets_a_rule_it_can_bear(name: str, type_: str, rule: str):
    assert proposed(name, type_, not_null=True).endswith(rule)


def test_a_date_is_moved_by_the_person_of_its_row():
    one = table("t", column("partner_id", "integer"), column("day", "date"), links=[link("partner_id", "res_partner")])
    assert propose(one.columns[2], one, schema(one)).rule == "shift-date(partner_id)"


def test_a_transient_table_and_its_links_are_emptied():
    wizard = table("wizard")
    rel = table("rel", column("wizard_id", "integer"), links=[link("wizard_id", "wizard")])
    bare = type(rel)(name="rel", columns=rel.columns[1:], foreign_keys=rel.foreign_keys)
    live = schema(wizard, bare, orm=[("wizard", OrmField(model="wizard", name="id", ttype="integer", transient=True))])
    assert propose_table(wizard, live).action == "empty"
    assert propose_table(bare, live).action == "empty"
    assert propose_table(table("t"), live).action == "copy"


def test_pasting_the_proposed_lines_makes_the_check_pass(tmp_path: Path):
    wizard = table("wizard", column("note", "text", not_null=True))
    code = column("code", "character varying(8)", not_null=True)
    words = (
        column("x_email"),
        column("x_day", "date"),
        column("x_name"),
        column("x_label", "jsonb"),
        column("x_no", "integer"),
    )
    mine = table(
        "mine",
        code,
        *words,
        unique=[unique("x_email"), unique("code"), unique("x_name"), unique("x_label"), unique("x_no")],
    )
    label = OrmField(model="mine", name="x_label", ttype="char", translate=True)
    orm = [("wizard", OrmField(model="wizard", name="id", ttype="integer", transient=True)), ("mine", label)]
    live = schema(table("t"), wizard, mine, orm=orm)
    before = catalogue(tmp_path, [line("t.id", "keep")])
    tables, columns = proposals(compare(live, before), live)
    lines = [line("t.id", "keep"), *map(column_line, columns)]
    after = compare(live, catalogue(tmp_path, lines, [table_line(one) for one in tables]))
    assert after.usable, after
    assert write(tmp_path / "shown.tsv", HEADER, *lines).exists()
