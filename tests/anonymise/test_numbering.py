"""What anybody typed into a number, an order's reference or a program of an action does not reach training."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.anonymise.masking import Source, catalogue, source
from tests.anonymise.support import Server

INVOICES = """
    DROP TABLE IF EXISTS move, account_journal;
    CREATE TABLE account_journal (id int, code text);
    INSERT INTO account_journal VALUES (1, 'INV'), (2, 'BILL'), (3, 'BNK1');
    CREATE TABLE move (id int PRIMARY KEY, name text, date date, sequence_prefix text, sequence_number int);
    CREATE UNIQUE INDEX ON move (name);
    INSERT INTO move SELECT n, 'INV/2026/' || lpad(n::text, 5, '0'), '2026-01-03', 'INV/2026/', n
        FROM generate_series(1, 400) n;
    INSERT INTO move SELECT 400 + n, 'INV/2025/' || lpad(n::text, 5, '0'), '2025-12-30', 'INV/2025/', n
        FROM generate_series(1, 400) n;
    INSERT INTO move VALUES (900, 'BILL/2026/03/0042', '2026-03-02', 'BILL/2026/03/', 42), (901, '/', NULL, '', 0),
        (902, 'RINV/2026/00001', '2026-02-01', 'RINV/2026/', 1), (903, NULL, '2026-02-01', NULL, NULL),
        (904, 'PBNK1/2026/00007', '2026-02-01', 'PBNK1/2026/', 7)
"""
LINES = {
    "move.name": "document-number(date)",
    "move.date": "shift-date",
    "move.sequence_prefix": "prefix-of(name)",
    "move.sequence_number": "counter-of(name)",
    "move.id": "keep",
    "account_journal.id": "keep",
    "account_journal.code": "keep",
    "lone.v": "keep",
}


@pytest.fixture(scope="module")
def base(server: Server) -> Iterator[Source]:
    with source(server, "rules-numbering") as made:
        made.execute("CREATE TABLE lone (v text)")
        yield made


@pytest.mark.parametrize(
    ("typed", "gone"),
    [
        ("Product Quantity Updated (Elisa Klemt)", "Elisa Klemt"),
        ("Implants David Perez, ward four", "David Perez ward four"),
        ("refund for Bilal Torre", "refund Bilal Torre"),
        ("James Andre/001", "James Andre"),
        ("JAMES/001", "JAMES"),
        ("MRN 0048213/7", "0048213"),
        ("1961-10-04/7", "1961 10 04"),
        ("Ødegård 王伟 12", "degå 王伟 Ødegård"),
    ],
)
def test_what_was_typed_does_not_stay(base: Source, typed: str, gone: str):
    masked, again = base.one("document-number", typed, typed)
    assert masked == again
    assert not [word for word in gone.split() if word in masked]


def test_words_that_odoo_writes_and_texts_without_a_number_stay(base: Source):
    assert base.one("document-number", "/", "New", "Draft", "") == ["/", "New", "Draft", ""]
    (masked,) = base.one("document-number", "Product Quantity Updated (Elisa Klemt)")
    assert re.fullmatch(r"Product Quantity Updated \([A-Z][a-z]{4} [A-Z][a-z]{4}\)", masked)


def test_different_words_stay_different_and_one_beginning_stays_one(base: Source):
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrst"]
    assert len(set(base.one("document-number", *words))) == len(words)
    first, second = base.one("document-number", "WARD/001", "WARD/002")
    assert first[:-3] == second[:-3]


def test_a_number_has_the_year_and_month_of_the_made_date_and_odoo_goes_on_counting(base: Source):
    base.execute(*INVOICES.split(";\n"))
    rows = {row[0]: row for row in base.read(catalogue(LINES))["move"]}
    for number, name, date, prefix, counter in rows.values():
        if number in {901, 903}:
            continue
        assert f"/{date:%Y}/" in name, "or it would tell how far the date moved"
        assert name.startswith(prefix)
        assert int(name.removeprefix(prefix)) == counter
        assert prefix.startswith(("INV/", "BILL/", "RINV/", "PBNK1/")), "what is set up as a beginning stays"
    assert re.fullmatch(rf"BILL/{rows[900][2]:%Y/%m}/\d{{8}}", rows[900][1])
    assert rows[901][1:] == ("/", None, "", 0)
    assert rows[903][1] is None
    names = [row[1] for row in rows.values() if row[1]]
    assert len(set(names)) == len(names), "documents of two years that meet in one stay different"


def test_a_beginning_that_nobody_set_up_does_not_stay_in_the_prefix_either(base: Source):
    base.execute(
        *INVOICES.split(";\n"), "INSERT INTO move VALUES (999, 'James Andre/7', '2026-01-01', 'James Andre/', 7)"
    )
    row = next(row for row in base.read(catalogue(LINES))["move"] if row[0] == 999)
    assert "James" not in row[1] + row[3]
    assert "Andre" not in row[1] + row[3]
    assert row[1] == f"{row[3]}{row[4]}"


@pytest.mark.parametrize("rule", ["filler", "filler-html", "filler-xml"])
def test_the_exact_size_of_a_text_does_not_tell_which_one_it_is(base: Source, rule: str):
    texts = [f"<p>{'x' * size}</p>" if rule != "filler" else "x" * size for size in range(33, 49)]
    assert len({len(masked) for masked in base.one(rule, *texts)}) == 1
