"""What a trainer typed, read into a request; what cannot be read is told together with what cannot be granted."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import date, time
from typing import TYPE_CHECKING

from operations.errors import Problem
from operations.sandbox.decide import problems_of, reason_problems, timeless_problems
from operations.sandbox.model import YEARS, Asked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.sandbox.decide import Situation


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Options of the command line, as typed.

    Attributes:
        course: The course's name.
        first_day: `--date`.
        last_day: `--until`; None for one day.
        begins: `--from`.
        ends: `--to`.
        groups: Each `--group`, `role=count`.
        reason: Why.
        release: `--release`; None for what training runs.
    """

    course: str
    first_day: str
    last_day: str | None
    begins: str
    ends: str
    groups: Sequence[str]
    reason: str
    release: str | None = None


def read(wish: Wish, situation: Situation) -> tuple[Asked | None, list[Problem]]:
    """Return what is asked for, and every problem; None when days, hours or groups cannot be read."""
    rules = situation.rules
    first, last = day_of(wish.first_day, "--date"), day_of(wish.last_day or wish.first_day, "--until")
    begins, ends = clock_of(wish.begins, "--from"), clock_of(wish.ends, "--to")
    trainees, problems = _groups(wish.groups)
    unread = [first, begins, ends] + ([last] if wish.last_day else [])
    problems += [each for each in unread if isinstance(each, Problem)]
    problems += reason_problems(wish.reason)
    whole = not any(isinstance(each, Problem) for each in (first, last, begins, ends))
    day = date.min
    asked = Asked(
        course=wish.course.strip(),
        release=wish.release or rules.release,
        first_day=first if isinstance(first, date) else day,
        last_day=last if isinstance(last, date) else day,
        begins=begins if isinstance(begins, str) else "",
        ends=ends if isinstance(ends, str) else "",
        time_zone=rules.time_zone,
        trainees=trainees,
    )
    found = problems_of(asked, situation) if whole else timeless_problems(asked, rules)
    if wish.groups and not trainees:
        found = [each for each in found if each.what != "Nobody is to be trained"]  # the groups are told already
    return (asked if whole else None), [*problems, *found]


def _groups(texts: Sequence[str]) -> tuple[dict[str, int], list[Problem]]:
    trainees: dict[str, int] = {}
    problems = []
    for text in texts:
        role, _, count = text.partition("=")
        if not role or not (count.isascii() and count.isdecimal()):
            problems.append(
                Problem(
                    what=f"--group is not a group with how many people: {text!r}",
                    why="logins are counted by group",
                    action="write, for example, --group sales=3",
                )
            )
        elif role in trainees:
            problems.append(
                Problem(
                    what=f"The group {role} is named twice",
                    why=f"with {trainees[role]} and with {count} people",
                    action="name it once, with their sum",
                )
            )
        else:
            trainees[role] = int(count)
    return trainees, problems


def day_of(text: str, option: str) -> date | Problem:
    """Return a day as typed, or what is wrong with it."""
    with contextlib.suppress(ValueError):
        found = date.fromisoformat(text)
        if found.year in YEARS:
            return found
    return Problem(
        what=f"{option} is not a day: {text!r}",
        why="a day is written as year-month-day and exists",
        action=f"write, for example, {option} 2026-12-01",
    )


def clock_of(text: str, option: str) -> str | Problem:
    """Return a time of day as `HH:MM`, or what is wrong with it."""
    hours, _, minutes = text.partition(":")
    if len(minutes) == 2 and hours.isdecimal() and minutes.isdecimal() and text.isascii():  # noqa: PLR2004 - HH:MM
        try:
            return time(int(hours), int(minutes)).strftime("%H:%M")
        except ValueError:
            pass
    return Problem(
        what=f"{option} is not a time of day: {text!r}",
        why="a time of day is hours and minutes, from 00:00 to 23:59",
        action=f"write, for example, {option} 09:00",
    )
