"""Pods that Pod Security `restricted` admits: no rights, no writable place that is not named."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from infra.naming import NAME_LABEL
from infra.quantities import cpu_millicores, format_cpu, format_memory, memory_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.model import Resources
    from infra.plans.manifest import Manifest

# Users the images are built with.
ODOO_USER = 10019
EDGE_USER = 10020
POSTGRESQL_USER = 26
# Files of secrets: readable by the pod's group, which is its user's, and by nobody else (octal 0440).
SECRET_MODE = 0o440
_HASH_LENGTH = 10


@dataclass(frozen=True, kw_only=True)
class Volume:
    """A place in the container's file system.

    Attributes:
        name: The volume's name.
        path: Where it is mounted.
        source: Volume source as Kubernetes takes it, for example `{"emptyDir": {}}`.
        read_only: Whether the container can only read it.
    """

    name: str
    path: str
    source: Mapping[str, Any]
    read_only: bool = True


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """A container that starts before the pod's own and ends after it, with a user of its own.

    Attributes:
        name: Its name.
        image: The image, by digest.
        user: User and group it runs as; files of the pod's volumes are its through the pod's group.
        command: The program.
        args: Its arguments.
        env: Environment variables, as a pod's.
        ports: Ports by name.
        resources: Its size, on top of the pod's own container's.
        volumes: What is mounted in it alone.
        probes: Probes by Kubernetes' field name; the pod's own container waits for the startup probe.
    """

    name: str
    image: str
    user: int
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    resources: Resources
    volumes: tuple[Volume, ...] = ()
    probes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod of one container, and a sidecar where the work needs one.

    Attributes:
        name: The workload's name; also the container's, and the label policies select it by.
        labels: All its labels.
        image: The image, by digest.
        user: User and group it runs as.
        command: The program.
        args: Its arguments.
        env: Environment variables; a plain value, or a source as Kubernetes takes it.
        ports: Ports by name.
        resources: Its size.
        volumes: What is mounted.
        service_account: The service account it runs as.
        priority_class: Who is served first when the cluster is full.
        probes: Probes by Kubernetes' field name.
        annotations: Annotations of the pod.
        token: Whether it gets its service account's token.
        grace_seconds: Time to end by itself before it is killed.
        restart_policy: Always for services, Never for jobs.
        spread_by_host: Whether replicas prefer different nodes.
        sidecar: What runs beside the container.
    """

    name: str
    labels: Mapping[str, str]
    image: str
    user: int
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: Mapping[str, Any] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    resources: Resources
    volumes: tuple[Volume, ...] = ()
    service_account: pulumi.Input[str]
    priority_class: str
    probes: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    token: bool = False
    grace_seconds: int = 30
    restart_policy: str = "Always"
    spread_by_host: bool = False
    sidecar: Sidecar | None = None


def temporary(name: str, path: str, size: str) -> Volume:
    """Return a writable place that is emptied with the pod and cannot fill the node's disk."""
    return Volume(name=name, path=path, source={"emptyDir": {"sizeLimit": size}}, read_only=False)


def secret_files(name: str, path: str, secret: pulumi.Input[str], keys: tuple[str, ...] = ()) -> Volume:
    """Return a secret's values as files; only some keys where they are named."""
    source: dict[str, Any] = {"secretName": secret, "defaultMode": SECRET_MODE}
    if keys:
        source["items"] = [{"key": key, "path": key} for key in keys]
    return Volume(name=name, path=path, source={"secret": source})


def resource_requirements(resources: Resources) -> dict[str, dict[str, str]]:
    """Return a size as Kubernetes takes it, in the form it stores it."""
    return {
        "requests": _amounts(resources.cpu_request, resources.memory_request),
        "limits": _amounts(resources.cpu_limit, resources.memory_limit),
    }


def selector(name: str) -> Manifest:
    """Return the selector of a workload's pods."""
    return {"matchLabels": {NAME_LABEL: name}}


def pod_template(pod: Pod) -> dict[str, Any]:
    """Return the pod template of a deployment or job."""
    metadata: dict[str, Any] = {"labels": dict(pod.labels)}
    if pod.annotations:
        metadata["annotations"] = dict(pod.annotations)
    spec: dict[str, Any] = {
        "serviceAccountName": pod.service_account,
        "automountServiceAccountToken": pod.token,
        # Otherwise every Service of the namespace would become environment variables of the program.
        "enableServiceLinks": False,
        "priorityClassName": pod.priority_class,
        "terminationGracePeriodSeconds": pod.grace_seconds,
        "restartPolicy": pod.restart_policy,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": pod.user,
            "runAsGroup": pod.user,
            "fsGroup": pod.user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(pod)],
        "volumes": [{"name": volume.name, **volume.source} for volume in pod.volumes],
    }
    if pod.sidecar:
        spec["initContainers"] = [_sidecar(pod.sidecar)]
        spec["volumes"] += [{"name": volume.name, **volume.source} for volume in pod.sidecar.volumes]
    if pod.spread_by_host:
        spec["topologySpreadConstraints"] = [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": selector(pod.name),
            }
        ]
    return {"metadata": metadata, "spec": spec}


def content_hash(*parts: object) -> str:
    """Return a short hash of plain values; the same values give the same hash on every machine."""
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_HASH_LENGTH]


def _sidecar(sidecar: Sidecar) -> dict[str, Any]:
    container = _container(sidecar)
    container["securityContext"] |= {"runAsUser": sidecar.user, "runAsGroup": sidecar.user}
    # An init container that is restarted for ever is how Kubernetes calls a sidecar; it ends with the pod's own.
    return container | {"restartPolicy": "Always"}


def _container(pod: Pod | Sidecar) -> dict[str, Any]:
    container: dict[str, Any] = {
        "name": pod.name,
        "image": pod.image,
        "imagePullPolicy": "IfNotPresent",
        "env": [
            {"name": key, "valueFrom": value} if isinstance(value, dict) else {"name": key, "value": value}
            for key, value in pod.env.items()
        ],
        "ports": [{"name": name, "containerPort": port, "protocol": "TCP"} for name, port in pod.ports.items()],
        "resources": resource_requirements(pod.resources),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "privileged": False,
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [
            {"name": volume.name, "mountPath": volume.path, "readOnly": volume.read_only} for volume in pod.volumes
        ],
        **pod.probes,
    }
    if pod.command:
        container["command"] = list(pod.command)
    if pod.args:
        container["args"] = list(pod.args)
    return container


def _amounts(cpu: str, memory: str) -> dict[str, str]:
    return {"cpu": format_cpu(cpu_millicores(cpu)), "memory": format_memory(memory_bytes(memory))}
