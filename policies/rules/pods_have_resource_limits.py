"""Every container has a ceiling on memory and CPU."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, containers, pod_spec
from policies.resources import CNPG_CLUSTER, Resource
from policies.rule import Context, Evidence, Rule
from policies.values import Node, require
from policies.verdicts import Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.verdicts import Observation

_LIMITED: Final = ("cpu", "memory")
_ZERO: Final = re.compile(r"0*(\.0*)?([eE][+-]?\d+)?([a-zA-Z]{0,2})?")


def _is_ceiling(value: object) -> bool:
    """Tell whether a quantity limits anything: to Kubernetes zero means no limit."""
    if isinstance(value, bool) or value is None:
        return False
    if isinstance(value, (int, float)):
        return value > 0
    return isinstance(value, str) and value.strip() != "" and not _ZERO.fullmatch(value.strip())


def _limits(resources: Node, title: str, fallback: Node | None = None) -> Iterator[Observation]:
    for quantity in _LIMITED:
        own = resources.at("limits", quantity)
        if fallback is not None and own.absent:
            pod_level = fallback.at("limits", quantity)
            own = own if pod_level.absent else pod_level
        yield from require(own, _is_ceiling, f"{title} has no {quantity} limit, so it can starve its neighbours")


def _observe(resource: Resource) -> Iterator[Observation]:
    if resource.kind == CNPG_CLUSTER:
        yield from _limits(resource.properties.at("spec", "resources"), "the PostgreSQL cluster")
        return
    pod_level = pod_spec(resource).at("resources")
    for container in containers(resource):
        # Kubernetes refuses resources on ephemeral containers: they live within what the pod was given.
        if container.role != "ephemeral":
            yield from _limits(container.node.at("resources"), container.title, pod_level)


def check(resource: Resource, _: Context) -> Verdict:
    """Judge the limits of each container, or of a PostgreSQL cluster's instances.

    Args:
        resource: A resource that carries a pod, or a CloudNativePG cluster.

    Returns:
        Pass when memory and CPU are limited everywhere. A LimitRange's default does not count: it can be absent where
        the same declaration is applied next.
    """
    return conclude(_observe(resource))


RULE: Final = Rule(
    id="pods-have-resource-limits",
    title="Containers have memory and CPU limits.",
    kinds=POD_KINDS | {CNPG_CLUSTER},
    check=check,
    severity="medium",
    controls=("capacity-isolation",),
    remediation="Set resources.limits.memory and resources.limits.cpu on each container (spec.resources of a Cluster).",
    evidence=(
        Evidence(source="update", shows="No declared workload can exhaust its node."),
        Evidence(source="cluster", shows="No workload that exists can exhaust its node."),
    ),
)
