"""Kubernetes quantities as whole numbers: bytes for memory and storage, millicores for processors."""

from __future__ import annotations

import re

_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_MEMORY = re.compile(r"^([1-9][0-9]*)(Ki|Mi|Gi|Ti)$")
_CPU = re.compile(r"^(?:([1-9][0-9]*)m|([0-9]+(?:\.[0-9]{1,3})?))$")


def memory_bytes(quantity: str) -> int:
    """Return a memory or storage quantity in bytes.

    Only whole numbers with a binary unit are taken: `512M` and `512Mi` differ by 5 %, and nobody means the first.

    Raises:
        ValueError: The text is not such a quantity.
    """
    match = _MEMORY.match(quantity)
    if match is None:
        message = f"{quantity!r} is not a whole number with a unit Ki, Mi, Gi or Ti, such as 512Mi or 2Gi"
        raise ValueError(message)
    return int(match[1]) * _BINARY[match[2]]


def cpu_millicores(quantity: str) -> int:
    """Return a processor quantity in millicores.

    Raises:
        ValueError: The text is not such a quantity, or is zero.
    """
    match = _CPU.match(quantity)
    millicores = 0 if match is None else int(match[1]) if match[1] else round(float(match[2]) * 1000)
    if millicores <= 0:
        message = f"{quantity!r} is not a processor quantity, such as 250m or 1.5"
        raise ValueError(message)
    return millicores


def format_memory(size: int) -> str:
    """Return bytes as the largest binary unit that divides them; anything under 1 Ki is rounded up to it."""
    for unit, factor in reversed(_BINARY.items()):
        if size >= factor and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{-(-size // _BINARY['Ki'])}Ki"


def format_cpu(millicores: int) -> str:
    """Return millicores as Kubernetes writes them, so that what we declare and what it stores are equal text."""
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"
