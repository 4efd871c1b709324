"""What a rule can say about a resource: pass, fail, undetermined or not applicable.

A rule collects *observations* (a finding is a certain violation, a doubt is something it could not see) and
`conclude` folds them into one verdict. There is no way from a doubt to a pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A certain violation.

    Attributes:
        path: Property path inside the resource, empty when the resource as a whole is meant.
        message: What is wrong there. Never holds the value of a credential.
    """

    path: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """Something the rule needed and could not see.

    Attributes:
        path: Property path inside the resource.
        reason: Why it cannot be judged.
    """

    path: str
    reason: str


Observation: TypeAlias = Finding | Doubt


@dataclass(frozen=True, slots=True)
class Pass:
    """The rule saw all it needs and found no violation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fail:
    """At least one certain violation.

    Attributes:
        findings: The violations, never empty.
        doubts: What could not be judged besides.
        broken: True when the rule itself raised; no waiver covers that.
    """

    findings: tuple[Finding, ...]
    doubts: tuple[Doubt, ...] = ()
    broken: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Undetermined:
    """No certain violation, but something the rule needs is unknown.

    Attributes:
        doubts: What could not be judged, never empty.
    """

    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class NotApplicable:
    """The rule has nothing to say about this resource.

    Attributes:
        reason: Why, shown in Pulumi's policy summary.
    """

    reason: str


Verdict: TypeAlias = Pass | Fail | Undetermined | NotApplicable


def conclude(observations: Iterable[Observation]) -> Pass | Fail | Undetermined:
    """Fold observations into a verdict: any finding fails, else any doubt leaves it open, else it passes.

    Args:
        observations: What the rule saw, in reading order.

    Returns:
        The verdict, holding every observation.
    """
    findings: list[Finding] = []
    doubts: list[Doubt] = []
    for observation in observations:
        if isinstance(observation, Finding):
            findings.append(observation)
        else:
            doubts.append(observation)
    if findings:
        return Fail(findings=tuple(findings), doubts=tuple(doubts))
    if doubts:
        return Undetermined(doubts=tuple(doubts))
    return Pass()
