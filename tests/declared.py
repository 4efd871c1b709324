"""The repository's own settings and a made-up cluster, for tests that declare whole stacks."""

from __future__ import annotations

import dataclasses
import json
from functools import cache
from pathlib import Path
from typing import Any

import pulumi_kubernetes as kubernetes

from infra.facts import ClusterFacts, parse_facts
from infra.settings import EnvironmentSettings, SiteSettings, StackSettings, load_platform, load_stack
from infra.stacks.environment import declare_environment
from infra.stacks.platform import declare_platform
from tests.recording import Recording, record

ROOT = Path(__file__).resolve().parent.parent
ROLES = ("odoo", "baseline-standard", "baseline-demo", "postgresql", "edge", "cloudnative-pg", "probe", "refresh")
FACTS: dict[str, Any] = {
    "schema": 1,
    "kind": "embedded",
    "context": "careops",
    "api_server": {"cidrs": ["10.199.0.2/32"], "port": 6443},
    "node_cidrs": ["10.199.0.2/32"],
    "node_count": 1,
    "dns": {"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
    "storage_classes": {"block": "careops-block", "shared": "careops-shared"},
    "images": {role: f"careops.local/{role}:1@sha256:{number:064x}" for number, role in enumerate(ROLES, start=1)},
}
# A small manifest with every kind of object the operator's release has, in its form.
MANIFEST = """
apiVersion: v1
kind: Namespace
metadata: {name: cnpg-system, labels: {app.kubernetes.io/name: cloudnative-pg}}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: clusters.postgresql.cnpg.io}
spec:
  group: postgresql.cnpg.io
  scope: Namespaced
  names: {kind: Cluster, listKind: ClusterList, plural: clusters, singular: cluster}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cnpg-manager, namespace: cnpg-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: cnpg-manager}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cnpg-manager-rolebinding}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cnpg-manager}
subjects: [{kind: ServiceAccount, name: cnpg-manager, namespace: cnpg-system}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cnpg-default-monitoring, namespace: cnpg-system}
data: {queries: ""}
---
apiVersion: v1
kind: Service
metadata: {name: cnpg-webhook-service, namespace: cnpg-system}
spec: {ports: [{port: 443, targetPort: 9443}], selector: {app.kubernetes.io/name: cloudnative-pg}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cnpg-controller-manager, namespace: cnpg-system, labels: {app.kubernetes.io/name: cloudnative-pg}}
spec:
  replicas: 1
  selector: {matchLabels: {app.kubernetes.io/name: cloudnative-pg}}
  template:
    metadata: {labels: {app.kubernetes.io/name: cloudnative-pg}}
    spec:
      containers:
        - name: manager
          image: published/cloudnative-pg:1.29.0
          imagePullPolicy: Always
          env: [{name: OPERATOR_IMAGE_NAME, value: "published/cloudnative-pg:1.29.0"}]
          resources: {limits: {cpu: 100m, memory: 200Mi}, requests: {cpu: 100m, memory: 100Mi}}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            readOnlyRootFilesystem: true
            runAsUser: 10001
            runAsGroup: 10001
            seccompProfile: {type: RuntimeDefault}
          volumeMounts: [{mountPath: /controller, name: scratch-data}]
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      serviceAccountName: cnpg-manager
      terminationGracePeriodSeconds: 10
      volumes: [{emptyDir: {}, name: scratch-data}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: cnpg-mutating-webhook-configuration}
webhooks: []
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: cnpg-validating-webhook-configuration}
webhooks: []
"""


def facts(**changes: Any) -> ClusterFacts:
    """Return the made-up cluster's facts, some of them changed."""
    return parse_facts(json.dumps({**FACTS, **changes}))


@cache
def settings(environment: str) -> StackSettings:
    """Return the repository's settings of one environment."""
    return load_stack(ROOT, environment)


def declare(stack: StackSettings, cluster: ClusterFacts | None = None, *, preview: bool = False) -> Recording:
    """Declare an environment on the made-up cluster."""

    def program() -> object:
        return declare_environment(stack, cluster or facts(), kubernetes.Provider("kubernetes", context="careops"))

    return record(program, stack=stack.stack, preview=preview)


def with_network(stack: StackSettings, **changes: Any) -> StackSettings:
    """Return a stack whose network settings are changed, checked as if they had been written."""
    return _changed(stack, "network", changes)


def with_filestore(stack: StackSettings, **changes: Any) -> StackSettings:
    """Return a stack whose filestore settings are changed, checked as if they had been written."""
    return _changed(stack, "filestore", changes)


def with_odoo(stack: StackSettings, **changes: Any) -> StackSettings:
    """Return a stack whose Odoo settings are changed, checked as if they had been written."""
    return _changed(stack, "odoo", changes)


def without_refresh(stack: StackSettings) -> StackSettings:
    """Return a stack whose site has no refresh of training."""
    return with_refresh(stack, None)


def with_refresh(stack: StackSettings, refresh: dict[str, Any] | None) -> StackSettings:
    """Return a stack whose site has this refresh of training, checked as if it had been written."""
    return with_site(stack, refresh=refresh)


def with_site(stack: StackSettings, **changes: Any) -> StackSettings:
    """Return a stack whose site's settings are changed, checked as if they had been written."""
    values = {**stack.site.model_dump(mode="json"), **changes}
    return dataclasses.replace(stack, site=SiteSettings.model_validate_json(json.dumps(values)))


def _changed(stack: StackSettings, section: str, changes: dict[str, Any]) -> StackSettings:
    values = stack.settings.model_dump(mode="json")
    values[section] |= changes
    changed = EnvironmentSettings.model_validate_json(json.dumps(values))
    return dataclasses.replace(stack, settings=changed)


@cache
def environment(name: str) -> Recording:
    """Return what the repository's settings of one environment declare."""
    return declare(settings(name))


def platform(folder: Path) -> Recording:
    """Declare the shared platform from the small manifest."""
    manifest = folder / "cnpg.yaml"
    manifest.write_text(MANIFEST, encoding="utf-8")
    cluster = facts(manifests={"cloudnative-pg": str(manifest)})

    def program() -> object:
        provider = kubernetes.Provider("kubernetes", context="careops")
        return declare_platform(load_platform(ROOT), cluster, provider)

    return record(program, stack="platform")
