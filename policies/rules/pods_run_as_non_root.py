"""Containers run as a user other than root and cannot become root."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, Container, containers, pod_spec
from policies.rule import Context, Evidence, Rule
from policies.values import Node, doubt, require
from policies.verdicts import Finding, Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.resources import Resource
    from policies.verdicts import Observation

_ROOT: Final = 0


def _effective(container: Container, pod: Node, field: str) -> Node:
    """Return the container's own setting, or the pod's where the container has none (Kubernetes' precedence)."""
    own = container.node.at("securityContext", field)
    return pod.at("securityContext", field) if own.absent else own


def _observe(container: Container, pod: Node) -> Iterator[Observation]:
    yield from require(
        _effective(container, pod, "runAsNonRoot"),
        lambda value: value is True,
        f"{container.title} may run as root: runAsNonRoot is not true for it or its pod",
    )
    user = _effective(container, pod, "runAsUser")
    if not user.absent:
        yield from require(user, lambda value: value != _ROOT, f"{container.title} runs as root: runAsUser is 0")
    own = container.node.at("securityContext")
    yield from require(
        own.at("allowPrivilegeEscalation"),
        lambda value: value is False,
        f"{container.title} may become root: allowPrivilegeEscalation is not false",
    )
    yield from require(
        own.at("privileged"),
        lambda value: value in (None, False),
        f"{container.title} is privileged: it holds every right of the node's root",
    )
    yield from _capabilities(container, own.at("capabilities"))


def _capabilities(container: Container, capabilities: Node) -> Iterator[Observation]:
    dropped = list(capabilities.at("drop").each())
    if not any(node.value == "ALL" for node in dropped):
        unseen = [node for node in dropped if node.unknown]
        message = f"{container.title} keeps capabilities: capabilities.drop does not hold ALL"
        yield doubt(unseen[0]) if unseen else Finding(path=f"{capabilities.path}.drop", message=message)
    for node in capabilities.at("add").each():
        # The only capability that Pod Security `restricted` lets a container add.
        yield from require(
            node, lambda value: value == "NET_BIND_SERVICE", f"{container.title} adds the capability {node.value}"
        )


def check(resource: Resource, _: Context) -> Verdict:
    """Judge every container of a pod.

    Args:
        resource: A resource of a kind that carries a pod.

    Returns:
        Pass when no container can be or become root.
    """
    pod = pod_spec(resource)
    return conclude(seen for container in containers(resource) for seen in _observe(container, pod))


RULE: Final = Rule(
    id="pods-run-as-non-root",
    title="Containers run as a user other than root, without capabilities, and cannot become root.",
    kinds=POD_KINDS,
    check=check,
    severity="critical",
    controls=("least-privilege",),
    remediation=(
        "Set securityContext.runAsNonRoot: true on the pod or container (and runAsUser to the image's user, not 0), "
        "and on each container allowPrivilegeEscalation: false and capabilities.drop: [ALL]."
    ),
    evidence=(
        Evidence(source="update", shows="No declared container may run as root."),
        Evidence(source="cluster", shows="No container that exists may run as root, whoever created it."),
    ),
)
