"""Cells that the product itself ships: what stands in them is nobody's, and the same value elsewhere is somebody's."""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.verify.collect import product_text

if TYPE_CHECKING:
    import psycopg

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema


@dataclass(kw_only=True)
class ShippedCells:
    """Knows which cells are shipped, by table, column and id as the source has them.

    Which rows those are is asked of the source, whose rows the adoption has not touched, and only of tables in which
    something was found: a few thousand ids for each.

    Attributes:
        source: The isolated copy.
        schema: Of the source.
        catalogue: Says which columns the product may fill.
    """

    source: psycopg.Connection[Any]
    schema: Schema
    catalogue: Catalogue
    _places: dict[str, tuple[frozenset[str], str]] = field(default_factory=dict)
    _rows: dict[str, frozenset[str]] = field(default_factory=dict)

    def has(self, table: str, column: str, row: str) -> bool:
        """Return whether a cell of the source is one that the product ships.

        Args:
            table: The table.
            column: The column.
            row: The id, as text.
        """
        if not self._places:
            self._places = {
                found.name: (frozenset(columns), condition)
                for found, columns, condition in product_text(self.schema, self.catalogue)
            }
        columns, condition = self._places.get(table, (frozenset[str](), ""))
        if column not in columns:
            return False
        if table not in self._rows:
            query = f"SELECT t.id::text FROM {relation(table)} t WHERE {condition}"
            self._rows[table] = frozenset(number for (number,) in self.source.execute(query.encode()))
        return row in self._rows[table]

    def text(self, table: str, column: str, row: str) -> str:
        """Return what stands in a shipped cell of the source: only that is the product's, not what came to it since.

        Args:
            table: The table.
            column: The column.
            row: The id, as text.
        """
        query = f"SELECT t.{quoted(column)}::text FROM {relation(table)} t WHERE t.id = %s::bigint"
        found = self.source.execute(query.encode(), [row]).fetchone()
        return found[0] or "" if found else ""
