"""The limits of an environment's namespace, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.quantities import cpu_millicores, format_cpu, format_memory, memory_bytes

if TYPE_CHECKING:
    from infra.model import Quota
    from infra.plans.manifest import Manifest


def quota_limits(quota: Quota) -> dict[str, str]:
    """Return the hard limits of the namespace's ResourceQuota.

    Services that would open a port of the nodes or order a load balancer are not allowed at all: the edge is reached
    through the network rule that names its clients.
    """
    return {
        "requests.cpu": format_cpu(cpu_millicores(quota.cpu_requests)),
        "limits.memory": format_memory(memory_bytes(quota.memory_limits)),
        "requests.storage": format_memory(memory_bytes(quota.storage)),
        "services.nodeports": "0",
        "services.loadbalancers": "0",
    }


def limit_range() -> Manifest:
    """Return what a container that names no size gets; ours all do, a helper of the operator's may not."""
    return [
        {
            "type": "Container",
            "default": {"cpu": "500m", "memory": "256Mi"},
            "defaultRequest": {"cpu": "10m", "memory": "64Mi"},
        }
    ]
