"""What the loader is told to create: rows of values for Odoo's models, with markers for what only Odoo knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operations.seed.model import File

BATCH = 100
"""Records in one call: large enough that the way there does not count, small enough for a request's time limit."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One record: its key, unique in the whole hospital, and the values of its fields."""

    key: str
    values: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of one model, created in this order.

    Attributes:
        title: What the rows are, for people.
        model: The model they are created in.
        context: Odoo context on top of the loader's own.
        batch: Rows in one call.
        french: Key -> name in French, written after the rows exist.
    """

    title: str
    model: str
    rows: tuple[Row, ...]
    context: Mapping[str, Any] = field(default_factory=dict)
    batch: int = BATCH
    french: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ref:
    """The number of another row's record."""

    key: str


@dataclass(frozen=True)
class Refs:
    """The numbers of several rows' records, for a many2many field."""

    keys: tuple[str, ...]


@dataclass(frozen=True)
class Via:
    """The number that a field of another row's record points to."""

    key: str
    field: str


@dataclass(frozen=True)
class Vias:
    """What fields of several rows' records point to, for a many2many field; pairs of key and field."""

    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Xml:
    """The record with an external id that Odoo itself brings."""

    name: str


@dataclass(frozen=True)
class ModelOf:
    """The model of another row, as its name."""

    key: str


@dataclass(frozen=True)
class ModelIdOf:
    """The model of another row, as its number in `ir.model`."""

    key: str


@dataclass(frozen=True)
class Lines:
    """Rows of a one2many field, made together with their record."""

    values: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Content:
    """The bytes of a file, made when they are sent."""

    file: File


@dataclass(frozen=True)
class Secret:
    """A password that nobody knows: made when it is sent, kept nowhere."""
