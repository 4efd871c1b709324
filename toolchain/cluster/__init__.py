"""A real single-node Kubernetes inside its own namespaces, and what is needed to use any other cluster instead.

    EmbeddedCluster    start, stop, wipe, status, exec, load_images, forward
    ClusterFacts       what the infrastructure needs to know of a cluster (state/facts.json)
    check_enforcement  proves with packets that a cluster enforces NetworkPolicy

The names are looked up when they are first used: the Kubernetes client alone takes a second to import.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from toolchain.cluster.cluster import EmbeddedCluster
    from toolchain.cluster.facts import ClusterFacts
    from toolchain.cluster.probe import check_enforcement

__all__ = ["ClusterFacts", "EmbeddedCluster", "check_enforcement"]

_HOMES = {"ClusterFacts": "facts", "EmbeddedCluster": "cluster", "check_enforcement": "probe"}


def __getattr__(name: str) -> object:
    """Import the module that defines an exported name when the name is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
