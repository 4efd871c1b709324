"""Namespaces and workloads say which data they may hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, pod_template
from policies.resources import CNPG_CLUSTER, NAMESPACE, Resource
from policies.rule import Context, Evidence, Rule
from policies.values import Node, require
from policies.verdicts import Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.verdicts import Observation

LABEL: Final = "careops.io/data-classification"
CLASSES: Final = ("demo", "anonymised", "phi")


def _labelled(holder: Node, title: str) -> Iterator[Observation]:
    yield from require(
        holder.at("labels", LABEL),
        lambda value: value in CLASSES,
        f"{title} has no label {LABEL} with one of {', '.join(CLASSES)}",
    )


def _observe(resource: Resource) -> Iterator[Observation]:
    yield from _labelled(resource.properties.at("metadata"), "it")
    if resource.kind == CNPG_CLUSTER:
        yield from _labelled(resource.properties.at("spec", "inheritedMetadata"), "what the operator makes of it")
    elif resource.kind in POD_KINDS and resource.kind != "core/Pod":
        yield from _labelled(pod_template(resource).at("metadata"), "its pod")


def check(resource: Resource, _: Context) -> Verdict:
    """Judge the labels of a namespace or workload, and of the pods it makes.

    Args:
        resource: A namespace, a resource that carries a pod, or a CloudNativePG cluster.

    Returns:
        Pass when the object and its pods carry a known data class.
    """
    return conclude(_observe(resource))


RULE: Final = Rule(
    id="data-is-classified",
    title="Namespaces and workloads carry the class of the data they may hold.",
    kinds=POD_KINDS | {NAMESPACE, CNPG_CLUSTER},
    check=check,
    severity="medium",
    controls=("data-classification",),
    remediation=(
        f"Label the object and its pod template with {LABEL}: {' | '.join(CLASSES)} (a Cluster also under "
        "spec.inheritedMetadata.labels). Choose the strictest class that can reach it."
    ),
    evidence=(
        Evidence(source="update", shows="Every declared namespace and workload has a data class."),
        Evidence(source="cluster", shows="Every namespace and pod that exists has a data class."),
    ),
)
