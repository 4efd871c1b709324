"""What rules judge: one Kubernetes (or other) resource, from Pulumi or from a live cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from policies.values import MalformedValue, Node

if TYPE_CHECKING:
    from collections.abc import Iterator

Origin = Literal["pulumi", "cluster"]

KUBERNETES: Final = "kubernetes"
CUSTOM_RESOURCE_DEFINITION: Final = "apiextensions.k8s.io/CustomResourceDefinition"
NAMESPACE: Final = "core/Namespace"
SECRET: Final = "core/Secret"  # noqa: S105  # a kind, not a credential
CONFIG_MAP: Final = "core/ConfigMap"
NETWORK_POLICY: Final = "networking.k8s.io/NetworkPolicy"
CNPG_CLUSTER: Final = "postgresql.cnpg.io/Cluster"


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """The provider instance a Pulumi resource goes through.

    Attributes:
        type: Its type token, `pulumi:providers:kubernetes`.
        name: Its logical name; the engine calls the implicit one `default` or `default_<version>`.
    """

    type: str
    name: str

    @property
    def implicit(self) -> bool:
        """Tell whether Pulumi made the provider up from the ambient configuration."""
        return self.name == "default" or self.name.startswith("default_")


@dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource as rules see it.

    Attributes:
        type: Pulumi type token; for a live object the token Pulumi would use.
        name: Pulumi's logical name; for a live object its own name.
        urn: Pulumi's URN; empty for a live object.
        kind: `<group>/<kind>` for Kubernetes, as in `apps/Deployment` or `core/Pod`, otherwise `None`.
        properties: Inputs or outputs, rooted at the object.
        origin: Where the properties come from.
        provider: The provider instance, `None` when Pulumi names none.
        partial: True when the properties show only a part of the object (Pulumi's `…Patch` resources).
    """

    type: str
    name: str
    properties: Node
    urn: str = ""
    kind: str | None = None
    origin: Origin = "pulumi"
    provider: Provider | None = None
    partial: bool = False

    @property
    def package(self) -> str:
        """The Pulumi package the type belongs to."""
        return self.type.split(":", 1)[0]

    @property
    def namespace(self) -> Node:
        """The namespace the object lives in; absent when none is set."""
        return self.properties.at("metadata", "namespace")

    @property
    def object_name(self) -> Node:
        """The object's name in the cluster; absent when the provider makes one up."""
        return self.properties.at("metadata", "name")

    @property
    def label(self) -> str:
        """How people recognise the resource: `apps/Deployment riverside-dev/odoo-web`."""
        return f"{self.kind or self.type} {self._qualified_name()}"

    @property
    def references(self) -> tuple[str, ...]:
        """Everything a waiver may call the resource: its URN, `type::logical name`, `type::namespace/name`."""
        names = {self.name, self._qualified_name()}
        return (*((self.urn,) if self.urn else ()), *(f"{self.type}::{name}" for name in sorted(names)))

    def _qualified_name(self) -> str:
        try:
            parts = [self.namespace.value, self.object_name.value]
        except MalformedValue:
            return self.name
        known = [part for part in parts if isinstance(part, str)]
        return "/".join(known) if isinstance(parts[1], str) else self.name


def from_pulumi(
    *, type_: str, name: str, urn: str, properties: Mapping[str, Any], provider: Provider | None
) -> tuple[Resource, ...]:
    """Make resources from what Pulumi's engine sends.

    Args:
        type_: Type token, `kubernetes:apps/v1:Deployment`.
        name: Logical name.
        urn: The URN.
        properties: Decoded inputs or outputs.
        provider: The provider instance or `None`.

    Returns:
        The resource; for a Kubernetes list (`…List`) the resource and one for each of its items.
    """
    root = Node(properties)
    resource = Resource(
        type=type_,
        name=name,
        urn=urn,
        kind=_kind_of(type_, properties),
        properties=root,
        provider=provider,
        partial=_is_patch(type_),
    )
    return (resource, *_items(resource))


def from_object(body: Mapping[str, Any]) -> tuple[Resource, ...]:
    """Make resources from a plain Kubernetes object, as the API or a rendered manifest gives it.

    Args:
        body: The object with `apiVersion` and `kind`; a list object is taken apart.

    Returns:
        One resource, or one for each item of a list.

    Raises:
        MalformedValue: If `apiVersion` or `kind` is missing.
    """
    version, kind = body.get("apiVersion"), body.get("kind")
    if not isinstance(version, str) or not isinstance(kind, str):
        raise MalformedValue(
            "an object has no apiVersion or kind, so no rule can be chosen for it. Pass whole Kubernetes objects"
        )
    if kind == "List":
        return tuple(found for item in Node(body).at("items").each() for found in from_object(_mapping(item)))
    group = version if "/" in version else f"core/{version}"
    name = Node(body).at("metadata", "name").value
    resource = Resource(
        type=f"{KUBERNETES}:{group}:{kind}",
        name=name if isinstance(name, str) else "",
        kind=_kind(version, kind),
        properties=Node(body),
        origin="cluster",
    )
    return (resource, *_items(resource))


def _items(resource: Resource) -> Iterator[Resource]:
    """Yield the members of a typed list such as `PodList`; a list must not hide what it holds."""
    if resource.kind is None or not resource.kind.endswith("List"):
        return
    member = resource.kind.removesuffix("List")
    for position, node in enumerate(resource.properties.at("items").each()):
        yield Resource(
            type=resource.type.removesuffix("List"),
            name=f"{resource.name}[{position}]",
            urn=resource.urn,
            kind=member,
            properties=node,
            origin=resource.origin,
            provider=resource.provider,
        )


def _mapping(node: Node) -> Mapping[str, Any]:
    if not isinstance(node.value, Mapping):
        raise MalformedValue(f"{node.path} is not a Kubernetes object")
    return node.value


def _is_patch(type_: str) -> bool:
    return type_.startswith(f"{KUBERNETES}:") and type_.endswith("Patch")


def _kind(version: str, kind: str) -> str:
    group = version.split("/", 1)[0] if "/" in version else "core"
    return f"{group}/{kind}"


def _kind_of(type_: str, properties: Mapping[str, Any]) -> str | None:
    """Return what the object is: what it says itself, because that is what the API server will create."""
    package, _, rest = type_.partition(":")
    if package != KUBERNETES or rest.count(":") != 1:
        return None
    module, _, token_kind = rest.partition(":")
    version, kind = properties.get("apiVersion"), properties.get("kind")
    if isinstance(version, str) and isinstance(kind, str):
        return _kind(version, kind)
    return f"{module.split('/', 1)[0]}/{token_kind.removesuffix('Patch')}"
