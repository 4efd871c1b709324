"""Finds the ends of the packet matrix on the running platform: pods, Services, the node and what lies beyond."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra.naming import ENVIRONMENTS, OPERATOR_NAMESPACE
from tests.live.matrix import ENVIRONMENT_ROLES, Endpoint
from tests.live.stand_ins import JOBS
from toolchain.cluster.facts import read_facts

if TYPE_CHECKING:
    from kubernetes import client

    from tests.live.support import Platform

STORAGE_NAMESPACE = "local-path-storage"
SERVING_ROLES = tuple(role for role in ENVIRONMENT_ROLES if role not in JOBS)


def pods(platform: Platform, namespace: str) -> list[Endpoint]:
    """Return the running pods of an environment."""
    return [
        Endpoint(namespace=namespace, role=role, pod=pod.metadata.name, ip=pod.status.pod_ip)
        for pod in platform.pods(namespace)
        if (role := _role(pod.metadata.name))
    ]


def services(platform: Platform, namespace: str) -> list[Endpoint]:
    """Return an environment's Services that lead to a running pod: the same pods by another address."""
    roles = {end.pod: end.role for end in pods(platform, namespace)}
    found = []
    for service in platform.api.list_namespaced_service(namespace).items:
        selector = ",".join(f"{key}={value}" for key, value in (service.spec.selector or {}).items())
        behind = platform.api.list_namespaced_pod(namespace, label_selector=selector).items if selector else []
        names = [pod.metadata.name for pod in behind if pod.metadata.name in roles]
        if names and service.spec.cluster_ip not in (None, "None"):
            found.append(_service(service, roles[names[0]]))
    return found


def system(platform: Platform) -> list[Endpoint]:
    """Return what the cluster runs for everybody: operator, DNS, storage, the node, and the two Services of these."""
    facts = read_facts(platform.paths.facts)
    dns = dict(facts.dns.labels)
    found = [
        *_all_as(platform, "operator", OPERATOR_NAMESPACE, {}),
        *_all_as(platform, "dns", facts.dns.namespace, dns),
        *_all_as(platform, "storage", STORAGE_NAMESPACE, {}),
    ]
    assert {end.role for end in found} == {"operator", "dns", "storage"}, f"a part of the system is missing: {found}"
    kubernetes = platform.api.read_namespaced_service("kubernetes", "default")
    names = [
        service
        for service in platform.api.list_namespaced_service(facts.dns.namespace).items
        if service.spec.selector == dns
    ]
    assert len(names) == 1, "one Service leads to the pods that answer DNS"
    return [*found, node(platform), _service(kubernetes, "api-service"), _service(names[0], "dns-service")]


def node(platform: Platform) -> Endpoint:
    """Return the node, by the address its API server and kubelet listen on."""
    address = read_facts(platform.paths.facts).node_cidrs[0].split("/")[0]
    return Endpoint(namespace="-", role="node", pod="-", ip=address)


def everywhere(platform: Platform) -> list[Endpoint]:
    """Return the running pods of all environments."""
    return [end for environment in ENVIRONMENTS for end in pods(platform, platform.naming(environment).namespace)]


def _all_as(platform: Platform, role: str, namespace: str, labels: dict[str, str]) -> list[Endpoint]:
    return [
        Endpoint(namespace=namespace, role=role, pod=pod.metadata.name, ip=pod.status.pod_ip)
        for pod in platform.pods(namespace)
        if labels.items() <= (pod.metadata.labels or {}).items()
    ]


def _service(service: client.V1Service, role: str) -> Endpoint:
    ports = tuple(f"{port.protocol.lower()}/{port.port}" for port in service.spec.ports)
    metadata = service.metadata
    return Endpoint(namespace=metadata.namespace, role=role, pod=metadata.name, ip=service.spec.cluster_ip, only=ports)


def _role(name: str) -> str | None:
    return next((role for role in SERVING_ROLES if name.startswith(f"{role}-")), None)
