"""Waiting for another program of the run: until its mark is there, it has died, or it never came."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from operations.anonymise.outcome import NotYet

if TYPE_CHECKING:
    from collections.abc import Callable

    from operations.anonymise.marks import Program

GRACE_SECONDS = 60.0
"""How long a partner that was there may be away: a lost connection, or the change from one session to another."""
PAUSE_SECONDS = 1.0

_Mark = TypeVar("_Mark")


@dataclass(frozen=True, kw_only=True)
class Seen(Generic[_Mark]):
    """What one look at the databases showed.

    Attributes:
        mark: What is waited for, or None.
        alive: The partner holds its presence lock.
        why: Why nothing can be seen yet, for the log; empty when the databases answered.
    """

    mark: _Mark | None = None
    alive: bool = False
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to wait, and how.

    Attributes:
        never: Seconds for a partner that was never there.
        gone: Seconds for one that was there and is not.
        say: Told when the reason for waiting changes.
        clock: Seconds; tests give their own.
        pause: Waits so many seconds.
    """

    never: float
    gone: float = GRACE_SECONDS
    say: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def wait_for(partner: Program, what: str, look: Callable[[], Seen[_Mark]], patience: Patience) -> _Mark:
    """Wait for a partner's mark.

    Args:
        partner: Who leaves it.
        what: What is waited for, in a few words.
        look: Looks once.
        patience: How long.

    Raises:
        NotYet: The partner never came, or was there and has died.
    """
    last_alive: float | None = None
    began, told = patience.clock(), ""
    while True:
        seen = look()
        if seen.mark is not None:
            return seen.mark
        now = patience.clock()
        if seen.alive:
            last_alive = now
        if last_alive is not None and now - last_alive > patience.gone:
            raise NotYet(
                f"{partner} has died before {what}",
                why=f"it was there, and has not been for {patience.gone:.0f} s",
                action=f"see the log of the Job refresh-{partner} of this run; start a new run",
            )
        if last_alive is None and now - began > patience.never:
            raise NotYet(
                f"waited in vain for {partner}: {what}",
                why=seen.why or f"it has not appeared for {patience.never:.0f} s",
                action=f"see whether the Job refresh-{partner} of this run exists and its pod runs; start a new run",
            )
        reason = seen.why or (f"{partner} is at work" if seen.alive else f"{partner} is not there yet")
        if reason != told:
            patience.say(f"waiting for {what}: {reason}")
            told = reason
        patience.pause(PAUSE_SECONDS)
