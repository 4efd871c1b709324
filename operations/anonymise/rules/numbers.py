"""Numbers that a bank, a state or a company gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.anonymise.rules.at import CompileError
from operations.anonymise.rules.scope import filled, hexadecimal, literal

if TYPE_CHECKING:
    from operations.anonymise.rules.at import At
    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.rules.scope import Cell

_IDENTIFIER_BYTES = 7


def _compact(value: str) -> str:
    return f"upper(translate({value},' .-',''))"


def account(_: Rule, cell: Cell, at: At) -> str:
    """Return an IBAN of the same country and length with valid check digits and no bank's code, else the same shape.

    The digest is of the number without separators, so that a sanitised copy agrees.
    """
    digest = at.scope.digest("account", _compact(cell.value))
    return filled(cell.value, f"pg_temp.careops_account({cell.value},{digest})")


def vat(_: Rule, cell: Cell, at: At) -> str:
    """Return a tax number of the same country with valid check digits (BE DE ES FR GB IT NL), else the same shape.

    Odoo's "/" for "none" stays.
    """
    digest = at.scope.digest("vat", _compact(cell.value))
    return f"CASE WHEN {cell.value} IN ('','/') THEN {cell.value} ELSE pg_temp.careops_vat({cell.value},{digest}) END"


def ssn(_: Rule, cell: Cell, at: At) -> str:
    """Return a number that nobody is given: area 000 (United States), department 00 (France), else 00 in front."""
    digest = at.scope.digest("ssn", _compact(cell.value))
    return filled(cell.value, f"pg_temp.careops_ssn({cell.value},{digest})")


def identifier(rule: Rule, cell: Cell, at: At) -> str:
    """Return the prefix and 14 hexadecimal digits (56 bits) of the digest.

    Raises:
        CompileError: The column is too short for it.
    """
    prefix = rule.names[0] if rule.names else ""
    if cell.length is not None and cell.length < len(prefix) + 2 * _IDENTIFIER_BYTES:
        raise CompileError(f"{cell.table}.{cell.column} is too short for identifier: {cell.length} characters")
    made = hexadecimal(at.scope.digest("identifier", cell.value), _IDENTIFIER_BYTES)
    return filled(cell.value, f"{literal(prefix)}||upper({made})")
