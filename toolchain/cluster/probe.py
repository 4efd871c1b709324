"""Proof with packets that a cluster enforces NetworkPolicy: a throw-away namespace, a server, two clients, four rules.

A cluster accepts NetworkPolicy objects whether anything enforces them or not, so nothing but packets tells. The proof
starts with an open connection: a connection that never worked would make "closed" mean nothing.
"""

from __future__ import annotations

import secrets
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import kubernetes.client
import kubernetes.stream

from toolchain.cluster.errors import ApiRefused, ApiUnreachable, NotEnforced
from toolchain.cluster.kubeapi import KubeApi, Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

Answer = Literal["open", "closed"]

PORT = 8080
ATTEMPT_SECONDS = 1
SETTLE_SECONDS = 30.0
"""An engine may take some seconds from the policy to the packet filter; cloud ones take the longest."""

STAY_SECONDS = 2.0
"""A closed connection must stay closed this long: an engine that is still starting can drop a packet once."""

POD_SECONDS = 120.0
_UNPRIVILEGED = 65534
_GREETING = "careops-probe"


@dataclass(frozen=True, kw_only=True, slots=True)
class PacketCheck:
    """One thing that was tried.

    Attributes:
        name: what, as a sentence.
        expected: what an enforcing cluster shows.
        observed: what this one showed; None when it could not be tried.
    """

    name: str
    expected: Answer
    observed: Answer | None

    @property
    def passed(self) -> bool:
        """Whether the cluster did as expected."""
        return self.observed == self.expected


@dataclass(frozen=True, kw_only=True, slots=True)
class EnforcementReport:
    """What the packets showed.

    Attributes:
        checks: everything that was tried, in order.
        problem: why the proof could not be finished; empty when it was.
    """

    checks: tuple[PacketCheck, ...]
    problem: str = ""

    @property
    def enforced(self) -> bool:
        """Whether all of the proof was made and all of it holds."""
        return not self.problem and len(self.checks) == len(STEPS) and all(check.passed for check in self.checks)

    def require(self) -> None:
        """Refuse a cluster that did not prove enforcement.

        Raises:
            NotEnforced: with what was observed.
        """
        if self.enforced:
            return
        failed = [
            f"{check.name}: expected {check.expected}, was {check.observed}"
            for check in self.checks
            if not check.passed
        ]
        raise NotEnforced(
            "This cluster does not prove that it enforces NetworkPolicy.",
            why="; ".join([*failed, *([self.problem] if self.problem else [])]) or "The proof is incomplete.",
            action="Install a policy engine such as Calico or Cilium, or use the embedded cluster (no --context).",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step of the proof: apply policies, then try connections.

    Attributes:
        name: what the step shows.
        policies: applied before.
        client: which client connects to the server.
        expected: what an enforcing cluster shows.
    """

    name: str
    policies: tuple[str, ...]
    client: Literal["friend", "stranger"]
    expected: Answer


STEPS = (
    Step(name="without a policy the friend reaches the server", policies=(), client="friend", expected="open"),
    Step(name="without a policy the stranger reaches the server", policies=(), client="stranger", expected="open"),
    Step(
        name="default-deny closes the server to the friend",
        policies=("deny-ingress",),
        client="friend",
        expected="closed",
    ),
    Step(name="default-deny closes the server to the stranger", policies=(), client="stranger", expected="closed"),
    Step(name="a rule opens the server to the friend", policies=("allow-friend",), client="friend", expected="open"),
    Step(name="the rule leaves the stranger outside", policies=(), client="stranger", expected="closed"),
    Step(name="denied egress holds the friend back", policies=("deny-egress",), client="friend", expected="closed"),
    Step(name="an egress rule lets the friend through", policies=("allow-egress",), client="friend", expected="open"),
)


def policy(name: str, namespace: str) -> Manifest:
    """Return one of the proof's policies."""
    ports = [{"protocol": "TCP", "port": PORT}]
    friend, server = {"matchLabels": {"role": "friend"}}, {"matchLabels": {"role": "server"}}
    spec: Manifest = {
        "deny-ingress": {"podSelector": {}, "policyTypes": ["Ingress"]},
        "allow-friend": {
            "podSelector": server,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": [{"podSelector": friend}], "ports": ports}],
        },
        "deny-egress": {"podSelector": friend, "policyTypes": ["Egress"]},
        "allow-egress": {
            "podSelector": friend,
            "policyTypes": ["Egress"],
            "egress": [{"to": [{"podSelector": server}], "ports": ports}],
        },
    }[name]
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def pod(role: str, namespace: str, image: str, command: Sequence[str]) -> Manifest:
    """Return one of the proof's pods; it meets the Pod Security level `restricted`."""
    security = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "securityContext": security,
        "resources": {"requests": {"cpu": "5m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "32Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": role, "namespace": namespace, "labels": {"role": role}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": _UNPRIVILEGED,
                "runAsGroup": _UNPRIVILEGED,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
        },
    }


def check_enforcement(kubeconfig: Path, context: str | None, images: Mapping[str, str]) -> EnforcementReport:
    """Prove with packets that a cluster enforces NetworkPolicy, ingress and egress; remove every trace afterwards.

    What cannot be shown counts as not enforced: no answer, a pod that does not start, a right that is missing.

    Args:
        kubeconfig: file with the access.
        context: which of its contexts.
        images: must hold `probe`, an image with busybox that the cluster can run.

    Returns:
        The report; `require()` turns one that proves nothing into an error.
    """
    checks: list[PacketCheck] = []
    namespace = f"careops-probe-{secrets.token_hex(4)}"
    try:
        api = KubeApi(kubeconfig, context)
        try:
            address = _set_up(api, namespace, images["probe"])
            for step in STEPS:
                for name in step.policies:
                    api.apply(policy(name, namespace))
                observed = _settled(api, namespace, step, address)
                checks.append(PacketCheck(name=step.name, expected=step.expected, observed=observed))
                if observed != step.expected:
                    break  # one failure decides; each further one would cost half a minute
        finally:
            api.delete(f"/api/v1/namespaces/{namespace}")
    except (ApiRefused, ApiUnreachable, NotEnforced) as error:
        return EnforcementReport(checks=tuple(checks), problem=f"{error.what} {error.why}")
    return EnforcementReport(checks=tuple(checks))


def _set_up(api: KubeApi, namespace: str, image: str) -> str:
    """Make the namespace and its pods; return the server's address once all of them run."""
    level = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": level}})
    _wait_for_service_account(api, namespace)
    serve = ["nc", "-ll", "-p", str(PORT), "-e", "/bin/echo", _GREETING]
    api.apply(pod("server", namespace, image, serve))
    for client in ("friend", "stranger"):
        api.apply(pod(client, namespace, image, ["sleep", "3600"]))
    deadline = time.monotonic() + POD_SECONDS
    while True:
        pods = api.get(f"/api/v1/namespaces/{namespace}/pods")["items"]
        if len(pods) == 3 and all(_runs(item) for item in pods):  # noqa: PLR2004 - server, friend, stranger
            return next(item["status"]["podIP"] for item in pods if item["metadata"]["name"] == "server")
        if time.monotonic() > deadline:
            states = {item["metadata"]["name"]: _state(item) for item in pods}
            raise NotEnforced(
                "The pods of the proof did not start.", why=str(states), action="See why with kubectl describe."
            )
        time.sleep(0.25)


def _wait_for_service_account(api: KubeApi, namespace: str) -> None:
    """Wait for the namespace's default account: a pod made before it is refused."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while api.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default") is None and time.monotonic() < deadline:
        time.sleep(0.1)


def _settled(api: KubeApi, namespace: str, step: Step, address: str) -> Answer:
    """Return what a client sees once that is as expected and stays so, or what it sees when time is over."""
    deadline = time.monotonic() + SETTLE_SECONDS
    since: float | None = None
    while True:
        observed = _connect(api, namespace, step.client, address)
        now = time.monotonic()
        since = (since or now) if observed == step.expected else None
        if since is not None and (step.expected == "open" or now - since >= STAY_SECONDS):
            return observed
        if now > deadline:
            return observed
        time.sleep(0.2)


def _connect(api: KubeApi, namespace: str, client: str, address: str) -> Answer:
    """Let a client connect to the server; only the server's own words count as open."""
    target = shlex.quote(address)
    script = f"timeout {ATTEMPT_SECONDS + 1} nc -w {ATTEMPT_SECONDS} {target} {PORT} </dev/null; echo; echo tried"
    try:
        output = kubernetes.stream.stream(
            kubernetes.client.CoreV1Api(api.client).connect_get_namespaced_pod_exec,
            client,
            namespace,
            container="probe",
            command=["sh", "-c", script],
            stderr=False,
            stdin=False,
            stdout=True,
            tty=False,
            _request_timeout=30,
        )
    except (kubernetes.client.ApiException, OSError) as error:
        raise ApiUnreachable(
            "A program could not be run in a pod of the proof.", why=str(error), action="Allow pods/exec."
        ) from error
    words = output.split()
    if "tried" not in words:
        raise ApiUnreachable("A client of the proof gave no answer.", why=output[:200], action="Run the command again.")
    return "open" if _GREETING in words else "closed"


def _runs(item: Manifest) -> bool:
    status = item.get("status", {})
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions") or [])
    return ready and bool(status.get("podIP"))


def _state(item: Manifest) -> str:
    containers = item.get("status", {}).get("containerStatuses") or []
    waiting = [
        entry["state"]["waiting"].get("reason", "") for entry in containers if "waiting" in entry.get("state", {})
    ]
    return ", ".join(waiting) or item.get("status", {}).get("phase", "unknown")
