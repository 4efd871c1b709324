"""Show that a unique index or a check still holds after masking, or say why it cannot be shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from operations.anonymise.rules.words import RECORD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operations.anonymise.rules.grammar import Rule
    from operations.anonymise.schema import CheckConstraint, Table, UniqueIndex

_ZERO = r"\(?\s*\(?0(?:\.0)?\)?(?:::[a-z ]+)?\)?"
_STRICT = re.compile(r"<(?!=)|(?<!<)>(?!=)|<>|(?<![<>])=")
"""Comparisons other than <= and >=."""

_CAST = r"\)?(?:::[a-z ]+)?\)?"


def unique_holds(index: UniqueIndex, rules: Mapping[str, Rule], table: Table) -> str | None:
    """Return why rows that differ may collide after masking, or None.

    Args:
        index: The unique index.
        rules: Of every column of the table.
        table: Its table.
    """
    weak = [column for column in index.columns if not _stays_apart(column, rules[column], index, table)]
    if not weak or (index.nulls_distinct and any(rules[column].word in {"null", "recompute"} for column in weak)):
        return None
    firm = set(index.columns) - set(weak)
    if any(set(other.columns) <= firm for other in table.unique if other.name != index.name):
        return None
    listed = ", ".join(f"{column} ({rules[column]})" for column in weak)
    return f"rows may collide in {index.name}: {listed} may give two values the same fake"


def unique_rule(rule: Rule) -> bool:
    """Tell whether different values get different fakes, whatever else is in the row."""
    if rule.inner and rule.word in {"shipped", "json-text"}:
        return unique_rule(rule.inner)
    return rule.spec.unique


def _stays_apart(name: str, rule: Rule, index: UniqueIndex, table: Table) -> bool:
    if rule.word == "shift-date":
        if RECORD in rule.names or (_is_time(name, table) and "hours" not in rule.names):
            return False
        # Within one person, or one run, a shift is the same for every row.
        return all(column in index.columns for column in rule.row_columns)
    return unique_rule(rule)


def check_holds(check: CheckConstraint, rules: Mapping[str, Rule], table: Table) -> str | None:
    """Return why a row may break a check after masking, or None.

    What is accepted: columns that stay; columns of which only the emptiness matters, with a rule that keeps it;
    columns compared with zero only, with a rule that keeps the sign; days that are all shifted alike.

    Args:
        check: The constraint.
        rules: Of every column of the table.
        table: Its table.
    """
    changed = [column for column in check.columns if rules[column].word not in {"keep", "generated"}]
    shifts = {str(rules[column]) for column in changed}
    days = [column for column in check.columns if _is_day(column, table)]
    if len(shifts) == 1 and shifts.pop().startswith("shift-date") and set(days) <= set(changed):
        # Times of one day become one and the same, unless the rule says that they move.
        made = [name for name in changed if _is_time(name, table) and "hours" not in rules[name].names]
        if not made or not _STRICT.search(check.definition):
            return None
    unclear = [column for column in changed if not _one_holds(column, check.definition, rules[column])]
    if not unclear:
        return None
    listed = ", ".join(f"{column} ({rules[column]})" for column in unclear)
    return f"it cannot be shown that {check.name} holds after masking {listed}: {check.definition}"


def _is_time(column: str, table: Table) -> bool:
    found = table.column(column)
    return found is not None and found.kind == "timestamp"


def _is_day(column: str, table: Table) -> bool:
    found = table.column(column)
    return found is not None and found.kind in {"date", "timestamp"}


def _one_holds(column: str, definition: str, rule: Rule) -> bool:
    name = rf"\b{re.escape(column)}\b"
    mentions = len(re.findall(name, definition))
    emptiness = len(re.findall(rf"{name}{_CAST} IS (?:NOT )?NULL", definition))
    nothing = len(
        re.findall(rf"COALESCE\({name}{_CAST}, ''::(?:text|character varying)\){_CAST} (?:<>|=) ''", definition)
    )
    zero = len(re.findall(rf"{name}{_CAST} (?:<=|>=|<|>|=|<>) {_ZERO}", definition))
    zero += len(re.findall(rf"{_ZERO} (?:<=|>=|<|>|=|<>) {name}{_CAST}", definition))
    if rule.word == "jitter":
        return emptiness + zero == mentions
    return not rule.spec.may_empty and rule.word != "empty-text" and emptiness + nothing == mentions
