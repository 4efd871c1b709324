"""Where a rule stands: the row it may read and the run it is part of."""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text
from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operations.anonymise.rules.lists import Lists
from operations.anonymise.rules.scope import Cell, Scope, neutral, quoted, relation
from operations.anonymise.rules.words import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from operations.anonymise.model import Catalogue
    from operations.anonymise.rules.grammar import Reference
    from operations.anonymise.schema import Schema, Table

_DEEPEST = 4
_COPIES = ("{}_normalized", "{}_sanitized", "sanitized_{}", "complete_{}")
"""Names of Odoo's stored copies of a text, by that of the text."""


class CompileError(ValueError):
    """A rule that cannot become SQL for its column; the message names table, column and reason."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """What all rules of a run share.

    Attributes:
        schema: Of the source.
        catalogue: The lines about it.
        lists: Languages of made names.
        country: ISO code of the country that telephone numbers without a prefix belong to.
        k: How many people at least share what the rule `shared` lets stay.
    """

    schema: Schema
    catalogue: Catalogue
    lists: Lists = field(default_factory=Lists)
    country: str = "US"
    k: int = 5


@dataclass(frozen=True, kw_only=True)
class At:
    """A row: of the table that is read, or one that a foreign key of it points to.

    Attributes:
        run: The run.
        scope: Where what is computed once per row goes.
        table: The row's table.
        row: SQL of a column of the row, by the column's name.
        compile: Compiles a rule's text for a cell of a row: `compile.masked`.
        depth: How many references led here.
        nesting: How many rows of nested queries are around.
    """

    run: Run
    scope: Scope
    table: Table
    row: Callable[[str], str]
    compile: Callable[[At, str, Cell], str]
    depth: int = 0
    nesting: int = 0

    def cell(self, column: str, value: str | None = None) -> Cell:
        """Return the cell of a column of this row.

        Args:
            column: Its name.
            value: SQL to take instead of the column.

        Raises:
            CompileError: The table has no such column.
        """
        found = self.table.column(column)
        if found is None:
            raise CompileError(f"{self.table.name} has no column {column}")
        raw = value or self.row(column)
        unique = any(column in index.columns and len(index.columns) > 0 for index in self.table.unique)
        return Cell(
            value=neutral(raw) if found.kind is Kind.TEXT else raw,
            raw=raw,
            type=found.type,
            table=self.table.name,
            column=column,
            kind=found.kind,
            not_null=found.not_null,
            length=found.length,
            unique=unique,
        )

    def rule(self, column: str) -> str:
        """Return the catalogue's rule of a column of this row.

        Raises:
            CompileError: No line classifies it.
        """
        line = self.run.catalogue.column(self.table.name, column)
        if line is None:
            raise CompileError(f"no line of the catalogue classifies {self.table.name}.{column}")
        return line.rule

    def original(self, column: str) -> str | None:
        """Return the text of this row that a column is a copy of, by its name and by having the same rule."""
        for form in _COPIES:
            before, after = form.split("{}")
            name = column.removeprefix(before).removesuffix(after)
            if form.format(name) != column or self.table.column(name) is None:
                continue
            pair = [self._likeness(which) for which in (name, column)]
            return name if pair[0] is not None and pair[0] == pair[1] else None
        return None

    def _likeness(self, column: str) -> tuple[str, Kind, bool] | None:
        line, cell = self.run.catalogue.column(self.table.name, column), self.cell(column)
        return (line.rule, cell.kind, cell.unique) if line is not None else None

    def referenced(self, reference: Reference) -> At:
        """Return the row that a foreign key of this row points to.

        Raises:
            CompileError: There is no such table, or the references go round.
        """
        table = self.run.schema.tables.get(reference.table)
        if table is None:
            raise CompileError(f"{self.table.name} refers to {reference.table}, which the schema does not have")
        if self.depth >= _DEEPEST:
            raise CompileError(f"{self.table.name}.{reference.via} refers to {reference.table} in a circle")
        key = self.table.foreign_key(reference.via)
        target = key.target_columns[0] if key and key.target == reference.table else "id"
        via = self.row(reference.via)

        def row(column: str) -> str:
            query = f"SELECT r.{quoted(column)} FROM {relation(reference.table)} r WHERE r.{quoted(target)} = {via}"
            return self.scope.let(f"({query})")

        return At(
            run=self.run,
            scope=self.scope,
            table=table,
            row=row,
            compile=self.compile,
            depth=self.depth + 1,
            nesting=self.nesting,
        )
