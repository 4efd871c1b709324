"""Sizes: of the small containers that no setting describes, and of an environment as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.model import Resources
from infra.quantities import cpu_millicores, format_cpu, format_memory, memory_bytes

if TYPE_CHECKING:
    from infra.model import EnvironmentSettings, Refresh

# nginx with two workers keeps about 10 MiB; the rest is room for request buffers.
EDGE_RESOURCES = Resources(cpu_request="10m", cpu_limit="500m", memory_request="16Mi", memory_limit="64Mi")
# A Python process that keeps headers only.
MAIL_SINK_RESOURCES = Resources(cpu_request="10m", cpu_limit="200m", memory_request="32Mi", memory_limit="128Mi")
# A Python process that makes two keys and talks to the API server.
SECRETS_RESOURCES = Resources(cpu_request="20m", cpu_limit="1", memory_request="64Mi", memory_limit="192Mi")


@dataclass(frozen=True, kw_only=True)
class Demand:
    """What an environment takes from the cluster at its busiest.

    Attributes:
        cpu_requests: Millicores.
        memory_limits: Bytes.
        storage: Bytes.
    """

    cpu_requests: int
    memory_limits: int
    storage: int

    def __str__(self) -> str:
        memory, storage = format_memory(self.memory_limits), format_memory(self.storage)
        return f"cpu_requests {format_cpu(self.cpu_requests)}, memory_limits {memory}, storage {storage}"


def has_mail_sink(settings: EnvironmentSettings) -> bool:
    """Return whether mail ends in a sink: everywhere but in prod."""
    return settings.environment != "prod"


def peak_demand(settings: EnvironmentSettings, refresh: Refresh | None = None) -> Demand:
    """Return what the environment declares while it rolls out a new version.

    Counted on top of the steady state: one more web and edge pod (their deployments surge by one), the jobs, and one
    more pod the size of a database instance, which the operator starts to make or to join an instance.

    Args:
        settings: The environment.
        refresh: The site's refresh of training, whose jobs may run meanwhile in prod and in training.
    """
    steady = _steady_pods(settings)
    passing = [
        settings.odoo.resources,
        EDGE_RESOURCES,
        settings.odoo.migration,
        SECRETS_RESOURCES,
        settings.database.resources,
        *_refresh_pods(settings, refresh),
    ]
    pods = steady + passing
    volumes = settings.database.instances * memory_bytes(settings.database.storage)
    return Demand(
        cpu_requests=sum(cpu_millicores(pod.cpu_request) for pod in pods),
        memory_limits=sum(memory_bytes(pod.memory_limit) for pod in pods),
        storage=volumes + memory_bytes(settings.filestore.size),
    )


def _refresh_pods(settings: EnvironmentSettings, refresh: Refresh | None) -> list[Resources]:
    if refresh is None:
        return []
    # In training the job is the size of a migration: it does the same work.
    return {"prod": [refresh.sizes.export], "training": [settings.odoo.migration]}.get(settings.environment, [])


def steady_cpu_requests(settings: EnvironmentSettings) -> int:
    """Return the millicores the environment's pods are guaranteed when nothing is being rolled out."""
    return sum(cpu_millicores(pod.cpu_request) for pod in _steady_pods(settings))


def _steady_pods(settings: EnvironmentSettings) -> list[Resources]:
    pods = [settings.odoo.resources] * settings.odoo.replicas
    pods += [settings.database.resources] * settings.database.instances
    pods += [EDGE_RESOURCES]
    if settings.odoo.cron.dedicated:
        pods.append(settings.odoo.cron.resources)
    if has_mail_sink(settings):
        pods.append(MAIL_SINK_RESOURCES)
    return pods
