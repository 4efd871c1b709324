"""A made chart of who leads whom: the real one is not copied, because whoever leads a department is known by it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

    from operations.anonymise.schema import Schema

_NEEDS = {
    "hr_department": ("manager_id",),
    "hr_employee": ("parent_id", "current_version_id", "active"),
    "hr_version": ("department_id",),
}
_LEADERS = """
    UPDATE public.hr_department d SET manager_id = m.id FROM (
        SELECT DISTINCT ON (v.department_id) v.department_id, e.id
        FROM public.hr_employee e JOIN public.hr_version v ON v.id = e.current_version_id
        WHERE e.active AND v.department_id IS NOT NULL
        ORDER BY v.department_id, random()) m
    WHERE m.department_id = d.id"""
_LED = """
    UPDATE public.hr_employee e SET parent_id = d.manager_id
    FROM public.hr_version v JOIN public.hr_department d ON d.id = v.department_id
    WHERE v.id = e.current_version_id AND d.manager_id <> e.id"""


def make(target: psycopg.Connection[Any], schema: Schema) -> int:
    """Draw a leader for each department among those whom it still has, and put the others below; return the leaders.

    It comes after `kanonymity.suppress`, so a department that somebody still has is shared by enough people. Nothing
    but chance chooses, so the chart says nothing about the real one.
    """
    for table, columns in _NEEDS.items():
        found = schema.tables.get(table)
        if found is None or any(found.column(column) is None for column in columns):
            return 0
    leaders = target.execute(_LEADERS.encode()).rowcount
    target.execute(_LED.encode())
    return leaders
