"""What fakes are made of: names, streets and cities by language, neutral text, telephone ranges, and the ZIP list."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from operations.anonymise.rules.scope import SETTINGS, names, small

LANGUAGES = ("en", "fr", "de", "es", "nl")
FILLER_BLOCK = 64
FILLER_BLOCKS = 64
FILLER_PERIOD = FILLER_BLOCK * FILLER_BLOCKS
FILLER_STEP = 16
"""Bytes that the size of a replaced text is rounded up to."""

FILLER_MOST = 65_536
"""A longer text is replaced by this much: nobody trains on more, and one row never costs more memory than this."""

_SMALL_IN_2000 = "036 059 063 102 203 556 692 790 821 823 830 831 878 879 884 890 893"
_SMALL_IN_2010 = "036 059 102 202 203 204 205 369 556 692 753 772 821 823 878 879 884 893"
_NOBODYS = "005 055 192 311 340 375 399 459 509 555 569 649 733 842 885 889 901 938 942"
_MILITARY = "090 091 092 093 094 095 096 097 098 962 963 964 965 966"

SMALL_ZIP3 = frozenset(f"{_SMALL_IN_2000} {_SMALL_IN_2010} {_NOBODYS} {_MILITARY}".split())
"""First three digits of ZIP codes where 20,000 people or fewer live: 45 CFR 164.514(b)(2)(i)(B).

Four lists in one, because being on it only ever says less:

- the 17 that the guidance of the Department of Health and Human Services (26 November 2012) names, of the census of
  2000;
- the 18 of the census of 2010, by its ZIP code tabulation areas, as the research networks of hospitals use them; the
  guidance asks for the newest data;
- those that the postal service gave to single organisations and authorities, or to their post boxes: the census has no
  area there, so nobody lives in one, and who writes it belongs to the organisation;
- those of the armed forces abroad, for the same reason.

What the census of 2020 would add is not in it. The k-anonymity check stands behind: what fewer than k share is emptied.
"""

_COMPANIES = {
    "en": ("{} & {} Ltd", "{} {} Group", "{} {} Partners"),
    "fr": ("{} {} SARL", "{} et {} SA", "Groupe {} {}"),
    "de": ("{} & {} GmbH", "{} {} AG", "{} {} OHG"),
    "es": ("{} y {} S.L.", "{} {} S.A.", "Grupo {} {}"),
    "nl": ("{} en {} B.V.", "{} {} N.V.", "{} {} Groep"),
}
_WORDS_TEXT = (
    "ad aliqua amet animi aperiam aut autem beatae causa commodi consequat culpa cum debitis dicta distinctio "
    "dolor dolores ducimus ea earum eius elit enim eos error esse est et eum ex facere fuga fugiat harum hic id "
    "illo impedit in inventore ipsa ipsum iste iure labore laborum laudantium libero lorem magnam maiores maxime "
    "minima minus modi molestiae mollit nam natus nemo neque nihil nisi nobis non nostrum nulla numquam odio "
    "odit officia omnis optio pariatur perferendis placeat porro possimus praesentium quae quaerat quam quas qui "
    "quia quidem quis quo quod quos ratione recusandae rem repellat rerum sapiente sed sequi similique sint sit "
    "sunt tempora temporibus totam ullam unde ut vel velit veniam veritatis vero vitae voluptas voluptatem"
)
_WORDS = tuple(_WORDS_TEXT.split())


@cache
def _data() -> dict[str, Any]:
    text = (Path(__file__).parent / "data" / "lists.json").read_text(encoding="utf-8")
    return json.loads(text)["languages"]


@cache
def filler() -> str:
    """Return neutral Latin: sentences of exactly 64 characters, so that a place in it is found by multiplication.

    Two rounds of 64 different sentences: a text of one round's length can start at any of them.
    """
    return "".join(_sentence(number) for number in range(FILLER_BLOCKS)) * 2


def _sentence(number: int) -> str:
    words, place = "", number * 37
    while len(words) < FILLER_BLOCK - 2:
        words += _WORDS[place % len(_WORDS)] + " "
        place += 1 + number % 7
    cut = words[: FILLER_BLOCK - 2]
    return cut.rstrip().capitalize().ljust(FILLER_BLOCK - 2, "a") + ". "


@dataclass(frozen=True, kw_only=True)
class Lists:
    """Lists of the languages that a run makes names in.

    Attributes:
        languages: Of `LANGUAGES`, at least one; a name's digest chooses among them.
    """

    languages: tuple[str, ...] = LANGUAGES

    def __post_init__(self) -> None:
        unknown = [language for language in self.languages if language not in LANGUAGES]
        if unknown or not self.languages:
            msg = f"no lists for {', '.join(unknown) or 'no language'}; there are lists for {', '.join(LANGUAGES)}"
            raise ValueError(msg)

    def of(self, kind: str) -> list[str]:
        """Return one list: every language's part, of equal length, one after the other.

        Args:
            kind: "first" (women, then men), "last", "street", "city" or "company" (text around two last names).
        """
        parts = [self._part(language, kind) for language in self.languages]
        if len({len(part) for part in parts}) != 1:
            msg = f"lists of {kind} differ in length"
            raise ValueError(msg)
        return [entry for part in parts for entry in part]

    def settings(self) -> dict[str, str]:
        """Return the session settings that `names` and `neutral text` read."""
        lists = {kind: _array(self.of(kind)) for kind in ("first", "last", "street", "city", *_AROUND)}
        return {f"{SETTINGS}.{name}": value for name, value in {**lists, "filler": filler()}.items()}

    def pick(self, kind: str, digest: str, position: int) -> str:
        """Return SQL of an entry in the language that the digest's first byte chooses.

        Args:
            kind: As for `of`, or a part of "company": "before", "between", "after".
            digest: SQL of at least position + 2 bytes.
            position: Where the two bytes are that choose; from 1.
        """
        size = len(self.of(kind)) // len(self.languages)
        place = f"{small(digest, position)}%{size}"
        if len(self.languages) > 1:
            place += f"+{size}*(get_byte({digest},0)%{len(self.languages)})"
        return f"({names(kind)})[1+{place}]::text"

    def person(self, digest: str) -> str:
        """Return SQL of first and last name of one language."""
        return f"{self.pick('first', digest, 1)}||' '||{self.pick('last', digest, 3)}"

    def company(self, digest: str) -> str:
        """Return SQL of a company's name of one language: two last names and a form."""
        last = [self.pick("last", digest, position) for position in (5, 7)]
        around = [self.pick(kind, digest, 9) for kind in _AROUND]
        return f"{around[0]}||{last[0]}||{around[1]}||{last[1]}||{around[2]}"

    def _part(self, language: str, kind: str) -> list[str]:
        data = _data()[language]
        if kind == "first":
            return [*data["female"], *data["male"]]
        if kind in _AROUND:
            return [form.split("{}")[_AROUND.index(kind)] for form in _COMPANIES[language]]
        return data[kind]


_AROUND = ("before", "between", "after")


def _array(entries: list[str]) -> str:
    escaped = (entry.replace("\\", "\\\\").replace('"', '\\"') for entry in entries)
    return "{" + ",".join(f'"{entry}"' for entry in escaped) + "}"
