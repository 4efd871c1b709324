"""Objects that comply with every rule, made fresh for each test so that it can spoil one thing."""

from __future__ import annotations

import copy
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from policies import engine
from policies.pods import POD_TEMPLATES
from policies.resources import Provider, Resource, from_pulumi
from policies.rule import Context
from policies.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from policies.verdicts import Verdict

TODAY = date(2026, 11, 24)
IMAGE = "careops.local/odoo:19.0@sha256:" + "ab" * 32
LABELS = {"careops.io/data-classification": "demo"}
VERSIONS = {"core": "v1", "apps": "apps/v1", "batch": "batch/v1", "networking.k8s.io": "networking.k8s.io/v1"}

CONTAINER: dict[str, Any] = {
    "name": "web",
    "image": IMAGE,
    "env": [
        {"name": "PGHOST", "value": "postgresql-rw"},
        {"name": "PGSSLMODE", "value": "verify-full"},
        {"name": "PGSSLROOTCERT", "value": "/run/careops/postgresql-ca/ca.crt"},
        {"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": "postgresql-app", "key": "password"}}},
    ],
    "ports": [{"containerPort": 8069}],
    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    "securityContext": {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    },
}

CLUSTER: dict[str, Any] = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Cluster",
    "metadata": {"name": "postgresql", "namespace": "riverside-dev", "labels": LABELS},
    "spec": {
        "imageName": IMAGE,
        "inheritedMetadata": {"labels": LABELS},
        "postgresql": {"pg_hba": ["hostnossl all all all reject"]},
        "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
    },
}

NETWORK_POLICY: dict[str, Any] = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "default-deny", "namespace": "riverside-dev"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}

NAMESPACE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": "riverside-dev", "labels": LABELS},
}


def _pod() -> dict[str, Any]:
    return {
        "metadata": {"labels": LABELS},
        "spec": {
            "securityContext": {"runAsNonRoot": True, "runAsUser": 10019},
            "initContainers": [{**copy.deepcopy(CONTAINER), "name": "wait"}],
            "containers": [copy.deepcopy(CONTAINER)],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
        },
    }


@pytest.fixture
def today() -> date:
    return TODAY


@pytest.fixture
def body() -> Callable[[str], dict[str, Any]]:
    """Return a factory of complying objects by kind."""

    def make(kind: str) -> dict[str, Any]:
        fixed = {
            "postgresql.cnpg.io/Cluster": CLUSTER,
            "networking.k8s.io/NetworkPolicy": NETWORK_POLICY,
            "core/Namespace": NAMESPACE,
        }
        if kind in fixed:
            return copy.deepcopy(fixed[kind])
        group, name = kind.split("/")
        made: dict[str, Any] = {"apiVersion": VERSIONS[group], "kind": name}
        made["metadata"] = {"name": "odoo-web", "namespace": "riverside-dev", "labels": dict(LABELS)}
        if kind == "core/Pod":
            return {**made, **_pod(), "metadata": made["metadata"]}
        if kind in POD_TEMPLATES:
            holder = made
            *outer, last = POD_TEMPLATES[kind]
            for key in outer:
                holder = holder.setdefault(key, {})
            holder[last] = _pod()
        return made

    return make


@pytest.fixture
def pod_of() -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that finds the pod (metadata and spec) inside a workload."""

    def find(workload: dict[str, Any]) -> dict[str, Any]:
        group = workload["apiVersion"].split("/")[0] if "/" in workload["apiVersion"] else "core"
        pod = workload
        for key in POD_TEMPLATES[f"{group}/{workload['kind']}"]:
            pod = pod[key]
        return pod

    return find


@pytest.fixture
def spoilt(body: Callable[..., Any], pod_of: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    """Return a function that changes one property of a complying workload's pod, or of one of its containers."""

    def spoil(kind: str, path: str, value: Any, role: str | None = None) -> dict[str, Any]:
        workload = body(kind)
        target = pod_of(workload)["spec"]
        target = target[role][0] if role else target
        *outer, last = path.split(".")
        for key in outer:
            target = target.setdefault(key, {})
        if value is None:
            target.pop(last, None)
        else:
            target[last] = value
        return workload

    return spoil


@pytest.fixture
def resource() -> Callable[..., Resource]:
    """Return a function that makes the Pulumi resource of an object."""

    def make(body: dict[str, Any], *, provider: str | None = "riverside", token: str | None = None) -> Resource:
        version = body["apiVersion"]
        token = token or f"kubernetes:{version if '/' in version else 'core/' + version}:{body['kind']}"
        name = body.get("metadata", {}).get("name", "unnamed")
        found, *_ = from_pulumi(
            type_=token,
            name=name if isinstance(name, str) else "unnamed",
            urn=f"urn:pulumi:dev::careops::{token}::{name}",
            properties=body,
            provider=None if provider is None else Provider(type="pulumi:providers:kubernetes", name=provider),
        )
        return found

    return make


@pytest.fixture
def judged(resource: Callable[..., Resource]) -> Callable[..., Verdict]:
    """Return a function that lets one rule judge one object, beside others of its stack."""

    def judge(rule: str, body: dict[str, Any], *others: dict[str, Any], **options: Any) -> Verdict:
        judged = resource(body, **options)
        stack = (judged, *(resource(other) for other in others))
        return engine.verdict_of(RULES[rule], judged, Context(today=TODAY, stack=stack))

    return judge
