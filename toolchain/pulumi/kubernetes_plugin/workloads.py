"""Readiness of everything that runs pods, and what their pods say when it does not come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolchain.pulumi.kubernetes_plugin import reasons
from toolchain.pulumi.kubernetes_plugin.conditions import condition_holds
from toolchain.pulumi.kubernetes_plugin.tokens import Gvk
from toolchain.pulumi.kubernetes_plugin.values import dig
from toolchain.pulumi.kubernetes_plugin.verdicts import READY, Look, Verdict, failed, waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

POD = Gvk(group="", version="v1", kind="Pod")
EVENT = Gvk(group="", version="v1", kind="Event")

_UNHEALTHY = {"ReplicaFailure": "True"}


def _count(obj: dict[str, Any], *path: str) -> int:
    value = dig(obj, *path)
    return value if isinstance(value, int) else 0


def _desired(obj: dict[str, Any]) -> int:
    value = dig(obj, "spec", "replicas")
    return 1 if value is None else int(value)


def _seen(obj: dict[str, Any]) -> bool:
    return _count(obj, "status", "observedGeneration") >= _count(obj, "metadata", "generation")


def _condition(obj: dict[str, Any], kind: str) -> Mapping[str, Any]:
    found = [item for item in dig(obj, "status", "conditions") or [] if item.get("type") == kind]
    return found[0] if found else {}


def deployment(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when every wanted pod is of the newest template and available, and no old one is left."""
    if dig(obj, "spec", "paused") is True:
        return READY
    if not _seen(obj):
        return waiting("waiting for the deployment controller")
    progressing = _condition(obj, "Progressing")
    if progressing.get("reason") == "ProgressDeadlineExceeded":
        return failed(f"the rollout exceeded its progress deadline: {progressing.get('message')}")
    wanted, updated = _desired(obj), _count(obj, "status", "updatedReplicas")
    available = _count(obj, "status", "availableReplicas")
    steps = (
        (updated < wanted, f"{updated} of {wanted} pods updated"),
        (_count(obj, "status", "replicas") > updated, "old pods are still ending"),
        (available < wanted, f"{available} of {wanted} pods available"),
    )
    return next((waiting(text) for missing, text in steps if missing), READY)


def stateful_set(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when every wanted pod is ready and, for rolling updates, those above the partition are of the newest."""
    if not _seen(obj):
        return waiting("waiting for the statefulset controller")
    wanted, ready = _desired(obj), _count(obj, "status", "readyReplicas")
    if ready < wanted:
        return waiting(f"{ready} of {wanted} pods ready")
    if dig(obj, "spec", "updateStrategy", "type") == "OnDelete":
        return READY
    partition = _count(obj, "spec", "updateStrategy", "rollingUpdate", "partition")
    updated, expected = _count(obj, "status", "updatedReplicas"), max(wanted - partition, 0)
    if updated < expected:
        return waiting(f"{updated} of {expected} pods updated")
    if not partition and dig(obj, "status", "currentRevision") != dig(obj, "status", "updateRevision"):
        return waiting("the new revision is not the current one yet")
    return READY


def daemon_set(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when the pod of every matching node is of the newest template and available."""
    if not _seen(obj):
        return waiting("waiting for the daemonset controller")
    wanted = _count(obj, "status", "desiredNumberScheduled")
    if dig(obj, "spec", "updateStrategy", "type") != "OnDelete":
        updated = _count(obj, "status", "updatedNumberScheduled")
        if updated < wanted:
            return waiting(f"{updated} of {wanted} pods updated")
    available = _count(obj, "status", "numberAvailable")
    return READY if available >= wanted else waiting(f"{available} of {wanted} pods available")


def replication_controller(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when every wanted pod is available."""
    available = _count(obj, "status", "availableReplicas")
    wanted = _desired(obj)
    return READY if available >= wanted else waiting(f"{available} of {wanted} pods available")


def job(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when complete; a suspended job is not waited for."""
    if dig(obj, "spec", "suspend") is True or condition_holds(obj, "Complete", "True"):
        return READY
    if condition_holds(obj, "Failed", "True"):
        condition = _condition(obj, "Failed")
        return failed(f"the job failed: {condition.get('reason')}: {condition.get('message')}")
    counts = {name: _count(obj, "status", name) for name in ("active", "succeeded", "failed")}
    return waiting("the job is running: " + ", ".join(f"{count} {name}" for name, count in counts.items()))


def pod(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when the pod is ready or has succeeded."""
    phase = dig(obj, "status", "phase")
    if phase == "Succeeded" or condition_holds(obj, "Ready", "True"):
        return READY
    if phase == "Failed":
        return failed(reasons.pod_problem(obj) or "the pod failed")
    return waiting(reasons.pod_problem(obj) or f"the pod is {str(phase or 'Pending').lower()}")


def selector_text(selector: Mapping[str, Any] | None) -> str:
    """Return a label selector as a query; only `matchLabels`, which is enough to find a workload's pods."""
    labels = (selector or {}).get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


def problems(obj: dict[str, Any], look: Look) -> list[str]:
    """Return why a workload is not ready: its conditions, its pods, then the warnings about itself."""
    namespace = obj["metadata"].get("namespace")
    found = reasons.condition_problems(obj, _UNHEALTHY)
    if obj["kind"] == "Pod":
        pods = [obj]
    elif labels := selector_text(dig(obj, "spec", "selector")):
        pods = look.select(POD, namespace, labels=labels)
    else:
        pods = []
    found += reasons.pod_problems(pods)
    fields = f"type=Warning,involvedObject.uid={obj['metadata'].get('uid')}"
    found += reasons.event_problems(look.select(EVENT, namespace, fields=fields))
    return list(dict.fromkeys(found))
