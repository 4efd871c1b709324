"""A cluster in memory, with the job templates that the repository's own settings declare."""

from __future__ import annotations

import base64
import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from infra.naming import SANDBOX_RULES
from tests import declared

TODAY = "2026-11-24T11:30:00+00:00"
NAMESPACES = ("riverside-prod", "riverside-refresh", "riverside-training")


@dataclass
class FakeCluster:
    """Objects by path; jobs do what `behaviour` says each time somebody looks."""

    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    rows: dict[tuple[str, str], tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    logs: dict[str, str] = field(default_factory=dict)
    applied: list[dict[str, Any]] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    leftover: list[tuple[tuple[str, ...], ...]] = field(default_factory=list)
    on_look: Callable[[str], None] = lambda _: None

    def get(self, path: str, /, **query: str) -> dict[str, Any] | None:
        self.on_look(path)
        if path in self.objects:
            return self.objects[path]
        if path.rsplit("/", 1)[-1] in ("jobs", "pods", "sandboxrequests", "events"):
            label = query.get("labelSelector", "").partition("=")[2]
            found = [item for where, item in self.objects.items() if where.startswith(f"{path}/")]
            return {"items": [item for item in found if not label or label in str(item["metadata"].get("labels", {}))]}
        return None

    def apply(self, manifest: dict[str, Any], /) -> None:
        self.applied.append(manifest)
        described = manifest["metadata"]
        kind = {"Secret": "secrets", "ConfigMap": "configmaps"}[manifest["kind"]]
        place = f"/api/v1/namespaces/{described['namespace']}/{kind}/{described['name']}"
        version = {"resourceVersion": str(len(self.applied))}
        self.objects[place] = {**copy.deepcopy(manifest), "metadata": {**described, **version}}

    def create(self, path: str, manifest: dict[str, Any], /) -> None:
        name = manifest["metadata"]["name"]
        self.created.append(name)
        described = {**manifest["metadata"], "creationTimestamp": f"2026-11-24T11:30:{len(self.created):02d}Z"}
        self.objects[f"{path}/{name}"] = {**manifest, "metadata": described, "status": {"startTime": TODAY}}

    def delete(self, path: str, /) -> None:
        self.deleted.append(path.rpartition("/")[2])
        self.objects.pop(path, None)

    def log(self, _namespace: str, pod: str, _container: str, /, lines: int = 20) -> str:
        return "\n".join(self.logs.get(pod, "").splitlines()[-lines:])

    def ask(self, namespace: str, _database: str, statement: str, /) -> tuple[tuple[str, ...], ...]:
        if "odoo_refresh" in statement or "odoo_discarded" in statement:
            self.asked.append(statement)
            return self.leftover.pop(0) if statement.startswith("SELECT") and self.leftover else ()
        kinds = {"careops.release": "parameters", "ir_attachment": "files", "pg_database_size": "sizes"}
        kind = next((name for word, name in kinds.items() if word in statement), "certificate")
        return self.rows.get((namespace, kind), ()) if kind == "certificate" else self.rows[namespace, kind]

    # -- what tests do to it --------------------------------------------------------------------------------------

    def secret(self, namespace: str, name: str) -> dict[str, bytes]:
        data = self.objects[f"/api/v1/namespaces/{namespace}/secrets/{name}"]["data"]
        return {key: base64.b64decode(value) for key, value in data.items()}

    def job(self, name: str) -> dict[str, Any]:
        (found,) = [item for where, item in self.objects.items() if where.endswith(f"/jobs/{name}")]
        return found

    def finish(self, name: str, *, failed: bool = False, at: str = "2026-11-24T11:40:00+00:00") -> None:
        condition = {"status": "True", "lastTransitionTime": at, "message": "BackoffLimitExceeded"}
        status = self.job(name)["status"]
        status["conditions"] = [condition | {"type": "Failed" if failed else "Complete"}]
        if not failed:
            status["completionTime"] = at

    def pod(self, job: str, **status: Any) -> str:
        """Give a job a pod and return the pod's name."""
        namespace = self.job(job)["metadata"]["namespace"]
        described = {"name": f"{job}-abcde", "labels": {"batch.kubernetes.io/job-name": job}}
        self.objects[f"/api/v1/namespaces/{namespace}/pods/{job}-abcde"] = {"metadata": described, "status": status}
        return f"{job}-abcde"


def with_sizes(cluster: FakeCluster, *, prod: int = 4 << 30, training: int = 1 << 30, previous: int = 0) -> None:
    for name, size, generation in (("prod", prod, ()), ("training", training, (("careops.generation", "29400180"),))):
        namespace = f"riverside-{name}"
        cluster.rows[namespace, "parameters"] = (("careops.release", "19.0.20261101-1"), *generation)
        cluster.rows[namespace, "files"] = (("120", "5242880"),)
        kept = (("odoo_before_refresh", str(previous)),) if previous and name == "training" else ()
        cluster.rows[namespace, "sizes"] = (("odoo", str(size)), *kept)


@pytest.fixture
def cluster() -> FakeCluster:
    """Namespaces, the authority of training's database, and the templates."""
    made = FakeCluster()
    for name in NAMESPACES:
        made.objects[f"/api/v1/namespaces/{name}"] = {"status": {"phase": "Active"}}
    authority = {"ca.crt": base64.b64encode(b"authority").decode(), "ca.key": base64.b64encode(b"key").decode()}
    made.objects["/api/v1/namespaces/riverside-training/secrets/postgresql-ca"] = {"data": authority}
    for environment in ("prod", "training"):
        for template in declared.environment(environment).of("CronJob"):
            described = {**template.metadata, "uid": f"uid-{template.metadata['name']}"}
            path = f"/apis/batch/v1/namespaces/{described['namespace']}/cronjobs/{described['name']}"
            made.objects[path] = {"metadata": described, "spec": template.spec}
    rules = declared.environment("training").named("ConfigMap", SANDBOX_RULES)
    made.objects[f"/api/v1/namespaces/riverside-training/configmaps/{SANDBOX_RULES}"] = {"data": rules.inputs["data"]}
    with_sizes(made)
    return made
