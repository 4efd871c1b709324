"""The dictionary of a source: every real value that identifies somebody, as keys and never as text."""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from operations.anonymise.model import Classification
from operations.anonymise.rules.grammar import Name, RuleError, parse
from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.rules.words import NAMED, Kind
from operations.anonymise.verify.keys import Keys, sealed
from operations.anonymise.verify.text import PREFIX, full_keys, key, plain, prefix_keys, see, tokens
from operations.anonymise.verify.values import What, entries, leaves, public_words, rare_words, what_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import psycopg

    from operations.anonymise.model import Catalogue, ColumnRule
    from operations.anonymise.schema import Schema, Table

MOST_HOLDERS = 5
"""A word of more people's names than this tells of none of them."""
MOST_PASSAGES = 2_000_000
"""Passages of free text of one column that are kept; of a larger column one in two, four, … by their key."""
PEOPLE = frozenset({"res_partner", "hr_employee"})
"""Tables whose names of people are a finding in whatever column people type and training keeps."""
SHORTEST_IN_FULL = 7
"""Letters of such a name; two shorter words ("Le Vu") stand in a row by chance."""
TITLES = (
    *("mr", "mrs", "ms", "miss", "dr", "prof", "doctor", "patient", "family", "nurse"),
    *("mme", "mlle", "monsieur", "madame", "docteur", "famille", "herr", "frau", "familie", "doktor"),
    *("señor", "señora", "sr", "sra", "familia", "dhr", "mevr", "mevrouw", "meneer"),
)
"""What stands before a surname; lower case, as the search reads words."""
_TEXT = frozenset({Kind.TEXT, Kind.JSON, Kind.OTHER})


@dataclass(frozen=True, kw_only=True)
class Dictionary:
    """What is looked for.

    Attributes:
        prefixes: Keys of the first tokens of everything.
        whole: Keys of all whole values.
        strong: Keys of whole values that must stand nowhere, by kind.
        weak: Keys of whole values that must not stand in the same row as in the source, by kind.
        full: Keys of common names in full, of people: words of the public lists, but two of them as somebody has them.
        ordinary: Keys of quasi-identifiers that are the organisation's own words.
        values: How many values were read.
        left_out: Passages of free text that are not looked for, because a column has too many.
        common: Words of names that too many people have to be looked for on their own.
    """

    prefixes: Keys
    whole: Keys
    strong: dict[What, Keys]
    weak: dict[What, Keys]
    full: Keys = field(default_factory=sealed)
    ordinary: set[int] = field(default_factory=set)
    values: int = 0
    left_out: int = 0
    common: int = 0

    def __len__(self) -> int:
        return sum(map(len, (*self.strong.values(), *self.weak.values())))

    def inside(self, text: str) -> set[int]:
        """Return the keys of the whole values that a text holds."""
        seen = see(text)
        hits = self.prefixes.among(prefix_keys(seen))
        return self.whole.among(full_keys(seen, hits)) if hits else set()

    def of(self, keys: Iterable[int], *, weak: bool) -> dict[What, set[int]]:
        """Return which of the keys are whole values of the dictionary, by kind."""
        wanted = [key for key in keys if key not in self.ordinary]
        if not wanted:
            return {}
        found = {what: held.among(wanted) for what, held in (self.weak if weak else self.strong).items()}
        return {what: hits for what, hits in found.items() if hits}


@dataclass(kw_only=True)
class _Making:
    prefixes: Keys = field(default_factory=Keys)
    whole: Keys = field(default_factory=Keys)
    strong: defaultdict[What, Keys] = field(default_factory=lambda: defaultdict(Keys))
    weak: defaultdict[What, Keys] = field(default_factory=lambda: defaultdict(Keys))
    full: Keys = field(default_factory=Keys)
    holders: Counter[str] = field(default_factory=Counter)
    values: int = 0
    left_out: int = 0

    def add(self, what: What, sequence: tuple[str, ...], *, weak: bool) -> None:
        """Add one sequence."""
        self.prefixes.add(key(sequence[:PREFIX]))
        self.whole.add(key(sequence))
        (self.weak if weak else self.strong)[what].add(key(sequence))


@dataclass(frozen=True, kw_only=True)
class _Read:
    """A column that is read: its line, and SQL that is true for a person's name."""

    line: ColumnRule
    what: What
    person: str
    value: str


def collect(
    source: psycopg.Connection[Any], schema: Schema, catalogue: Catalogue, ordinary: frozenset[str]
) -> Dictionary:
    """Return the dictionary of a source; it is read once, one table after the other.

    Memory: 24 bytes for each form of a value, and the words of people's names while they are counted.

    Args:
        source: The isolated copy.
        schema: Of the source.
        catalogue: Says which columns identify people.
        ordinary: Words that are no rare name: those that the product and the organisation use themselves.
    """
    making = _Making()
    for table in schema.tables.values():
        made = shipped(table, schema)
        columns = [read for c in table.columns if (read := _reading(table, c.name, catalogue, made))]
        if columns:
            _table(source, table, columns, making, ordinary)
    common = _words(making)
    for keys in (making.prefixes, making.whole, making.full, *making.strong.values(), *making.weak.values()):
        keys.seal()
    return Dictionary(
        prefixes=making.prefixes,
        whole=making.whole,
        strong=making.strong,
        weak=making.weak,
        full=making.full,
        values=making.values,
        left_out=making.left_out,
        common=common,
    )


def _words(making: _Making) -> int:
    """Add the words of people's names; return of how many only the own row, or a title before it, is a finding."""
    common = 0
    for word, count in making.holders.items():
        many = count > MOST_HOLDERS
        common += many
        making.add(What.WORD, (word,), weak=many)
        for title in TITLES if many else ():
            making.add(What.WORD, (title, word), weak=False)
    making.holders.clear()
    return common


def _reading(table: Table, name: str, catalogue: Catalogue, made: str) -> _Read | None:
    line, column = looked_for(catalogue, table.name, name), table.column(name)
    what = what_of(line) if line else None
    if line is None or column is None or what is None or column.kind not in _TEXT:
        return None
    value = f"t.{quoted(name)}::text"
    if made and line.rule.startswith("shipped("):
        value = f"CASE WHEN {made} THEN NULL ELSE {value} END"
    person = _person(line, table) if what is What.NAME else "false"
    return _Read(line=line, what=what, person=person, value=value)


def looked_for(catalogue: Catalogue, table: str, column: str) -> ColumnRule | None:
    """Return the line that says as what a column's values are looked for.

    That is the shipped one where a site's own line would have them looked for nowhere: a site may say what becomes of
    a column, but not that names are no names.
    """
    line, shipped_line = catalogue.column(table, column), catalogue.shipped(table, column)
    if line is not None and what_of(line) is None and shipped_line is not None and what_of(shipped_line) is not None:
        return shipped_line
    return line


def _person(line: ColumnRule, table: Table) -> str:
    """Return SQL that is true when a row's name is a person's: only these are also looked for word by word."""
    try:
        rule = parse(line.rule)
    except RuleError:
        return "false"
    rule = rule.inner or rule
    named = rule.arguments[0] if rule.word == "name" and rule.arguments else None
    if not isinstance(named, Name) or named.text in NAMED:
        return str(isinstance(named, Name) and named.text == "person").lower()
    return f"NOT coalesce(t.{quoted(named.text)}, false)" if table.column(named.text) else "false"


def _table(
    source: psycopg.Connection[Any],
    table: Table,
    columns: list[_Read],
    making: _Making,
    ordinary: frozenset[str],
) -> None:
    once = [_Once() for _ in columns]
    wanted = [read.value for read in columns] + [read.person for read in columns]
    statement = f"COPY (SELECT {', '.join(wanted)} FROM {relation(table.name)} t) TO STDOUT"
    width = len(columns)
    with source.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        for row in copy.rows():
            for read, seen, value, person in zip(columns, once, row[:width], row[width:], strict=True):
                if value:
                    making.values += 1
                    _value(read.what, value, making, seen, ordinary, person=person == "t")
                    if person == "t" and table.name in PEOPLE:
                        _in_full(value, making)
    for read, seen in zip(columns, once, strict=True):
        seen.pour(read.what, making)


def _in_full(value: str, making: _Making) -> None:
    for text in leaves(value) if value[0] in '{["' else (value,):
        for entry in entries(What.NAME, text):
            if entry.weak and len(entry.sequence) > 1 and len("".join(entry.sequence)) >= SHORTEST_IN_FULL:
                making.full.add(key(entry.sequence))


def _value(what: What, value: str, making: _Making, once: _Once, ordinary: frozenset[str], *, person: bool) -> None:
    for text in leaves(value) if value[0] in '{["' else (value,):
        for entry in entries(what, text):
            if entry.once:
                once.add(entry.sequence)
            elif len(entry.sequence) > 1 or entry.sequence[0] not in ordinary:
                # An organisation called by words of the product alone ("My Company") stands where nobody meant it.
                common = what is What.NAME and not person and ordinary.issuperset(entry.sequence)
                making.add(what, entry.sequence, weak=entry.weak or common)
        if person:
            making.holders.update(word for word in rare_words(plain(text)) if word not in ordinary)


class _Once:
    """Passages of one column: pairs of keys, of which those of a single row are kept; thinned when too many."""

    def __init__(self) -> None:
        self._pairs: dict[int, int | None] = {}
        self._mask = 0
        self._left_out = 0

    def add(self, sequence: tuple[str, ...]) -> None:
        whole = key(sequence)
        if whole & self._mask:
            self._left_out += 1
            return
        self._pairs[whole] = None if whole in self._pairs else key(sequence[:PREFIX])
        if len(self._pairs) > MOST_PASSAGES:
            self._mask = self._mask * 2 + 1
            kept = {whole: prefix for whole, prefix in self._pairs.items() if not whole & self._mask}
            self._left_out += len(self._pairs) - len(kept)
            self._pairs = kept

    def pour(self, what: What, making: _Making) -> None:
        for whole, prefix in self._pairs.items():
            if prefix is not None:
                making.prefixes.add(prefix)
                making.whole.add(whole)
                making.strong[what].add(whole)
        making.left_out += self._left_out
        self._pairs.clear()


def shipped(table: Table, schema: Schema, *, unsigned: bool = False) -> str:
    """Return SQL that is true of a row `t` that an installed module made and nobody edited; empty when none can be.

    It is what the rule `shipped` asks of a row before it lets a value stay.

    Args:
        table: The table.
        schema: Of the database.
        unsigned: Also rows that no user wrote: Odoo's own description of its models.
    """
    if not {"ir_model_data", "ir_module_module"} <= set(schema.tables):
        return ""
    if table.column("id") is None or table.column("write_uid") is None:
        return ""
    fields = schema.orm.get(table.name, {})
    models = sorted({each.model for each in fields.values()}) or [table.name.replace("_", ".")]
    names = ", ".join("'" + model.replace("'", "''") + "'" for model in models)
    return (
        f"(coalesce(t.write_uid, {int(unsigned)}) = 1 AND t.id IN (SELECT d.res_id FROM public.ir_model_data d "
        "JOIN public.ir_module_module m ON m.name = d.module AND m.state = 'installed' "
        f"WHERE d.model IN ({names})))"
    )


_OWN_NAMES = "EXISTS (SELECT FROM public.ir_module_module m WHERE m.name = t.module AND m.state = 'installed')"


def product_text(schema: Schema, catalogue: Catalogue) -> Iterator[tuple[Table, list[str], str]]:
    """Yield tables with the columns and condition (of a row `t`) that the product itself fills.

    These are columns that the catalogue calls public, technical or internal, or whose rule is `shipped`, in rows that
    an installed module made and that the superuser wrote last. Other personal columns never count, whoever made the
    row.
    """
    classes = {Classification.PUBLIC, Classification.TECHNICAL, Classification.INTERNAL}
    for table in schema.tables.values():
        made = _OWN_NAMES if table.name == "ir_model_data" else shipped(table, schema, unsigned=True)
        lines = {column.name: catalogue.column(table.name, column.name) for column in table.columns}
        wanted = [
            column.name
            for column in table.columns
            if column.kind in _TEXT
            and (line := lines[column.name])
            and (line.classification in classes or line.rule.startswith("shipped("))
        ]
        if wanted and made:
            yield table, wanted, made


def organisation_text(schema: Schema, catalogue: Catalogue) -> Iterator[tuple[Table, list[str]]]:
    """Yield tables with the columns in which the organisation names its own things, and which training keeps."""
    for table in schema.tables.values():
        rules = {column.name: catalogue.column(table.name, column.name) for column in table.columns}
        wanted = [
            column.name
            for column in table.columns
            if column.kind in _TEXT
            and (line := rules[column.name])
            and (line.classification, line.rule) == (Classification.INTERNAL, "keep")
        ]
        if wanted:
            yield table, wanted


def ordinary_words(source: psycopg.Connection[Any], schema: Schema, catalogue: Catalogue) -> frozenset[str]:
    """Return words that cannot be a rare name, because the product uses them."""
    words = set(public_words())
    for table, columns, condition in product_text(schema, catalogue):
        wanted = ", ".join(f"t.{quoted(column)}::text" for column in columns)
        statement = f"COPY (SELECT {wanted} FROM {relation(table.name)} t WHERE {condition}) TO STDOUT"
        with source.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for block in copy:
                words.update(tokens(plain(bytes(block).decode("utf-8", "replace"))))
    return frozenset(words)
