"""What each rule of texts, HTML and documents promises, shown by PostgreSQL itself."""
# ruff: noqa: S608 - statements of made-up rows

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import pytest

from operations.anonymise.rules.lists import FILLER_MOST
from tests.anonymise.masking import Source, catalogue, everything_else, source
from tests.anonymise.support import Server


@pytest.fixture(scope="module")
def base(server: Server) -> Iterator[Source]:
    with source(server, "rules-texts") as made:
        yield made


class Nesting(HTMLParser):
    """Fails when an element is closed that is not the one opened last."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[object] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.seen.append(tag)
        self.attributes += attrs
        if tag not in {"br", "hr"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


HTML = (
    '<div class="x"><p>Dear <b>Mrs. Byron</b>,<br/>your result &amp; more</p>\n<p><a href="https://real.org/?id=4711">'
    'here</a></p><img src="data:image/png;base64,AAAA" alt="Byron"><ul><li title="a > Byron">one</li></ul></div>'
)


def test_html_keeps_its_structure_and_nothing_else(base: Source):
    (masked,) = base.one("filler-html", HTML)
    parser = Nesting()
    parser.feed(masked)
    assert parser.open == []
    assert parser.attributes == []
    assert parser.seen == ["div", "p", "b", "br", "p", "ul", "li"]
    for word in ("Byron", "4711", "href", "base64", "result", "here", "one<"):
        assert word not in masked
    assert abs(len(masked) - len(re.sub(r"<[^>]*>", "", HTML))) < 16 * 8


@pytest.mark.parametrize("value", ["<p>short one</p>", "plain", "<p>a", "a < b and > c", "<!-- Byron --><p>x</p>", "<"])
def test_html_of_any_shape_is_replaced(base: Source, value: str):
    (masked,) = base.one("filler-html", value)
    kept = set(re.findall(r"[A-Za-z]{4,}", re.sub(r"<[^>]*>", "", value)))
    assert not kept & set(re.findall(r"[A-Za-z]+", masked))


def test_filler_has_the_texts_length_and_lines(base: Source):
    text = "First line of it\n\nSecond paragraph\n"
    (masked,) = base.one("filler", text)
    assert [len(line) for line in masked.split("\n")] == [len(line) for line in text.split("\n")]


@pytest.mark.parametrize("size", [1, 4096, 4097, 20_000])
def test_filler_of_a_long_text_is_as_long(base: Source, size: int):
    for rule in ("filler", "filler-html"):
        (masked,) = base.one(rule, "x" * size)
        assert len(masked) == -(-size // 16) * 16, "its exact size would tell which one it is"


def test_a_message_of_100_megabytes_becomes_a_bounded_one(base: Source):
    base.execute("DROP TABLE IF EXISTS lone", "CREATE TABLE lone (v text)")
    base.execute("INSERT INTO lone SELECT repeat('word and <b>word</b>, ', 5000000)")
    for rule, more in (("filler", 0), ("filler-html", 7)):
        rows = base.read(catalogue({"lone.v": rule, **everything_else(base)}, {}))["lone"]
        assert len(rows[0][0]) == FILLER_MOST + more


def test_translations_and_company_values_are_masked_key_by_key(base: Source):
    value = json.dumps({"en_US": "Ada Byron", "fr_FR": None, "de_DE": ""})
    (masked,) = base.one("json-text(name(person))", value, type_="jsonb")
    (name,) = base.one("name(person)", "Ada Byron")
    assert masked == {"en_US": name, "fr_FR": None, "de_DE": ""}


@pytest.mark.parametrize("value", ["{}", "null", '"Ada Byron"', '["Ada Byron", 4711]', "4711"])
def test_a_document_of_another_shape_loses_its_texts(base: Source, value: str):
    (masked,) = base.one("json-text(filler)", value, type_="jsonb")
    assert "Byron" not in json.dumps(masked)
    assert "4711" not in json.dumps(masked)


def test_a_document_is_filled_at_every_depth_but_for_the_named_members(base: Source):
    value = json.dumps({"name": "Byron", "type": "char", "list": [{"x": "Byron", "n": 7, "on": True}], "no": None})
    (masked,) = base.one("json-fill(type)", value, type_="json")
    assert masked["type"] == "char"
    assert masked["list"][0]["n"] == 0
    assert masked["list"][0]["on"] is True
    assert "Byron" not in json.dumps(masked)


def test_other_members_of_a_document_are_dropped_at_every_depth(base: Source):
    value = json.dumps({"keep": {"drop": 1, "keep": 2}, "drop": 3, "list": [{"keep": 4, "drop": 5}]})
    (masked,) = base.one("json-keep(keep,list)", value, type_="jsonb")
    assert masked == {"keep": {"keep": 2}, "list": [{"keep": 4}]}


def test_properties_are_masked_by_the_type_that_their_definition_gives(base: Source):
    definition = [{"name": "a", "type": "char"}, {"name": "d", "type": "date"}, {"name": "s", "type": "selection"}]
    values = {"a": "Byron", "d": "2020-03-04", "s": "red", "undefined": "Byron"}
    base.execute(
        "DROP TABLE IF EXISTS a, b, p CASCADE",
        "CREATE TABLE p (id int PRIMARY KEY, definition jsonb)",
        "CREATE TABLE a (p_id int REFERENCES p, v jsonb)",
        f"INSERT INTO p VALUES (1, '{json.dumps(definition)}')",
        f"INSERT INTO a VALUES (1, '{json.dumps(values)}')",
    )
    lines = {**everything_else(base), "a.v": "properties(p.definition via p_id)", "lone.v": "keep"}
    ((_, masked),) = base.read(catalogue(lines, {"lone": "empty"}))["a"]
    assert set(masked) == {"a", "d", "s"}
    assert masked["s"] == "red"
    assert "Byron" not in masked["a"]
    assert masked["d"] < "2020-03-04"
