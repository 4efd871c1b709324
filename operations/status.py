"""`careops status`: what runs, from what the cluster says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from infra.naming import EDGE, ODOO_CRON, ODOO_WEB, OPERATOR_NAMESPACE, POSTGRESQL
from operations.certificates import certificate_status, edge_tls_path, read_certificate
from operations.up import half_deleted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.certificates import CertificateStatus
    from operations.environments import Environment
    from operations.kube_api import Read

State = Literal["absent", "half-deleted", "incomplete", "starting", "ready"]


@dataclass(frozen=True, kw_only=True)
class Ready:
    """How many of something are ready, of how many there should be."""

    ready: int
    wanted: int

    def __str__(self) -> str:
        return f"{self.ready}/{self.wanted}"

    @property
    def complete(self) -> bool:
        """Whether all that should be there are."""
        return self.ready >= self.wanted > 0


@dataclass(frozen=True, kw_only=True)
class EnvironmentStatus:
    """One environment as it is now; a part that does not exist is None.

    Attributes:
        stack: Name of the environment.
        namespace: Its namespace.
        state: The verdict over all parts.
        database: PostgreSQL instances.
        web: Odoo pods that serve users.
        cron: Odoo pods that run scheduled actions; not every environment has them.
        edge: TLS proxies in front.
        certificate: The edge's certificate.
        hint: What to do next, for a person.
        last_up: When it was last deployed, UTC; None when unknown.
    """

    stack: str
    namespace: str
    state: State
    database: Ready | None = None
    web: Ready | None = None
    cron: Ready | None = None
    edge: Ready | None = None
    certificate: CertificateStatus | None = None
    hint: str = ""
    last_up: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether users can work with it: every part is ready and their browsers accept its certificate."""
        return self.state == "ready" and not (self.certificate and self.certificate.expired)


@dataclass(frozen=True, kw_only=True)
class PartStatus:
    """One part of the shared platform."""

    name: str
    ready: Ready | None
    what: str

    @property
    def healthy(self) -> bool:
        """Whether it works."""
        return self.ready is not None and self.ready.complete


PLATFORM_PARTS: tuple[tuple[str, str, str, str], ...] = (
    ("dns", "kube-system", "coredns", "names inside the cluster"),
    ("storage", "local-path-storage", "local-path-provisioner", "volumes"),
    ("database operator", OPERATOR_NAMESPACE, "cnpg-controller-manager", "PostgreSQL clusters"),
)
"""Name, namespace, Deployment, what it is for."""


def read_platform(read: Read, *, embedded: bool) -> tuple[PartStatus, ...]:
    """Return the state of the shared parts; DNS and storage only where careops itself installed them."""
    parts = PLATFORM_PARTS if embedded else PLATFORM_PARTS[2:]
    return tuple(
        PartStatus(
            name=name, ready=_deployment(read(_path("apps/v1", namespace, "deployments", deployment))), what=what
        )
        for name, namespace, deployment, what in parts
    )


def read_environment(read: Read, environment: Environment, last_up: str | None) -> EnvironmentStatus:
    """Return the state of one environment."""
    namespace = environment.namespace
    found = read(f"/api/v1/namespaces/{namespace}")
    if found is None:
        return EnvironmentStatus(
            stack=environment.stack,
            namespace=namespace,
            state="absent",
            hint=f"make it: ./careops up {environment.stack}",
        )
    cluster = read(_path("postgresql.cnpg.io/v1", namespace, "clusters", POSTGRESQL))
    deployments = {
        name: _deployment(read(_path("apps/v1", namespace, "deployments", name)))
        for name in (ODOO_WEB, ODOO_CRON, EDGE)
    }
    database = _database(cluster)
    cron = deployments[ODOO_CRON]
    expected = (cron,) if environment.dedicated_cron or cron else ()
    state = _judge(found, (database, deployments[ODOO_WEB], deployments[EDGE], *expected))
    return EnvironmentStatus(
        stack=environment.stack,
        namespace=namespace,
        state=state,
        database=database,
        web=deployments[ODOO_WEB],
        cron=cron,
        edge=deployments[EDGE],
        certificate=certificate_status(read_certificate(read(edge_tls_path(namespace))), environment),
        hint=_hint(environment, state),
        last_up=last_up,
    )


def healthy(environments: Sequence[EnvironmentStatus], platform: Sequence[PartStatus]) -> bool:
    """Return whether everything looked at works."""
    return all(status.healthy for status in environments) and all(part.healthy for part in platform)


def _judge(namespace: dict[str, Any], needed: tuple[Ready | None, ...]) -> State:
    if namespace.get("status", {}).get("phase") == "Terminating":
        return "half-deleted"
    if any(part is None for part in needed):
        return "incomplete"
    return "ready" if all(part is not None and part.complete for part in needed) else "starting"


def _hint(environment: Environment, state: State) -> str:
    stack = environment.stack
    if state == "half-deleted":
        return half_deleted(stack, environment.namespace).action
    return {
        "ready": f"use it: ./careops open {stack}",
        "incomplete": f"an `up` did not get to its end, or somebody deleted a part: ./careops up {stack} --refresh",
        "starting": f"look closer: ./careops kubectl -n {environment.namespace} get pods",
    }.get(state, "")


def _path(api: str, namespace: str, kind: str, name: str) -> str:
    return f"/apis/{api}/namespaces/{namespace}/{kind}/{name}"


def _deployment(found: dict[str, Any] | None) -> Ready | None:
    if found is None:
        return None
    status = found.get("status", {})
    # Numbers about an older generation say nothing about what was just asked for.
    current = status.get("observedGeneration", 0) >= found.get("metadata", {}).get("generation", 0)
    ready = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0)) if current else 0
    return Ready(ready=ready, wanted=found.get("spec", {}).get("replicas", 1))


def _database(found: dict[str, Any] | None) -> Ready | None:
    if found is None:
        return None
    return Ready(
        ready=found.get("status", {}).get("readyInstances", 0), wanted=found.get("spec", {}).get("instances", 1)
    )
