"""The list of canaries covers what the catalogue knows to be personal, and each canary can be told from all data."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from operations.anonymise import canaries
from operations.anonymise.catalogue.loader import load
from operations.anonymise.model import Classification, SafeHarbor


def test_every_place_is_a_column_of_the_catalogue_and_named_once():
    catalogue = load()
    places = canaries.places()
    assert [place for place in places if catalogue.column(place.table, place.column) is None] == []
    assert [place for place, count in Counter((p.table, p.column) for p in places).items() if count > 1] == []
    assert len(places) >= 2 * canaries.LEAST


def test_every_class_that_is_about_people_has_canaries():
    catalogue = load()
    lines = [catalogue.column(place.table, place.column) for place in canaries.places()]
    classes = Counter(line.classification for line in lines if line)
    for wanted in (Classification.DIRECT, Classification.FREE_TEXT, Classification.CREDENTIAL, Classification.DERIVED):
        assert classes[wanted] >= 3
    letters = {line.safe_harbor for line in lines if line}
    assert letters >= {
        *(SafeHarbor.NAMES, SafeHarbor.PLACES, SafeHarbor.DATES, SafeHarbor.PHONES, SafeHarbor.EMAILS),
        *(SafeHarbor.SOCIAL_SECURITY, SafeHarbor.ACCOUNTS, SafeHarbor.URLS, SafeHarbor.IP_ADDRESSES, SafeHarbor.OTHER),
    }


@pytest.mark.parametrize("kind", [kind for kind in canaries.MAKERS if kind != "date"])
def test_a_canary_is_found_in_its_value_whatever_stands_around_it(kind: str):
    needle = canaries.MAKERS[kind][0]()
    value = canaries.MAKERS[kind][1](needle)
    text = value.decode() if isinstance(value, bytes) else str(value)
    assert needle in canaries._needles(f"<p>before {text.upper()} after</p>")


def test_two_canaries_are_never_the_same():
    assert len({canaries.MAKERS["text"][0]() for _ in range(1000)}) == 1000


@pytest.mark.parametrize("line", ["place\ttable\tcolumn\tsmell", "only\ttwo"])
def test_a_list_with_a_wrong_line_is_refused(tmp_path: Path, line: str):
    file = tmp_path / "canaries.tsv"
    file.write_text("\t".join(canaries.HEADER) + f"\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"unknown kinds|shorter"):
        canaries.places(file)


def test_a_list_without_its_header_is_refused(tmp_path: Path):
    (tmp_path / "canaries.tsv").write_text("a\tb\tc\ttext\n", encoding="utf-8")
    with pytest.raises(ValueError, match="first line"):
        canaries.places(tmp_path / "canaries.tsv")
