"""Rules for every type: keep, remove, choose, regenerate, and what another row or an installed module says."""

# ruff: noqa: S608 - identifiers and literals are quoted, the rest is this package's own text
from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.rules.at import CompileError
from operations.anonymise.rules.scope import K, filled, hexadecimal, literal, quoted, relation, small
from operations.anonymise.rules.words import Kind

if TYPE_CHECKING:
    from operations.anonymise.rules.at import At
    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.rules.scope import Cell

FILES = "careops_mask.file"
FILE_FACTS = {"store_fname": "store_fname", "checksum": "checksum", "file_size": "file_size", "mimetype": "mimetype"}
FILES_TABLE = f"""CREATE SCHEMA IF NOT EXISTS careops_mask;
CREATE TABLE {FILES} (
    source_fname text PRIMARY KEY, store_fname text, checksum text, file_size bigint, mimetype text
)"""
"""Facts about what stands in for each file of the source's filestore; a file that the image ships stands for itself.

A file without a line here is not carried over, so its row says NULL.
"""

_NEUTRAL = {
    Kind.TEXT: "''",
    Kind.JSON: "'{}'",
    Kind.INTEGER: "0",
    Kind.NUMBER: "0",
    Kind.BOOLEAN: "false",
    Kind.DATE: "'1970-01-01'",
    Kind.TIMESTAMP: "'1970-01-01'",
    Kind.BYTES: "''",
}


def keep(_: Rule, cell: Cell, __: At) -> str:
    """Return the value."""
    return cell.raw


def null(_: Rule, cell: Cell, __: At) -> str:
    """Return NULL.

    Raises:
        CompileError: The column takes none.
    """
    if cell.not_null:
        raise CompileError(f"{cell.table}.{cell.column} takes no NULL, so its rule cannot be null")
    return f"NULL::{cell.type}"


def shared(rule: Rule, cell: Cell, at: At) -> str:
    """Return the value where at least k different people have it, each counted once however many rows are theirs.

    Raises:
        CompileError: The column takes no NULL.
    """
    if cell.not_null:
        raise CompileError(f"{cell.table}.{cell.column} takes no NULL, so its rule cannot be shared")
    column = quoted(cell.column)
    enough = (
        f"SELECT s.{column} FROM {relation(at.table.name)} s GROUP BY s.{column} "
        f"HAVING count(DISTINCT s.{quoted(rule.names[0])})>=(SELECT current_setting('{K}')::int)"
    )
    return f"CASE WHEN {cell.raw} IN ({enough}) THEN {cell.raw} END"


def recompute(_: Rule, cell: Cell, __: At) -> str:
    """Return NULL, or an empty value where the column takes none; Odoo computes the field later.

    Raises:
        CompileError: The type has no empty value.
    """
    if not cell.not_null:
        return f"NULL::{cell.type}"
    if cell.kind not in _NEUTRAL:
        raise CompileError(f"{cell.table}.{cell.column} takes no NULL and has no empty value to be recomputed from")
    return f"{_NEUTRAL[cell.kind]}::{cell.type}"


def constant(rule: Rule, cell: Cell, __: At) -> str:
    """Return the literal where there is a value."""
    return f"CASE WHEN {cell.raw} IS NOT NULL THEN {literal(rule.names[0])}::{cell.type} END"


def empty_text(_: Rule, cell: Cell, __: At) -> str:
    """Return the empty text where there is a value."""
    return f"CASE WHEN {cell.raw} IS NOT NULL THEN '' END"


def choice(rule: Rule, cell: Cell, at: At) -> str:
    """Return one of the given texts, by the digest."""
    options = " ".join(f"WHEN {place} THEN {literal(text)}" for place, text in enumerate(rule.names))
    return f"CASE {small(at.scope.digest('choice', cell.value), 0)}%{len(rule.names)} {options} END"


def same_as(rule: Rule, cell: Cell, at: At) -> str:
    """Return what the referenced column is masked to, by its own rule."""
    reference = rule.reference
    if reference is None:
        raise TypeError(str(rule))
    row = at.referenced(reference)
    return at.compile(row, row.rule(reference.column), row.cell(reference.column)) + f"::{_bare(cell.type)}"


def _bare(type_: str) -> str:
    return "text" if type_.startswith("character varying") else type_


def shipped(rule: Rule, cell: Cell, at: At) -> str:
    """Return the value where an installed module made the row and nobody edited it, else by the inner rule.

    Raises:
        CompileError: The table has no `id`, by which modules name rows.
    """
    masked = at.compile(at, str(rule.inner), cell)
    tables = at.run.schema.tables
    if "ir_model_data" not in tables or at.table.column("write_uid") is None:
        return masked
    if at.table.column("id") is None:
        raise CompileError(f"{at.table.name} has no column id, so no module can have made its rows")
    models = sorted({field.model for field in at.run.schema.orm.get(at.table.name, {}).values()})
    models = models or [at.table.name.replace("_", ".")]
    ours = (
        "SELECT d.res_id FROM public.ir_model_data d JOIN public.ir_module_module m ON m.name=d.module "
        f"AND m.state='installed' WHERE d.model IN ({','.join(map(literal, models))})"
    )
    made = f"coalesce({at.row('write_uid')},0)=1 AND {at.row('id')} IN ({ours})"
    return f"CASE WHEN {made} THEN {cell.raw} ELSE {masked} END"


def token(_: Rule, cell: Cell, __: At) -> str:
    """Return 122 random bits in hexadecimal digits, new for every row and run."""
    return f"CASE WHEN {cell.value}='' THEN '' WHEN {cell.raw} IS NOT NULL THEN {_random()} END"


def _random() -> str:
    return "replace(gen_random_uuid()::text,'-','')"


def uuid(_: Rule, cell: Cell, at: At) -> str:
    """Return a UUID (version 4 in form) of the digest."""
    digest = at.scope.digest("uuid", cell.value)
    marked = f"set_byte(set_byte({digest},6,get_byte({digest},6)&15|64),8,get_byte({digest},8)&63|128)"
    return filled(cell.value, f"encode(substr({marked},1,16),'hex')::uuid::text")


def hashed(_: Rule, cell: Cell, at: At) -> str:
    """Return hexadecimal digits of the digest, as many as the value has characters, at most 64.

    In a unique column at least 16, so that short values stay different too.
    """
    digest = at.scope.digest("hash", cell.value)
    size = f"greatest(16,length({cell.value}))" if cell.unique else f"length({cell.value})"
    return filled(cell.value, f"left({hexadecimal(digest, 32)},{size})")


def placeholder(rule: Rule, cell: Cell, at: At) -> str:
    """Return a fact about the file that stands in for the row's file.

    Raises:
        CompileError: There is no such fact, or the table names no file.
    """
    fact = rule.names[0]
    if fact not in FILE_FACTS or at.table.column("store_fname") is None:
        raise CompileError(f"{cell.table}.{cell.column}: placeholder gives {', '.join(FILE_FACTS)} of a stored file")
    found = f"(SELECT f.{quoted(fact)} FROM {FILES} f WHERE f.source_fname={at.row('store_fname')})"
    return f"CASE WHEN {cell.raw} IS NOT NULL THEN {found}::{cell.type} END"
