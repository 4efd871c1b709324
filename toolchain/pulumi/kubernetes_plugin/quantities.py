"""Kubernetes' resource quantities: `500m` and `0.5` are the same amount, `1Gi` and `1024Mi` too."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

_QUANTITY: Final = re.compile(r"([+-]?\d+(?:\.\d*)?|[+-]?\.\d+)([eE][+-]?\d+|[KMGTPE]i|[numkMGTPE])?$")
_SCALE: Final = {
    **{name + "i": Decimal(1024) ** power for power, name in enumerate("KMGTPE", start=1)},
    **{name: Decimal(1000) ** power for power, name in enumerate("kMGTPE", start=1)},
    **{name: Decimal(1000) ** -power for power, name in enumerate("mun", start=1)},
}


def amount(value: Any) -> Decimal | None:
    """Return a quantity as a number, or None when the value is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    match = _QUANTITY.match(str(value))
    if match is None:
        return None
    number, unit = match.groups()
    if unit is None:
        return Decimal(number)
    if unit[0] in "eE" and len(unit) > 1 and unit != "Ei":
        return Decimal(number + unit)
    return Decimal(number) * _SCALE[unit]


def same_quantity(left: Any, right: Any) -> bool:
    """Tell whether two values are the same amount, or simply equal."""
    if left == right:
        return True
    first, second = amount(left), amount(right)
    return first is not None and first == second
