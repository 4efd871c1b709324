"""Every namespace with workloads is closed in both directions unless an allow rule opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS
from policies.resources import CNPG_CLUSTER, NAMESPACE, NETWORK_POLICY, Resource
from policies.rule import Context, Evidence, Rule
from policies.values import MalformedValue, Node, doubt
from policies.verdicts import Doubt, Finding, NotApplicable, Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.verdicts import Observation

_WORKLOADS: Final = POD_KINDS | {CNPG_CLUSTER}
_DIRECTIONS: Final = ("Ingress", "Egress")


def _is_everything(selector: Node) -> bool:
    """Tell whether a pod selector selects every pod, as an empty one does; to the API an absent one is empty."""
    return selector.at("matchLabels").value in (None, {}) and _no_items(selector)


def _no_items(selector: Node) -> bool:
    return not list(selector.at("matchExpressions").each())


def _directions(spec: Node) -> set[str]:
    """Return which directions a policy isolates, with Kubernetes' default when policyTypes is unset."""
    types = spec.at("policyTypes")
    if types.absent:
        return {"Ingress"} if spec.at("egress").absent else set(_DIRECTIONS)
    return {str(item.value) for item in types.each()}


def _rules(spec: Node, direction: str) -> list[Node]:
    return list(spec.at(direction.lower()).each())


def _judge_policy(policy: Resource) -> tuple[set[str], list[Observation]]:
    """Return the directions a policy closes for the whole namespace, and what is wrong with it."""
    spec = policy.properties.at("spec")
    selector = spec.at("podSelector")
    parts = (selector, selector.at("matchLabels"), selector.at("matchExpressions"), *spec.at("policyTypes").each())
    unseen = [node for node in (*parts, *_rules(spec, "Ingress"), *_rules(spec, "Egress")) if node.unknown]
    if unseen:
        return set(), [doubt(unseen[0])]
    if not _is_everything(selector):
        return set(), []
    closed: set[str] = set()
    observations: list[Observation] = []
    for direction in _DIRECTIONS:
        rules = _rules(spec, direction)
        if direction in _directions(spec) and not rules:
            closed.add(direction)
        if any(rule.value == {} for rule in rules):
            message = (
                f"NetworkPolicy {policy.name} allows all {direction.lower()} to every pod, which undoes the denial"
            )
            observations.append(Finding(path="", message=message))
    return closed, observations


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
    closed: set[str] = set()
    doubts: list[Observation] = []
    for policy in policies:
        directions, observations = _judge_policy(policy)
        closed |= directions
        doubts += [seen for seen in observations if isinstance(seen, Doubt)]
        yield from (seen for seen in observations if isinstance(seen, Finding))
    doubts += [
        Doubt(path="", reason=f"the namespace of NetworkPolicy {policy.name} is not known yet") for policy in unsure
    ]
    # An unseen policy could close the namespace, and it could as well open all of it.
    yield from doubts
    missing = [direction.lower() for direction in _DIRECTIONS if direction not in closed]
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
