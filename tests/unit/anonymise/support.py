"""Small schemas and catalogues, made fresh for each test so that it can spoil one thing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from operations.anonymise.catalogue.loader import COLUMN_HEADER, TABLE_HEADER, read
from operations.anonymise.model import Catalogue
from operations.anonymise.schema import CheckConstraint, Column, ForeignKey, OrmField, Schema, Table, UniqueIndex

HEADER = "\t".join(COLUMN_HEADER)
TABLES = "\t".join(TABLE_HEADER)


def column(name: str, type_: str = "character varying", *, not_null: bool = False) -> Column:
    return Column(name=name, type=type_, not_null=not_null)


def link(column_name: str, target: str) -> ForeignKey:
    return ForeignKey(
        name=f"{column_name}_fkey", columns=(column_name,), target=target, target_columns=("id",), on_delete="set null"
    )


def unique(*columns: str, nulls_distinct: bool = True) -> UniqueIndex:
    return UniqueIndex(name="_".join((*columns, "uniq")), columns=columns, definition="", nulls_distinct=nulls_distinct)


def check(definition: str, *columns: str) -> CheckConstraint:
    return CheckConstraint(name="a_check", columns=columns, definition=definition)


def table(name: str, *columns: Column, links: Sequence[ForeignKey] = (), **more: object) -> Table:
    given = {"unique": (), "checks": (), **more}
    return Table(
        name=name,
        columns=(column("id", "integer", not_null=True), *columns),
        primary_key=("id",),
        foreign_keys=tuple(links),
        unique=(unique("id"), *given["unique"]),
        checks=tuple(given["checks"]),
    )


def schema(*tables: Table, orm: Sequence[tuple[str, OrmField]] = (), **more: object) -> Schema:
    fields: dict[str, dict[str, OrmField]] = {}
    for name, known in orm:
        fields.setdefault(name, {})[known.name] = known
    return Schema(tables={one.name: one for one in tables}, orm=fields, **more)


def line(name: str, rule: str, what: str = "technical\t-\tnone", note: str = "") -> str:
    table_name, _, column_name = name.partition(".")
    return f"{table_name}\t{column_name}\t{what}\t{rule}\t{note}"


def catalogue(folder: Path, lines: Sequence[str], tables: Sequence[str] = ()) -> Catalogue:
    """Return the catalogue of these lines; every table that they name is copied unless `tables` says else."""
    named = {text.split("\t")[0] for text in lines} - {text.split("\t")[0] for text in tables}
    listed = [*tables, *(f"{name}\tcopy\t\twhy" for name in sorted(named))]
    return read([write(folder / "columns.tsv", HEADER, *lines), write(folder / "tables.tsv", TABLES, *listed)])


def write(path: Path, *lines: str) -> Path:
    path.write_text("".join(f"{text}\n" for text in lines), encoding="utf-8")
    return path
