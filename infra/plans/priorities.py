"""The order in which pods are served when the cluster is full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from infra.naming import Environment, priority_class


@dataclass(frozen=True, kw_only=True)
class Priority:
    """One PriorityClass.

    Attributes:
        subject: Whose pods run with it.
        value: Higher is served first.
        preempts: Whether its pods may push out others to run.
        description: What Kubernetes shows about it.
    """

    subject: Environment | Literal["platform"]
    value: int
    preempts: bool
    description: str

    @property
    def name(self) -> str:
        """The class's name."""
        return priority_class(self.subject)

    @property
    def preemption_policy(self) -> str:
        """What Kubernetes calls whether it pushes out others."""
        return "PreemptLowerPriority" if self.preempts else "Never"


PRIORITIES = (
    Priority(subject="platform", value=200_000, preempts=True, description="The operator every environment needs."),
    Priority(subject="prod", value=100_000, preempts=True, description="Care depends on it; it may push out others."),
    Priority(subject="training", value=50_000, preempts=False, description="Courses have a date."),
    Priority(subject="test", value=20_000, preempts=False, description="Can wait for room."),
    Priority(subject="dev", value=10_000, preempts=False, description="The first to give way."),
)
