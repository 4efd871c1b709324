"""Where the expressions of one SELECT are built: what is computed once per row, and in which order.

A masked column is an SQL expression over the row `t`. What several columns or several parts of one expression need (a
keyed digest above all) is *let* once: a LATERAL subquery beside the row gives all lets, one subquery inside another per
level, and `OFFSET 0` keeps the planner from dissolving them. They hold the lets alone: a subquery around the row would
hand on each of its columns at each level, which costs as much as a digest in a table of a hundred columns.
"""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operations.anonymise.rules.words import Kind

SETTINGS = "careops_mask"
"""Prefix of the session settings that hold the keys and lists; PostgreSQL keeps them in the session's memory only."""

K = f"{SETTINGS}.k"
"""The setting that holds how many people at least must share a value that stays; conditions of tables read it too."""

_C = '"C"'


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What a rule is applied to.

    Attributes:
        value: SQL of the value; of a text column cast to text and freed of its collation.
        raw: SQL of the value as the column has it.
        type: The column's type as PostgreSQL writes it.
        table: Its table.
        column: Its column.
        kind: What it holds.
        not_null: It takes no NULL.
        length: Most characters, or None.
        unique: It is part of a unique index, so different values must stay different.
    """

    value: str
    raw: str
    type: str
    table: str
    column: str
    kind: Kind
    not_null: bool = False
    length: int | None = None
    unique: bool = False


@dataclass(kw_only=True)
class Scope:
    """What the expressions of one row need computed before them.

    Attributes:
        alias: The row's name in expressions.
        skip: SQL of a condition under which what is let is not needed, so not computed; empty for never.
    """

    alias: str = "t"
    skip: str = ""
    _lets: dict[str, int] = field(default_factory=dict)
    _levels: list[int] = field(default_factory=list)

    def unless(self, condition: str) -> Scope:
        """Return this scope for expressions that nobody looks at in rows where a condition on the row holds."""
        skip = f"{self.skip} OR {condition}" if self.skip else condition
        return Scope(alias=self.alias, skip=skip, _lets=self._lets, _levels=self._levels)

    def let(self, expression: str) -> str:
        """Return a name for what an expression gives; the same expression gets the same name."""
        if self.skip:
            expression = f"CASE WHEN {self.skip} THEN NULL ELSE {expression} END"
        if expression not in self._lets:
            used = [int(number) for number in re.findall(rf"\b{self.alias}_made\.careops_(\d+)\b", expression)]
            self._levels.append(1 + max((self._levels[number] for number in used), default=0))
            self._lets[expression] = len(self._levels) - 1
        return f"{self.alias}_made.careops_{self._lets[expression]}"

    def digest(self, domain: str, text: str) -> str:
        """Return a name for the keyed digest (32 bytes) of a text; NULL for NULL.

        Args:
            domain: What kind of thing it is; the same text gives unrelated digests in two domains.
            text: SQL of the text.
        """
        return self.digest_of_bytes(domain, f"textsend({text})")

    def digest_of_bytes(self, domain: str, data: str) -> str:
        """Return a name for the keyed digest of SQL of a bytea."""
        return self.let(f"sha256({key(domain)} || {data})")

    def select(self, columns: Mapping[str, str], source: str) -> str:
        """Return the SELECT of these expressions by column over a FROM item that gives the row.

        Args:
            columns: Expression by output name.
            source: ``FROM`` item (with joins and condition) for the innermost level.
        """
        wanted = ", ".join(f"{expression} AS {quoted(name)}" for name, expression in columns.items())
        return f"SELECT {wanted} FROM {self.wrapped(source)}"

    def wrapped(self, source: str) -> str:
        """Return the FROM item whose row has all lets."""
        inner, made = "", f"{self.alias}_made"
        for level in range(1, max(self._levels, default=0) + 1):
            lets = ", ".join(
                f"{expression} AS careops_{number}"
                for expression, number in self._lets.items()
                if self._levels[number] == level
            )
            below = f"{made}.*, {lets} FROM {inner}" if inner else lets
            inner = f"(SELECT {below} OFFSET 0) {made}"
        return f"{source} CROSS JOIN LATERAL {inner}" if inner else source


def key(domain: str) -> str:
    """Return SQL of the key of a domain, read once per statement."""
    return f"(SELECT current_setting('{SETTINGS}.key_{domain}')::bytea)"


def names(setting: str) -> str:
    """Return SQL of a list, read once per statement.

    It is an array of the fixed-width type `name`, so that taking an element costs the same wherever it is.
    """
    return f"(SELECT current_setting('{SETTINGS}.{setting}')::name[])"


def quoted(identifier: str) -> str:
    """Return an SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Return an SQL string literal, whatever `standard_conforming_strings` is."""
    escaped = text.replace("'", "''")
    return "E'" + escaped.replace("\\", "\\\\") + "'" if "\\" in text else f"'{escaped}'"


def relation(table: str) -> str:
    """Return the SQL name of a table as the schema names it: with its schema in front when not `public`."""
    schema, dot, name = table.partition(".")
    return f"{quoted(schema)}.{quoted(name)}" if dot else f"public.{quoted(table)}"


def neutral(text: str) -> str:
    """Return SQL of a text under the collation that compares bytes: any other can refuse to search or to fold."""
    return f"({text})::text COLLATE {_C}"


def small(digest: str, position: int) -> str:
    """Return SQL of an integer from two bytes of a digest."""
    return f"(get_byte({digest},{position})<<8|get_byte({digest},{position + 1}))"


def large(digest: str, position: int) -> str:
    """Return SQL of an integer from three bytes of a digest; PostgreSQL reads `<<` and `|` from left to right."""
    return f"({small(digest, position)}<<8|get_byte({digest},{position + 2}))"


def hexadecimal(digest: str, count: int) -> str:
    """Return SQL of the first bytes of a digest as hexadecimal digits."""
    return f"encode(substr({digest},1,{count}),'hex')"


def digits(digest: str, count: str) -> str:
    """Return SQL of at most 64 decimal digits of a digest: 3.25 bits each, as six of sixteen values come twice."""
    return f"left(translate(encode({digest},'hex'),'abcdef','012345'),{count})"


def filled(value: str, expression: str) -> str:
    """Return SQL that keeps the empty text empty and NULL what it is, without a look at the expression for either."""
    return f"CASE WHEN {value}<>'' THEN {expression} ELSE {value} END"


def trimmed(text: str, characters: str = " \t\r\n") -> str:
    """Return SQL of a text's bytes without some at its ends.

    `btrim` of a text looks at every character of it; that of a bytea only at the ends, and costs a fifth.

    Args:
        text: SQL of the text.
        characters: ASCII characters, of which no byte is a part of another character.
    """
    return f"btrim(textsend({text}),{_bytes(characters)})"


def blank(text: str) -> str:
    """Return SQL of whether a text is nothing but blanks, no-break spaces among them.

    The two bytes of a no-break space make no other character by themselves, so trimming bytes tells as well.
    """
    return f"btrim(textsend({text}),{_bytes(_BLANKS)})=''"


_BLANKS = " \t\r\n\u00a0"


def _bytes(characters: str) -> str:
    return literal(f"\\x{characters.encode().hex()}") + "::bytea"
