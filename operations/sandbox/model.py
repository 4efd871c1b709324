"""A request and its history, read from and written as the object the API server keeps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from infra.plans.sandbox import GROUP, KIND, TRANSITIONS, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.plans.sandbox import State

Object = dict[str, Any]

YEARS = range(2000, 2200)
"""Years of a class. Dates at either end of the calendar cannot be turned into moments."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What is asked for.

    Attributes:
        course: Its name.
        release: The release it is taught on.
        first_day: First day, in the time zone.
        last_day: Last day, itself included.
        begins: When the class begins on each day, `HH:MM`.
        ends: When it ends on the same day, `HH:MM`.
        time_zone: The site's when it was asked for, such as `Europe/Paris`.
        trainees: How many people, by the role of theirs in training.
    """

    course: str
    release: str
    first_day: date
    last_day: date
    begins: str
    ends: str
    time_zone: str
    trainees: Mapping[str, int]

    def as_object(self) -> Object:
        """Return it as the object's `spec`."""
        return {
            "course": self.course,
            "release": self.release,
            "firstDay": self.first_day.isoformat(),
            "lastDay": self.last_day.isoformat(),
            "begins": self.begins,
            "ends": self.ends,
            "timeZone": self.time_zone,
            "trainees": dict(self.trainees),
        }


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that was done to a request.

    Attributes:
        number: Its place in the history, from 1.
        state: What the request became by it.
        who: The user, as the API server sees it.
        when: The moment, UTC.
        why: The reason given; may be empty where none is needed.
        run: The refresh that made it ready; else empty.
    """

    number: int
    state: State
    who: str
    when: datetime
    why: str
    run: str = ""

    def as_object(self) -> Object:
        """Return it as the object's history has it."""
        moment = self.when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found = {"number": self.number, "state": self.state, "who": self.who, "when": moment, "why": self.why}
        return found | ({"run": self.run} if self.run else {})


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request.

    Attributes:
        id: Its name, given by the API server.
        asked: What is asked for.
        history: What was done, oldest first; never empty.
        version: The object's version, which a change of it has to name.
    """

    id: str
    asked: Asked
    history: tuple[Entry, ...]
    version: str

    @property
    def state(self) -> State:
        """What the last entry made it."""
        return self.history[-1].state

    @property
    def requester(self) -> str:
        """Who asked."""
        return self.history[0].who

    @property
    def reason(self) -> str:
        """Why it was asked for."""
        return self.history[0].why

    @property
    def approval(self) -> Entry | None:
        """The approval that holds, or held when it ended; None where there is none."""
        found = None
        for entry in self.history:
            if entry.state == "approved":
                found = entry
            elif entry.state == "requested":
                found = None
        return found

    def may_become(self, state: State) -> bool:
        """Return whether its state allows this one to follow."""
        return state in TRANSITIONS[self.state]

    def as_json(self) -> Object:
        """Return it as the command line prints it."""
        return {
            "id": self.id,
            "state": self.state,
            **self.asked.as_object(),
            "requested_by": self.requester,
            "approved_by": self.approval.who if self.approval else None,
            "reason": self.reason,
            "history": [entry.as_object() for entry in self.history],
        }


def manifest(asked: Asked, entry: Entry, namespace: str) -> Object:
    """Return the object of a new request; the API server completes its name."""
    described = {"generateName": f"{asked.first_day:%y%m%d}-", "namespace": namespace}
    head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": described}
    return {**head, "spec": asked.as_object(), "history": [entry.as_object()]}


def from_object(found: Object) -> Request:
    """Return the request in an object of the API.

    Raises:
        ValueError: Another program wrote something that this one cannot read, such as a time zone nobody knows.
    """
    spec = found["spec"]
    if spec["timeZone"] not in available_timezones():
        msg = f"it has the time zone {spec['timeZone']!r}"
        raise ValueError(msg)
    if not all(int(spec[field][:4]) in YEARS for field in ("firstDay", "lastDay")):
        msg = f"it is from {spec['firstDay']} to {spec['lastDay']}"
        raise ValueError(msg)
    return Request(
        id=found["metadata"]["name"],
        version=found["metadata"]["resourceVersion"],
        asked=Asked(
            course=spec["course"],
            release=spec["release"],
            first_day=date.fromisoformat(spec["firstDay"]),
            last_day=date.fromisoformat(spec["lastDay"]),
            begins=spec["begins"],
            ends=spec["ends"],
            time_zone=spec["timeZone"],
            trainees=dict(spec["trainees"]),
        ),
        history=tuple(
            Entry(
                number=entry["number"],
                state=entry["state"],
                who=entry["who"],
                when=datetime.fromisoformat(entry["when"]),
                why=entry["why"],
                run=entry.get("run", ""),
            )
            for entry in sorted(found["history"], key=lambda entry: entry["number"])
        ),
    )


def next_entry(request: Request, state: State, who: str, *, when: datetime, why: str, run: str = "") -> Entry:
    """Return the entry that follows a request's last one; never older, so that a clock that is late does no harm."""
    moment = max(when, request.history[-1].when)
    return Entry(number=len(request.history) + 1, state=state, who=who, when=moment, why=why, run=run)
