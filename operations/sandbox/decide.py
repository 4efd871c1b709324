"""Whether a request can be granted, carried out or ended: pure decisions, every problem at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

from infra.plans.sandbox import COURSE_LENGTH, GRANTED, REASON_LENGTH
from operations.errors import Problem
from operations.sandbox.hours import class_hours, days, fault, frozen, meet

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from operations.sandbox.hours import Span
    from operations.sandbox.model import Asked, Request
    from operations.sandbox.rules import Rules

SHORTEST_REASON = 5
LONGEST_LOOK = 366
"""Days of a class whose hours are compared with others; what is longer is refused as too long anyway."""


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a decision depends on beside the request itself.

    Attributes:
        rules: The rules in force.
        others: Every request there is; the one in question is left out by its id.
        now: This moment.
        unreadable: What is wrong with requests that cannot be judged, by name.
    """

    rules: Rules
    others: Sequence[Request]
    now: datetime
    unreadable: Mapping[str, str] = field(default_factory=dict)

    @property
    def granted(self) -> tuple[Request, ...]:
        """Requests whose class hours are taken."""
        return tuple(each for each in self.others if each.state in GRANTED)


def problems_of(asked: Asked, situation: Situation, *, own_id: str = "") -> list[Problem]:
    """Return everything that stands against a class, asked for anew or about to be approved."""
    problems = timeless_problems(asked, situation.rules)
    problems += [*_order(asked, situation.rules), *_clock(asked)]
    if _is_in_order(asked):
        problems += [*_when(asked, situation), *_freezes(asked, situation.rules), *_taken(asked, situation, own_id)]
    return problems


def _is_in_order(asked: Asked) -> bool:
    """Return whether a class goes forward in time, and not for ever: only then it has hours to compare."""
    length = (asked.last_day - asked.first_day).days
    return 0 <= length <= LONGEST_LOOK and asked.begins < asked.ends


def timeless_problems(asked: Asked, rules: Rules) -> list[Problem]:
    """Return what stands against a class whenever it is."""
    return [*_words(asked), *_trainees(asked, rules), *_release(asked, rules)]


def reason_problems(reason: str) -> list[Problem]:
    """Return what is wrong with the reason of a decision."""
    return list(_line("reason", reason, SHORTEST_REASON, REASON_LENGTH))


def _words(asked: Asked) -> Iterator[Problem]:
    yield from _line("course", asked.course, 1, COURSE_LENGTH)


def _line(what: str, text: str, shortest: int, longest: int) -> Iterator[Problem]:
    if not shortest <= len(text.strip()) <= longest or not text.isprintable():
        yield Problem(
            what=f"The {what} is not one line of {shortest} to {longest} characters",
            why=f"it has {len(text.strip())}" if text.isprintable() else "it has characters that cannot be printed",
            action=f"write the {what} as people are to read it in the list",
        )


def _trainees(asked: Asked, rules: Rules) -> Iterator[Problem]:
    known = ", ".join(f"{role} ({count})" for role, count in rules.roles.items())
    if not asked.trainees:
        yield Problem(
            what="Nobody is to be trained",
            why="no group was named",
            action=f"name groups with how many people, such as --group {next(iter(rules.roles))}=1; there are {known}",
        )
    for role, count in asked.trainees.items():
        if role not in rules.roles:
            yield Problem(
                what=f"Training has no group {role!r}",
                why="its logins are made by role, from refresh.roles of the site's settings",
                action=f"choose from {known}",
            )
        elif not 1 <= count <= rules.roles[role]:
            yield Problem(
                what=f"{count} people of {role} cannot be trained at once",
                why=f"training has logins for {rules.roles[role]} trainees of {role}",
                action=f"ask for 1 to {rules.roles[role]}; more logins are refresh.roles of the site's settings",
            )


def _release(asked: Asked, rules: Rules) -> Iterator[Problem]:
    if asked.release != rules.release:
        yield Problem(
            what=f"The release {asked.release!r} is unknown here",
            why=f"training runs {rules.release}",
            action=f"ask for {rules.release} (leave --release out), or have training brought to {asked.release} first",
        )


def _order(asked: Asked, rules: Rules) -> Iterator[Problem]:
    length = (asked.last_day - asked.first_day).days + 1
    if length < 1:
        yield Problem(
            what=f"The last day {asked.last_day} is before the first, {asked.first_day}",
            why="a class goes forward in time",
            action="exchange --date and --until",
        )
    elif length > rules.longest_days:
        yield Problem(
            what=f"The class is too long: {length} days",
            why=f"at most {rules.longest_days} days are granted at once (sandbox.longest_days of the site's settings)",
            action="divide it into several requests",
        )
    begins, ends = (datetime.combine(asked.first_day, time.fromisoformat(text)) for text in (asked.begins, asked.ends))
    if ends <= begins:
        yield Problem(
            what=f"The class ends at {asked.ends}, not after it begins at {asked.begins}",
            why="class hours lie within one day",
            action="correct --from or --to",
        )
    elif ends - begins > timedelta(hours=rules.longest_hours):
        yield Problem(
            what=f"The class is too long: from {asked.begins} to {asked.ends}",
            why=f"at most {rules.longest_hours} hours a day are granted (sandbox.longest_hours of the site's settings)",
            action="end earlier, or divide it over more days with --until",
        )


def _clock(asked: Asked) -> Iterator[Problem]:
    """Yield hours that a wall clock skips or shows twice."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo(asked.time_zone)
    for day in days(asked.first_day, asked.last_day)[:LONGEST_LOOK]:
        for text in (asked.begins, asked.ends):
            if wrong := fault(day, time.fromisoformat(text), zone):
                yield Problem(
                    what=f"{text} on {day} {wrong} in {asked.time_zone}",
                    why="the clocks are changed in that night",
                    action="choose an hour outside the change",
                )


def _when(asked: Asked, situation: Situation) -> Iterator[Problem]:
    first = class_hours(asked)[0]
    today = situation.now.astimezone(situation.rules.zone).date()
    if first.begin <= situation.now:
        yield Problem(
            what=f"The class begins in the past: {asked.first_day} {asked.begins} ({asked.time_zone})",
            why=f"it is {situation.now.astimezone(situation.rules.zone):%Y-%m-%d %H:%M} there",
            action="choose a later time",
        )
    elif asked.first_day > today + timedelta(days=situation.rules.ahead_days):
        yield Problem(
            what=f"{asked.first_day} is too far ahead",
            why=f"classes are granted {situation.rules.ahead_days} days ahead (sandbox.ahead_days)",
            action="correct the year, or ask again later",
        )


def _freezes(asked: Asked, rules: Rules) -> Iterator[Problem]:
    hours = class_hours(asked)
    for freeze in rules.freezes:
        if meet(hours, (frozen(freeze, rules.zone),)):
            yield Problem(
                what=f"The class lies in a release freeze: {freeze.first_day} to {freeze.last_day}",
                why=freeze.reason,
                action="choose other days; the freezes are in `./careops sandbox calendar`",
            )


def _taken(asked: Asked, situation: Situation, own_id: str) -> Iterator[Problem]:
    hours = class_hours(asked)
    for other in situation.granted:
        if other.id != own_id and meet(hours, class_hours(other.asked)):
            yield Problem(
                what=f"Training is taken: {other.asked.course} ({other.id})",
                why=f"its class hours are {describe(other.asked)}, and there is one training environment",
                action="choose another time; see `./careops sandbox list`",
            )


def describe(asked: Asked) -> str:
    """Return days and hours for people."""
    last = "" if asked.last_day == asked.first_day else f" to {asked.last_day}"
    return f"{asked.first_day}{last}, {asked.begins}-{asked.ends} ({asked.time_zone})"


def rebuild_problems(request: Request, situation: Situation) -> list[Problem]:
    """Return what stands against refreshing training for a request now."""
    if request.state == "requested":
        return [
            Problem(
                what=f"The request {request.id} is not approved yet",
                why=f"{request.requester} asked for it, and a second person decides",
                action=f"have it approved first: ./careops sandbox approve {request.id}",
            )
        ]
    if request.state not in GRANTED:
        return [wrong_state(request, "rebuilt")]
    now, rules = situation.now, situation.rules
    end = class_hours(request.asked)[-1].end
    problems = list(_release(request.asked, rules))
    if end <= now:
        problems.append(
            Problem(
                what=f"The class of {request.id} is over",
                why=f"it was {describe(request.asked)}",
                action="ask for a new one, or end it: ./careops sandbox expire",
            )
        )
    problems += [
        Problem(
            what=f"Today is in a release freeze: {freeze.first_day} to {freeze.last_day}",
            why=freeze.reason,
            action=f"rebuild it after {freeze.last_day}",
        )
        for freeze in rules.freezes
        if frozen(freeze, rules.zone).holds(now)
    ]
    return problems + [_comes_first(request, other) for other in situation.granted if _is_before(other, request, now)]


def _is_before(other: Request, request: Request, now: datetime) -> bool:
    """Return whether another request's class is on, or the next one to be."""
    if other.id == request.id:
        return False
    theirs, ours = (_next(each.asked, now) for each in (other, request))
    return theirs is not None and (ours is None or theirs.begin < ours.begin)


def _next(asked: Asked, now: datetime) -> Span | None:
    """Return the class hours that are on, or the next ones; None when there are no more."""
    return next((hours for hours in class_hours(asked) if hours.end > now), None)


def _comes_first(request: Request, other: Request) -> Problem:
    return Problem(
        what=f"{other.asked.course} ({other.id}) needs training first",
        why=f"its class hours are {describe(other.asked)}: a refresh now would take its data away, or be replaced",
        action=f"rebuild {request.id} when that class is over",
    )


def ends(request: Request, rules: Rules) -> datetime:
    """Return when a request expires: some days after its last class, or when its class begins without approval."""
    hours = class_hours(request.asked)
    if request.state == "requested":
        return hours[0].begin
    return hours[-1].end + timedelta(days=rules.keep_days)


def is_due(request: Request, rules: Rules, now: datetime) -> bool:
    """Return whether a request is to be marked as expired."""
    return request.may_become("expired") and ends(request, rules) <= now


def next_step(request: Request, situation: Situation) -> str:
    """Return what is to be done about a request now, for the list; empty when nothing is."""
    end = f"{ends(request, situation.rules).astimezone(situation.rules.zone):%Y-%m-%d}"
    if is_due(request, situation.rules, situation.now):
        return f"its time is over since {end}: sandbox expire"
    match request.state:
        case "requested":
            return f"a second person: sandbox approve {request.id}"
        case "approved":
            return _until_ready(request, situation.now, end)
        case "ready":
            return f"expires {end}"
    return ""


def _until_ready(request: Request, now: datetime, end: str) -> str:
    """Return what is to be done about an approved request that has no data yet."""
    hours = class_hours(request.asked)
    if now < hours[0].begin:
        return f"before the class: sandbox rebuild {request.id}"
    if now < hours[-1].end:
        return f"the class has begun: sandbox rebuild {request.id}"
    return f"its class is over; expires {end}"


def wrong_state(request: Request, done: str) -> Problem:
    """Return the problem of a request in a state that allows something no longer, or not yet."""
    last = request.history[-1]
    return Problem(
        what=f"The request {request.id} cannot be {done}",
        why=f"it is {request.state}, by {last.who} at {last.when.astimezone(UTC):%Y-%m-%d %H:%M} UTC",
        action=f"see its history: ./careops sandbox show {request.id}",
    )
