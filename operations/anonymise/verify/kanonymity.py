"""k-anonymity: each combination of quasi-identifiers that stays must be shared by at least k people.

Only columns whose value stays or is blurred count: a city that the masking made up narrows nobody down. A row whose
quasi-identifiers are all empty is in nobody's small group.

Small organisations always have small groups (the only nurse born in 1961), so `suppress` empties the quasi-identifiers
of the rows in them; the mask step runs it on the target, where no real value is, and the check then has nothing left
to find. What it emptied is counted.
"""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.anonymise.rules.grammar import Effect, RuleError, parse
from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.verify.report import Finding, Looked

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import psycopg

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema

DEFAULT_K = 5
"""Smallest group when the settings name none. Data that are given away need more; training stays inside the house."""


@dataclass(frozen=True, kw_only=True)
class QuasiSet:
    """Columns that together narrow down who a row is about.

    Attributes:
        table: A table with a row per person, or per state of one.
        columns: Its columns.
        parent: Foreign key column, table and columns of the row it belongs to, which count as well.
    """

    table: str
    columns: tuple[str, ...]
    parent: tuple[str, str, tuple[str, ...]] | None = None


SETS = (
    QuasiSet(table="res_partner", columns=("zip", "state_id", "country_id")),
    QuasiSet(table="crm_lead", columns=("zip", "state_id", "country_id")),
    QuasiSet(table="hr_employee", columns=("birthday", "certificate")),
    QuasiSet(
        table="hr_version",
        columns=("sex", "private_zip", "private_country_id", "private_state_id", "spouse_birthdate"),
        parent=("employee_id", "hr_employee", ("birthday",)),
    ),
)
"""Declared sets of the supported modules; a site adds its own in its settings."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """What a set of quasi-identifiers divides the rows into.

    Attributes:
        rows: Rows with any of them.
        groups: Different combinations.
        small: Groups of fewer than k.
        exposed: Rows in these.
        by_size: Number of small groups by their size: the small-cell report.
    """

    rows: int
    groups: int
    small: int
    exposed: int
    by_size: Mapping[int, int]


def check(
    target: psycopg.Connection[Any],
    schema: Schema,
    catalogue: Catalogue,
    k: int = DEFAULT_K,
    sets: Iterable[QuasiSet] = SETS,
) -> Looked:
    """Count rows in groups of fewer than k.

    Args:
        target: The masked database.
        schema: Of the target.
        catalogue: Says what stays of which column.
        k: Smallest group that is allowed.
        sets: The declared sets; columns that the schema lacks, or that are replaced, do not count.
    """
    findings, facts = [], {"k": k, "sets": 0, "rows": 0, "small groups": 0}
    for declared in sets:
        usable = _usable(declared, schema, catalogue)
        if usable is None:
            continue
        found = groups(target, usable, k)
        facts["sets"] += 1
        facts["rows"] += found.rows
        facts["small groups"] += found.small
        columns = "+".join((*usable.columns, *(usable.parent[2] if usable.parent else ())))
        for size, count in found.by_size.items():
            what = f"rows in groups of {size}, fewer than {k}"
            findings.append(Finding(table=usable.table, column=columns, what=what, count=size * count))
    return Looked(findings=findings, facts=facts)


def groups(target: psycopg.Connection[Any], of: QuasiSet, k: int) -> Groups:
    """Return what a set divides the rows of the target into."""
    query = (
        f"WITH g AS (SELECT count(*) AS n FROM {_from(of)} WHERE {_any(of)} GROUP BY {', '.join(_columns(of))}) "
        "SELECT n, count(*), sum(n) FROM g GROUP BY n ORDER BY n"
    )
    sizes = target.execute(query.encode()).fetchall()
    small = {size: count for size, count, _ in sizes if size < k}
    return Groups(
        rows=int(sum(rows for _, _, rows in sizes)),
        groups=sum(count for _, count, _ in sizes),
        small=sum(small.values()),
        exposed=sum(size * count for size, count in small.items()),
        by_size=small,
    )


def suppress(
    target: psycopg.Connection[Any],
    schema: Schema,
    catalogue: Catalogue,
    k: int = DEFAULT_K,
    sets: Iterable[QuasiSet] = SETS,
) -> int:
    """Empty the quasi-identifiers of rows in groups of fewer than k and return how many rows that were.

    A parent's columns are emptied as well, so its own set is to come after in `sets`, or to be suppressed again: this
    repeats until no set has a small group left. It ends, because every round empties something that was not.
    """
    total, again, declared = 0, True, [usable for each in sets if (usable := _usable(each, schema, catalogue))]
    while again:
        again = False
        for of in declared:
            changed = _suppress(target, of, k)
            total += changed
            again = again or changed > 0
    return total


def _suppress(target: psycopg.Connection[Any], of: QuasiSet, k: int) -> int:
    columns = _columns(of)
    link = f"t.{quoted(of.parent[0])}" if of.parent else "NULL::integer"
    small = (
        f"SELECT id, parent FROM (SELECT t.id, {link} AS parent, "
        f"count(*) OVER (PARTITION BY {', '.join(columns)}) AS n "
        f"FROM {_from(of)} WHERE {_any(of)}) s WHERE n < {k:d}"
    )
    rows = target.execute(small.encode()).fetchall()
    if not rows:
        return 0
    _empty(target, of.table, of.columns, [row[0] for row in rows])
    if of.parent:
        _empty(target, of.parent[1], of.parent[2], [row[1] for row in rows if row[1] is not None])
    return len(rows)


def _empty(target: psycopg.Connection[Any], table: str, columns: tuple[str, ...], ids: list[int]) -> None:
    nothing = ", ".join(f"{quoted(column)} = NULL" for column in columns)
    target.execute(f"UPDATE {relation(table)} SET {nothing} WHERE id = ANY(%s)".encode(), [ids])


def _usable(declared: QuasiSet, schema: Schema, catalogue: Catalogue) -> QuasiSet | None:
    """Return a set without the columns that the schema lacks or that hold nothing real, or None for none left."""

    def real(table: str, column: str) -> bool:
        found = schema.tables.get(table)
        line = catalogue.column(table, column)
        if found is None or found.column(column) is None:
            return False
        try:
            return line is None or parse(line.rule).effect in {Effect.KEEPS, Effect.BLURS}
        except RuleError:
            return True

    columns = tuple(column for column in declared.columns if real(declared.table, column))
    parent = declared.parent
    if parent:
        kept = tuple(column for column in parent[2] if real(parent[1], column))
        parent = (parent[0], parent[1], kept) if kept else None
    if not columns:
        return None
    return QuasiSet(table=declared.table, columns=columns, parent=parent)


def _columns(of: QuasiSet) -> list[str]:
    parent = [f"p.{quoted(column)}" for column in of.parent[2]] if of.parent else []
    return [f"t.{quoted(column)}" for column in of.columns] + parent


def _from(of: QuasiSet) -> str:
    join = ""
    if of.parent:
        join = f" LEFT JOIN {relation(of.parent[1])} p ON p.id = t.{quoted(of.parent[0])}"
    return f"{relation(of.table)} t{join}"


def _any(of: QuasiSet) -> str:
    return f"num_nonnulls({', '.join(_columns(of))}) > 0"
