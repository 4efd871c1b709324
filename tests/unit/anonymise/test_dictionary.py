"""What of a value is looked for, and how text is read: the pure parts of the dictionary search."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.anonymise.verify import collect
from operations.anonymise.verify.chance import most_by_chance
from operations.anonymise.verify.collect import Dictionary
from operations.anonymise.verify.keys import Keys
from operations.anonymise.verify.keyshapes import random_text
from operations.anonymise.verify.report import Finding, Looked, Status, Verification, run
from operations.anonymise.verify.text import PREFIX, key, plain, see
from operations.anonymise.verify.values import What, entries, leaves, rare_words

WORDS = st.text(alphabet="abcdefgéñ", min_size=3, max_size=8)


def _dictionary(*values: tuple[What, str]) -> Dictionary:
    prefixes, whole, strong, weak = Keys(), Keys(), {}, {}
    for what, value in values:
        for entry in entries(what, value):
            prefixes.add(key(entry.sequence[:PREFIX]))
            whole.add(key(entry.sequence))
            (weak if entry.weak else strong).setdefault(what, Keys()).add(key(entry.sequence))
    for keys in (prefixes, whole, *strong.values(), *weak.values()):
        keys.seal()
    return Dictionary(prefixes=prefixes, whole=whole, strong=strong, weak=weak)


def _strong(dictionary: Dictionary, text: str) -> set[What]:
    return set(dictionary.of(dictionary.inside(text), weak=False))


@given(values=st.sets(st.integers(-(2**63), 2**63 - 1), max_size=300), others=st.sets(st.integers(-(2**63), 2**63 - 1)))
def test_a_sealed_set_answers_like_a_set(values: set[int], others: set[int]):
    keys = Keys()
    for value in [*values, *values]:
        keys.add(value)
    keys.seal()
    assert len(keys) == len(values)
    assert keys.among(values | others) == values


@given(once=st.sets(st.integers(0, 99)), twice=st.sets(st.integers(100, 199)))
def test_only_what_was_added_once_is_kept_when_asked(once: set[int], twice: set[int]):
    keys = Keys()
    for value in [*once, *twice, *twice]:
        keys.add(value)
    keys.seal(once=True)
    assert set(keys) == once


@pytest.mark.parametrize(
    "text",
    [
        "Oriol Zwartkruis",
        "seen ZWARTKRUIS, Oriol today",
        "<p>Oriol&nbsp;<b>Zwartkruis</b></p>",
        "Oriol <i class='x'>Zwart</i>kruis",
        r"line\nOriol\tZwartkruis\n",
        "oriol_zwartkruis_scan.pdf",
        '<a title="Oriol Zwartkruis">here</a>',
        "https://x.example/?q=Oriol%20Zwartkruis",
        '{"en_US": "Oriol Zwartkruis"}',
    ],
)
def test_a_name_is_found_however_it_stands_in_the_text(text: str):
    assert _strong(_dictionary((What.NAME, "Oriol Zwartkruis")), text) == {What.NAME}


def test_a_name_with_accents_is_found_without_them_too():
    assert _strong(_dictionary((What.NAME, "Éloïse Brûlefer")), "eloise brulefer") == {What.NAME}


@pytest.mark.parametrize(
    ("what", "value", "text"),
    [
        (What.EMAIL, "Ada.King@Clinic.example", "write to <ADA.KING@clinic.example>."),
        (What.PHONE, "+33 6 39 98 12 34", "call 0639981234 now"),
        (What.PHONE, "+33 6 39 98 12 34", "tel:+33(0)... or +33-639.98.12.34"),
        (What.IDENTIFIER, "FR76 3000 6000 0112 3456 7890 189", "fr7630006000011234567890189"),
        (What.IDENTIFIER, "1 85 05 78 006 084 36", "ssn 185057800608436"),
        (What.IDENTIFIER, "MRN-004711-AX", "chart MRN 004711 AX"),
        (What.CREDENTIAL, "Ue9-secret_key.77", "key=Ue9-secret_key.77"),
        (What.STREET, "14 Quai Zorglub", "lives 14, quai Zorglub"),
        (What.URL, "https://www.zorglub-clinic.example/x", "see zorglub-clinic.example/x"),
        (What.IP, "185.12.9.77", "from 185.12.9.77:443"),
    ],
)
def test_a_value_is_found_in_another_spelling(what: What, value: str, text: str):
    assert _strong(_dictionary((what, value)), text) == {what}


@pytest.mark.parametrize(
    ("what", "value", "text"),
    [
        (What.NAME, "Oriol Zwartkruis", "Oriol and Zwartkruis"),
        (What.EMAIL, "a@clinic.example", "ba@clinic.example"),
        (What.PHONE, "+33639981234", "order 33639981234567"),
        (What.IDENTIFIER, "MRN-004711-AX", "MRN 004712 AX"),
    ],
)
def test_what_only_looks_alike_is_not_found(what: What, value: str, text: str):
    assert _strong(_dictionary((what, value)), text) == set()


@pytest.mark.parametrize(
    ("what", "value"), [(What.NAME, "Martin Adams"), (What.PHONE, "5550123"), (What.DOCUMENT, "INV/2026/00012")]
)
def test_what_others_have_too_is_weak(what: What, value: str):
    assert all(entry.weak for entry in entries(what, value))


@pytest.mark.parametrize("name", ["Wu Yi", "Le Vu", "王伟", "佐藤 健"])
def test_a_name_of_few_letters_is_looked_for_in_its_own_row(name: str):
    found = list(entries(What.NAME, name))
    assert found
    assert all(entry.weak for entry in found)


def test_short_or_empty_values_are_not_looked_for():
    for what in What:
        for value in ("", " ", "7", "ab", "\\", "<p></p>"):
            assert list(entries(what, value)) == []


@given(value=st.text(max_size=120), what=st.sampled_from(list(What)))
def test_any_value_gives_entries_or_none_but_never_an_error(value: str, what: What):
    for entry in entries(what, value):
        assert entry.sequence
        assert all(entry.sequence)


@given(words=st.lists(WORDS, min_size=6, max_size=30), before=st.lists(WORDS, max_size=5))
def test_a_passage_that_was_copied_whole_is_found(words: list[str], before: list[str]):
    text = " ".join(words)
    assert _strong(_dictionary((What.FREE_TEXT, text)), " ".join([*before, text])) == {What.FREE_TEXT}


def test_a_few_words_of_free_text_are_weak_and_markup_is_no_text():
    assert all(entry.weak for entry in entries(What.FREE_TEXT, "called about zwartkruis"))
    assert list(entries(What.FREE_TEXT, "<ul><li></li><li></li><li></li><li></li></ul>")) == []


def test_log_in_names_that_every_odoo_has_are_nobodys():
    assert list(entries(What.EMAIL, "portaltemplate")) == []


@given(text=st.text(max_size=300))
def test_any_text_can_be_read(text: str):
    see(plain(text))


def test_words_of_the_public_lists_are_not_rare():
    assert set(rare_words("Martin Zwartkruis")) == {"zwartkruis"}


def test_passages_that_are_too_many_to_be_kept_are_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(collect, "MOST_PASSAGES", 100)
    making, once = collect._Making(), collect._Once()
    for number in range(1000):
        once.add(("a", "passage", str(number)))
    once.pour(What.FREE_TEXT, making)
    making.strong[What.FREE_TEXT].seal()
    assert making.left_out > 0
    assert making.left_out + len(making.strong[What.FREE_TEXT]) == 1000


@pytest.mark.parametrize("word", ["q7Vx2LmP9sKd4RtYw8ZbN3cF", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEX4AMPLE2KEY"])
def test_a_word_in_no_order_looks_like_a_key(word: str):
    assert random_text(word)


@pytest.mark.parametrize(
    "word",
    ["account.account_payment_term_30days", "res.partner.bank.number.format", "2026-11-24T00:00:00.000000", "A" * 40],
)
def test_names_and_times_do_not_look_like_a_key(word: str):
    assert not random_text(word)


def test_texts_in_documents_are_taken_one_by_one():
    assert list(leaves('{"a": ["x", {"b": "y"}], "c": 3}')) == ["x", "y"]
    assert list(leaves("{not json")) == ["{not json"]


@pytest.mark.parametrize("mean", [0.01, 0.5, 3.0, 40.0, 99.0, 101.0, 5000.0])
def test_chance_explains_little_more_than_what_is_expected(mean: float):
    most = most_by_chance(mean)
    assert mean < most < mean + 6 * mean**0.5 + 8
    assert most_by_chance(0.0) == 0


def test_a_check_that_raises_or_sees_nothing_is_no_pass():
    def broken() -> Looked:
        raise RuntimeError("Ada Lovelace is in this text")

    failed = run("broken", broken)
    blind = run("blind", lambda: Looked(facts={"rows": 0}, required=("rows",)))
    assert (failed.status, blind.status) == (Status.COULD_NOT_RUN, Status.COULD_NOT_RUN)
    assert "Ada" not in str(failed.as_json())
    good = run("good", lambda: Looked(facts={"rows": 1}, required=("rows",)))
    found = run("found", lambda: Looked(findings=[Finding(table="t", column="c", what="x", count=1)]))
    assert Verification(checks=(good,)).passed
    for bad in (failed, blind, found):
        assert not Verification(checks=(good, bad)).passed
    assert not Verification(checks=()).passed
