"""Pods share nothing with the node they run on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, containers, pod_spec
from policies.rule import Context, Evidence, Rule
from policies.values import Node, doubt, require
from policies.verdicts import Finding, Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.resources import Resource
    from policies.verdicts import Observation

_NAMESPACES: Final = {
    "hostNetwork": "uses the node's network, past every NetworkPolicy",
    "hostPID": "sees and can signal the node's processes",
    "hostIPC": "shares the node's memory segments",
}


def _namespaces(pod: Node) -> Iterator[Observation]:
    for field, effect in _NAMESPACES.items():
        # Unset is Kubernetes' documented default `false`, so it is the only unset value that is fine here.
        yield from require(pod.at(field), lambda value: value in (None, False), f"the pod {effect}: {field} is set")
    windows = pod.at("securityContext", "windowsOptions", "hostProcess")
    yield from require(windows, lambda value: value in (None, False), "the pod is a process of the node: hostProcess")


def _volumes(pod: Node) -> Iterator[Observation]:
    for volume in pod.at("volumes").each():
        source = volume if volume.unknown else volume.at("hostPath")
        if source.unknown:
            yield doubt(source)
        elif not source.absent:
            yield Finding(path=source.path, message="the pod mounts a folder of the node: hostPath")


def _containers(resource: Resource) -> Iterator[Observation]:
    for container in containers(resource):
        for port in container.node.at("ports").each():
            host_port = port if port.unknown else port.at("hostPort")
            yield from require(
                host_port, lambda value: value in (None, 0), f"{container.title} listens on the node's own address"
            )
        yield from require(
            container.node.at("securityContext", "windowsOptions", "hostProcess"),
            lambda value: value in (None, False),
            f"{container.title} is a process of the node: hostProcess",
        )


def _observe(resource: Resource) -> Iterator[Observation]:
    pod = pod_spec(resource)
    yield from _namespaces(pod)
    yield from _volumes(pod)
    yield from _containers(resource)


def check(resource: Resource, _: Context) -> Verdict:
    """Judge a pod's namespaces, volumes and ports.

    Args:
        resource: A resource of a kind that carries a pod.

    Returns:
        Pass when the pod uses no namespace, folder or port of the node.
    """
    return conclude(_observe(resource))


RULE: Final = Rule(
    id="pods-stay-off-the-host",
    title="Pods use no namespace, folder or port of the node.",
    kinds=POD_KINDS,
    check=check,
    severity="critical",
    controls=("least-privilege", "network-isolation"),
    remediation=(
        "Remove hostNetwork, hostPID, hostIPC, hostPath volumes and hostPort; use a Service, a PersistentVolumeClaim "
        "or an emptyDir instead."
    ),
    evidence=(
        Evidence(source="update", shows="No declared pod reaches into its node."),
        Evidence(source="cluster", shows="No pod that exists reaches into its node."),
    ),
)
