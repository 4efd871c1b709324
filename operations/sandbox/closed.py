"""When training is not to be refreshed: class hours that were approved, and release freezes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.plans.refresh_hours import CLOCKS_SECONDS, STOP_SECONDS
from infra.plans.sandbox import GRANTED
from operations.errors import Problem
from operations.sandbox.decide import describe
from operations.sandbox.hours import class_hours, frozen
from operations.sandbox.rules import Freeze

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from zoneinfo import ZoneInfo

    from infra.settings import StackSettings
    from operations.sandbox.hours import Span
    from operations.sandbox.model import Request
    from operations.sandbox.store import Store

LEAST_SECONDS = 120.0
"""What a refresh takes at least: the smallest database's run is above a minute on two cores."""


def this_moment() -> datetime:
    """Return this moment, UTC; tests put another in its place."""
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Closed:
    """A time in which training is not refreshed.

    Attributes:
        span: When.
        what: What it is, for people: class hours or a freeze.
        why: What would come of a refresh in it.
        instead: What to do when that time is on.
    """

    span: Span
    what: str
    why: str
    instead: str


def closed_times(
    requests: Sequence[Request], freezes: Sequence[Freeze], zone: ZoneInfo, now: datetime, *, own_id: str = ""
) -> tuple[Closed, ...]:
    """Return the times that are on or come, in order; those of one request are left out.

    Args:
        requests: Every request there is.
        freezes: Release freezes.
        zone: The site's time zone.
        now: This moment.
        own_id: The request that a refresh is for.
    """
    found = [_freeze(freeze, zone) for freeze in freezes]
    for request in requests:
        if request.state in GRANTED and request.id != own_id:
            found += _class(request)
    return tuple(sorted((each for each in found if each.span.end > now), key=lambda each: each.span.begin))


def _freeze(freeze: Freeze, zone: ZoneInfo) -> Closed:
    return Closed(
        span=frozen(freeze, zone),
        what=f"release freeze {freeze.first_day} to {freeze.last_day}",
        why=freeze.reason,
        instead="freezes are settings: `freezes:` in the site's file",
    )


def _class(request: Request) -> Iterator[Closed]:
    for hours in class_hours(request.asked):
        yield Closed(
            span=hours,
            what=f"class hours of {request.asked.course} ({request.id})",
            why=f"a refresh would take the data away that the class works with; it is {describe(request.asked)}",
            instead=f"for fresh data in that class itself: ./careops sandbox rebuild {request.id}; "
            f"if it does not take place: ./careops sandbox withdraw {request.id} --why TEXT",
        )


def refusal(times: Sequence[Closed], zone: ZoneInfo, now: datetime, seconds: float | None) -> Problem | None:
    """Return what stands against a refresh now; None when nothing does.

    Args:
        times: Times without refreshes that are on or come, in order.
        zone: The site's time zone.
        now: This moment.
        seconds: How long the run may take; None when nobody knows.
    """
    on = [each for each in times if each.span.holds(now)]
    if on:
        last = max(on, key=lambda each: each.span.end)
        return Problem(
            what=f"Training is not refreshed now: {last.what}, until {_moment(last.span.end, zone)}",
            why=last.why,
            action=f"run it after that; {last.instead}",
        )
    first = _next(times, now)
    # The jobs are given a deadline that leaves their pods time to end; see operations/refresh/jobs.py.
    needs, left = max(LEAST_SECONDS, seconds or 0.0) + STOP_SECONDS + CLOCKS_SECONDS, _left(first, now)
    if first is None or left >= needs:
        return None
    return Problem(
        what=f"Training is not refreshed now: {first.what}, from {_moment(first.span.begin, zone)}",
        why=f"{_minutes(left)} are left, and a run may take {_minutes(needs)} with its end; {first.why}",
        action=f"run it after {_moment(first.span.end, zone)}; {first.instead}",
    )


def _left(first: Closed | None, now: datetime) -> float:
    return math.inf if first is None else (first.span.begin - now).total_seconds()


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds >= LEAST_SECONDS else f"{seconds:.0f} seconds"


def begins_next(times: Sequence[Closed], now: datetime) -> datetime | None:
    """Return when the next time without refreshes begins that is not on, of times in order; None when none comes."""
    first = _next(times, now)
    return first.span.begin if first else None


def _next(times: Sequence[Closed], now: datetime) -> Closed | None:
    return next((each for each in times if each.span.begin > now), None)


def _moment(when: datetime, zone: ZoneInfo) -> str:
    return f"{when.astimezone(zone):%Y-%m-%d %H:%M} ({zone.key})"


def read(store: Store, training: StackSettings, now: datetime, own_id: str = "") -> tuple[Closed, ...]:
    """Return the times without refreshes: by what is deployed and kept in the cluster, not by a checkout.

    A site that takes no requests has no rules in the cluster either; its freezes are those of its settings.

    Args:
        store: The requests, with the administrator's access.
        training: Training's stack.
        now: This moment.
        own_id: The request that a refresh is for.

    Raises:
        OperationError: They cannot be read: nobody knows then whether a class is on.
    """
    from zoneinfo import ZoneInfo

    site = training.site
    if site.sandbox is None:
        freezes = [Freeze(**freeze.model_dump()) for freeze in site.freezes]
        return closed_times((), freezes, ZoneInfo(site.time_zone), now, own_id=own_id)
    rules = store.rules()
    return closed_times(store.all(), rules.freezes, rules.zone, now, own_id=own_id)
