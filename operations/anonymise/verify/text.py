"""Text as the dictionary search sees it: tokens, numbers and e-mail addresses, whatever markup they stand in."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TOKEN = re.compile(r"[^\W_]+")
_EMAIL = re.compile(r"[\w.+'-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_NUMBER = re.compile(r"(?<!\w)\+?\d(?:[ \t.()/\u00a0-]{0,2}\d){6,29}(?!\w)")
_NOT_DIGIT = re.compile(r"\D")
_TAG = re.compile(r"<[^<>]{0,4000}>")
_SPAN = re.compile(r"</?(?:b|i|u|em|strong|span|a|font|mark|small|sub|sup)\b[^<>]{0,4000}>")
_COPY_ESCAPE = re.compile(r"\\+[nrtbfv]?")
_PERCENT = (("%20", " "), ("%40", "@"), ("%2b", "+"), ("%2B", "+"))

ATTRIBUTES = "\x1f"
"""Stands between a text and the tags that were in it."""

SEQUENCE = 8
"""Tokens of a longer value that are compared; eight words in a row are nobody else's by chance."""

PREFIX = 3
"""Tokens that are looked up first; only where they are found is the whole value compared."""

SHORTEST_NUMBER = 7
LONGEST_NUMBER = 30


def plain(text: str) -> str:
    r"""Return a text without what can hide words in it: markup, entities, escapes; letters as they are.

    What attributes of tags say is kept behind the text. The result of `COPY` is read the same way as a value, because
    its escapes (``\n``) fall out here.
    """
    if "\\" in text:
        text = _COPY_ESCAPE.sub(" ", text)
    if "%" in text:
        for escape, character in _PERCENT:
            text = text.replace(escape, character)
    if "&" in text:
        text = html.unescape(text)
    if "<" in text:
        attributes = " ".join(_TAG.findall(text))
        text = f"{_TAG.sub(' ', _SPAN.sub('', text))}{ATTRIBUTES}{attributes}"
    return text


def bare(text: str) -> str:
    """Return a text without accents: how people write names in addresses and file names."""
    if text.isascii():
        return text
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


def tokens(text: str) -> list[str]:
    """Return the words and numbers of a plain text, lower case."""
    return TOKEN.findall(text.lower())


def emails(text: str) -> list[str]:
    """Return what looks like e-mail addresses in a lower-case text."""
    return [found.strip(".'-") for found in _EMAIL.findall(text)] if "@" in text else []


def numbers(text: str) -> list[str]:
    """Return the digits of each long number of a text, whatever separates them."""
    return [_NOT_DIGIT.sub("", found) for found in _NUMBER.findall(text)]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one text holds, ready to be looked up."""

    words: list[str]
    emails: list[str]
    numbers: list[str]


def see(text: str) -> Seen:
    """Return what a text (a cell or a whole block of rows) holds."""
    lowered = plain(text).lower()
    return Seen(words=TOKEN.findall(lowered), emails=emails(lowered), numbers=numbers(lowered))


def key(sequence: Iterable[str]) -> int:
    """Return the key of a sequence of tokens: a hash that holds within this process only."""
    return hash(tuple(sequence))


def prefix_keys(seen: Seen) -> set[int]:
    """Return the key of everything in a text that can begin a value of the dictionary."""
    words = seen.words
    found = set(map(hash, zip(words)))
    found.update(map(hash, pairwise(words)))
    found.update(map(hash, zip(words, islice(words, 1, None), islice(words, 2, None), strict=False)))
    found.update(hash(("@", one)) for one in seen.emails)
    found.update(hash(("#", one)) for one in seen.numbers)
    return found


def full_keys(seen: Seen, hits: set[int]) -> Iterator[int]:
    """Yield the keys of what may be whole values in a text: sequences that begin with one of the prefixes.

    Args:
        seen: The text.
        hits: Those of its `prefix_keys` that the dictionary has.
    """
    words = seen.words
    for length in range(1, PREFIX + 1):
        longest = SEQUENCE if length == PREFIX else length
        parts = zip(*(islice(words, start, None) for start in range(length)), strict=False)
        for start in [place for place, prefix in enumerate(map(hash, parts)) if prefix in hits]:
            for end in range(start + length, min(start + longest, len(words)) + 1):
                yield hash(tuple(words[start:end]))
    for mark, values in (("@", seen.emails), ("#", seen.numbers)):
        yield from hits.intersection(hash((mark, one)) for one in values)
