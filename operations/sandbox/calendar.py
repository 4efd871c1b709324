"""Classes and freezes as an iCalendar file (RFC 5545) that a calendar program takes in again and again."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from icalendar import Calendar, Event

from operations.sandbox.decide import describe
from operations.sandbox.hours import class_hours, days

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from operations.sandbox.model import Request
    from operations.sandbox.rules import Freeze, Rules


def calendar(site: str, requests: Sequence[Request], rules: Rules, now: datetime) -> bytes:
    """Return the calendar of a site's training.

    A class is one event for each of its days, in UTC, so that no program needs to know the zone's rules. Its UID stays
    and its SEQUENCE grows with its history, so that a program that has it already changes it; a class whose
    approval was withdrawn is there as cancelled.

    Args:
        site: The site's name.
        requests: Every request; those never approved are left out.
        rules: The rules in force, for the freezes.
        now: When the file is made.
    """
    made = Calendar()
    made.add("prodid", "-//careops//sandbox//EN")
    made.add("version", "2.0")
    made.add("method", "PUBLISH")
    made.add("x-wr-calname", f"Training of {site}")
    for request in requests:
        if any(entry.state == "approved" for entry in request.history):
            for event in _class(site, request):
                made.add_component(event)
    for freeze in rules.freezes:
        made.add_component(_freeze(site, freeze, now))
    return made.to_ical()


def _class(site: str, request: Request) -> list[Event]:
    asked, changed = request.asked, request.history[-1].when
    people = ", ".join(f"{count} {role}" for role, count in sorted(asked.trainees.items()))
    events = []
    for day, hours in zip(days(asked.first_day, asked.last_day), class_hours(asked), strict=True):
        event = Event()
        event.add("uid", f"{request.id}-{day:%Y%m%d}@training.{site}.careops")
        event.add("sequence", len(request.history) - 1)
        event.add("dtstamp", changed)
        event.add("last-modified", changed)
        event.add("dtstart", hours.begin)
        event.add("dtend", hours.end)
        event.add("summary", f"{asked.course} (training)")
        event.add("description", f"Request {request.id}: {people}; release {asked.release}; {describe(asked)}.")
        event.add("location", f"{site}/training")
        event.add("status", "CONFIRMED" if request.approval and request.state != "withdrawn" else "CANCELLED")
        events.append(event)
    return events


def _freeze(site: str, freeze: Freeze, now: datetime) -> Event:
    event = Event()
    event.add("uid", f"freeze-{freeze.first_day:%Y%m%d}@training.{site}.careops")
    # Settings have no history to count: the moment grows with every file, and a changed freeze replaces the old one.
    event.add("sequence", int(now.timestamp()) // 60)
    event.add("dtstamp", now)
    event.add("dtstart", freeze.first_day)
    event.add("dtend", freeze.last_day + timedelta(days=1))  # the first day after it (RFC 5545, 3.6.1)
    event.add("summary", f"Release freeze: {freeze.reason}")
    event.add("transp", "TRANSPARENT")
    return event
