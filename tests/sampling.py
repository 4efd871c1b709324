"""Which cases of a long list are tried: all with --full, otherwise a few that change from day to day."""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

_Case = TypeVar("_Case")


def sample(cases: Sequence[_Case], count: int) -> list[_Case]:
    """Return all cases with --full, otherwise so many, in their order; CAREOPS_TEST_SEED repeats a choice."""
    if os.environ.get("CAREOPS_TEST_FULL") == "1":
        return list(cases)
    seed = os.environ.get("CAREOPS_TEST_SEED") or time.strftime("%Y-%j")
    chosen = random.Random(seed).sample(range(len(cases)), count)
    return [case for number, case in enumerate(cases) if number in chosen]
