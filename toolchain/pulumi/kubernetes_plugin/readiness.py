"""When an object counts as ready: the official plugin's rules as a table.

A rule looks at the live object (and, where it must, at related ones) and says ready, waiting or failed. Kinds without a
rule are ready as soon as the server accepted them; `pulumi.com/waitFor` replaces the rule by the program's own words.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from toolchain.pulumi.kubernetes_plugin import steering, workloads
from toolchain.pulumi.kubernetes_plugin.cluster import Ref
from toolchain.pulumi.kubernetes_plugin.conditions import condition_holds, expectation
from toolchain.pulumi.kubernetes_plugin.quantities import same_quantity
from toolchain.pulumi.kubernetes_plugin.tokens import Gvk
from toolchain.pulumi.kubernetes_plugin.values import dig
from toolchain.pulumi.kubernetes_plugin.verdicts import READY, Look, State, Verdict, failed, waiting

Verdicts = Callable[[dict[str, Any], Look], Verdict]

ENDPOINT_SLICE: Final = Gvk(group="discovery.k8s.io", version="v1", kind="EndpointSlice")
STORAGE_CLASS: Final = Gvk(group="storage.k8s.io", version="v1", kind="StorageClass")

# Seconds; the official plugin's defaults.
TEN_MINUTES: Final = 600.0
FIVE_MINUTES: Final = 300.0
ONE_MINUTE: Final = 60.0
FIVE_SECONDS: Final = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """How one kind is waited for.

    Attributes:
        judge: the verdict on a live object.
        seconds: how long to wait unless the program says otherwise.
        on_read: whether a refresh judges too, as the official plugin does for workloads.
        explain: more about what keeps an object from being ready.
    """

    judge: Verdicts
    seconds: float
    on_read: bool = False
    explain: Callable[[dict[str, Any], Look], list[str]] | None = None


def service(obj: dict[str, Any], look: Look) -> Verdict:
    """Ready when a pod stands behind it and, for a load balancer, it has an address."""
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return READY
    if spec.get("type") == "LoadBalancer" and not dig(obj, "status", "loadBalancer", "ingress"):
        return waiting("the load balancer has no address yet")
    if spec.get("clusterIP") == "None" or not spec.get("selector"):
        return READY
    return READY if _has_endpoints(obj["metadata"], look) else waiting("no ready pod stands behind the service yet")


def _has_endpoints(metadata: dict[str, Any], look: Look) -> bool:
    label = f"kubernetes.io/service-name={metadata['name']}"
    slices = look.select(ENDPOINT_SLICE, metadata.get("namespace"), labels=label)
    return any(
        dig(endpoint, "conditions", "ready") is not False and endpoint.get("addresses")
        for item in slices
        for endpoint in item.get("endpoints") or []
    )


def ingress(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when an ingress controller gave it an address."""
    if dig(obj, "status", "loadBalancer", "ingress"):
        return READY
    return waiting("no ingress controller gave it an address yet")


def claim(obj: dict[str, Any], look: Look) -> Verdict:
    """Ready when bound; one whose class binds at first use is ready at once."""
    phase = dig(obj, "status", "phase")
    if phase == "Bound":
        return READY
    if phase == "Lost":
        return failed("the volume behind the claim is lost")
    name = dig(obj, "spec", "storageClassName")
    storage = look.get(Ref(gvk=STORAGE_CLASS, namespace=None, name=name)) if name else None
    if storage and storage.get("volumeBindingMode") == "WaitForFirstConsumer":
        return READY
    detail = f"class {name!r}" if name else "no storage class, and the cluster has no default one"
    return waiting(f"the claim is not bound yet ({detail}{'' if storage or not name else ', which does not exist'})")


def volume(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when available or bound."""
    phase = dig(obj, "status", "phase")
    return READY if phase in {"Available", "Bound"} else waiting(f"the volume is {str(phase or 'pending').lower()}")


def quota(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when the quota controller has taken up every limit."""
    wanted, seen = dig(obj, "spec", "hard") or {}, dig(obj, "status", "hard") or {}
    missing = [name for name, value in wanted.items() if name not in seen or not same_quantity(value, seen[name])]
    return waiting(f"limits not taken up yet: {', '.join(sorted(missing))}") if missing else READY


def secret(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready at once, but for a service account's token: that one when its controller has filled it."""
    if obj.get("type") != "kubernetes.io/service-account-token" or obj.get("data"):
        return READY
    return waiting("the token is not issued yet")


def definition(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when the API server serves the new kind."""
    if condition_holds(obj, "NamesAccepted", "False"):
        return failed("another CustomResourceDefinition already uses these names")
    return READY if condition_holds(obj, "Established", "True") else waiting("the new kind is not served yet")


def generic(obj: dict[str, Any], _: Look) -> Verdict:
    """Ready when the controller has seen this generation and says Ready, for kinds without a rule of their own."""
    seen, current = dig(obj, "status", "observedGeneration"), dig(obj, "metadata", "generation")
    if seen is not None and current is not None and seen < current:
        return waiting("its controller has not seen the change yet")
    conditions = {item.get("type"): item for item in dig(obj, "status", "conditions") or []}
    if "Ready" not in conditions or conditions["Ready"].get("status") == "True":
        return READY
    return waiting(conditions["Ready"].get("message") or "it says that it is not ready")


_RUNS_PODS: Final = {"seconds": TEN_MINUTES, "on_read": True, "explain": workloads.problems}

RULES: Final[dict[tuple[str, str], Rule]] = {
    ("apps", "Deployment"): Rule(judge=workloads.deployment, **_RUNS_PODS),
    ("apps", "StatefulSet"): Rule(judge=workloads.stateful_set, **_RUNS_PODS),
    ("apps", "DaemonSet"): Rule(judge=workloads.daemon_set, **_RUNS_PODS),
    ("batch", "Job"): Rule(judge=workloads.job, **_RUNS_PODS),
    ("", "Pod"): Rule(judge=workloads.pod, **_RUNS_PODS),
    ("", "ReplicationController"): Rule(judge=workloads.replication_controller, seconds=TEN_MINUTES),
    ("", "Service"): Rule(judge=service, seconds=TEN_MINUTES, on_read=True),
    ("networking.k8s.io", "Ingress"): Rule(judge=ingress, seconds=TEN_MINUTES, on_read=True),
    ("", "PersistentVolumeClaim"): Rule(judge=claim, seconds=FIVE_MINUTES, explain=workloads.problems),
    ("", "PersistentVolume"): Rule(judge=volume, seconds=FIVE_MINUTES),
    ("", "ResourceQuota"): Rule(judge=quota, seconds=ONE_MINUTE),
    ("", "Secret"): Rule(judge=secret, seconds=FIVE_SECONDS),
    ("apiextensions.k8s.io", "CustomResourceDefinition"): Rule(judge=definition, seconds=ONE_MINUTE),
}


def rule_for(gvk: Gvk, inputs: dict[str, Any], *, await_all: bool) -> Rule | None:
    """Return how an object is waited for, or None when it is not.

    Args:
        gvk: its kind.
        inputs: what the program asks for, with its annotations.
        await_all: PULUMI_K8S_AWAIT_ALL: judge kinds without a rule by their Ready condition.

    Raises:
        BadAnnotation: when `pulumi.com/waitFor` cannot be understood.
    """
    if steering.skips_ready_wait(inputs):
        return None
    if texts := steering.wait_expressions(inputs):
        return _own_words([expectation(text) for text in texts])
    if found := RULES.get((gvk.group, gvk.kind)):
        return found
    return Rule(judge=generic, seconds=TEN_MINUTES) if await_all else None


def _own_words(expectations: list[Any]) -> Rule:
    def judge(obj: dict[str, Any], _: Look) -> Verdict:
        missing = [item.text for item in expectations if not item.holds(obj)]
        return waiting(f"waiting for {', '.join(missing)}") if missing else READY

    return Rule(judge=judge, seconds=TEN_MINUTES, explain=_conditions_text)


def _conditions_text(obj: dict[str, Any], _: Look) -> list[str]:
    conditions = dig(obj, "status", "conditions") or []
    return [
        f"{item.get('type')} is {item.get('status')}: {item.get('message') or item.get('reason') or 'no message'}"
        for item in conditions
        if item.get("status") != "True"
    ]


__all__ = ["RULES", "Rule", "State", "Verdict", "rule_for"]
