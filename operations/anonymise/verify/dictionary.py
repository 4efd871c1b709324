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

    A common name in full (of a contact or an employee) is also a finding in a column that people type and training
    keeps, when the same cell of the source has it: chance makes no such cell. A surname that many have is looked for
    in its own row and behind a title ("Mr").

    A cell that the product itself ships (in a row that a module made and nobody edited, in a column that holds nothing
    personal) is nobody's; the same name, address or number anywhere else is somebody's. A text that the product has
    too is the product's, as nothing in it tells of anybody. A quasi-identifier that stands in a column of
    the organisation's own, such as a job's name that employees repeat, is the organisation's.

How
    Target and source are read once as a stream (`COPY`). Each block of rows is cut into words, numbers and addresses;
    keys of one, two and three words in a row are looked up in a sealed set (`keys.Keys`). Only rows that hold such a
    beginning are compared further. Work grows with the bytes of text and not with the size of the dictionary.

A site's own line about a column does not change as what its values are looked for, once the shipped line says that
they identify somebody.

Not found: a value that is encrypted, compressed inside a column, cut into single letters, or spelled differently; a
phone number below 7 digits, an identifier below 5 characters; a surname alone that is also a word of the product; dates
and numbers, which `verify.unmoved` compares by row. How many passages were left out of large columns is a fact.
"""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from operations.anonymise.rules.grammar import RuleError, parse
from operations.anonymise.rules.lists import LANGUAGES, Lists
from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.verify.chance import most_by_chance
from operations.anonymise.verify.collect import (
    Dictionary,
    collect,
    looked_for,
    ordinary_words,
    organisation_text,
    product_text,
)
from operations.anonymise.verify.exempt import ShippedCells
from operations.anonymise.verify.report import Finding, Looked
from operations.anonymise.verify.text import prefix_keys, see
from operations.anonymise.verify.values import What, what_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    from operations.anonymise.model import Catalogue, ColumnRule
    from operations.anonymise.schema import Column, Schema, Table

BLOCK = 1 << 17
"""Bytes of rows that are looked at in one go."""
LINKS = 500
"""Rows whose weak values are compared with the source in one query."""
_NUMBERS = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP})
_LONGEST_CELL = 50_000_000
"""Characters of one cell that are searched; Odoo's longest texts are a tenth of it."""


@dataclass(kw_only=True)
class _Found:
    rows: int = 0
    bytes: int = 0
    unplaced: int = 0
    shipped: int = 0
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
            line = looked_for(self.catalogue, self.table.name, column.name) if self.table else None
            if line is not None and what_of(line) is not None:
                found.append(column)
        return found

    def typed(self) -> dict[str, Column]:
        """Return the columns in which text stays as it was typed, by name."""
        if self.table is None:
            return {}
        columns = searchable(self.table)
        lines = ((column, self.catalogue.column(self.table.name, column.name)) for column in columns)
        return {column.name: column for column, line in lines if line is not None and _word(line) in _STAYS}


_STAYS = frozenset({"keep", "json-keep", "document-number", "prefix-of"})
"""Words whose result has no made name in it, so that a name in it is the real one."""


def _word(line: ColumnRule | None) -> str:
    """Return the word of a rule, or of the one inside; empty when it is none."""
    try:
        rule = parse(line.rule) if line else None
    except RuleError:
        return ""
    return (rule.inner or rule).word if rule else ""


@dataclass(frozen=True, kw_only=True)
class _Link:
    row: str
    column: str
    what: What
    key: int
    typed: bool = False


@dataclass(frozen=True, kw_only=True)
class _Place:
    """A table of the target, and what of it the source says."""

    table: Table
    personal: list[Column]
    typed: dict[str, Column]


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
    found, cells = _Found(), ShippedCells(source=source, schema=schemas[0], catalogue=catalogue)
    for table in schemas[1].tables.values():
        before = _Before(table=schemas[0].tables.get(table.name), catalogue=catalogue)
        _table((source, target), (before, table), (dictionary, cells, found))
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
        "passages left out": dictionary.left_out,
        "words of names that many have": dictionary.common,
        "values in cells that the product ships": found.shipped,
    }
    return Looked(findings=findings, facts=facts, required=("values of the source", "rows searched"))


def build(source: psycopg.Connection[Any], schema: Schema, catalogue: Catalogue) -> Dictionary:
    """Return the dictionary of a source without the organisation's own words."""
    dictionary = collect(source, schema, catalogue, ordinary_words(source, schema, catalogue))
    _leave_to_the_organisation(source, schema, catalogue, dictionary)
    return dictionary


def _leave_to_the_organisation(
    source: psycopg.Connection[Any], schema: Schema, catalogue: Catalogue, dictionary: Dictionary
) -> None:
    """Take out what tells of nobody, and nothing else with the same words.

    That are quasi-identifiers that the organisation uses as its own words, and texts that stand in the product too. A
    name, an address or a number stays, wherever else it stands: only the cell itself may be the product's.
    """
    texts = frozenset({What.QUASI, What.FREE_TEXT})
    for table, columns in organisation_text(schema, catalogue):
        _leave(source, (table, columns, "true"), frozenset({What.QUASI}), dictionary)
    for table, columns, condition in product_text(schema, catalogue):
        _leave(source, (table, columns, condition), texts, dictionary)


def _leave(
    source: psycopg.Connection[Any],
    part: tuple[Table, list[str], str],
    whats: frozenset[What],
    dictionary: Dictionary,
) -> None:
    table, columns, condition = part
    wanted = ", ".join(f"t.{quoted(column)}::text" for column in columns)
    for block in blocks(source, f"SELECT {wanted} FROM {relation(table.name)} t WHERE {condition}"):
        keys = dictionary.inside(block.decode("utf-8", "replace"))
        if not keys:
            continue
        found = [pair for weak in (False, True) for pair in dictionary.of(keys, weak=weak).items()]
        theirs = set[int]().union(*(hits for what, hits in found if what not in whats))
        words = set[int]().union(*(hits for what, hits in found if what in whats))
        dictionary.ordinary.update(words - theirs)


def searchable(table: Table) -> list[Column]:
    """Return the columns of a table that can hold text."""
    return [column for column in table.columns if column.kind not in _NUMBERS]


def _table(
    connections: tuple[psycopg.Connection[Any], psycopg.Connection[Any]],
    tables: tuple[_Before, Table],
    state: tuple[Dictionary, ShippedCells, _Found],
) -> None:
    (source, target), (before, table), (dictionary, _, found) = connections, tables, state
    columns = searchable(table)
    if not columns:
        return
    of = _Place(table=table, personal=before.personal(), typed=before.typed())
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
            links += _row(row, of, [column.name for column in columns], state)
        if not keyed:
            found.unplaced += len(links)
            links.clear()
        elif not of.personal:  # a row that is about nobody links to nobody
            links = [link for link in links if link.typed]
        while len(links) >= LINKS:
            _compare(source, of, links[:LINKS], (dictionary, found))
            del links[:LINKS]
    if links:
        _compare(source, of, links, (dictionary, found))


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


def _row(row: str, of: _Place, names: list[str], state: tuple[Dictionary, ShippedCells, _Found]) -> list[_Link]:
    """Count the strong values of a row and return the weak ones."""
    dictionary, shipped, found = state
    place, *cells = row.split("\t")
    links = []
    for name, cell in zip(names, cells, strict=True):
        if cell in {r"\N", ""}:
            continue
        keys = dictionary.inside(cell)
        strong, weak = dictionary.of(keys, weak=False), dictionary.of(keys, weak=True)
        if (strong or weak) and shipped.has(of.table.name, name, place):
            found.shipped += 1
            keys -= dictionary.inside(shipped.text(of.table.name, name, place))
            strong, weak = dictionary.of(keys, weak=False), dictionary.of(keys, weak=True)
        for what in strong:
            found.strong[of.table.name, name, what] += 1
        full = dictionary.full.among(weak.get(What.NAME, ())) if name in of.typed else set()
        for what, hits in weak.items():
            links += [_Link(row=place, column=name, what=what, key=hit, typed=hit in full) for hit in hits]
    return links


def _compare(source: psycopg.Connection[Any], of: _Place, links: list[_Link], state: tuple[Dictionary, _Found]) -> None:
    """Count the weak values that the same row of the source holds in a column that identifies somebody.

    A common name in full counts where the very same cell of the source holds it.
    """
    table, (dictionary, found) = of.table, state
    rows = sorted({link.row for link in links})
    typed = [of.typed[name] for name in sorted({link.column for link in links if link.typed})]
    wanted = ", ".join(map(cell, (*of.personal, *typed)))
    if len(table.primary_key) == 1:  # by the index
        column = table.column(table.primary_key[0])
        condition = f"{quoted(table.primary_key[0])} = ANY(%s::text[]::{column.type if column else 'text'}[])"
    else:
        condition = f"{_key(table)} = ANY(%s)"
    query = f"SELECT {_key(table)}, {wanted} FROM {relation(table.name)} WHERE {condition}"
    held: dict[tuple[str, str], set[int]] = {}
    for place, *cells in source.execute(query.encode(), [rows]):
        inside = [dictionary.inside(cell) if cell else set[int]() for cell in cells]
        held[place, ""] = set[int]().union(*inside[: len(of.personal)])
        held |= {(place, each.name): keys for each, keys in zip(typed, inside[len(of.personal) :], strict=True)}
    seen = {
        (link.row, link.column, link.what)
        for link in links
        if link.key in held.get((link.row, ""), ())
        or (link.typed and link.key in held.get((link.row, link.column), ()))
    }
    for _, column, what in seen:
        found.linked[table.name, column, what] += 1


def _by_chance(place: tuple[str, str, What], catalogue: Catalogue, found: _Found) -> int:
    table, column, what = place
    word = _word(catalogue.column(table, column))
    lists = Lists(languages=LANGUAGES)
    odds = {
        ("name", What.NAME): 1 / (len(lists.of("first")) * len(lists.of("last")) / len(LANGUAGES)),
        ("street", What.STREET): 1 / len(lists.of("street")),
        ("document-number", What.DOCUMENT): DOCUMENT_ODDS,
    }
    return most_by_chance(found.by_table[table] * odds.get((word, what), 0.0))


DOCUMENT_ODDS = 1e-3
"""A number of three digits is exchanged with itself in one of a thousand cases; longer ones in fewer."""


def _files(files: Iterable[tuple[str, bytes]], dictionary: Dictionary, found: _Found) -> int:
    count = 0
    for _, content in files:
        count += 1
        found.bytes += len(content)
        keys = dictionary.inside(content.decode("utf-8", "ignore"))
        for what in dictionary.of(keys, weak=False):
            found.strong["filestore", "", what] += 1
    return count
