"""Class hours and freezes as moments: what a wall clock shows, on days that have 23, 24 or 25 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.sandbox.model import Asked
    from operations.sandbox.rules import Freeze

WallClock = Literal["", "does not exist", "comes twice"]


@dataclass(frozen=True, kw_only=True)
class Span:
    """A time from a moment to another.

    Attributes:
        begin: First moment, UTC.
        end: First moment after it, UTC.
    """

    begin: datetime
    end: datetime

    def meets(self, other: Span) -> bool:
        """Return whether a moment lies in both; spans that only touch do not meet."""
        return self.begin < other.end and other.begin < self.end

    def holds(self, moment: datetime) -> bool:
        """Return whether a moment lies in it."""
        return self.begin <= moment < self.end


def moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return when a wall clock shows this time, UTC; the first time where it does so twice."""
    return datetime.combine(day, clock, zone).astimezone(UTC)


def fault(day: date, clock: time, zone: ZoneInfo) -> WallClock:
    """Return what is wrong with a time of a day on which the clocks are changed; empty when nothing is."""
    naive = datetime.combine(day, clock)
    if moment(day, clock, zone).astimezone(zone).replace(tzinfo=None) != naive:
        return "does not exist"
    offsets = {naive.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1)}
    return "comes twice" if len(offsets) > 1 else ""


def days(first: date, last: date) -> tuple[date, ...]:
    """Return every day from the first to the last, both included."""
    return tuple(first + timedelta(days=number) for number in range((last - first).days + 1))


def class_hours(asked: Asked) -> tuple[Span, ...]:
    """Return the hours of each day of a class, in order."""
    zone = ZoneInfo(asked.time_zone)
    begins, ends = time.fromisoformat(asked.begins), time.fromisoformat(asked.ends)
    return tuple(
        Span(begin=moment(day, begins, zone), end=moment(day, ends, zone))
        for day in days(asked.first_day, asked.last_day)
    )


def frozen(freeze: Freeze, zone: ZoneInfo) -> Span:
    """Return a freeze as a time: from the first midnight to the one after its last day."""
    midnight = time(0)
    return Span(
        begin=moment(freeze.first_day, midnight, zone),
        end=moment(freeze.last_day + timedelta(days=1), midnight, zone),
    )


def meet(some: Sequence[Span], others: Sequence[Span]) -> bool:
    """Return whether a time of the one meets a time of the other."""
    return any(one.meets(other) for one in some for other in others)
