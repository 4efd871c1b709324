"""Who is served first when the cluster is full."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.declaring import metadata
from infra.naming import common_labels, type_token

if TYPE_CHECKING:
    from infra.plans.priorities import Priority


@dataclass(frozen=True, kw_only=True)
class PrioritiesArgs:
    """Arguments of `Priorities`.

    Attributes:
        priorities: One for each environment and one for the operator.
    """

    priorities: tuple[Priority, ...]


class Priorities(pulumi.ComponentResource):
    """Declare the PriorityClasses that environments' pods name.

    Creates a PriorityClass each. Implements 45 CFR 164.308(a)(7)(ii)(E), criticality.
    """

    names: tuple[str, ...]
    """Names of the classes."""

    def __init__(self, name: str, args: PrioritiesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("platform", "Priorities"), name, None, opts)
        for priority in args.priorities:
            kubernetes.scheduling.v1.PriorityClass(
                f"{name}-{priority.subject}",
                metadata=metadata(priority.name, None, common_labels(priority.name, "priority")),
                value=priority.value,
                preemption_policy=priority.preemption_policy,
                description=priority.description,
                opts=pulumi.ResourceOptions(parent=self),
            )
        self.names = tuple(priority.name for priority in args.priorities)
        self.register_outputs({"names": list(self.names)})
