"""The language of masking rules: what it reads, and how it tells what is wrong."""

from __future__ import annotations

import pytest

from operations.anonymise.rules.grammar import Effect, Name, Quoted, Reference, RuleError, parse
from operations.anonymise.rules.words import WORDS, Kind, ParameterKind


@pytest.mark.parametrize(
    "text",
    [
        "keep",
        "name(person)",
        "name(is_company)",
        "shift-date",
        "shift-date(id)",
        "shift-date(move_id.partner_id)",
        "shift-date(holiday_id.employee_id,stay)",
        "same-as(res_partner.email via partner_id)",
        "json-text(filler-html)",
        "shipped(json-text(filler))",
        "json-keep(name,type,'a key')",
        "constant('it''s (not) a, comma')",
        "constant('')",
        "jitter(2.5)",
        "identifier",
        "identifier('Company')",
    ],
)
def test_a_rule_is_written_again_as_it_was_read(text: str):
    assert str(parse(text)) == text


def test_arguments_say_what_they_are():
    assert parse("name(is_company)").arguments == (Name(text="is_company"),)
    assert parse("constant('a''b')").arguments == (Quoted(text="a'b"),)
    assert parse("same-as(a.b via c)").reference == Reference(table="a", column="b", via="c")
    inner = parse("shipped(json-text(filler))").inner
    assert inner
    assert inner.word == "json-text"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected a word"),
        ("hide", "no word 'hide'"),
        ("keep()", "takes no argument"),
        ("keep(", "takes no argument"),
        ("keep keep", "unexpected 'keep'"),
        ("name", "takes at least 1"),
        ("name()", "is not person, company"),
        ("name(person", "expected ',' or ')'"),
        ("name(person,company)", "name takes"),
        ("choice(a)", "at least 2"),
        ("same-as(a.b)", "via"),
        ("constant(5)", "is not a quoted text"),
        ("shift-date(a.b.c.d)", "foreign_key"),
        ("shift-date(a,'go')", "the word stay or hours"),
        ("shift-with", "shift-with takes"),
        ("json-text('filler')", "no word"),
        ("keep ; DROP TABLE res_partner", "cannot read"),
        ("name(Person)", "is not person"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_is_expected(text: str, why: str):
    with pytest.raises(RuleError) as problem:
        parse(text)
    assert why in str(problem.value)


def test_a_rule_tells_which_columns_of_its_row_it_reads():
    assert parse("name(is_company)").row_columns == ("is_company",)
    assert parse("name(person)").row_columns == ()
    assert parse("shift-date(move_id.partner_id)").row_columns == ("move_id",)
    assert parse("shift-date(holiday_id.employee_id,stay)").row_columns == ("holiday_id",)
    assert parse("same-as(a.b via c)").row_columns == ("c",)
    assert parse("shipped(name(is_company))").row_columns == ("is_company",)


def test_a_rule_that_masks_only_what_is_not_shipped_counts_as_keeping():
    assert parse("shipped(filler)").effect is Effect.KEEPS
    assert parse("json-text(filler)").effect is Effect.REPLACES
    assert parse("json-text(keep)").effect is Effect.KEEPS


def test_every_word_says_what_it_fits_and_means():
    for spec in WORDS.values():
        assert spec.fits, spec.word
        assert spec.meaning.endswith("."), spec.word
        assert spec.required <= len(spec.parameters) or spec.repeats, spec.word
        assert not (spec.may_empty and spec.unique), f"{spec.word}: NULL for two values is no promise of uniqueness"


def test_only_words_without_secrets_of_their_own_fit_numbers():
    fits = {word for word, spec in WORDS.items() if Kind.NUMBER in spec.fits and spec.effect is Effect.REPLACES}
    assert fits == {"same-as"}


def test_usage_names_every_parameter():
    assert ParameterKind.PERSON.value in WORDS["shift-date"].usage()
    assert WORDS["keep"].usage() == "keep takes no argument"
