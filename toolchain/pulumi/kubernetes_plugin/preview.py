"""What an object will look like: the server's dry run where there is one, unknown where only the update will tell."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from toolchain.pulumi.kubernetes_plugin.checkpoint import from_api, live_part, marked
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, Secret, dig, with_value, without

if TYPE_CHECKING:
    from toolchain.pulumi.kubernetes_plugin.tokens import Gvk

_SET_ON_CREATE: Final = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
_SET_ON_UPDATE: Final = ("resourceVersion", "generation", "managedFields")

_WITHOUT_STATUS: Final = frozenset(
    {
        *("ConfigMap", "Secret", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"),
        *("LimitRange", "StorageClass", "PriorityClass", "RuntimeClass", "NetworkPolicy", "EndpointSlice", "Endpoints"),
    }
)
# Fields the server allocates or a controller fills, by kind; known only when the program sets them.
_ALLOCATED: Final[dict[tuple[str, str], tuple[tuple[str, ...], ...]]] = {
    ("", "Service"): (
        *(("spec", "clusterIP"), ("spec", "clusterIPs"), ("spec", "ipFamilies"), ("spec", "ipFamilyPolicy")),
        ("spec", "healthCheckNodePort"),
    ),
    ("", "PersistentVolumeClaim"): (("spec", "volumeName"),),
    ("", "Pod"): (("spec", "nodeName"),),
    ("", "ServiceAccount"): (("secrets",),),
    ("batch", "Job"): (
        ("spec", "selector"),
        ("spec", "template", "metadata", "labels", "batch.kubernetes.io/controller-uid"),
        ("spec", "template", "metadata", "labels", "controller-uid"),
    ),
}
# A dry run invents these; a controller may set others later, so the ones not in this table keep the dry run's value.
_ONLY_IF_PRESENT: Final = frozenset(
    {
        *(
            ("spec", "healthCheckNodePort"),
            ("spec", "template", "metadata", "labels", "batch.kubernetes.io/controller-uid"),
        ),
        ("spec", "template", "metadata", "labels", "controller-uid"),
    }
)


def planned_creation(gvk: Gvk, inputs: Mapping[str, Any], dry_run: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the outputs of an object that does not exist yet.

    Args:
        gvk: its kind.
        inputs: what the program asks for, with unknowns and secrets.
        dry_run: what the server says it would make of it; None when it could not be asked.
    """
    if dig(dict(inputs), "metadata") is UNKNOWN:
        return {**inputs, "status": UNKNOWN}
    base = without(dict(inputs if dry_run is None else from_api(dry_run)), ("status",))
    for name in _SET_ON_CREATE:
        base = with_value(base, ("metadata", name), UNKNOWN)
    for path in _ALLOCATED.get((gvk.group, gvk.kind), ()):
        if dig(dict(inputs), *path) is not None or (path in _ONLY_IF_PRESENT and dig(base, *path) is None):
            continue
        base = with_value(base, path, UNKNOWN)
    base = _unknown_node_ports(gvk, base, inputs)
    if not (gvk.is_built_in and gvk.kind in _WITHOUT_STATUS):
        base["status"] = UNKNOWN
    if dry_run is None and gvk.kind == "Secret" and "stringData" in inputs:
        base["data"] = Secret(UNKNOWN)
    return marked(base, inputs)


def _unknown_node_ports(gvk: Gvk, base: dict[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    if gvk.kind != "Service" or dig(dict(inputs), "spec", "type") not in {"NodePort", "LoadBalancer"}:
        return base
    ports, given = dig(base, "spec", "ports"), dig(dict(inputs), "spec", "ports")
    if not isinstance(ports, list) or not isinstance(given, list):
        return base
    filled = [
        port
        if not isinstance(port, dict) or dig(given, index, "nodePort") is not None
        else {**port, "nodePort": UNKNOWN}
        for index, port in enumerate(ports)
    ]
    return with_value(base, ("spec", "ports"), filled)


def planned_update(
    state: Mapping[str, Any], inputs: Mapping[str, Any], dry_run: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return the outputs of an object that will be changed in place; `state` is what is recorded about it."""
    if dig(dict(inputs), "metadata") is UNKNOWN:
        return {**live_part(state), **inputs, "status": UNKNOWN}
    base = _overlaid(live_part(state), inputs) if dry_run is None else dict(from_api(dry_run))
    for name in _SET_ON_UPDATE:
        base = with_value(base, ("metadata", name), UNKNOWN)
    return marked(base, inputs)


def _overlaid(below: Any, above: Any) -> Any:
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        return {
            key: _overlaid(below.get(key), above[key]) if key in above else below[key] for key in {**below, **above}
        }
    return above
