"""When a started cluster can be used: a heartbeat of this start, DNS that answers, storage, policies in the kernel."""

from __future__ import annotations

import datetime as dt
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.cluster import node
from toolchain.cluster.errors import ApiRefused, ApiUnreachable, NodeFailed
from toolchain.cluster.status import read_health

if TYPE_CHECKING:
    from collections.abc import Callable

    from toolchain.cluster.kubeapi import KubeApi
    from toolchain.cluster.node import NodeRecord
    from toolchain.cluster.spec import ClusterSpec, Layout
    from toolchain.progress import Step

API_SECONDS = 180.0
READY_SECONDS = 300.0
"""Generous: on a machine that builds at the same time a start takes several times as long as on an idle one."""

POLL_SECONDS = 0.25
LEASE_SECONDS = 40.0
"""The kubelet's lease is valid this long; it renews it every ten seconds."""

_DNS_TRIAL = "timeout 3 busybox nslookup kubernetes.default.svc.{domain} {server}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """Something to wait for.

    Attributes:
        title: what is waited for, for people.
        log: the part whose log tells why it does not come.
        met: whether it is so now.
    """

    title: str
    log: str
    met: Callable[[], bool]


def api_condition(api: KubeApi) -> Condition:
    """Return the wait for the API server."""

    def met() -> bool:
        try:
            return api.request("GET", "/readyz", timeout=5) == "ok"
        except (ApiRefused, ApiUnreachable):
            return False

    return Condition(title="the API server", log="kube-apiserver", met=met)


def conditions(layout: Layout, spec: ClusterSpec, record: NodeRecord, api: KubeApi) -> tuple[Condition, ...]:
    """Return what makes the cluster usable, in the order in which it usually becomes true.

    A node that was kept shows its old state until the kubelet reports: only what is younger than this start counts.
    """
    since = dt.datetime.fromtimestamp(record.started_at, dt.UTC)
    dns = ["bash", "-c", _DNS_TRIAL.format(domain=spec.cluster_domain, server=spec.dns_address)]
    lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{spec.node_name}"

    def pods(namespace: str, selector: str) -> bool:
        listed = api.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=selector)
        return any(pod_is_fresh(pod, since) for pod in listed["items"])

    return (
        Condition(
            title="the node's heartbeat",
            log="kubelet",
            met=lambda: (
                heartbeat_is_fresh(api.get(lease), since, dt.datetime.now(dt.UTC))
                and node_is_ready(api.get(f"/api/v1/nodes/{spec.node_name}"))
            ),
        ),
        Condition(title="cluster DNS", log="kubelet", met=lambda: pods("kube-system", "k8s-app=kube-dns")),
        Condition(
            title="an answer from cluster DNS",
            log="kube-proxy",
            met=lambda: node.run_inside(layout, dns, timeout=10).returncode == 0,
        ),
        Condition(
            title="the storage provisioner",
            log="kubelet",
            met=lambda: pods("local-path-storage", "app=local-path-provisioner"),
        ),
        Condition(
            title="every part of the node",
            log="calico-felix",
            met=lambda: all(well for well, _ in read_health(layout).values()),
        ),
    )


def wait_for(layout: Layout, condition: Condition, seconds: float, step: Step) -> None:
    """Wait until a condition is met.

    Raises:
        NodeFailed: the node ended, or the time is over; with the end of the log that tells why.
    """
    step.note(f"waiting for {condition.title}")
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        ended = node.running(layout) is None
        if ended or time.monotonic() > deadline:
            raise NodeFailed(
                f"The embedded cluster waited for {condition.title} in vain.",
                why=f"{'The node ended' if ended else f'Not so after {seconds:.0f} s'}; the log of {condition.log} ends"
                f" with:\n{node.log_tail(layout, 'node' if ended else condition.log)}",
                action=f"Read {layout.log}. Running the command again continues; wiping the cluster starts anew.",
            )
        time.sleep(POLL_SECONDS)


def _holds(condition: Condition) -> bool:
    try:
        return condition.met()
    except (ApiRefused, ApiUnreachable):
        return False


def heartbeat_is_fresh(lease: Any, since: dt.datetime, now: dt.datetime) -> bool:  # noqa: ANN401 - the API's shape
    """Whether a node's lease was renewed after `since` and is still valid."""
    renewed = _time((lease or {}).get("spec", {}).get("renewTime"))
    return renewed is not None and renewed >= since and now - renewed < dt.timedelta(seconds=LEASE_SECONDS)


def node_is_ready(item: Any) -> bool:  # noqa: ANN401 - the API's shape
    """Whether a Node object says it is ready."""
    entries = (item or {}).get("status", {}).get("conditions", [])
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in entries)


def pod_is_fresh(pod: Any, since: dt.datetime) -> bool:  # noqa: ANN401 - the API's shape
    """Whether a pod is ready with containers that all started after `since` (to the second, as the API tells it)."""
    status = pod.get("status", {})
    ready = any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions", []))
    started = [_time(entry.get("state", {}).get("running", {}).get("startedAt")) for entry in _containers(status)]
    floor = since.replace(microsecond=0)
    return ready and bool(started) and all(moment is not None and moment >= floor for moment in started)


def _containers(status: dict[str, Any]) -> list[dict[str, Any]]:
    return status.get("containerStatuses") or []


def _time(text: str | None) -> dt.datetime | None:
    return dt.datetime.fromisoformat(text) if text else None
