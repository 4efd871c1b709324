"""From a live object back to inputs: after a refresh, and for an object that is imported."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from toolchain.pulumi.kubernetes_plugin.checkpoint import from_api, marked, pulumi_spelling
from toolchain.pulumi.kubernetes_plugin.quantities import same_quantity
from toolchain.pulumi.kubernetes_plugin.values import dig, reveal, without

if TYPE_CHECKING:
    from toolchain.pulumi.kubernetes_plugin.tokens import Gvk

_GONE: Final = object()

# What the server or a controller fills in, so that no program writes it.
_FILLED_METADATA: Final = (
    *("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields"),
    *("resourceVersion", "selfLink", "uid"),
)
_FILLED_ANNOTATIONS: Final = (
    *("deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"),
    *("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"),
    *("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner"),
    "volume.kubernetes.io/selected-node",
)
_FILLED: Final[dict[tuple[str, str], tuple[tuple[str, ...], ...]]] = {
    ("", "Namespace"): (("spec",), ("metadata", "labels", "kubernetes.io/metadata.name")),
    ("", "Service"): (
        *(("spec", "clusterIP"), ("spec", "clusterIPs"), ("spec", "ipFamilies"), ("spec", "ipFamilyPolicy")),
        *(("spec", "internalTrafficPolicy"), ("spec", "sessionAffinity")),
    ),
    ("", "PersistentVolumeClaim"): (("spec", "volumeName"), ("spec", "volumeMode"), ("metadata", "finalizers")),
    ("batch", "Job"): (
        *(("spec", "selector"), ("spec", "template", "metadata", "labels")),
        *(("metadata", "labels", "batch.kubernetes.io/controller-uid"), ("metadata", "labels", "controller-uid")),
    ),
}


def refreshed(inputs: Mapping[str, Any], live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs with the values the live object has now.

    Fields the program never set are not its business and stay out; what only is written differently (`0.5` and `500m`,
    `x-kubernetes-list-type` and `x_kubernetes_list_type`) stays as the program wrote it; fields that are gone are left
    out, so that the next update restores them.
    """
    source = reveal(dict(inputs))
    current = dict(from_api(live))
    if source.get("kind") == "Secret" and "stringData" in source:
        current = {**current, "stringData": _decoded(source["stringData"], current.get("data") or {})}
    merged = _merged(source, current)
    return marked({} if merged is _GONE else merged, inputs)


def _decoded(wanted: Mapping[str, str], data: Mapping[str, str]) -> dict[str, str]:
    found = {}
    for key in wanted:
        try:
            found[key] = base64.b64decode(data[key]).decode()
        except (KeyError, binascii.Error, UnicodeDecodeError):
            continue
    return found


def _merged(wanted: Any, live: Any) -> Any:
    if live is None or live is _GONE:
        # The server leaves out what is empty, and what is false by default.
        return wanted if not wanted else _GONE
    if isinstance(wanted, Mapping) and isinstance(live, Mapping):
        # A program may spell a definition's `x-kubernetes-…` as Kubernetes does; `live` has Pulumi's spelling.
        merged = {key: _merged(value, live.get(pulumi_spelling(key), _GONE)) for key, value in wanted.items()}
        return {key: value for key, value in merged.items() if value is not _GONE}
    if isinstance(wanted, list) and isinstance(live, list):
        return _merged_list(wanted, live)
    if isinstance(wanted, bool) or isinstance(live, bool):
        return wanted if wanted is live else live
    return wanted if same_quantity(wanted, live) else live


def _merged_list(wanted: list[Any], live: list[Any]) -> list[Any]:
    names = _names(wanted)
    if names is not None and _names(live) is not None:
        by_name = {item["name"]: item for item in live}
        merged = [_merged(item, by_name.get(item["name"], _GONE)) for item in wanted]
        return [item for item in merged if item is not _GONE]
    if len(wanted) == len(live):
        return [_merged(ours, theirs) for ours, theirs in zip(wanted, live, strict=True)]
    return live


def _names(items: list[Any]) -> list[str] | None:
    names = [dig(item, "name") for item in items]
    return names if all(isinstance(name, str) for name in names) and len(set(names)) == len(names) else None


def imported(gvk: Gvk, live: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that would make an object as it is, without what the server fills in."""
    found = without(dict(from_api(live)), ("status",))
    fields = (("metadata", name) for name in _FILLED_METADATA)
    notes = (("metadata", "annotations", name) for name in _FILLED_ANNOTATIONS)
    for path in (*fields, *notes, *_FILLED.get((gvk.group, gvk.kind), ())):
        found = without(found, path)
    for path in (("metadata", "annotations"), ("metadata", "labels")):
        if dig(found, *path) == {}:
            found = without(found, path)
    return marked(found, {})
