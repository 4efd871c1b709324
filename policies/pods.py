"""Find the pod and its containers inside whatever carries them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from policies.values import MalformedValue, Node

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.resources import Resource

POD_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "core/Pod": (),
    "core/PodTemplate": ("template",),
    "core/ReplicationController": ("spec", "template"),
    "apps/DaemonSet": ("spec", "template"),
    "apps/Deployment": ("spec", "template"),
    "apps/ReplicaSet": ("spec", "template"),
    "apps/StatefulSet": ("spec", "template"),
    "batch/CronJob": ("spec", "jobTemplate", "spec", "template"),
    "batch/Job": ("spec", "template"),
}
"""Where each kind keeps its pod (metadata and spec), from the Kubernetes API reference."""

POD_KINDS: Final = frozenset(POD_TEMPLATES)

Role = Literal["init", "main", "ephemeral"]

_LISTS: Final[Mapping[Role, str]] = {
    "init": "initContainers",
    "main": "containers",
    "ephemeral": "ephemeralContainers",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Container:
    """A container of a pod, whichever list it stands in.

    Attributes:
        node: The container's properties.
        role: Which list it stands in.
        name: Its name, or its position where it has none.
    """

    node: Node
    role: Role
    name: str

    @property
    def title(self) -> str:
        """How messages call it: `init container wait`."""
        return f"container {self.name}" if self.role == "main" else f"{self.role} container {self.name}"


def pod_template(resource: Resource) -> Node:
    """Return the node that holds the pod's `metadata` and `spec`.

    Args:
        resource: A resource of a kind in `POD_KINDS`.

    Returns:
        The pod itself or the template that makes it.
    """
    return resource.properties.at(*POD_TEMPLATES[resource.kind or ""])


def pod_spec(resource: Resource) -> Node:
    """Return the pod's specification.

    Args:
        resource: A resource of a kind in `POD_KINDS`.

    Returns:
        Its `spec`; absent or unknown when the resource's is.
    """
    return pod_template(resource).at("spec")


def containers(resource: Resource) -> list[Container]:
    """Return every container: init, main and ephemeral ones.

    Args:
        resource: A resource of a kind in `POD_KINDS`.

    Returns:
        The containers; a list that is not known yet gives one container whose every property is unknown.

    Raises:
        MalformedValue: If there is no main container, because then every rule would pass on nothing.
    """
    spec = pod_spec(resource)
    found = [
        Container(node=node, role=role, name=_name(node, position))
        for role, key in _LISTS.items()
        for position, node in enumerate(spec.at(key).each())
    ]
    if not any(container.role == "main" for container in found):
        raise MalformedValue(f"{spec.path or 'spec'}.containers is empty, so there is nothing to judge")
    return found


def _name(node: Node, position: int) -> str:
    name = None if node.unknown else node.at("name").value
    return name if isinstance(name, str) else f"#{position}"
