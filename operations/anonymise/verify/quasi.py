"""Sets of quasi-identifiers: those that every site has, and those that a site declares in its settings."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from operations.anonymise.outcome import Refused
from operations.anonymise.rules.grammar import Effect, RuleError, parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema

VARIABLE = "CAREOPS_QUASI_IDENTIFIERS"
_MEMBERS = frozenset({"table", "columns", "person", "threshold"})


@dataclass(frozen=True, kw_only=True)
class QuasiSet:
    """Columns that together narrow down who a row is about.

    Attributes:
        table: A table with a row per person, or per state of one.
        columns: Its columns, or those of a row it points to (``employee_id.birthday``). The most useful ones stand
            first: where too few people share a combination, the last is emptied first.
        person: Column that tells who a row is about where somebody may have several; empty counts rows.
        threshold: Smallest group of this set; 0 takes the run's.
        declared: A site's settings declare it.
    """

    table: str
    columns: tuple[str, ...]
    person: str = ""
    threshold: int = 0
    declared: bool = False

    @property
    def name(self) -> str:
        """Return what the set is called where people read it."""
        return f"{self.table} ({', '.join(self.columns)})"

    def at_least(self, k: int) -> int:
        """Return the smallest group: a set's own threshold never weakens the run's."""
        return max(k, self.threshold)


SETS = (
    QuasiSet(table="res_partner", columns=("country_id", "state_id", "zip")),
    QuasiSet(table="crm_lead", columns=("country_id", "state_id", "zip"), person="partner_id"),
    QuasiSet(table="hr_employee", columns=("certificate", "birthday")),
    QuasiSet(
        table="hr_version",
        columns=(
            *("job_id", "department_id", "sex", "employee_id.birthday", "employee_id.certificate", "contract_type_id"),
            *("work_location_id", "departure_reason_id", "private_country_id", "private_state_id", "private_zip"),
            "spouse_birthdate",
        ),
        person="employee_id",
    ),
    QuasiSet(table="hr_applicant", columns=("job_id", "department_id"), person="partner_id"),
    QuasiSet(table="employee_category_rel", columns=("category_id",), person="employee_id"),
    QuasiSet(table="hr_employee_skill", columns=("skill_id",), person="employee_id"),
    QuasiSet(table="res_partner_res_partner_category_rel", columns=("category_id",), person="partner_id"),
)
"""Declared sets of the supported modules; a site adds its own in its settings (`refresh.quasi_identifiers`)."""


@dataclass(frozen=True, kw_only=True)
class Copy:
    """A column that repeats what another table says of the same person.

    Attributes:
        table: Where it is repeated.
        column: What; both tables call it the same.
        person: Who; both tables call it the same.
        of: The table that has the say.
    """

    table: str
    column: str
    person: str
    of: str


_DEPARTMENTS = (
    *("account_analytic_line", "hr_applicant", "hr_expense", "hr_leave", "hr_leave_allocation", "hr_resume_line"),
    "maintenance_equipment",
)
COPIES = (
    *(Copy(table=table, column="department_id", person="employee_id", of="hr_version") for table in _DEPARTMENTS),
    Copy(table="hr_applicant", column="job_id", person="employee_id", of="hr_version"),
)
"""Odoo's stored copies, and what an employee once applied for: each would tell what the own record no longer does."""


def parse_sets(text: str) -> tuple[QuasiSet, ...]:
    """Return the sets that a site declares, as its settings hand them over; an empty text is none.

    Args:
        text: JSON: ``[{"table": "…", "columns": ["…"], "person": "…" or null, "threshold": 7 or null}]``.

    Raises:
        Refused: It is something else: a set that was not understood would not be checked.
    """
    try:
        return tuple(map(_set, _list(json.loads(text or "[]"))))
    except (ValueError, TypeError, KeyError) as error:
        raise Refused(
            f"the variable {VARIABLE} cannot be used",
            why=f"it is no list of sets of columns: {type(error).__name__}",
            action="apply the environment's settings again",
        ) from None


def _list(value: object) -> list[dict[str, object]]:
    if not isinstance(value, list):
        raise TypeError("no list")
    return value


def _set(entry: dict[str, object]) -> QuasiSet:
    if not isinstance(entry, dict) or entry.keys() - _MEMBERS:
        raise TypeError("no set")
    table, columns = entry["table"], entry["columns"]
    person, threshold = entry.get("person") or "", entry.get("threshold") or 0
    if not (isinstance(table, str) and isinstance(person, str) and isinstance(threshold, int) and table):
        raise TypeError("no set")
    if not (isinstance(columns, list) and columns and all(isinstance(each, str) and each for each in columns)):
        raise TypeError("no columns")
    return QuasiSet(table=table, columns=tuple(columns), person=person, threshold=threshold, declared=True)


def unknown(sets: Iterable[QuasiSet], schema: Schema) -> list[str]:
    """Return what declared sets name and the schema does not have, a line each; built-in sets may name more."""
    lines = []
    for each in sets:
        if not each.declared:
            continue
        table = schema.tables.get(each.table)
        if table is None:
            lines.append(f"{each.name}: there is no table {each.table}")
            continue
        for path in (*each.columns, *((each.person,) if each.person else ())):
            why = _missing(path, each.table, schema)
            if why:
                lines.append(f"{each.name}: {why}")
    return lines


def _missing(path: str, name: str, schema: Schema) -> str:
    column, _, further = path.partition(".")
    table = schema.tables[name]
    if table.column(column) is None:
        return f"{name} has no column {column}"
    key = table.foreign_key(column)
    if further and key is None:
        return f"{name}.{column} points to no other table"
    target = schema.tables.get(key.target) if key and further else None
    if further and (target is None or target.column(further) is None):
        return f"{key.target if key else name} has no column {further}"
    return ""


def usable(declared: QuasiSet, schema: Schema, catalogue: Catalogue) -> QuasiSet | None:
    """Return a set without the columns that the schema lacks or that hold nothing real, or None for none left."""
    if declared.table not in schema.tables:
        return None
    columns = tuple(path for path in declared.columns if _real(path, declared.table, schema, catalogue))
    person = declared.person if not _missing(declared.person or "id", declared.table, schema) else ""
    return replace(declared, columns=columns, person=person) if columns else None


def _real(path: str, name: str, schema: Schema, catalogue: Catalogue) -> bool:
    if _missing(path, name, schema):
        return False
    column, _, further = path.partition(".")
    key = schema.tables[name].foreign_key(column)
    table, column = (key.target, further) if key and further else (name, column)
    line = catalogue.column(table, column)
    try:
        return line is None or parse(line.rule).effect in {Effect.KEEPS, Effect.BLURS}
    except RuleError:
        return True


def all_sets(declared: Sequence[QuasiSet]) -> tuple[QuasiSet, ...]:
    """Return the sets of a run: those that every site has, and the site's own."""
    return (*SETS, *declared)
