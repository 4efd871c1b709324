"""What makes a bare API server a cluster: access of the node's parts, Calico's records, DNS and storage."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING

import yaml

from toolchain.cluster.errors import ApiRefused
from toolchain.cluster.render import render

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from toolchain.cluster.kubeapi import KubeApi, Manifest
    from toolchain.cluster.spec import ClusterSpec
    from toolchain.images.oci import ImageRef

STORAGE_CLASSES = {"block": "careops-block", "shared": "careops-shared"}
"""`block`: ReadWriteOnce, the default class. `shared`: ReadWriteMany, on one node a folder that several pods mount."""

SERVED_SECONDS = 20.0
"""A custom resource is served a moment after its definition was accepted."""

_RETRY = frozenset({404, 503})


def access() -> list[Manifest]:
    """Return the roles of the node's own processes."""
    return _load(render("addons/access.yaml", {}))


def calico_definitions(artefact: Path) -> list[Manifest]:
    """Return Calico's custom resource definitions, as the pinned module ships them."""
    return _load((artefact / "share" / "calico-crds.yaml").read_text())


def calico_records(identity: str) -> list[Manifest]:
    """Return the record without which Felix and the CNI plugin do nothing.

    Args:
        identity: a name unique to the cluster; its digest is the cluster's identifier.
    """
    return _load(render("addons/calico.yaml", {"cluster_guid": hashlib.sha256(identity.encode()).hexdigest()[:32]}))


def workloads(spec: ClusterSpec, images: Mapping[str, ImageRef]) -> list[Manifest]:
    """Return DNS and storage with their network policies."""
    values = {
        "spec": spec,
        "images": {name: str(ref) for name, ref in images.items()},
        "storage_classes": STORAGE_CLASSES,
        "corefile": render("Corefile", {"spec": spec}).rstrip(),
    }
    return _load(render("addons/coredns.yaml", values)) + _load(render("addons/local-path.yaml", values))


def apply_all(api: KubeApi, manifests: Iterable[Manifest]) -> None:
    """Apply manifests in their order; what is already so stays untouched.

    A kind that a definition just brought is tried until it is served, for twenty seconds.

    Raises:
        ApiRefused: the API server refuses one of them for good.
    """
    for manifest in manifests:
        deadline = time.monotonic() + SERVED_SECONDS
        while True:
            try:
                api.apply(manifest)
                break
            except ApiRefused as error:
                if error.status not in _RETRY or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


def _load(text: str) -> list[Manifest]:
    return [document for document in yaml.safe_load_all(text) if document]
