"""Search a target for every real value of its source: in every text of every table and in every file.

What a finding is
    A value is **strong** when nothing but the person (or secret) it belongs to explains it: e-mail addresses, numbers
    of ten digits and more, identifiers and credentials of eight characters and more, names with a word that is on no
    list, words of people's names that at most five people have and the product never uses, streets with a number,
    passages of free text that exactly one row has. Anywhere in the target, a strong value is a finding.

    A value is **weak** when others have it: names made only of words of the public lists (the masking makes exactly
    such names, so "Jean Martin" in training says nothing), short numbers, two or three words of free text, document
    numbers (the masking exchanges them among the rows). A weak value is a finding only as a **link**: the row of the
    target holds what the row of the source with the same primary key holds in a column that identifies somebody. So
    the row still tells whose it is.

    A keyed random choice hits the real value by chance: one in (languages x first names x last names) for names. In
    columns whose rule makes a choice, as many links as chance gives with a probability of 1 in a million are
    therefore no finding; nobody without the key can tell such a row from the others. The count is in the facts.

    Values that the product itself ships (in rows that a module made and nobody edited, in columns that hold nothing
    personal) are nobody's. A quasi-identifier that stands in a column of the organisation's own, such as a job's name
    that employees repeat, is the organisation's.

How
    Target and source are read once as a stream (`COPY`). Each block of rows is cut into words, numbers and addresses;
    keys of one, two and three words in a row are looked up in a sealed set (`keys.Keys`). Only rows that hold such a
    beginning are compared further. Work grows with the bytes of text and not with the size of the dictionary.

Not found: a value that is encrypted, compressed inside a column, cut into single letters, or spelled differently.
"""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from operations.anonymise.rules.grammar import RuleError, parse
from operations.anonymise.rules.lists import LANGUAGES, Lists
from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.verify.collect import Dictionary, collect, ordinary_words, organisation_text, product_text
from operations.anonymise.verify.report import Finding, Looked
from operations.anonymise.verify.text import prefix_keys, see
from operations.anonymise.verify.values import What, what_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Column, Schema, Table

BLOCK = 1 << 17
"""Bytes of rows that are looked at in one go."""
LINKS = 500
"""Rows whose weak values are compared with the source in one query."""
CHANCE = 1e-6
"""Probability with which pure chance may give more links than are let pass."""
_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP})
_LONGEST_CELL = 50_000_000
"""Characters of one cell that are searched; Odoo's longest texts are a tenth of it."""


@dataclass(kw_only=True)
class _Found:
    rows: int = 0
    bytes: int = 0
    unplaced: int = 0
    strong: Counter[tuple[str, str, What]] = field(default_factory=Counter)
    linked: Counter[tuple[str, str, What]] = field(default_factory=Counter)
    by_table: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class _Before:
    """The table as the source has it, or None."""

    table: Table | None
    catalogue: Catalogue

    def personal(self) -> list[Column]:
        """Return the columns whose values identify somebody."""
        found = []
        for column in searchable(self.table) if self.table else ():
            line = self.catalogue.column(self.table.name, column.name) if self.table else None
            if line is not None and what_of(line) is not None:
                found.append(column)
        return found


@dataclass(frozen=True, kw_only=True)
class _Link:
    row: str
    column: str
    what: What
    key: int


def check(
    source: psycopg.Connection[Any],
    target: psycopg.Connection[Any],
    schemas: tuple[Schema, Schema],
    catalogue: Catalogue,
    files: Iterable[tuple[str, bytes]] = (),
) -> Looked:
    """Search a target.

    Args:
        source: The isolated copy.
        target: The masked database.
        schemas: Of the source and of the target.
        catalogue: Says which columns of the source identify people.
        files: Name and content of the target's files; contents as `files.texts` unpacks them.
    """
    dictionary = build(source, schemas[0], catalogue)
    found = _Found()
    for table in schemas[1].tables.values():
        before = _Before(table=schemas[0].tables.get(table.name), catalogue=catalogue)
        _table((source, target), (before, table), dictionary, found)
    searched = _files(files, dictionary, found)
    chance = {place: n for place, n in found.linked.items() if n <= _by_chance(place, catalogue, found)}
    hits = found.strong + Counter({place: n for place, n in found.linked.items() if place not in chance})
    findings = [
        Finding(table=table, column=column, what=f"holds a real {what.value}", count=count)
        for (table, column, what), count in hits.items()
    ]
    facts = {
        "values of the source": dictionary.values,
        "keys": len(dictionary),
        "rows searched": found.rows,
        "bytes searched": found.bytes,
        "files searched": searched,
        "links that chance explains": sum(chance.values()),
        "weak values in tables without a key": found.unplaced,
    }
    return Looked(findings=findings, facts=facts, required=("values of the source", "rows searched"))


def build(source: psycopg.Connection[Any], schema: Schema, catalogue: Catalogue) -> Dictionary:
    """Return the dictionary of a source without what the product ships."""
    dictionary = collect(source, schema, catalogue, ordinary_words(source, schema, catalogue))
    for table, columns, condition in product_text(schema, catalogue):
        wanted = ", ".join(f"t.{quoted(column)}::text" for column in columns)
        query = f"SELECT {wanted} FROM {relation(table.name)} t WHERE {condition}"
        for block in blocks(source, query):
            keys = dictionary.inside(block.decode("utf-8", "replace"))
            for weak in (False, True) if keys else ():
                dictionary.shipped.update(*dictionary.of(keys, weak=weak).values())
    _leave_to_the_organisation(source, schema, catalogue, dictionary)
    return dictionary


def _leave_to_the_organisation(
    source: psycopg.Connection[Any], schema: Schema, catalogue: Catalogue, dictionary: Dictionary
) -> None:
    """Take out the quasi-identifiers that are the organisation's own words, and nothing else with the same words."""
    for table, columns in organisation_text(schema, catalogue):
        wanted = ", ".join(f"t.{quoted(column)}::text" for column in columns)
        for block in blocks(source, f"SELECT {wanted} FROM {relation(table.name)} t"):
            keys = dictionary.inside(block.decode("utf-8", "replace"))
            if keys:
                strong = dictionary.of(keys, weak=False)
                words = strong.pop(What.QUASI, set())
                dictionary.shipped.update(words.difference(*strong.values(), *dictionary.of(keys, weak=True).values()))


def searchable(table: Table) -> list[Column]:
    """Return the columns of a table that can hold text."""
    return [column for column in table.columns if column.kind not in _NUMBERS]


def _table(
    connections: tuple[psycopg.Connection[Any], psycopg.Connection[Any]],
    tables: tuple[_Before, Table],
    dictionary: Dictionary,
    found: _Found,
) -> None:
    (source, target), (before, table) = connections, tables
    columns = searchable(table)
    if not columns:
        return
    names = [column.name for column in columns]
    personal = before.personal()
    known = before.table is not None and before.table.primary_key == table.primary_key
    keyed = known and bool(table.primary_key)
    place = _key(table) if keyed else "''"
    wanted = ", ".join(map(cell, columns))
    links: list[_Link] = []
    for block in blocks(target, f"SELECT {place}, {wanted} FROM {relation(table.name)}"):
        found.bytes += len(block)
        found.rows += block.count(b"\n")
        found.by_table[table.name] += block.count(b"\n")
        for row in _suspects(block, dictionary):
            links += _row(row, table.name, names, dictionary, found)
        if not keyed or not personal:  # a row that is about nobody links to nobody
            found.unplaced += 0 if keyed else len(links)
            links.clear()
        while len(links) >= LINKS:
            _compare(source, (table, personal), links[:LINKS], (dictionary, found))
            del links[:LINKS]
    if links:
        _compare(source, (table, personal), links, (dictionary, found))


def cell(column: Column) -> str:
    """Return SQL of a column as text that can be searched."""
    name = quoted(column.name)
    if column.kind is Kind.BYTES:  # what of the bytes is text; accents in them are lost
        return f"encode(substr({name}, 1, {_LONGEST_CELL}), 'escape')"
    return f"left({name}::text, {_LONGEST_CELL})"


def _key(table: Table) -> str:
    return "concat_ws('|', " + ", ".join(f"{quoted(name)}::text" for name in table.primary_key) + ")"


def blocks(connection: psycopg.Connection[Any], query: str) -> Iterator[bytes]:
    """Yield the rows of a query as `COPY` gives them, whole rows, about `BLOCK` bytes at a time."""
    parts, size = [], 0
    with connection.cursor() as cursor, cursor.copy(f"COPY ({query}) TO STDOUT".encode()) as copy:
        for part in copy:
            parts.append(bytes(part))
            size += len(part)
            if size >= BLOCK and parts[-1].endswith(b"\n"):
                yield b"".join(parts)
                parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _suspects(block: bytes, dictionary: Dictionary) -> Iterator[str]:
    """Yield the rows of a block that hold the beginning of a value."""
    text = block.decode("utf-8", "replace")
    hits = dictionary.prefixes.among(prefix_keys(see(text)))
    if not hits:
        return
    rows = text.split("\n")
    for row in rows:
        if row and not hits.isdisjoint(prefix_keys(see(row))):
            yield row


def _row(row: str, table: str, names: list[str], dictionary: Dictionary, found: _Found) -> list[_Link]:
    """Count the strong values of a row and return the weak ones."""
    place, *cells = row.split("\t")
    links = []
    for name, cell in zip(names, cells, strict=True):
        if cell in {r"\N", ""}:
            continue
        keys = dictionary.inside(cell)
        for what in dictionary.of(keys, weak=False):
            found.strong[table, name, what] += 1
        for what, hits in dictionary.of(keys, weak=True).items():
            links += [_Link(row=place, column=name, what=what, key=hit) for hit in hits]
    return links


def _compare(
    source: psycopg.Connection[Any],
    of: tuple[Table, list[Column]],
    links: list[_Link],
    state: tuple[Dictionary, _Found],
) -> None:
    """Count the weak values that the same row of the source holds in a column that identifies somebody."""
    (table, personal), (dictionary, found) = of, state
    rows = sorted({link.row for link in links})
    wanted = ", ".join(map(cell, personal))
    if len(table.primary_key) == 1:  # by the index
        column = table.column(table.primary_key[0])
        condition = f"{quoted(table.primary_key[0])} = ANY(%s::text[]::{column.type if column else 'text'}[])"
    else:
        condition = f"{_key(table)} = ANY(%s)"
    query = f"SELECT {_key(table)}, {wanted} FROM {relation(table.name)} WHERE {condition}"
    held: dict[str, set[int]] = {}
    for place, *cells in source.execute(query.encode(), [rows]):
        held[place] = {key for cell in cells if cell for key in dictionary.inside(cell)}
    seen = {(link.row, link.column, link.what) for link in links if link.key in held.get(link.row, ())}
    for _, column, what in seen:
        found.linked[table.name, column, what] += 1


def _by_chance(place: tuple[str, str, What], catalogue: Catalogue, found: _Found) -> int:
    table, column, what = place
    line = catalogue.column(table, column)
    try:
        rule = parse(line.rule) if line else None
    except RuleError:
        rule = None
    word = (rule.inner or rule).word if rule else ""
    lists = Lists(languages=LANGUAGES)
    odds = {
        ("name", What.NAME): 1 / (len(lists.of("first")) * len(lists.of("last")) / len(LANGUAGES)),
        ("street", What.STREET): 1 / len(lists.of("street")),
        ("document-number", What.DOCUMENT): DOCUMENT_ODDS,
    }
    return most_by_chance(found.by_table[table] * odds.get((word, what), 0.0))


DOCUMENT_ODDS = 1e-3
"""A number of three digits is exchanged with itself in one of a thousand cases; longer ones in fewer."""


def most_by_chance(mean: float) -> int:
    """Return the count that a Poisson variable exceeds with a probability below `CHANCE`.

    Args:
        mean: What is expected.
    """
    if mean <= 0:
        return 0
    if mean > NORMAL:
        return math.ceil(mean + QUANTILE * math.sqrt(mean) + QUANTILE)
    term, total, count = math.exp(-mean), math.exp(-mean), 0
    while 1 - total > CHANCE:
        count += 1
        term *= mean / count
        total += term
    return count


NORMAL = 100
"""Mean from which on the normal approximation serves."""
QUANTILE = 4.76
"""Of the standard normal distribution for a probability of 1 in a million."""


def _files(files: Iterable[tuple[str, bytes]], dictionary: Dictionary, found: _Found) -> int:
    count = 0
    for _, content in files:
        count += 1
        found.bytes += len(content)
        keys = dictionary.inside(content.decode("utf-8", "ignore"))
        for what in dictionary.of(keys, weak=False):
            found.strong["filestore", "", what] += 1
    return count
