"""What the catalogue says about a column and a table, as plain data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


_DIGITS = re.compile("[0-9]+", re.ASCII)


class Classification(StrEnum):
    """What a column holds, from the point of view of the person it is about."""

    PUBLIC = "public"
    """Shipped by the product or published by its nature."""

    INTERNAL = "internal"
    """The organisation's own choices and records that are about nobody."""

    CREDENTIAL = "credential"
    """Opens something: passwords, keys, tokens."""

    DIRECT = "direct-identifier"
    """Names a person or an organisation, or reaches it, on its own."""

    QUASI = "quasi-identifier"
    """Narrows down who it is together with others: dates, places, sex, coordinates."""

    FREE_TEXT = "free-text"
    """Whatever somebody typed: anything may be in it."""

    FINANCIAL = "financial"
    """Amounts and terms about a person or a business relation."""

    DERIVED = "derived"
    """Computed by Odoo from other columns, so as personal as they are."""

    TECHNICAL = "technical"
    """Keys, links, types, states, flags, counters and measures."""


class SafeHarbor(StrEnum):
    """The identifiers of 45 CFR 164.514(b)(2)(i), by their letter."""

    NAMES = "A"
    PLACES = "B"
    """Geographic subdivisions smaller than a state; three digits of a ZIP code may stay where 20,000 people live."""
    DATES = "C"
    """Elements of dates about an individual but the year; ages over 89."""
    PHONES = "D"
    FAXES = "E"
    EMAILS = "F"
    SOCIAL_SECURITY = "G"
    MEDICAL_RECORDS = "H"
    HEALTH_PLANS = "I"
    ACCOUNTS = "J"
    LICENSES = "K"
    """Certificate and license numbers."""
    VEHICLES = "L"
    DEVICES = "M"
    URLS = "N"
    IP_ADDRESSES = "O"
    BIOMETRICS = "P"
    PHOTOGRAPHS = "Q"
    OTHER = "R"
    """Any other unique identifying number, characteristic or code."""


class Gdpr(StrEnum):
    """What a column is under Regulation (EU) 2016/679."""

    NONE = "none"
    PERSONAL = "personal"
    """Art. 4(1)."""
    SPECIAL = "special-category"
    """Art. 9(1): health, biometric data, origin, beliefs, union membership, sex life."""
    NATIONAL_ID = "national-identifier"
    """Art. 87: numbers a state gives to identify people."""


PERSONAL = frozenset({Classification.DIRECT, Classification.QUASI, Classification.FREE_TEXT})
"""Classes that always are about somebody, so each column of them names its Safe Harbor letter and its GDPR class."""


class Action(StrEnum):
    """What becomes of a table's rows."""

    COPY = "copy"
    EMPTY = "empty"
    WHERE = "where"


@dataclass(frozen=True, kw_only=True)
class ColumnRule:
    """One line of the catalogue about a column.

    Attributes:
        table: The table; with its schema in front when that is not `public`.
        column: The column.
        classification: What it holds.
        safe_harbor: The identifier it is or may hold, or None.
        gdpr: What it is under the GDPR.
        rule: How it is masked, in the words of `operations.anonymise.rules.words`.
        note: Why, where that is not plain.
        origin: ``file:line``.
        override: Why a site's line takes the place of the shipped one; empty otherwise.
    """

    table: str
    column: str
    classification: Classification
    safe_harbor: SafeHarbor | None
    gdpr: Gdpr
    rule: str
    note: str = ""
    origin: str = ""
    override: str = ""

    @property
    def name(self) -> str:
        """Return ``table.column``."""
        return f"{self.table}.{self.column}"


@dataclass(frozen=True, kw_only=True)
class TableRule:
    """One line of the catalogue about a table.

    Attributes:
        table: The table.
        action: What becomes of its rows.
        where: Which rows are copied, as an SQL condition over the table's own columns; only with `where`.
        why: The reason, for the person who reviews it.
        origin: ``file:line``.
        override: Why a site's line takes the place of the shipped one; empty otherwise.
    """

    table: str
    action: Action
    where: str = ""
    why: str = ""
    origin: str = ""
    override: str = ""


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """Every line of every file.

    Attributes:
        columns: By table and column.
        tables: By table.
        version: A hash over all lines; the certificate names it.
        replaced: The shipped lines about columns that a site's own lines took the place of.
    """

    columns: Mapping[str, Mapping[str, ColumnRule]]
    tables: Mapping[str, TableRule]
    version: str
    replaced: Mapping[str, Mapping[str, ColumnRule]] = field(default_factory=dict)

    def column(self, table: str, column: str) -> ColumnRule | None:
        """Return the line about a column, or None; `#` in a line stands for a number (`x_plan#_id`)."""
        return _line(self.columns, table, column)

    def shipped(self, table: str, column: str) -> ColumnRule | None:
        """Return the line about a column that a site's own took the place of, or None."""
        return _line(self.replaced, table, column)

    def table(self, table: str) -> TableRule | None:
        """Return the line about a table, or None."""
        return self.tables.get(table)


def _line(columns: Mapping[str, Mapping[str, ColumnRule]], table: str, column: str) -> ColumnRule | None:
    lines = columns.get(table, {})
    return lines.get(column) or lines.get(_DIGITS.sub("#", column))
