"""Streets, cities and post codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.rules.lists import SMALL_ZIP3
from operations.anonymise.rules.scope import filled, hexadecimal, trimmed

if TYPE_CHECKING:
    from operations.anonymise.rules.at import At
    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.rules.scope import Cell


def _listed(kind: str, cell: Cell, at: At) -> str:
    digest = at.scope.digest(kind, cell.value)
    made = at.run.lists.pick(kind, digest, 1)
    if cell.unique:
        made += f"||' '||{hexadecimal(f'substr({digest},25)', 8)}"
    return filled(cell.value, made)


def street(_: Rule, cell: Cell, at: At) -> str:
    """Return a made street and number."""
    return _listed("street", cell, at)


def city(_: Rule, cell: Cell, at: At) -> str:
    """Return a city of the list."""
    return _listed("city", cell, at)


def zip3(_: Rule, cell: Cell, __: At) -> str:
    """Return the first three characters of a post code that starts with five digits, else the first two.

    The three of sparsely populated parts of the United States become 000; another country's code that starts so does
    too, as the country is not the column's to know.
    """
    small = ",".join(f"'{prefix}'" for prefix in sorted(SMALL_ZIP3))
    code = f"CASE WHEN {cell.value} LIKE ' %' THEN ltrim({cell.value}) ELSE {cell.value} END"
    first = f"left({code},5)"
    five = f"octet_length({first})=5 AND {trimmed(first, '0123456789')}=''"
    three = f"CASE WHEN left({code},3) IN ({small}) THEN '000' ELSE left({code},3) END"
    return f"CASE WHEN {five} THEN {three} ELSE upper(left({code},2)) END"
