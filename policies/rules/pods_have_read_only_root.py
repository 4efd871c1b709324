"""Containers cannot write to their own image's file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, containers
from policies.rule import Context, Evidence, Rule
from policies.values import require
from policies.verdicts import Verdict, conclude

if TYPE_CHECKING:
    from policies.resources import Resource


def check(resource: Resource, _: Context) -> Verdict:
    """Judge every container of a pod.

    Args:
        resource: A resource of a kind that carries a pod.

    Returns:
        Pass when each container's root file system is read-only; unset means writable to Kubernetes.
    """
    return conclude(
        seen
        for container in containers(resource)
        for seen in require(
            container.node.at("securityContext", "readOnlyRootFilesystem"),
            lambda value: value is True,
            f"{container.title} can change its own software: readOnlyRootFilesystem is not true",
        )
    )


RULE: Final = Rule(
    id="pods-have-read-only-root",
    title="Containers have a read-only root file system.",
    kinds=POD_KINDS,
    check=check,
    severity="high",
    controls=("software-integrity",),
    remediation=(
        "Set securityContext.readOnlyRootFilesystem: true on each container and mount an emptyDir where it must write."
    ),
    evidence=(
        Evidence(source="update", shows="No declared container can alter the software it runs."),
        Evidence(source="cluster", shows="No container that exists can alter the software it runs."),
    ),
)
