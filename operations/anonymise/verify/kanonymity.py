"""k-anonymity: each combination of quasi-identifiers that stays must be shared by at least k people.

Only columns whose value stays or is blurred count: a city that the masking made up narrows nobody down. People are
counted, not rows: five states of one employee's record are one person.

Small organisations always have small groups (the only nurse born in 1961), so `suppress` empties what too few share,
one column after the other from a set's last to its first, until nothing small is left; the mask step runs it on the
target, which nobody can connect to yet. The check then has nothing left to find. Columns that take no NULL cannot be
emptied: a small group in them fails the run.

Rows that nothing is left of are a group as well: were they fewer than k, being one of them would tell as much. So the
smallest other group is emptied too. Later nobody is taken out of it, and what the adoption adds only makes it larger;
so it counts before the adoption alone.
"""

# ruff: noqa: S608 - identifiers are quoted, the rest is this package's own text
from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.verify.quasi import COPIES, SETS, QuasiSet, usable
from operations.anonymise.verify.report import Finding, Group, Looked

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    import psycopg

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema
    from operations.anonymise.verify.quasi import Copy

DEFAULT_K = 5
"""Smallest group when the settings name none. Data that are given away need more; training stays inside the house."""


@dataclass(frozen=True, kw_only=True)
class Groups:
    """What a set of quasi-identifiers divides people into.

    Attributes:
        people: Who have any of them.
        groups: Different combinations.
        smallest: People in the smallest group; 0 without any.
        small: Number of groups of fewer than k by their size: the small-cell report.
        blank: People of whom none is left.
    """

    people: int
    groups: int
    smallest: int
    small: Mapping[int, int]
    blank: int


def check(
    target: psycopg.Connection[Any],
    schema: Schema,
    catalogue: Catalogue,
    k: int = DEFAULT_K,
    sets: Iterable[QuasiSet] = SETS,
    *,
    adopted: bool = True,
) -> Looked:
    """Count people in groups of fewer than k.

    Args:
        target: The masked database.
        schema: Of the target.
        catalogue: Says what stays of which column.
        k: Smallest group that is allowed; a set's own threshold may ask for more.
        sets: The declared sets; columns that the schema lacks, or that are replaced, do not count.
        adopted: The adoption has added rows, so those that nothing is left of are no longer a group.
    """
    findings: list[Finding] = []
    told: list[Group] = []
    for declared in sets:
        least, of = declared.at_least(k), usable(declared, schema, catalogue)
        found = groups(target, _Shape.of(of, schema), least) if of else None
        if of is None and not declared.declared:
            continue
        told.append(
            Group(
                table=declared.table,
                columns=of.columns if of else (),
                people=found.people if found else 0,
                smallest=found.smallest if found else 0,
                threshold=least,
                declared=declared.declared,
            )
        )
        if of and found:
            findings += _of_set(of, found, least, adopted=adopted)
    findings += _talkative(target, schema)
    small = sum(finding.count for finding in findings)
    facts = {"sets": len(told), "people": sum(each.people for each in told), "people in small groups": small}
    return Looked(findings=findings, facts=facts, groups=told)


def _of_set(of: QuasiSet, found: Groups, least: int, *, adopted: bool) -> Iterator[Finding]:
    columns = "+".join(of.columns)
    for size, count in found.small.items():
        what = f"people in groups of {size}, fewer than {least}"
        yield Finding(table=of.table, column=columns, what=what, count=size * count)
    if not adopted and 0 < found.blank < least and found.groups:
        what = f"people of whom nothing is left, and fewer than {least}"
        yield Finding(table=of.table, column=columns, what=what, count=found.blank)


def groups(target: psycopg.Connection[Any], shape: _Shape, k: int) -> Groups:
    """Return what a set divides the people of the target into."""
    query = (
        f"WITH g AS (SELECT {shape.people} AS n, {shape.any} AS told FROM {shape.source} "
        f"GROUP BY {', '.join(shape.columns)}) SELECT told, n, count(*) FROM g GROUP BY told, n ORDER BY n"
    )
    found = target.execute(query.encode()).fetchall()
    sizes = {size: count for told, size, count in found if told}
    return Groups(
        people=sum(size * count for size, count in sizes.items()),
        groups=sum(sizes.values()),
        smallest=min(sizes, default=0),
        small={size: count for size, count in sizes.items() if size < k},
        blank=sum(size * count for told, size, count in found if not told),
    )


def suppress(
    target: psycopg.Connection[Any],
    schema: Schema,
    catalogue: Catalogue,
    k: int = DEFAULT_K,
    sets: Iterable[QuasiSet] = SETS,
) -> int:
    """Empty what fewer than k people share, and return how many values that were.

    Sets share columns, and emptying one may make another's group small, so this repeats until nothing changes. It ends,
    because every round empties something that was not. The tables are written anew then, so that no dead row holds what
    was emptied; so the session must be in no transaction.
    """
    total, again = 0, True
    found = [(_Shape.of(of, schema), of.at_least(k)) for each in sets if (of := usable(each, schema, catalogue))]
    while again:
        changed = sum(_suppress(target, shape, least) for shape, least in found)
        changed += sum(_hide(target, shape, least) for shape, least in found)
        total += changed
        again = changed > 0
    copies = [copy for copy in COPIES if _present(copy, schema)]
    total += sum(_silence(target, copy) for copy in copies)
    if total:
        _forget(target, {table for shape, _ in found for table, _, _ in shape.emptied} | {c.table for c in copies})
    return total


def _forget(target: psycopg.Connection[Any], tables: Iterable[str]) -> None:
    """Write tables anew: an UPDATE leaves the old rows, and statistics their values, where backups find them.

    What the server's write-ahead log holds of them goes with its next checkpoints.
    """
    for table in sorted(tables):
        target.execute(f"VACUUM (FULL, ANALYZE) {relation(table)}".encode())


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A set as SQL.

    Attributes:
        source: FROM items.
        columns: The set's columns in it.
        emptied: Table, its name in FROM, and column, of each that takes NULL, in the set's order.
        people: Counts them within a group.
        any: Whether a row has any of the columns.
    """

    source: str
    columns: tuple[str, ...]
    emptied: tuple[tuple[str, str, str], ...]
    people: str
    any: str

    @classmethod
    def of(cls, declared: QuasiSet, schema: Schema) -> _Shape:
        table, joins, columns, emptied = schema.tables[declared.table], {}, [], []
        for path in declared.columns:
            column, _, further = path.partition(".")
            key = table.foreign_key(column) if further else None
            owner, alias = table, "t"
            if key:
                owner, alias, column = schema.tables[key.target], f"p_{column}", further
                there, here = quoted(key.target_columns[0]), quoted(key.columns[0])
                joins[alias] = (
                    f" LEFT JOIN {relation(owner.name)} {quoted(alias)} ON {quoted(alias)}.{there} = t.{here}"
                )
            columns.append(f"{quoted(alias)}.{quoted(column)}")
            found = owner.column(column)
            if found and not found.not_null and not found.generated:
                emptied.append((owner.name, alias, column))
        person = f"t.{quoted(declared.person)}"
        each = f"count(DISTINCT {person}) + count(*) FILTER (WHERE {person} IS NULL)" if declared.person else "count(*)"
        return cls(
            source=f"{relation(table.name)} t{''.join(joins.values())}",
            columns=tuple(columns),
            emptied=tuple(emptied),
            people=each,
            any=f"num_nonnulls({', '.join(columns)}) > 0",
        )


def _suppress(target: psycopg.Connection[Any], shape: _Shape, k: int) -> int:
    """Empty the columns of small groups, the last first: with it gone, a row may be among enough others."""
    changed = 0
    for table, alias, column in reversed(shape.emptied):
        small = (
            f"SELECT unnest(array_agg({quoted(alias)}.ctid)) AS place FROM {shape.source} WHERE {shape.any} "
            f"GROUP BY {', '.join(shape.columns)} HAVING {shape.people} < {k:d}"
        )
        changed += _empty(target, table, column, small)
    return changed


def _hide(target: psycopg.Connection[Any], shape: _Shape, k: int) -> int:
    """Empty the smallest group as well where those of whom nothing is left are too few to hide among."""
    found = groups(target, shape, k)
    if not (0 < found.blank < k and found.groups):
        return 0
    smallest = (
        f"SELECT ARRAY[{', '.join(f'{column}::text' for column in shape.columns)}] FROM {shape.source} "
        f"WHERE {shape.any} GROUP BY {', '.join(shape.columns)} ORDER BY {shape.people} LIMIT 1"
    )
    changed, row = 0, target.execute(smallest.encode()).fetchone()
    values: list[str | None] = list(row[0]) if row else []
    for table, alias, column in shape.emptied:
        same = " AND ".join(f"{each}::text IS NOT DISTINCT FROM %s" for each in shape.columns)
        places = f"SELECT {quoted(alias)}.ctid AS place FROM {shape.source} WHERE {same}"
        changed += _empty(target, table, column, places, values)
        values[shape.columns.index(f"{quoted(alias)}.{quoted(column)}")] = None
    return changed


def _empty(
    target: psycopg.Connection[Any], table: str, column: str, places: str, values: Iterable[str | None] = ()
) -> int:
    statement = (
        f"UPDATE {relation(table)} u SET {quoted(column)} = NULL FROM ({places}) s "
        f"WHERE u.ctid = s.place AND u.{quoted(column)} IS NOT NULL"
    )
    return max(0, target.execute(statement.encode(), tuple(values) or None).rowcount)


def _present(copy: Copy, schema: Schema) -> bool:
    """Tell whether the schema has a copy and what it is one of."""
    pair = [schema.tables.get(name) for name in (copy.table, copy.of)]
    return all(table and table.column(copy.column) and table.column(copy.person) for table in pair)


def _untold(copy: Copy) -> str:
    """Return the condition on `t` that it tells what the person's own record does not, or no longer."""
    column, person = quoted(copy.column), quoted(copy.person)
    return (
        f"t.{column} IS NOT NULL AND t.{person} IS NOT NULL AND NOT EXISTS (SELECT FROM {relation(copy.of)} o "
        f"WHERE o.{person} = t.{person} AND o.{column} = t.{column})"
    )


def _silence(target: psycopg.Connection[Any], copy: Copy) -> int:
    statement = f"UPDATE {relation(copy.table)} t SET {quoted(copy.column)} = NULL WHERE {_untold(copy)}"
    return max(0, target.execute(statement.encode()).rowcount)


def _talkative(target: psycopg.Connection[Any], schema: Schema) -> Iterator[Finding]:
    for copy in COPIES:
        if not _present(copy, schema):
            continue
        query = f"SELECT count(*) FROM {relation(copy.table)} t WHERE {_untold(copy)}"
        row = target.execute(query.encode()).fetchone()
        if row and row[0]:
            what = f"rows that tell more than {copy.of} does of the person"
            yield Finding(table=copy.table, column=copy.column, what=what, count=row[0])
