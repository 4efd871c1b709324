"""What a rule is: a pure function and the facts about it, stated once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from policies.resources import Resource
    from policies.verdicts import Finding, Verdict

Level = Literal["advisory", "mandatory"]
Scope = Literal["resource", "stack", "run"]
Severity = Literal["low", "medium", "high", "critical"]
EvidenceSource = Literal["preview", "update", "cluster"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Context:
    """What a rule may know besides the resource.

    Attributes:
        today: The day of judgement, UTC.
        stack: Every resource of the stack (or of the live cluster); empty for rules of scope `resource`.
        exceptions: What is wrong with the waivers and the pack's configuration.
    """

    today: date
    stack: tuple[Resource, ...] = ()
    exceptions: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What an auditor can be shown for a rule.

    Attributes:
        source: Which judgement produces it.
        shows: What it proves, as a sentence.
    """

    source: EvidenceSource
    shows: str


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule and everything the catalogue says about it.

    Attributes:
        id: Name in Pulumi's output, in waivers and in packs; never reused for another meaning.
        title: The requirement as one sentence.
        kinds: Kubernetes kinds (`<group>/<kind>`) it judges; `None` for every resource.
        scope: `resource` rules see one resource, `stack` rules also see all others, `run` rules see no resource.
        check: The pure function; called only with resources of `kinds`, with `None` for scope `run`.
        severity: How bad a violation is.
        controls: Ids of the controls it serves.
        remediation: What to do about a violation.
        evidence: What its verdicts prove.
        waivable: False when no reason is good enough for an exception.
    """

    id: str
    title: str
    kinds: frozenset[str] | None
    check: Callable[[Any, Context], Verdict]
    severity: Severity
    controls: tuple[str, ...]
    remediation: str
    evidence: tuple[Evidence, ...]
    scope: Scope = "resource"
    waivable: bool = True
