"""Checks that a target is whole: rows, constraints, sequences, references, the ledger."""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.anonymise.model import Action
from operations.anonymise.rules.scope import literal, quoted, relation
from operations.anonymise.verify.report import Finding, Looked

if TYPE_CHECKING:
    import psycopg

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A source and its target.

    Attributes:
        source: To the isolated copy.
        target: To the masked database.
        before: Schema of the source.
        after: Schema of the target.
        catalogue: What becomes of which column.
        added: Tables in which the refresh itself made rows since they were masked (training log-ins).
        updated: Whether modules were updated since: training's release is newer, and says what a database is made of.
            All was compared strictly before that.
    """

    source: psycopg.Connection[Any]
    target: psycopg.Connection[Any]
    before: Schema
    after: Schema
    catalogue: Catalogue
    added: frozenset[str] = frozenset()
    updated: bool = False


def rows(pair: Pair) -> Looked:
    """Compare row counts: a copied table has all its rows, one with a condition those that meet it, others none."""
    findings, total = [], 0
    for name, table in pair.before.tables.items():
        line = pair.catalogue.table(name)
        condition = ""
        if line is not None and line.action is Action.WHERE:
            condition = f" WHERE ({line.where})"
        emptied = line is not None and line.action is Action.EMPTY
        wanted = 0 if emptied else _number(pair.source, f"SELECT count(*) FROM {relation(name)} t{condition}")
        if name not in pair.after.tables:
            if not pair.updated:
                findings.append(Finding(table=name, column="", what="the table is missing", count=1))
            continue
        found = _number(pair.target, f"SELECT count(*) FROM {relation(table.name)}")
        total += found
        if pair.updated and 0 < wanted - found <= _withdrawn(pair, name, wanted):
            continue
        if found < wanted or (found > wanted and name not in pair.added):
            what = "rows where none should be" if emptied else "rows more or fewer than in the source"
            findings.append(Finding(table=name, column="", what=what, count=abs(found - wanted)))
    facts = {"tables": len(pair.before.tables), "rows": total}
    return Looked(findings=findings, facts=facts, required=("tables", "rows"))


def _withdrawn(pair: Pair, table: str, rows: int) -> int:
    """Return how many rows of a table an update may have removed: records that a module's own files had made.

    Odoo removes those that the new files no longer name, and with them what says of which group or menu they were.

    Args:
        pair: Source and target.
        table: The table.
        rows: How many it had.
    """
    models = {field.model for field in pair.before.orm.get(table, {}).values()}
    if not models or models == {"ir.model.data"}:
        return rows
    words = ", ".join(literal(model) for model in sorted(models))
    named = f"SELECT count(*) FROM ir_model_data WHERE model IN ({words})"
    return _number(pair.source, named) - _number(pair.target, named)


def constraints(pair: Pair) -> Looked:
    """Check that every key, unique index and condition of the source is in the target, and valid there.

    A constraint that PostgreSQL validated when it was made after the load holds for every row. An update makes those of
    its modules anew, in other words or other ones: after it, only that they are valid is asked.
    """
    findings = []
    before, after = _constraints(pair.source), _constraints(pair.target)
    for (table, name), definition in ({} if pair.updated else before).items():
        if after.get((table, name)) is None:
            findings.append(Finding(table=table, column=name, what="the constraint or index is missing", count=1))
        elif after[table, name][0] != definition[0]:
            findings.append(Finding(table=table, column=name, what="the constraint or index differs", count=1))
    for (table, name), (_, valid) in after.items():
        if not valid:
            findings.append(Finding(table=table, column=name, what="is not validated", count=1))
    if pair.after.large_objects:
        found = pair.after.large_objects
        findings.append(
            Finding(table="pg_largeobject", column="", what="large objects, which no rule reaches", count=found)
        )
    return Looked(findings=findings, facts={"constraints": len(before)}, required=("constraints",))


_CONSTRAINTS = """
    SELECT c.conrelid::regclass::text, c.conname, pg_get_constraintdef(c.oid), c.convalidated
    FROM pg_constraint c JOIN pg_namespace n ON n.oid = c.connamespace
    WHERE c.conrelid <> 0 AND c.contype IN ('p', 'f', 'u', 'c', 'x') AND n.nspname !~ '^(pg_|careops_|information_)'
    UNION ALL
    SELECT i.indrelid::regclass::text, x.relname, replace(pg_get_indexdef(x.oid), 'public.', ''), i.indisvalid
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_namespace n ON n.oid = x.relnamespace
    WHERE i.indisunique AND n.nspname !~ '^(pg_|careops_|information_)'
      AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = x.oid AND c.contype IN ('p', 'u', 'x'))"""


def _constraints(connection: psycopg.Connection[Any]) -> dict[tuple[str, str], tuple[str, bool]]:
    rows = connection.execute(_CONSTRAINTS.encode())
    return {(table.removeprefix("public."), name): (text, valid) for table, name, text, valid in rows}


def sequences(pair: Pair) -> Looked:
    """Check that no sequence gives a number next that its column has already."""
    findings, count = [], 0
    for table, column, sequence in pair.target.execute(_SEQUENCES.encode()).fetchall():
        count += 1
        highest = f"(SELECT max({quoted(column)}) FROM {table})"
        query = f"SELECT coalesce({highest}, 0) >= last_value + is_called::int FROM {sequence}"
        if _number(pair.target, query):
            what = "the sequence would give a number that is taken"
            findings.append(Finding(table=table, column=column, what=what, count=1))
    return Looked(findings=findings, facts={"sequences": count}, required=("sequences",))


_SEQUENCES = """
    SELECT d.refobjid::regclass::text, a.attname, d.objid::regclass::text
    FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
    JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
    JOIN pg_namespace n ON n.oid = s.relnamespace
    WHERE d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass AND n.nspname !~ '^(pg_|careops_)'
    ORDER BY 1, 2"""


def references(pair: Pair) -> Looked:
    """Compare how many rows point to a record that is there, for links by model name and number.

    Rows of emptied tables cannot be pointed to, so links to their models are left out on both sides; what a condition
    leaves out counts as not there in the source either.
    """
    findings, checked = [], 0
    tables = _tables_of_models(pair.before)
    for name, table in pair.before.tables.items():
        for model, number in _POLYMORPHIC:
            ends = (table, pair.after.tables.get(name))
            if not all(end and end.column(model) and end.column(number) for end in ends) or not copied(pair, name):
                continue
            checked += 1
            before = _dangling(pair.source, pair, (name, model, number), tables)
            after = _dangling(pair.target, pair, (name, model, number), tables)
            lost = sum(max(0, after.get(of, 0) - before.get(of, 0)) for of in after)
            if lost:
                what = "links to records that are there in the source only"
                findings.append(Finding(table=name, column=number, what=what, count=lost))
    return Looked(findings=findings, facts={"links by model and number": checked})


_POLYMORPHIC = (("res_model", "res_id"), ("model", "res_id"))


def _dangling(
    connection: psycopg.Connection[Any], pair: Pair, link: tuple[str, str, str], tables: dict[str, str]
) -> dict[str, int]:
    """Return how many rows point to nothing, by model."""
    name, model, number = link
    line = pair.catalogue.table(name)
    where = ""
    if connection is pair.source and line is not None and line.action is Action.WHERE:
        where = f"AND ({line.where})"
    used = f"SELECT DISTINCT {quoted(model)} FROM {relation(name)} WHERE {quoted(number)} > 0"
    found = {}
    for (of,) in connection.execute(used.encode()).fetchall():
        if of not in tables or not copied(pair, tables[of]) or tables[of] not in pair.after.tables:
            continue
        there, told = relation(tables[of]), pair.catalogue.table(tables[of])
        if connection is pair.source and told is not None and told.action is Action.WHERE:
            there = f"(SELECT * FROM {there} WHERE ({told.where}))"
        query = (
            f"SELECT count(*) FROM {relation(name)} t "
            f"WHERE {quoted(model)} = {literal(of)} AND {quoted(number)} > 0 {where} "
            f"AND NOT EXISTS (SELECT FROM {there} r WHERE r.id = t.{quoted(number)})"
        )
        found[of] = _number(connection, query)
    return found


def _tables_of_models(schema: Schema) -> dict[str, str]:
    with_id = {name for name, table in schema.tables.items() if table.column("id")}
    return {field.model: table for table, fields in schema.orm.items() if table in with_id for field in fields.values()}


def copied(pair: Pair, table: str) -> bool:
    """Return whether any row of a table is copied."""
    line = pair.catalogue.table(table)
    return line is None or line.action is not Action.EMPTY


def ledger(pair: Pair) -> Looked:
    """Check that every entry of the ledger balances, and that totals are the source's where amounts are kept."""
    if "account_move_line" not in pair.after.tables:
        return Looked(facts={"entries": 0})
    unbalanced = (
        "SELECT count(*) FROM (SELECT move_id FROM account_move_line GROUP BY move_id "
        "HAVING abs(sum(debit) - sum(credit)) > 0.005) u"
    )
    findings = []
    before, after = _number(pair.source, unbalanced), _number(pair.target, unbalanced)
    if after > before:
        what = "entries do not balance"
        findings.append(Finding(table="account_move_line", column="", what=what, count=after - before))
    line = pair.catalogue.column("account_move_line", "debit")
    if line is not None and line.rule == "keep":
        totals = "SELECT sum(debit)::text, sum(credit)::text FROM account_move_line"
        if pair.source.execute(totals.encode()).fetchone() != pair.target.execute(totals.encode()).fetchone():
            what = "totals differ from the source's, though amounts are kept"
            findings.append(Finding(table="account_move_line", column="debit", what=what, count=1))
    entries = _number(pair.target, "SELECT count(DISTINCT move_id) FROM account_move_line")
    return Looked(findings=findings, facts={"entries": entries})


def _number(connection: psycopg.Connection[Any], query: str) -> int:
    row = connection.execute(query.encode()).fetchone()
    return int(row[0] or 0) if row else 0
