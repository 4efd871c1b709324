"""What Kubernetes' NetworkPolicies permit, decided from the declared policies alone."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra import naming

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.recording import Recording


@dataclass(frozen=True, kw_only=True)
class End:
    """A pod (namespace and labels) or an address outside the pods."""

    namespace: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    ip: str | None = None


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A declared NetworkPolicy."""

    namespace: str
    spec: Mapping[str, Any]


def pod(namespace: str, name: str) -> End:
    """Return a workload's pod; PostgreSQL's instances carry the operator's label instead of ours."""
    label = naming.POSTGRESQL_POD_LABEL if name == naming.POSTGRESQL else naming.NAME_LABEL
    return End(namespace=namespace, labels=((label, name),))


def policies_of(*recordings: Recording) -> list[Policy]:
    """Return every policy that was declared."""
    return [
        Policy(namespace=resource.metadata["namespace"], spec=resource.spec)
        for recording in recordings
        for resource in recording.of("NetworkPolicy")
    ]


def permits(policies: Iterable[Policy], source: End, target: End, port: int, protocol: str = "TCP") -> bool:
    """Return whether a connection is let out of its source and into its target."""
    policies = list(policies)
    out = _one_way(policies, source, target, "Egress", (port, protocol))
    return out and _one_way(policies, target, source, "Ingress", (port, protocol))


def _one_way(policies: list[Policy], here: End, there: End, direction: str, port: tuple[int, str]) -> bool:
    if here.namespace is None:
        return True
    selecting = [
        policy
        for policy in policies
        if policy.namespace == here.namespace
        and _selects(policy.spec["podSelector"], here)
        and direction in policy.spec["policyTypes"]
    ]
    peers = "to" if direction == "Egress" else "from"
    rules = [rule for policy in selecting for rule in policy.spec.get(direction.lower(), ())]
    return not selecting or any(
        any(_is_peer(peer, there, here) for peer in rule[peers])
        and any((each["port"], each["protocol"]) == port for each in rule["ports"])
        for rule in rules
    )


def _is_peer(peer: Mapping[str, Any], end: End, here: End) -> bool:
    if "ipBlock" in peer:
        return end.ip is not None and ipaddress.ip_address(end.ip) in ipaddress.ip_network(peer["ipBlock"]["cidr"])
    if end.namespace is None:
        return False
    if "namespaceSelector" not in peer:
        inside = end.namespace == here.namespace
    else:
        namespace = End(namespace="", labels=((naming.NAMESPACE_NAME_LABEL, end.namespace),))
        inside = _selects(peer["namespaceSelector"], namespace)
    return inside and _selects(peer.get("podSelector", {}), end)


def _selects(selector: Mapping[str, Any], end: End) -> bool:
    labels = dict(end.labels)
    exact = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    expressions = selector.get("matchExpressions", ())
    assert all(each["operator"] == "Exists" for each in expressions), "an operator this reader does not know"
    return exact and all(each["key"] in labels for each in expressions)
