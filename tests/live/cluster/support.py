"""Helpers of the cluster's live tests."""

from __future__ import annotations

import base64
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import kubernetes.client
import kubernetes.stream

from toolchain.cluster import cgroups as groups
from toolchain.cluster import node, probe, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolchain.cluster.cluster import EmbeddedCluster
    from toolchain.cluster.kubeapi import KubeApi
    from toolchain.images.oci import ImageRef

PATIENCE_SECONDS = 90.0


def until(what: str, check: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Return the first true result of a check; fail with `what` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.2)


def traces(cluster: EmbeddedCluster) -> list[str]:
    """Return everything of a cluster that is left on the machine outside its state folder."""
    name, state = cluster.layout.name, str(cluster.layout.state)
    found = groups.detect()
    left = [str(folder) for folder in found.folders(name) if folder.exists()]
    left += [f"process {number}" for number in groups.member_processes(found, name)]
    for folder in processes.PROC.glob("[0-9]*"):
        if any(state in word for word in processes.command(int(folder.name))):
            left.append(f"process {folder.name}: {' '.join(processes.command(int(folder.name)))[:100]}")
    left += [line for line in (processes.PROC / "self/mountinfo").read_text().splitlines() if state in line]
    return left


def launcher(cluster: EmbeddedCluster) -> processes.ProcessId:
    record = node.running(cluster.layout)
    assert record is not None
    return record.launcher


def init(cluster: EmbeddedCluster) -> processes.ProcessId:
    record = node.running(cluster.layout)
    assert record is not None
    found = node.init_process(record)
    assert found is not None
    return found


def forwarder(cluster: EmbeddedCluster) -> processes.ProcessId:
    for child in processes.children(launcher(cluster).number):
        if processes.command(child)[0].endswith("/nsfwd"):
            found = processes.identify(child)
            assert found is not None
            return found
    raise AssertionError("no forwarder runs")


@dataclass(frozen=True, kw_only=True)
class Workbench:
    """A namespace and what tests do in it."""

    api: KubeApi
    namespace: str
    images: Mapping[str, ImageRef]

    @property
    def path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}"

    def open(self) -> None:
        self.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}})
        until("the default service account", lambda: self.api.get(f"{self.path}/serviceaccounts/default"))

    def close(self) -> None:
        self.api.delete(self.path)
        until("the namespace is gone", lambda: self.api.get(self.path) is None)

    def secret(self, name: str, value: str) -> dict[str, Any]:
        data = {"value": base64.b64encode(value.encode()).decode()}
        return self.api.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": self.metadata(name), "type": "Opaque", "data": data}
        )

    def config_map(self, name: str, value: str) -> dict[str, Any]:
        return self.api.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": self.metadata(name), "data": {"value": value}}
        )

    def metadata(self, name: str) -> dict[str, Any]:
        return {"name": name, "namespace": self.namespace}

    def claim(self, name: str, storage_class: str | None, mode: str) -> None:
        spec: dict[str, Any] = {"accessModes": [mode], "resources": {"requests": {"storage": "16Mi"}}}
        if storage_class:
            spec["storageClassName"] = storage_class
        self.api.apply(
            {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": self.metadata(name), "spec": spec}
        )

    def pod(self, name: str, *command: str, claim: str | None = None, image: str | None = None) -> None:
        """Make a pod from the probe image (restricted, uid 65534) and wait until it is ready."""
        self.api.apply(self.manifest(name, *command, claim=claim, image=image))
        self.ready(name)

    def manifest(self, name: str, *command: str, claim: str | None = None, image: str | None = None) -> dict[str, Any]:
        """Return the manifest of such a pod."""
        manifest = probe.pod(name, self.namespace, image or str(self.images["probe"]), command or ("sleep", "3600"))
        manifest["spec"]["restartPolicy"] = "Always"
        if claim:
            manifest["spec"]["securityContext"]["fsGroup"] = 65534
            manifest["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
            manifest["spec"]["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        return manifest

    def ready(self, name: str) -> dict[str, Any]:
        def check() -> Any:
            found = self.api.get(f"{self.path}/pods/{name}")
            conditions = found["status"].get("conditions", [])
            return found if {"type": "Ready", "status": "True"}.items() <= _ready(conditions).items() else None

        return until(f"pod {name} is ready", check)

    def service(self, role: str, port: int) -> str:
        """Make a Service for the pods of a role and return its address."""
        spec = {"selector": {"role": role}, "ports": [{"port": port}]}
        manifest = {"apiVersion": "v1", "kind": "Service", "metadata": self.metadata(role), "spec": spec}
        return self.api.apply(manifest)["spec"]["clusterIP"]

    def address(self, name: str) -> str:
        return self.ready(name)["status"]["podIP"]

    def run(self, name: str, script: str) -> str:
        """Run a shell script in a pod and return what it printed; its own errors included."""
        return kubernetes.stream.stream(
            kubernetes.client.CoreV1Api(self.api.client).connect_get_namespaced_pod_exec,
            name,
            self.namespace,
            container="probe",
            command=["sh", "-c", script],
            stderr=True,
            stdin=False,
            stdout=True,
            tty=False,
            _request_timeout=60,
        )

    def connects(self, name: str, address: str, port: int) -> bool:
        """Whether a pod's TCP connection is accepted."""
        return "through" in self.run(name, f"timeout 3 nc -w 2 {address} {port} </dev/null && echo through")


def _ready(conditions: list[dict[str, Any]]) -> dict[str, Any]:
    return next((entry for entry in conditions if entry["type"] == "Ready"), {})


def inside(cluster: EmbeddedCluster, script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a shell script in the node."""
    return cluster.exec(["bash", "-c", script], timeout=60)
