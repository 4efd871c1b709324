"""The catalogue's files: read whole, every mistake told at once with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from operations.anonymise.catalogue.loader import DATA, CatalogueError, column_line, load, read
from operations.anonymise.model import PERSONAL, Classification, Gdpr, SafeHarbor
from operations.anonymise.rules.grammar import Effect, parse
from tests.unit.anonymise.support import HEADER, TABLES, line, write

NAME = "direct-identifier\tA\tpersonal"


def mistakes(*files: Path) -> tuple[str, ...]:
    with pytest.raises(CatalogueError) as problem:
        read(files)
    return problem.value.mistakes


def test_a_line_becomes_a_rule(tmp_path: Path):
    found = read([write(tmp_path / "a.tsv", "# why", HEADER, line("t.name", "name(person)", NAME, "a note"))])
    rule = found.column("t", "name")
    assert rule
    assert (rule.classification, rule.safe_harbor, rule.gdpr) == (
        Classification.DIRECT,
        SafeHarbor.NAMES,
        Gdpr.PERSONAL,
    )
    assert (rule.rule, rule.note, rule.origin) == ("name(person)", "a note", "a.tsv:3")
    assert column_line(rule) == line("t.name", "name(person)", NAME, "a note")


def test_all_mistakes_of_all_files_are_told_with_file_and_line(tmp_path: Path):
    first = write(
        tmp_path / "a.tsv",
        HEADER,
        line("t.a", "keeep"),
        line("t.b", "keep", "odd\t-\tnone"),
        line("t.c", "keep", "technical\tZ\tsome"),
    )
    second = write(tmp_path / "b.tsv", TABLES, "t\tdrop\t\twhy", "u\twhere\t\twhy", "v\tcopy\tid > 1\twhy", "w\tempty")
    third = write(tmp_path / "c.tsv", "column\ttable")
    told = mistakes(first, second, third, tmp_path / "gone.tsv")
    places = [text.split(": ")[0] for text in told]
    assert places == [
        "a.tsv:2",
        "a.tsv:3",
        "a.tsv:4",
        "a.tsv:4",
        "b.tsv:2",
        "b.tsv:3",
        "b.tsv:4",
        "b.tsv:5",
        "c.tsv",
        "gone.tsv",
    ]
    assert "no word 'keeep'" in told[0]
    assert "'odd' is no classification" in told[1]


@pytest.mark.parametrize("rule", ["keep", "shipped(name(person))", "json-keep(a)"])
def test_a_direct_identifier_that_stays_is_refused(tmp_path: Path, rule: str):
    assert "lets values stay" in mistakes(write(tmp_path / "a.tsv", HEADER, line("t.a", rule, NAME)))[0]


def test_a_credential_that_stays_is_refused(tmp_path: Path):
    told = mistakes(write(tmp_path / "a.tsv", HEADER, line("t.a", "keep", "credential\t-\tnone")))
    assert "lets values stay" in told[0]


def test_free_text_may_stay_only_where_the_product_ships_it(tmp_path: Path):
    text = "free-text\tR\tpersonal"
    assert read([write(tmp_path / "a.tsv", HEADER, line("t.a", "shipped(filler)", text))]).column("t", "a")
    assert "only what is shipped may" in mistakes(write(tmp_path / "b.tsv", HEADER, line("t.a", "keep", text)))[0]


@pytest.mark.parametrize("what", [f"{each}\t-\tpersonal" for each in sorted(PERSONAL)] + ["direct-identifier\tA\tnone"])
def test_a_personal_class_without_its_letter_or_gdpr_class_is_refused(tmp_path: Path, what: str):
    assert "names a Safe Harbor letter" in mistakes(write(tmp_path / "a.tsv", HEADER, line("t.a", "null", what)))[0]


def test_a_quasi_identifier_stays_only_with_a_reason(tmp_path: Path):
    sex = "quasi-identifier\tR\tpersonal"
    assert "a note says why" in mistakes(write(tmp_path / "a.tsv", HEADER, line("t.sex", "keep", sex)))[0]
    assert read([write(tmp_path / "b.tsv", HEADER, line("t.sex", "keep", sex, "few values"))]).column("t", "sex")


def test_a_site_overrides_nothing_without_saying_why(tmp_path: Path):
    shipped = write(tmp_path / "shipped.tsv", HEADER, line("t.a", "keep"))
    silent = write(tmp_path / "silent.tsv", HEADER, line("t.a", "null"))
    said = write(tmp_path / "said.tsv", f"{HEADER}\toverride", f"{line('t.a', 'null')}\tholds wages here")
    told = mistakes(shipped, silent)
    assert told[0].startswith("silent.tsv:2: t.a is classified in shipped.tsv:2 already")
    rule = read([shipped, said]).column("t", "a")
    assert rule
    assert (rule.rule, rule.override) == ("null", "holds wages here")


def test_an_override_of_nothing_is_refused(tmp_path: Path):
    alone = write(tmp_path / "alone.tsv", f"{HEADER}\toverride", f"{line('t.a', 'null')}\tbecause")
    assert "nothing that override could be about" in mistakes(alone)[0]


def test_a_table_is_listed_once(tmp_path: Path):
    twice = write(tmp_path / "t.tsv", TABLES, "t\tcopy\t\twhy", "t\tempty\t\twhy")
    assert "classified in t.tsv:2 already" in mistakes(twice)[0]


def test_the_version_changes_with_any_rule_and_not_with_the_order_or_comments(tmp_path: Path):
    one = read([write(tmp_path / "a.tsv", HEADER, line("t.a", "keep"), line("t.b", "keep"))])
    same = read([write(tmp_path / "b.tsv", "# said", HEADER, line("t.b", "keep"), line("t.a", "keep"))])
    other = read([write(tmp_path / "c.tsv", HEADER, line("t.a", "keep"), line("t.b", "null"))])
    assert one.version == same.version
    assert one.version != other.version


def test_a_line_with_a_place_for_a_number_is_about_every_number(tmp_path: Path):
    found = read([write(tmp_path / "a.tsv", HEADER, line("t.x_plan#_id", "keep"))])
    assert found.column("t", "x_plan12_id")
    assert found.column("t", "x_plan_id") is None


def test_the_shipped_files_are_sorted_and_each_table_is_in_one_of_them():
    places: dict[str, set[str]] = {}
    for file in sorted(DATA.glob("*.tsv")):
        lines = [text for text in file.read_text(encoding="utf-8").splitlines() if not text.startswith("#")][1:]
        keys = [tuple(text.split("\t")[: 1 if file.name == "tables.tsv" else 2]) for text in lines]
        assert keys == sorted(keys), file.name
        if file.name != "tables.tsv":
            for key in keys:
                places.setdefault(key[0], set()).add(file.name)
    assert {table: files for table, files in places.items() if len(files) > 1} == {}


def test_no_direct_identifier_or_credential_of_the_shipped_catalogue_stays():
    lines = [rule for rules in load().columns.values() for rule in rules.values()]
    watched = [rule for rule in lines if rule.classification in {Classification.DIRECT, Classification.CREDENTIAL}]
    assert len(watched) > 200
    assert [rule.name for rule in watched if parse(rule.rule).effect is Effect.KEEPS] == []


def test_every_identifier_class_that_odoo_holds_is_in_the_shipped_catalogue():
    lines = [rule for rules in load().columns.values() for rule in rules.values()]
    letters = {rule.safe_harbor for rule in lines if rule.safe_harbor}
    # Odoo has no column for fax numbers, health plan numbers or biometric data.
    assert set(SafeHarbor) - letters == {SafeHarbor.FAXES, SafeHarbor.HEALTH_PLANS, SafeHarbor.BIOMETRICS}
