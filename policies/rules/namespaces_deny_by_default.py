"""Every namespace with workloads is closed in both directions unless an allow rule opens it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from policies.network import DIRECTIONS, covers_everything, directions, openings, selects_everything
from policies.pods import POD_KINDS
from policies.resources import CNPG_CLUSTER, NAMESPACE, NETWORK_POLICY, Resource
from policies.rule import Context, Evidence, Rule
from policies.values import MalformedValue, doubt
from policies.verdicts import Doubt, Finding, NotApplicable, Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from policies.network import Direction, Opening
    from policies.values import Node
    from policies.verdicts import Observation

_WORKLOADS: Final = POD_KINDS | {CNPG_CLUSTER}
_OTHER_ENGINES: Final = frozenset(
    {"crd.projectcalico.org/NetworkPolicy", "projectcalico.org/NetworkPolicy", "cilium.io/CiliumNetworkPolicy"}
)
"""Policies in a network plug-in's own language: they can overrule a NetworkPolicy, and this rule cannot read them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Judged:
    """What is known of one policy.

    Attributes:
        closed: The directions it closes for the whole namespace.
        observations: What is wrong with it or not known of it, each by itself.
        ranges: What it opens to address ranges, by whom (its pods, the direction): only together may they be too much.
    """

    closed: frozenset[Direction]
    observations: tuple[Observation, ...]
    ranges: Mapping[tuple[str, Direction], Sequence[Opening]]


def _judge_policy(policy: Resource) -> _Judged:
    spec = policy.properties.at("spec")
    selector = spec.at("podSelector")
    every_pod, isolated = selects_everything(selector), directions(spec)
    if every_pod is None or isolated is None:
        reason = f"which pods and directions NetworkPolicy {policy.name} is about is not known yet"
        return _Judged(closed=frozenset(), observations=(Doubt(path="", reason=reason),), ranges={})
    whom = "every pod" if every_pod else f"the pods that {_canonical(selector)} selects"
    found = {direction: openings(spec, direction) for direction in DIRECTIONS if direction in isolated}
    observations: list[Observation] = []
    ranges: dict[tuple[str, Direction], list[Opening]] = {}
    for direction, rules in found.items():
        # To let everybody reach a port of named pods is a decision, such as the edge's; to let everybody reach every
        # port of any pod, or any port of every pod, is no denial by default any more.
        wide = [rule for rule in rules if every_pod or rule.ports is None or rule.doubts]
        for rule in wide:
            observations += _too_wide(policy.name, whom, direction, rule)
        ranges[whom, direction] = [
            replace(rule, path=f"{policy.name}.{rule.path}") for rule in wide if not rule.everybody
        ]
    closed = frozenset(direction for direction, rules in found.items() if every_pod and not rules)
    return _Judged(closed=closed, observations=tuple(observations), ranges=ranges)


def _canonical(selector: Node) -> str:
    return json.dumps(selector.value, sort_keys=True, default=str)


def _too_wide(policy: str, whom: str, direction: Direction, rule: Opening) -> Iterator[Observation]:
    if rule.everybody and (rule.ports is None or whom == "every pod"):
        ports = f" on {', '.join(sorted(rule.ports))}" if rule.ports else ""
        message = (
            f"NetworkPolicy {policy} allows all {direction.lower()} to {whom}{ports}, which undoes the denial: in "
            f"{rule.path} {rule.everybody}"
        )
        yield Finding(path="", message=message)
    else:
        for unseen in rule.doubts:
            yield Doubt(path="", reason=f"{unseen.path} of NetworkPolicy {policy}: {unseen.reason}")


def _together(whom: str, direction: Direction, rules: Sequence[Opening]) -> Iterator[Observation]:
    """Yield a finding when address ranges that are open on the same port leave nobody out, alone or together."""
    told: set[tuple[str, ...]] = set()
    named = sorted({port for rule in rules for port in rule.ports or ()})
    for port in (None, *named):
        open_ = [rule for rule in rules if rule.networks and (rule.ports is None or port in rule.ports)]
        family = covers_everything(network for rule in open_ for network in rule.networks)
        paths = tuple(rule.path for rule in open_)
        if family and paths not in told:
            told.add(paths)
            where = f" on {port}" if port else ""
            message = (
                f"{direction.lower()} to {whom} is open to all of {family}{where}, which undoes the denial: see the "
                f"address ranges of NetworkPolicy {' and '.join(paths)}"
            )
            yield Finding(path="", message=message)


def _members(stack: tuple[Resource, ...], kinds: frozenset[str], name: str) -> tuple[list[Resource], list[Resource]]:
    """Return the resources of some kinds in a namespace, and those whose namespace is not known yet."""
    inside: list[Resource] = []
    unsure: list[Resource] = []
    for resource in stack:
        if resource.kind in kinds:
            namespace = resource.namespace
            if namespace.unknown:
                unsure.append(resource)
            elif (namespace.value or "default") == name:
                inside.append(resource)
    return inside, unsure


def _observe(name: str, context: Context) -> Iterator[Observation]:
    policies, unsure = _members(context.stack, frozenset({NETWORK_POLICY}), name)
    judged = [_judge_policy(policy) for policy in policies]
    closed = frozenset[str]().union(*(each.closed for each in judged))
    seen = [observation for each in judged for observation in each.observations]
    yield from (each for each in seen if isinstance(each, Finding))
    ranges: dict[tuple[str, Direction], list[Opening]] = {}
    for each in judged:
        for key, rules in each.ranges.items():
            ranges.setdefault(key, []).extend(rules)
    for (whom, direction), rules in ranges.items():
        yield from _together(whom, direction, rules)
    doubts: list[Observation] = [each for each in seen if isinstance(each, Doubt)]
    doubts += [
        Doubt(path="", reason=f"the namespace of NetworkPolicy {policy.name} is not known yet") for policy in unsure
    ]
    foreign, _ = _members(context.stack, _OTHER_ENGINES, name)
    doubts += [Doubt(path="", reason=f"{each.label} may overrule it in a language of its own") for each in foreign]
    # An unseen policy could close the namespace, and it could as well open all of it.
    yield from doubts
    missing = [direction.lower() for direction in DIRECTIONS if direction not in closed]
    if missing and not doubts:
        message = f"namespace {name} is open: no NetworkPolicy denies {' and '.join(missing)} for all of its pods"
        yield Finding(path="", message=message)


def _declared(context: Context) -> set[str]:
    return {str(found.object_name.value) for found in context.stack if found.kind == NAMESPACE}


def check(resource: Resource, context: Context) -> Verdict:
    """Judge a namespace by the policies in it, or a workload by the namespace it is put in.

    Args:
        resource: A namespace or a workload.
        context: Holds every resource of the stack.

    Returns:
        Pass when both directions are closed by default. A workload whose namespace the same stack declares is judged
        there, once.
    """
    if resource.kind == NAMESPACE:
        return _namespace(resource, context)
    namespace = resource.namespace
    if namespace.unknown:
        return conclude([doubt(namespace)])
    name = str(namespace.value or "default")
    if name in _declared(context):
        return NotApplicable(reason="judged with its namespace")
    return conclude(_observe(name, context))


def _namespace(resource: Resource, context: Context) -> Verdict:
    name = resource.object_name
    if name.unknown:
        return conclude([doubt(name)])
    if name.absent:
        raise MalformedValue("the namespace has no name")
    workloads, unsure = _members(context.stack, _WORKLOADS, str(name.value))
    if not workloads and not unsure:
        return NotApplicable(reason="the stack puts no workload into this namespace")
    return conclude(_observe(str(name.value), context))


RULE: Final = Rule(
    id="namespaces-deny-by-default",
    title="Every namespace with workloads denies ingress and egress by default.",
    kinds=_WORKLOADS | {NAMESPACE},
    check=check,
    severity="critical",
    controls=("network-isolation",),
    remediation=(
        "Declare a NetworkPolicy with podSelector: {}, policyTypes: [Ingress, Egress] and no rules in the "
        "namespace, and open what is needed by named policies."
    ),
    evidence=(
        Evidence(source="update", shows="No declared workload is reachable or may call out unless a rule says so."),
        Evidence(
            source="cluster", shows="The denial exists in each namespace; the packet matrix proves it is enforced."
        ),
    ),
    scope="stack",
    waivable=False,
)
