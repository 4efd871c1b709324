"""What a verification found: one result per check, and a check that could not run counts as failed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    COULD_NOT_RUN = "could-not-run"


@dataclass(frozen=True, kw_only=True, order=True)
class Finding:
    """Something a check found, told without the value it is about.

    Attributes:
        table: The table, or what takes its place ("filestore").
        column: The column, or empty when it is about the table.
        what: What is wrong there, in words that hold for any value.
        count: How often.
    """

    table: str
    column: str
    what: str
    count: int

    def __str__(self) -> str:
        """Return one line for a person."""
        place = f"{self.table}.{self.column}" if self.column else self.table
        return f"{place}: {self.what} ({self.count:,})"


@dataclass(frozen=True, kw_only=True)
class Group:
    """What was found of a set of columns that together narrow a person down; never what stands in them.

    Attributes:
        table: The set's table.
        columns: Those of its columns whose real value stays, or a blurred one.
        people: Who have any of them.
        smallest: People in the smallest group of one combination: the k that was found; 0 without any.
        threshold: How many must share each.
        declared: The site's settings declare it, beyond those that every site has.
    """

    table: str
    columns: tuple[str, ...]
    people: int
    smallest: int
    threshold: int
    declared: bool

    def as_json(self) -> dict[str, Any]:
        """Return plain values for the certificate."""
        return {
            "table": self.table,
            "columns": list(self.columns),
            "people": self.people,
            "smallest": self.smallest,
            "threshold": self.threshold,
            "declared": self.declared,
        }


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """The result of one check.

    Attributes:
        name: What was checked, in a few words.
        status: How it ended.
        findings: What it found; empty when it passed.
        facts: Counts of what was looked at, by name: a check that looked at nothing shows it here.
        seconds: Wall time.
        why: Why it could not run: the kind of error and never its text, which may quote a value.
        groups: Of the k-anonymity: what each set of columns divides people into.
    """

    name: str
    status: Status
    findings: tuple[Finding, ...] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    why: str = ""
    groups: tuple[Group, ...] = ()

    @property
    def passed(self) -> bool:
        """Return whether it ran and found nothing."""
        return self.status is Status.PASSED

    def as_json(self) -> dict[str, Any]:
        """Return plain values for the certificate."""
        found = [{"table": f.table, "column": f.column, "what": f.what, "count": f.count} for f in self.findings]
        return {
            "name": self.name,
            "status": self.status.value,
            "findings": found,
            "facts": dict(sorted(self.facts.items())),
            "seconds": round(self.seconds, 3),
            "why": self.why,
            **({"groups": [group.as_json() for group in self.groups]} if self.groups else {}),
        }


@dataclass(frozen=True, kw_only=True)
class Verification:
    """The results of all checks of a run."""

    checks: tuple[CheckResult, ...]

    @property
    def passed(self) -> bool:
        """Return whether every check ran and passed; without a check nothing was verified, so that is no pass."""
        return bool(self.checks) and all(check.passed for check in self.checks)

    def as_json(self) -> list[dict[str, Any]]:
        """Return plain values for the certificate."""
        return [check.as_json() for check in self.checks]


@dataclass(frozen=True, kw_only=True)
class Looked:
    """What the body of a check returns.

    Attributes:
        findings: What it found.
        facts: Counts of what was looked at.
        required: Names of facts that must not be 0: a check that had nothing to look at did not run.
        groups: What sets of columns divide people into.
    """

    findings: Iterable[Finding] = ()
    facts: Mapping[str, int] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    groups: Iterable[Group] = ()


def run(name: str, body: Callable[[], Looked]) -> CheckResult:
    """Run the body of a check and return its result; an error in it becomes `could-not-run`.

    Args:
        name: What is checked.
        body: Looks, and returns what it saw.
    """
    started = time.monotonic()
    try:
        looked = body()
    except Exception as error:
        why = f"{type(error).__name__} {getattr(error, 'sqlstate', None) or ''}".strip()
        return CheckResult(name=name, status=Status.COULD_NOT_RUN, why=why, seconds=time.monotonic() - started)
    findings = tuple(sorted(looked.findings))
    missing = [fact for fact in looked.required if not looked.facts.get(fact)]
    status = Status.FAILED if findings else Status.COULD_NOT_RUN if missing else Status.PASSED
    return CheckResult(
        name=name,
        status=status,
        findings=findings,
        facts=dict(looked.facts),
        seconds=time.monotonic() - started,
        groups=tuple(looked.groups),
        why=f"nothing to look at: {', '.join(missing)}" if missing and not findings else "",
    )
