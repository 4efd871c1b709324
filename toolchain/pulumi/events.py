"""What the engine reports while it works, as data: one line of JSON in its event log becomes one frozen value."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

# Levels at which a policy stops an update.
_MANDATORY: Final = "mandatory"
_STOPPING_SEVERITIES: Final = frozenset({"error"})
# The engine also reports resources it left alone and ones it only reads.
UNCHANGED_OPERATIONS: Final = frozenset({"same", "read", "refresh"})


class Phase(Enum):
    """How far an operation on a resource is."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class ResourceEvent:
    """A step in the life of an operation on one resource.

    Attributes:
        urn: the resource.
        type: its type token.
        name: its name in the program.
        operation: create, update, replace, delete, same, read, refresh, import, ….
        phase: how far it is.
    """

    urn: str
    type: str
    name: str
    operation: str
    phase: Phase


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """Something said about a resource, or about the run as a whole (`urn` is "" then).

    Attributes:
        urn: the resource.
        severity: error, warning, info.
        text: what was said.
        passing: only of interest at the moment, like what is waited for.
    """

    urn: str
    severity: str
    text: str
    passing: bool

    @property
    def is_error(self) -> bool:
        """Whether it tells why the run failed."""
        return self.severity in _STOPPING_SEVERITIES


@dataclass(frozen=True, kw_only=True, slots=True)
class PolicyViolation:
    """A policy's finding about a resource, or about the stack as a whole (`urn` is "" then)."""

    urn: str
    pack: str
    policy: str
    level: str
    text: str

    @property
    def is_mandatory(self) -> bool:
        """Whether it stops the run."""
        return self.level == _MANDATORY


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """The engine's own account of a run: number of resources by operation, seconds, whether it finished."""

    changes: Mapping[str, int]
    seconds: float
    finished: bool


EngineEvent = ResourceEvent | Diagnostic | PolicyViolation | Summary


def parse_event(line: str) -> EngineEvent | None:
    """Return what a line of the event log says, or None for what nobody needs to know.

    Raises:
        ValueError: when the line is not JSON.
    """
    event = json.loads(line)
    for key, parse in _PARSERS.items():
        if key in event:
            return parse(event[key])
    return None


def _resource(phase: Phase) -> Any:
    def parse(event: Mapping[str, Any]) -> ResourceEvent:
        metadata = event["metadata"]
        urn = metadata["urn"]
        return ResourceEvent(urn=urn, type=metadata["type"], name=name_of(urn), operation=metadata["op"], phase=phase)

    return parse


def _diagnostic(event: Mapping[str, Any]) -> Diagnostic | None:
    severity = event.get("severity", "info")
    text = event.get("message", "").strip()
    if severity == "debug" or not text:
        return None
    # The host's own output arrives as "info#err".
    return Diagnostic(
        urn=event.get("urn", ""), severity=severity.split("#")[0], text=text, passing=bool(event.get("ephemeral"))
    )


def _policy(event: Mapping[str, Any]) -> PolicyViolation:
    return PolicyViolation(
        urn=event.get("resourceUrn", ""),
        pack=event.get("policyPackName", ""),
        policy=event.get("policyName", ""),
        level=event.get("enforcementLevel", ""),
        text=event.get("message", "").strip(),
    )


def _summary(event: Mapping[str, Any]) -> Summary:
    return Summary(
        changes=dict(event.get("resourceChanges") or {}),
        seconds=float(event.get("durationSeconds") or 0),
        finished=event.get("result", "succeeded") == "succeeded",
    )


_PARSERS: Final = {
    "resourcePreEvent": _resource(Phase.STARTED),
    "resOutputsEvent": _resource(Phase.DONE),
    "resOpFailedEvent": _resource(Phase.FAILED),
    "diagnosticEvent": _diagnostic,
    "policyEvent": _policy,
    "summaryEvent": _summary,
}


def name_of(urn: str) -> str:
    """Return a resource's name in the program."""
    return urn.rsplit("::", 1)[-1]
