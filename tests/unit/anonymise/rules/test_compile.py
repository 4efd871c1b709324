"""What the compiler decides without a database."""

from __future__ import annotations

import dataclasses
import datetime

import pytest

from operations.anonymise.model import Action, Catalogue, Classification, ColumnRule, Gdpr, TableRule
from operations.anonymise.rules.at import CompileError, Run
from operations.anonymise.rules.compile import _RULES, DOMAINS, compile_table, compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.lists import FILLER_BLOCK, FILLER_PERIOD, LANGUAGES, SMALL_ZIP3, Lists, filler
from operations.anonymise.rules.scope import Scope, literal, quoted, relation
from operations.anonymise.rules.words import LONGEST_MADE, WORDS
from operations.anonymise.schema import Column, ForeignKey, Schema, Table, UniqueIndex

TODAY = datetime.date(2026, 11, 24)


def run(rules: dict[str, str], *tables: Table, lines: dict[str, TableRule] | None = None) -> Run:
    columns: dict[str, dict[str, ColumnRule]] = {}
    for name, rule in rules.items():
        table, column = name.split(".")
        columns.setdefault(table, {})[column] = ColumnRule(
            table=table,
            column=column,
            classification=Classification.TECHNICAL,
            safe_harbor=None,
            gdpr=Gdpr.NONE,
            rule=rule,
        )
    schema = Schema(tables={table.name: table for table in tables})
    return Run(schema=schema, catalogue=Catalogue(columns=columns, tables=lines or {}, version="x"))


def text(name: str, type_: str = "text", *, not_null: bool = False, generated: bool = False) -> Column:
    return Column(name=name, type=type_, not_null=not_null, generated=generated)


def test_every_word_is_compiled_but_those_for_what_is_never_copied():
    assert set(WORDS) - set(_RULES) == {"generated", "empty-table"}
    assert set(_RULES) <= set(WORDS)


def test_a_digest_that_two_columns_need_is_computed_once():
    table = Table(name="t", columns=(text("a", "date"), text("b", "date"), text("id", "integer")))
    plan = compile_table(table, run({"t.a": "shift-date(id)", "t.b": "shift-date(id)", "t.id": "keep"}, table))
    assert plan.select().count("sha256(") == 1


def test_a_let_of_a_let_is_computed_one_level_further_out():
    scope = Scope()
    inner = scope.let("lower(t.a)")
    outer = scope.let(f"length({inner})")
    sql = scope.select({"x": outer}, "s t")
    assert sql.index("length(") < sql.index("lower(")
    assert scope.let("lower(t.a)") == inner


def test_a_column_without_a_line_stops_the_compiler():
    table = Table(name="t", columns=(text("a"), text("b")))
    with pytest.raises(CompileError, match=r"no line of the catalogue classifies t\.b"):
        compile_table(table, run({"t.a": "keep"}, table))


def test_all_mistakes_of_all_tables_are_told_at_once():
    one = Table(name="one", columns=(text("a", not_null=True), text("b", "integer")))
    two = Table(name="two", columns=(text("c"),))
    with pytest.raises(CompileError) as caught:
        compile_tables(run({"one.a": "null", "one.b": "email", "two.c": "nonsense"}, one, two))
    message = str(caught.value)
    assert "one.a takes no NULL" in message
    assert "one.b is integer; email fits text only" in message
    assert "two.c: rule 'nonsense': no word 'nonsense'" in message


def test_what_too_few_share_cannot_be_left_out_of_a_column_that_takes_no_null():
    table = Table(name="t", columns=(text("id", "integer"), text("job", "integer", not_null=True)))
    with pytest.raises(CompileError, match=r"t\.job takes no NULL"):
        compile_table(table, run({"t.id": "keep", "t.job": "shared(id)"}, table))


def test_a_session_knows_how_many_must_share_what_stays():
    strict = dataclasses.replace(run({}), k=9)
    assert session_settings(RunKey(), strict, TODAY)["careops_mask.k"] == "9"


def test_references_that_go_round_are_refused():
    key = ForeignKey(name="k", columns=("p",), target="t", target_columns=("id",), on_delete="no action")
    table = Table(name="t", columns=(text("id", "integer"), text("p", "integer"), text("a")), foreign_keys=(key,))
    rules = {"t.id": "keep", "t.p": "keep", "t.a": "same-as(t.a via p)"}
    with pytest.raises(CompileError, match="in a circle"):
        compile_table(table, run(rules, table))


def test_generated_columns_are_neither_read_nor_written():
    table = Table(name="t", columns=(text("a"), text("g", generated=True)))
    plan = compile_table(table, run({"t.a": "keep"}, table))
    assert plan.columns == ("a",)
    assert plan.copy_from() == 'COPY public."t" ("a") FROM STDIN'


def test_empty_tables_have_no_plan_and_conditions_reach_the_select():
    copied = Table(name="a", columns=(text("x"),), size=1)
    emptied = Table(name="b", columns=(text("x"),), size=2)
    lines = {
        "a": TableRule(table="a", action=Action.WHERE, where="x <> 'y'"),
        "b": TableRule(table="b", action=Action.EMPTY),
    }
    (plan,) = compile_tables(run({"a.x": "keep"}, copied, emptied, lines=lines))
    assert "WHERE (x <> 'y') AND ctid>='(3,0)'::tid AND ctid<'(9,0)'::tid" in plan.select((3, 9))


def test_a_name_in_a_unique_column_carries_a_part_of_its_digest():
    index = UniqueIndex(name="u", columns=("a",), definition="")
    table = Table(name="t", columns=(text("a"), text("b")), unique=(index,))
    plan = compile_table(table, run({"t.a": "name(company)", "t.b": "name(company)"}, table))
    assert "'hex'" in plan.expressions["a"]
    assert "'hex'" not in plan.expressions["b"]


def test_a_company_is_told_by_a_boolean_column_only():
    table = Table(name="t", columns=(text("a"), text("b")))
    with pytest.raises(CompileError, match="not a boolean column"):
        compile_table(table, run({"t.a": "name(b)", "t.b": "keep"}, table))


@pytest.mark.parametrize("percent", ["0", "100"])
def test_jitter_takes_a_sensible_percentage(percent: str):
    table = Table(name="t", columns=(text("a", "numeric"),))
    with pytest.raises(CompileError, match="1 to 99 percent"):
        compile_table(table, run({"t.a": f"jitter({percent})"}, table))


def test_keys_differ_by_domain_and_run_and_never_show():
    one, two = RunKey(), RunKey()
    assert len({key.domain(name) for key in (one, two) for name in DOMAINS}) == 2 * len(DOMAINS)
    assert one.secret.hex() not in repr(one)
    assert str(one.secret) not in repr(one)
    assert one.fingerprint() != two.fingerprint()
    assert one.fingerprint() not in one.secret.hex()
    with pytest.raises(ValueError, match="32 bytes"):
        RunKey(secret=bytearray(b"short"))
    one.destroy()
    assert one.destroyed
    with pytest.raises(ValueError, match="destroyed"):
        one.domain("name")


def test_the_settings_of_a_session_hold_a_key_for_each_domain_that_an_expression_reads():
    settings = session_settings(RunKey(), run({}), TODAY)
    assert {f"careops_mask.key_{domain}" for domain in DOMAINS} <= set(settings)
    assert settings["careops_mask.today"] == "2026-11-24"
    assert 1 <= int(settings["careops_mask.run_weeks"]) <= 52


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["first", "last", "street", "city"])
def test_lists_have_different_entries_that_fit_the_type_name(language: str, kind: str):
    entries = Lists(languages=(language,)).of(kind)
    assert len(entries) >= 40
    assert all(0 < len(entry.encode()) < 64 and entry == entry.strip() for entry in entries)
    assert len(set(entries)) > 0.9 * len(entries)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_made_name_is_longer_than_the_language_of_rules_promises(language: str):
    lists = Lists(languages=(language,))
    longest = {kind: max(map(len, lists.of(kind))) for kind in ("first", "last", "street", "city")}
    around = max(
        sum(map(len, parts)) for parts in zip(*(lists.of(k) for k in ("before", "between", "after")), strict=True)
    )
    assert longest["first"] + 1 + longest["last"] <= LONGEST_MADE
    assert around + 2 * longest["last"] <= LONGEST_MADE
    assert max(longest["street"], longest["city"]) <= LONGEST_MADE


def test_a_language_without_lists_is_refused():
    with pytest.raises(ValueError, match="no lists for pt"):
        Lists(languages=("pt",))
    with pytest.raises(ValueError, match="no lists for no language"):
        Lists(languages=())


def test_filler_is_ascii_in_blocks_that_start_a_sentence():
    text_ = filler()
    assert len(text_) == 2 * FILLER_PERIOD
    assert text_.isascii()
    assert "\\" not in text_
    assert all(text_[place].isupper() for place in range(0, len(text_), FILLER_BLOCK))


def test_the_list_of_sparse_zip_codes_holds_the_17_of_the_guidance():
    numbers = (36, 59, 63, 102, 203, 556, 692, 790, 821, 823, 830, 831, 878, 879, 884, 890, 893)
    guidance = {f"{number:03}" for number in numbers}
    assert len(guidance) == 17
    assert guidance <= SMALL_ZIP3
    assert all(len(prefix) == 3 and prefix.isdigit() for prefix in SMALL_ZIP3)


def test_the_list_of_sparse_zip_codes_holds_what_the_census_of_2010_found_and_where_nobody_lives():
    assert {"202", "204", "205", "369", "753", "772"} <= SMALL_ZIP3
    assert {"055", "340", "733", "962"} <= SMALL_ZIP3, "an organisation's or a soldier's: nobody is counted there"
    assert not {"021", "606", "750", "900"} & SMALL_ZIP3, "where millions live, three digits may stay"


def test_identifiers_and_literals_are_quoted():
    assert quoted('a"b') == '"a""b"'
    assert literal("it's") == "'it''s'"
    assert literal("a\\b") == "E'a\\\\b'"
    assert relation("other.t") == '"other"."t"'
    assert relation("t") == 'public."t"'


def test_a_stored_copy_of_a_text_has_no_digest_of_its_own_where_both_are_equal():
    table = Table(name="t", columns=(text("email"), text("email_normalized")))
    plan = compile_table(table, run({"t.email": "email", "t.email_normalized": "email"}, table))
    same = '(t."email_normalized")::text COLLATE "C"=(t."email")::text COLLATE "C"'
    assert f"CASE WHEN {same} THEN NULL ELSE sha256(" in plan.select()


def test_columns_with_two_rules_are_not_taken_for_copies():
    table = Table(name="t", columns=(text("email"), text("email_normalized")))
    plan = compile_table(table, run({"t.email": "login", "t.email_normalized": "email"}, table))
    assert "THEN NULL ELSE sha256(" not in plan.select()
