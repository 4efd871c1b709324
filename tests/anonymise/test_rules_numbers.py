"""What each rule of telephone, account, tax and document numbers promises, shown by PostgreSQL itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.anonymise.masking import Source, catalogue, source
from tests.anonymise.support import Server


@pytest.fixture(scope="module")
def base(server: Server) -> Iterator[Source]:
    with source(server, "rules-numbers") as made:
        yield made


@pytest.mark.parametrize(
    ("number", "range_"),
    [
        ("+1 212 736 5000", r"\+1 \d{3} 555 01\d\d"),
        ("+33 6 12 34 56 78", r"\+33 (1 99 00|3 53 01|5 36 49) \d\d \d\d"),
        ("+44 7911 123456", r"\+44 ((20 7946|121 496|113 496|131 496|161 496|29 2018) 0|7700 900)\d{3}"),
        ("0049 30 901820", r"\+49 (30 23125|69 90009|40 66969|221 4710|89 99998) \d{3}"),
        ("+31 20 794 0800", r"\+31 [1-7]0 0\d{3} \d{3}"),
        ("+34 91 123 45 67", r"\+34 50[0-3] \d{3} \d{3}"),
        ("+81 3 1234 5678", r"\+1 \d{3} 555 01\d\d"),
    ],
)
def test_a_number_is_in_a_range_that_nobody_has(base: Source, number: str, range_: str):
    (spaced,), (compact,) = base.one("phone", number), base.one("phone", number.replace(" ", ""))
    assert re.fullmatch(range_, spaced)
    assert compact == spaced.replace(" ", ""), "a sanitised copy agrees with the formatted number"


def test_a_national_number_and_its_international_form_agree(base: Source):
    assert base.one("phone", "06 12 34 56 78", country="FR") == base.one("phone", "+33 6 12 34 56 78", country="FR")


def iban_remainder(iban: str) -> int:
    compact = iban.replace(" ", "")
    return int("".join(str(int(sign, 36)) for sign in compact[4:] + compact[:4])) % 97


@pytest.mark.parametrize(
    "iban",
    [
        *("DE89 3704 0044 0532 0130 00", "FR1420041010050500013M02606", "ES9121000418450200051332"),
        *("NL91ABNA0417164300", "GB29NWBK60161331926819", "IT60X0542811101000000123456", "BE68539007547034"),
    ],
)
def test_an_iban_has_valid_check_digits_the_same_form_and_no_banks_code(base: Source, iban: str):
    masked, sanitised = base.one("iban", iban, iban.replace(" ", ""))
    assert iban_remainder(iban) == iban_remainder(masked) == 1
    assert (len(masked), masked[:2], masked.count(" ")) == (len(iban), iban[:2], iban.count(" "))
    assert masked.replace(" ", "") == sanitised
    assert sanitised[4:].startswith(("0000", "XXXX", "X0000"))


def test_other_account_numbers_keep_their_form(base: Source):
    masked, sanitised = base.one("account-number", "12-3456 AB/9", "123456AB/9")
    assert re.fullmatch(r"\d\d-\d{4} [A-Z]{2}/\d", masked)
    assert masked.replace("-", "").replace(" ", "") == sanitised


def luhn(number: str) -> bool:
    digits = [int(sign) for sign in reversed(number)]
    return sum(digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits)) % 10 == 0


def german(number: str) -> bool:
    product = 10
    for sign in number[:8]:
        product = ((int(sign) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(number[8])


VAT = {
    "FR40303265045": lambda v: luhn(v[4:]) and int(v[2:4]) == (12 + 3 * (int(v[4:]) % 97)) % 97,
    "DE136695976": lambda v: german(v[2:]),
    "BE0428759497": lambda v: 97 - int(v[2:10]) % 97 == int(v[10:]),
    "NL000099998B57": lambda v: int("".join(str(int(sign, 36)) for sign in v)) % 97 == 1,
    "ES54362315K": lambda v: "TRWAGMYFPDXBNJZSQVHLCKE"[int(v[2:10]) % 23] == v[10],
    "GB980780684": lambda v: (
        (sum(w * int(d) for w, d in zip(range(8, 1, -1), v[2:9], strict=True)) + int(v[9:])) % 97 == 0
    ),
    "IT00743110157": lambda v: luhn(v[2:]),
}


@pytest.mark.parametrize("number", VAT)
def test_a_tax_number_has_the_check_digits_of_its_country(base: Source, number: str):
    assert VAT[number](number), "the check itself accepts a real number"
    (masked,) = base.one("vat", number)
    assert masked[:2] == number[:2]
    assert masked != number
    assert VAT[number](masked)


def test_social_security_numbers_cannot_be_given_to_anybody(base: Source):
    us, plain, nir = base.one("ssn", "078-05-1120", "078051120", "2 55 08 14 168 025 38")
    assert re.fullmatch(r"000-\d\d-\d{4}", us)
    assert us.replace("-", "") == plain
    compact = nir.replace(" ", "")
    assert compact[5:7] == "00", "no department has this number"
    assert 97 - int(compact[:13]) % 97 == int(compact[13:])


def test_document_numbers_are_exchanged_one_to_one(base: Source):
    numbers = [f"{number:03}" for number in range(1000)]
    masked = base.one("document-number", *numbers)
    assert sorted(masked) == numbers
    assert sum(old != new for old, new in zip(numbers, masked, strict=True)) > 980
    assert base.one("document-number", "/", "007, 008") == ["/", f"{masked[7]}, {masked[8]}"]


@pytest.mark.parametrize("digits", [1, 2, 5, 17, 40])
def test_a_document_number_keeps_its_length(base: Source, digits: int):
    masked = base.one("document-number", *{("9" * digits), ("0" * digits), ("1" * digits)})
    assert all(re.fullmatch(rf"\d{{{digits}}}", number) for number in masked)
    assert len(set(masked)) == 3


def test_a_counter_is_the_masked_documents_own(base: Source):
    base.execute(
        "DROP TABLE IF EXISTS a, b", "CREATE TABLE a (name text, n int)", "INSERT INTO a VALUES ('X/0042', 42)"
    )
    lines = {"a.name": "document-number", "a.n": "counter-of(name)", "lone.v": "keep"}
    ((name, counter),) = base.read(catalogue(lines))["a"]
    assert int(name[2:]) == counter
