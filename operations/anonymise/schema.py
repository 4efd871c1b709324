"""The live schema as plain data: what the catalogue is compared with and what the transfer moves."""
# ruff: noqa: S608 - every query is made of this file's own constants

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

from operations.anonymise.rules.words import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    import psycopg

_KINDS = {
    **dict.fromkeys(("character varying", "text", "character", "name", "citext"), Kind.TEXT),
    **dict.fromkeys(("json", "jsonb"), Kind.JSON),
    **dict.fromkeys(("smallint", "integer", "bigint"), Kind.INTEGER),
    **dict.fromkeys(("numeric", "real", "double precision", "money"), Kind.NUMBER),
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone"), Kind.TIMESTAMP),
    "boolean": Kind.BOOLEAN,
    "date": Kind.DATE,
    "bytea": Kind.BYTES,
}
_LENGTH = re.compile(r"\((\d+)\)$", re.ASCII)
_MODIFIER = re.compile(r"\(\d+(,\d+)?\)", re.ASCII)
"""As in ``numeric(6,2)`` and ``timestamp(3) without time zone``."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column.

    Attributes:
        type: As PostgreSQL writes it, with its length.
        default: The expression, or empty.
        generated: PostgreSQL computes it.
    """

    name: str
    type: str
    not_null: bool
    default: str = ""
    generated: bool = False

    @property
    def kind(self) -> Kind:
        """Return what a rule needs to know of the type; arrays and the rest are `other`."""
        return _KINDS.get(_MODIFIER.sub("", self.type), Kind.OTHER)

    @property
    def length(self) -> int | None:
        """Return the most characters that a text may have."""
        found = _LENGTH.search(self.type) if self.kind is Kind.TEXT else None
        return int(found.group(1)) if found else None


@dataclass(frozen=True, kw_only=True)
class ForeignKey:
    """Columns that point to a row of another table.

    Attributes:
        on_delete: "cascade", "set null", "restrict", "no action" or "set default".
    """

    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]
    on_delete: str


@dataclass(frozen=True, kw_only=True)
class UniqueIndex:
    """A unique index or constraint, the primary key's too.

    Attributes:
        columns: Key columns, and those that a key expression or the condition reads.
        definition: As PostgreSQL writes it.
        nulls_distinct: Rows with a NULL in it never collide.
    """

    name: str
    columns: tuple[str, ...]
    definition: str
    nulls_distinct: bool = True


@dataclass(frozen=True, kw_only=True)
class CheckConstraint:
    """A condition that every row meets."""

    name: str
    columns: tuple[str, ...]
    definition: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        rows: PostgreSQL's estimate; -1 when it never looked.
        size: Bytes on disk without indexes.
        partitioned: Its rows are all in its partitions, which are no tables of their own here. A table of another that
            it inherits from (``ir_act_window`` of ``ir_actions``) is one.
    """

    name: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique: tuple[UniqueIndex, ...] = ()
    checks: tuple[CheckConstraint, ...] = ()
    rows: int = -1
    size: int = 0
    partitioned: bool = False

    def column(self, name: str) -> Column | None:
        """Return a column, or None."""
        return next((column for column in self.columns if column.name == name), None)

    def foreign_key(self, column: str) -> ForeignKey | None:
        """Return the foreign key made of this column alone, or None."""
        return next((key for key in self.foreign_keys if key.columns == (column,)), None)


@dataclass(frozen=True, kw_only=True)
class OrmField:
    """What Odoo knows about a stored field; see ``ir_model_fields``.

    Attributes:
        ttype: Odoo's type, such as "many2one" or "html".
        related: The path of fields that it repeats, or empty.
        relation: The model that a link points to.
        readonly: Nobody edits it; a stored one is computed, or written by code.
        transient: Its rows live for minutes.
    """

    model: str
    name: str
    ttype: str
    related: str = ""
    relation: str = ""
    translate: bool = False
    company_dependent: bool = False
    readonly: bool = False
    transient: bool = False


@dataclass(frozen=True, kw_only=True)
class Schema:
    """All of a database but its rows.

    Attributes:
        tables: By name; with the schema in front when that is not `public`.
        sequences: Names.
        extensions: Names.
        large_objects: How many there are; no rule reaches them.
        orm: By table and column; empty without Odoo.
    """

    tables: Mapping[str, Table]
    sequences: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    large_objects: int = 0
    orm: Mapping[str, Mapping[str, OrmField]] = field(default_factory=dict)

    def field(self, table: str, column: str) -> OrmField | None:
        """Return what Odoo knows about a column, or None."""
        return self.orm.get(table, {}).get(column)


_NAME: LiteralString = "CASE n.nspname WHEN 'public' THEN c.relname ELSE n.nspname || '.' || c.relname END"
_OURS: LiteralString = (
    "n.nspname !~ '^(pg_|careops_)' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'p') "
    "AND NOT c.relispartition"
)
_FROM: LiteralString = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"

_TABLES: LiteralString = (
    f"SELECT {_NAME}, c.reltuples::bigint, pg_table_size(c.oid), c.relkind = 'p' FROM {_FROM} WHERE {_OURS}"
)
_COLUMNS: LiteralString = f"""
    SELECT {_NAME}, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
           coalesce(pg_get_expr(d.adbin, d.adrelid), ''), a.attgenerated <> ''
    FROM {_FROM} JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    WHERE {_OURS} ORDER BY 1, a.attnum"""
_CONSTRAINTS: LiteralString = f"""
    SELECT {_NAME}, k.conname, k.contype::text,
           ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.number ORDER BY u.place),
           (SELECT CASE tn.nspname WHEN 'public' THEN t.relname ELSE tn.nspname || '.' || t.relname END
            FROM pg_class t JOIN pg_namespace tn ON tn.oid = t.relnamespace WHERE t.oid = k.confrelid),
           ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.number ORDER BY u.place),
           k.confdeltype::text, pg_get_constraintdef(k.oid)
    FROM {_FROM} JOIN pg_constraint k ON k.conrelid = c.oid WHERE {_OURS} AND k.contype IN ('p', 'f', 'c')
    ORDER BY 1, 2"""
_UNIQUE: LiteralString = f"""
    SELECT {_NAME}, x.relname, pg_get_indexdef(x.oid), NOT i.indnullsnotdistinct,
           ARRAY(SELECT a.attname::text FROM unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY u(number, place)
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.number ORDER BY u.place),
           ARRAY(SELECT DISTINCT a.attname::text FROM pg_depend p
                 JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = p.refobjsubid
                 WHERE p.classid = 'pg_class'::regclass AND p.objid = x.oid AND p.refobjid = c.oid
                   AND p.refobjsubid > 0 AND i.indexprs IS NOT NULL ORDER BY 1)
    FROM {_FROM} JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique JOIN pg_class x ON x.oid = i.indexrelid
    WHERE {_OURS} ORDER BY 1, 2"""
_SEQUENCES: LiteralString = (
    f"SELECT {_NAME} FROM {_FROM} WHERE c.relkind = 'S' AND n.nspname !~ '^(pg_|careops_)' ORDER BY 1"
)
_EXTENSIONS: LiteralString = "SELECT extname::text FROM pg_extension ORDER BY 1"
_LARGE_OBJECTS: LiteralString = "SELECT count(*) FROM pg_largeobject_metadata"
_HAS_ORM: LiteralString = "SELECT to_regclass('public.ir_model_fields') IS NOT NULL"
_FIELDS: LiteralString = """
    SELECT f.model, f.name, f.ttype, coalesce(f.related, ''), coalesce(f.relation, ''),
           coalesce(f.translate, '') <> '', coalesce(f.company_dependent, false), coalesce(f.readonly, false),
           coalesce(m.transient, false)
    FROM ir_model_fields f JOIN ir_model m ON m.id = f.model_id WHERE f.store"""

_DELETES = {"a": "no action", "r": "restrict", "c": "cascade", "n": "set null", "d": "set default"}

_TABLES_OF_MODELS = {
    "ir.actions.act_url": "ir_act_url",
    "ir.actions.act_window": "ir_act_window",
    "ir.actions.act_window.view": "ir_act_window_view",
    "ir.actions.act_window_close": "ir_actions",
    "ir.actions.actions": "ir_actions",
    "ir.actions.client": "ir_act_client",
    "ir.actions.report": "ir_act_report_xml",
    "ir.actions.server": "ir_act_server",
}
"""Models whose table is not named after them (``_table`` in odoo/addons/base/models/ir_actions*.py)."""


def read_schema(connection: psycopg.Connection[Any]) -> Schema:
    """Return the schema of the database that the connection is to; reads catalogues only.

    Args:
        connection: To the live database or a copy of it.
    """
    columns: dict[str, list[Column]] = {}
    for table, name, type_, not_null, default, generated in connection.execute(_COLUMNS):
        column = Column(name=name, type=type_, not_null=not_null, default=default, generated=generated)
        columns.setdefault(table, []).append(column)
    primary, foreign, checks = _constraints(connection)
    unique = _unique(connection)
    tables = {
        name: Table(
            name=name,
            columns=tuple(columns.get(name, ())),
            primary_key=primary.get(name, ()),
            foreign_keys=tuple(foreign.get(name, ())),
            unique=tuple(unique.get(name, ())),
            checks=tuple(checks.get(name, ())),
            rows=rows,
            size=size,
            partitioned=partitioned,
        )
        for name, rows, size, partitioned in sorted(connection.execute(_TABLES))
    }
    return Schema(
        tables=tables,
        sequences=tuple(row[0] for row in connection.execute(_SEQUENCES)),
        extensions=tuple(row[0] for row in connection.execute(_EXTENSIONS)),
        large_objects=_number(connection, _LARGE_OBJECTS),
        orm=_orm(connection) if _number(connection, _HAS_ORM) else {},
    )


def _constraints(
    connection: psycopg.Connection[Any],
) -> tuple[dict[str, tuple[str, ...]], dict[str, list[ForeignKey]], dict[str, list[CheckConstraint]]]:
    primary: dict[str, tuple[str, ...]] = {}
    foreign: dict[str, list[ForeignKey]] = {}
    checks: dict[str, list[CheckConstraint]] = {}
    for table, name, kind, columns, target, target_columns, on_delete, text in connection.execute(_CONSTRAINTS):
        if kind == "p":
            primary[table] = tuple(columns)
        elif kind == "c":
            check = CheckConstraint(name=name, columns=tuple(columns), definition=text)
            checks.setdefault(table, []).append(check)
        else:
            key = ForeignKey(
                name=name,
                columns=tuple(columns),
                target=target,
                target_columns=tuple(target_columns),
                on_delete=_DELETES[on_delete],
            )
            foreign.setdefault(table, []).append(key)
    return primary, foreign, checks


def _unique(connection: psycopg.Connection[Any]) -> dict[str, list[UniqueIndex]]:
    found: dict[str, list[UniqueIndex]] = {}
    for table, name, text, nulls_distinct, keys, read in connection.execute(_UNIQUE):
        columns = tuple(dict.fromkeys([*keys, *read]))
        index = UniqueIndex(name=name, columns=columns, definition=text, nulls_distinct=nulls_distinct)
        found.setdefault(table, []).append(index)
    return found


def _orm(connection: psycopg.Connection[Any]) -> dict[str, dict[str, OrmField]]:
    found: dict[str, dict[str, OrmField]] = {}
    for (
        model,
        name,
        ttype,
        related,
        relation,
        translate,
        by_company,
        readonly,
        transient,
    ) in connection.execute(_FIELDS):
        table = _TABLES_OF_MODELS.get(model, model.replace(".", "_"))
        found.setdefault(table, {})[name] = OrmField(
            model=model,
            name=name,
            ttype=ttype,
            related=related,
            relation=relation,
            translate=translate,
            company_dependent=by_company,
            readonly=readonly,
            transient=transient,
        )
    return found


def _number(connection: psycopg.Connection[Any], query: LiteralString) -> int:
    row = connection.execute(query).fetchone()
    return row[0] if row else 0
