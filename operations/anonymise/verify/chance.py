"""How many cells are as in the source by chance alone, where masking chooses among few values."""

from __future__ import annotations

import math

CHANCE = 1e-6
"""Probability with which pure chance may give more links than are let pass."""


def most_by_chance(mean: float) -> int:
    """Return the count that a Poisson variable exceeds with a probability below `CHANCE`.

    Args:
        mean: What is expected.
    """
    if mean <= 0:
        return 0
    if mean > NORMAL:
        return math.ceil(mean + QUANTILE * math.sqrt(mean) + QUANTILE)
    term, total, count = math.exp(-mean), math.exp(-mean), 0
    while 1 - total > CHANCE:
        count += 1
        term *= mean / count
        total += term
    return count


NORMAL = 100
"""Mean from which on the normal approximation serves."""
QUANTILE = 4.76
"""Of the standard normal distribution for a probability of 1 in a million."""
