"""What of a real value is looked for: pure rules from a value to the sequences of tokens that would give it away."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from operations.anonymise.model import Classification, SafeHarbor
from operations.anonymise.rules.grammar import RuleError, parse
from operations.anonymise.rules.lists import LANGUAGES, Lists, filler
from operations.anonymise.rules.people import KEPT_LOGINS
from operations.anonymise.verify.text import (
    ATTRIBUTES,
    LONGEST_NUMBER,
    SEQUENCE,
    SHORTEST_NUMBER,
    bare,
    emails,
    plain,
    tokens,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from operations.anonymise.model import ColumnRule


class What(StrEnum):
    """Kinds of real values, in words that stand in a finding."""

    NAME = "name"
    WORD = "rare name"
    EMAIL = "e-mail address"
    PHONE = "phone number"
    STREET = "street"
    IDENTIFIER = "identifier"
    DOCUMENT = "document number"
    CREDENTIAL = "credential"
    URL = "web address"
    IP = "IP address"
    QUASI = "unique quasi-identifier"
    FREE_TEXT = "passage of free text"


_BY_WORD = {
    "name": What.NAME,
    "email": What.EMAIL,
    "login": What.EMAIL,
    "phone": What.PHONE,
    "street": What.STREET,
    **dict.fromkeys(("iban", "account-number", "vat", "ssn", "identifier", "uuid", "hash"), What.IDENTIFIER),
    "token": What.CREDENTIAL,
    "document-number": What.DOCUMENT,
    "url": What.URL,
    "ip": What.IP,
    **dict.fromkeys(("filename", "filler", "filler-html", "filler-xml", "json-fill", "properties"), What.FREE_TEXT),
}
_BY_LETTER = {
    SafeHarbor.NAMES: What.NAME,
    SafeHarbor.PLACES: What.STREET,
    SafeHarbor.PHONES: What.PHONE,
    SafeHarbor.FAXES: What.PHONE,
    SafeHarbor.EMAILS: What.EMAIL,
    SafeHarbor.URLS: What.URL,
    SafeHarbor.IP_ADDRESSES: What.IP,
    **dict.fromkeys("GHIJKLMR", What.IDENTIFIER),
}

STRONG_CHARACTERS = 8
"""Letters and digits from which on an identifier is nobody else's; shorter ones need a link."""
STRONG_DIGITS = 10
"""Digits from which on a bare number is: there are too few shorter ones for millions of people."""
SHORTEST = 5
"""Shorter identifiers and words stand in any text, so finding one says nothing."""
WINDOW_LEAST = 6
"""Words from which on a passage of free text is looked for everywhere."""
_RESERVED = {("example", name) for name in ("com", "org", "net", "invalid")}
_SCHEMES = frozenset({"http", "https", "www", "mailto"})
_NOT_ALNUM = re.compile(r"[\W_]+")
_COUNTRY_CODES = (1, 2, 3)
"""How many digits a country code may have (ITU-T E.164)."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A sequence that gives a value away.

    Attributes:
        weak: Others may have the same by chance or by the masking itself, so only the same row is a finding.
        once: Counts only when one row of the column holds it.
    """

    what: What
    sequence: tuple[str, ...]
    weak: bool = False
    once: bool = False


def what_of(line: ColumnRule) -> What | None:
    """Return what a column's values are looked for as, or None when they identify nobody on their own."""
    if line.classification is Classification.CREDENTIAL:
        return What.CREDENTIAL
    if line.classification is Classification.FREE_TEXT:
        return What.FREE_TEXT
    personal = {Classification.DIRECT, Classification.DERIVED, Classification.QUASI}
    if line.classification not in personal or line.safe_harbor is None:
        return None
    try:
        rule = parse(line.rule)
    except RuleError:
        return _BY_LETTER.get(line.safe_harbor)
    word = rule.inner.word if rule.inner else rule.word
    found = _BY_WORD.get(word) or _BY_LETTER.get(line.safe_harbor)
    if word == "recompute":
        # Odoo makes it of columns that are looked for themselves; what it makes of kept ones is nobody's.
        found = None
    return What.QUASI if found and line.classification is Classification.QUASI else found


@cache
def public_words() -> frozenset[str]:
    """Return every word that fakes are made of, with and without accents."""
    lists = Lists(languages=LANGUAGES)
    kinds = ("first", "last", "street", "city", "before", "between", "after")
    text = " ".join(entry for kind in kinds for entry in lists.of(kind)) + " " + filler()
    return frozenset((*tokens(text), *tokens(bare(text))))


def leaves(value: str) -> Iterator[str]:
    """Yield the texts of a JSON document; the value itself when it is none."""
    try:
        yield from _leaves(json.loads(value))
    except (ValueError, RecursionError):
        yield value


def _leaves(document: Any) -> Iterator[str]:  # noqa: ANN401 - JSON is of any shape
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for each in document.values():
            yield from _leaves(each)
    elif isinstance(document, list):
        for each in document:
            yield from _leaves(each)


def entries(what: What, value: str) -> Iterator[Entry]:
    """Yield what is looked for of a value."""
    if value in KEPT_LOGINS:  # every Odoo has them
        return
    text = plain(value)
    made = _MAKERS.get(what)
    yield from made(text) if made else _identifier(what, text)


def _email(text: str) -> Iterator[Entry]:
    found = emails(text.lower())
    for each in found:
        yield Entry(what=What.EMAIL, sequence=("@", each))
    if not found:
        yield from _identifier(What.EMAIL, text)


def _quasi(text: str) -> Iterator[Entry]:
    words = tuple(tokens(text))[:SEQUENCE]
    if len(words) > 1 and len("".join(words)) >= SHORTEST and not set(words) <= public_words():
        yield Entry(what=What.QUASI, sequence=words, once=True)


def _document(text: str) -> Iterator[Entry]:
    words = tuple(tokens(text))[:SEQUENCE]
    if len("".join(words)) >= SHORTEST and any(map(str.isdigit, "".join(words))):
        yield Entry(what=What.DOCUMENT, sequence=words, weak=True)


def _name(text: str) -> Iterator[Entry]:
    text = text.partition(ATTRIBUTES)[0]
    for form in dict.fromkeys((text, bare(text))):
        words = tuple(tokens(form))
        letters = "".join(words)
        short = len(letters) < SHORTEST
        told = len(words) > 1 or not letters.isascii()
        if short and not (told and letters.isalpha() and len(letters) >= SHORTEST_NAME):
            continue
        # Two short words in a row stand in other texts too, so only the same row tells: "Wu Yi", "Le Vu".
        weak = short or set(words) <= public_words()
        orders = {words, (words[-1], *words[:-1])} if 1 < len(words) < SEQUENCE else {words}
        for order in orders:
            yield Entry(what=What.NAME, sequence=order[:SEQUENCE], weak=weak)


SHORTEST_NAME = 2
"""Letters of a name of one word in a script whose names are that short, or of a name of two words."""


def rare_words(name: str) -> Iterator[str]:
    """Yield the words of a person's name that no list has: candidates for being nobody else's."""
    for word in {*tokens(name), *tokens(bare(name))}:
        if len(word) >= SHORTEST and word.isalpha() and word not in public_words():
            yield word


def _phone(text: str) -> Iterator[Entry]:
    digits = "".join(re.findall(r"\d", text))[:LONGEST_NUMBER]
    forms = {digits}
    if text.strip().startswith(("+", "00")):
        international = digits.removeprefix("00")
        forms |= {international, *("0" + international[cut:] for cut in _COUNTRY_CODES)}
    for form in forms:
        if len(form) >= SHORTEST_NUMBER:
            yield Entry(what=What.PHONE, sequence=("#", form), weak=len(form) < STRONG_DIGITS)


def _street(text: str) -> Iterator[Entry]:
    words = tuple(tokens(text))
    numbered = any(word[0].isdigit() for word in words)
    named = any(len(word) > PREPOSITION and word.isalpha() for word in words)
    if len(words) > 1 and named:
        weak = not numbered or len(words) < PREPOSITION or set(words) <= public_words()
        yield Entry(what=What.STREET, sequence=words[:SEQUENCE], weak=weak)


PREPOSITION = 3
"""Letters of the longest word that names no street ("rue", "via")."""


def _url(text: str) -> Iterator[Entry]:
    words = tuple(word for word in tokens(text) if word not in _SCHEMES)[:SEQUENCE]
    if len(words) > 1 and len("".join(words)) >= STRONG_CHARACTERS and words[:2] not in _RESERVED:
        yield Entry(what=What.URL, sequence=words)


def _ip(text: str) -> Iterator[Entry]:
    for part in text.replace(",", " ").split():
        try:
            address = ipaddress.ip_address(part)
        except ValueError:
            yield from _identifier(What.IP, part)
            continue
        if not address.is_loopback and not address.is_unspecified:
            yield Entry(what=What.IP, sequence=tuple(tokens(part)), weak=not address.is_global)


def _passages(text: str) -> Iterator[Entry]:
    """Yield the beginning, the middle and the end of a text: what is copied in part still has one of them."""
    words = tokens(text.partition(ATTRIBUTES)[0])  # the order of tags is nobody's
    if len(words) < WINDOW_LEAST:  # anybody may write two words, so only the same row tells
        if len("".join(words)) >= STRONG_CHARACTERS and not set(words) <= public_words():
            yield Entry(what=What.FREE_TEXT, sequence=tuple(words), weak=True)
        return
    starts = {0, max(0, (len(words) - SEQUENCE) // 2), max(0, len(words) - SEQUENCE)}
    for start in starts:
        window = tuple(words[start : start + SEQUENCE])
        if len(window) >= WINDOW_LEAST and not set(window) <= public_words():
            yield Entry(what=What.FREE_TEXT, sequence=window, once=True)


def _identifier(what: What, text: str) -> Iterator[Entry]:
    compact = _NOT_ALNUM.sub("", text.lower())
    if len(compact) < SHORTEST:
        return
    words = tuple(tokens(text))[:SEQUENCE]
    digits = sum(character.isdigit() for character in compact)
    if compact.isdigit():
        if SHORTEST_NUMBER <= len(compact) <= LONGEST_NUMBER:
            yield Entry(what=what, sequence=("#", compact), weak=len(compact) < STRONG_DIGITS)
        weak = len(compact) < STRONG_DIGITS
    else:
        weak = len(compact) < STRONG_CHARACTERS or (digits == 0 and what is not What.CREDENTIAL)
    weak = weak or set(words) <= public_words()
    for sequence in {words, (compact,)}:
        yield Entry(what=what, sequence=sequence, weak=weak)


_MAKERS: dict[What, Callable[[str], Iterator[Entry]]] = {
    What.EMAIL: _email,
    What.NAME: _name,
    What.PHONE: _phone,
    What.STREET: _street,
    What.URL: _url,
    What.IP: _ip,
    What.FREE_TEXT: _passages,
    What.QUASI: _quasi,
    What.DOCUMENT: _document,
}
