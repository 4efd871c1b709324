"""`careops policies check`: what the policy pack says of the objects that exist in the cluster, whoever made them.

Everything is read by plain lists: the kinds from the API's own discovery, the objects of each kind namespace by
namespace. What could not be read is never taken for absent.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from infra import naming
from policies import live, report, waivers
from policies.packs import HEALTHCARE
from policies.resources import NAMESPACE, NETWORK_POLICY
from policies.rules import RULES
from policies.values import MalformedValue
from policies.verdicts import Fail, NotApplicable, Undetermined
from toolchain.cluster.errors import ApiRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operations.environments import Environment
    from operations.kube_api import Read
    from operations.session import Session
    from policies.engine import Judgement
    from policies.waivers import Register

Status = Literal["passed", "failed", "undetermined", "waived"]

NOT_READ: Mapping[str, str] = {
    "core/Secret": "a Secret is where a credential belongs, so no rule judges one in the cluster, and none is read",
    "core/Event": "the API server's own messages, gone after an hour; they configure nothing",
    "events.k8s.io/Event": "the same messages under another name",
}
"""Kinds whose objects are not listed, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A kind of namespaced object that the API lists.

    Attributes:
        name: `<group>/<kind>` as rules call it.
        version: Its apiVersion.
        base: Path of its group and version.
        plural: Last part of its path.
    """

    name: str
    version: str
    base: str
    plural: str

    def path(self, namespace: str) -> str:
        """Return the path of its objects in a namespace."""
        return f"{self.base}/namespaces/{namespace}/{self.plural}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Scope:
    """Which namespaces are looked at.

    Attributes:
        judged: Names of those that are.
        identities: `<site>/<environment>` of the environments among them.
        missing: Why one that should be there could not be: `prod: its namespace riverside-prod does not exist`.
        absent: Environments that are not deployed, which nobody asked for by name.
        left_out: Names of the cluster's other namespaces.
    """

    judged: tuple[str, ...]
    identities: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Item:
    """Something to tell about one object and one rule.

    Attributes:
        status: What came of it.
        rule: Id of the rule.
        level: How strictly the pack takes it.
        object: The object, as `apps/Deployment riverside-dev/odoo-web`.
        text: Everything about it, several lines, without the value of any credential.
    """

    status: Status
    rule: str
    level: str
    object: str
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """What came of looking at a cluster.

    Attributes:
        judged_at: When reading began, UTC.
        scope: Which namespaces were looked at.
        objects: How many objects were judged.
        counts: How many judgements of each status; a rule that has nothing to say of an object is in none.
        by_rule: The same for each rule of the pack.
        items: Everything that did not simply pass, failures first.
        unread: What could not be read, each with the reason.
    """

    judged_at: datetime
    scope: Scope
    objects: int
    counts: Mapping[Status, int]
    by_rule: Mapping[str, Mapping[Status, int]]
    items: tuple[Item, ...]
    unread: tuple[str, ...]

    @property
    def idle(self) -> tuple[str, ...]:
        """Ids of the rules that found nothing to judge."""
        return tuple(rule for rule, counts in self.by_rule.items() if not any(counts.values()))

    @property
    def complies(self) -> bool:
        """Whether everything was read, and nothing mandatory failed or stayed open without a waiver."""
        stopping = [item for item in self.items if item.status in ("failed", "undetermined")]
        return bool(self.objects) and not (
            self.unread or self.scope.missing or any(item.level == "mandatory" for item in stopping)
        )


def inspect_platform(session: Session, asked: Sequence[str]) -> Inspection:
    """Let the policy pack judge what exists in this platform's cluster.

    Args:
        session: This invocation.
        asked: Environments as typed; none for everything of careops.

    Raises:
        OperationError: With `USAGE` for an unknown environment, with `CLUSTER` where there is no cluster or it stands.
        ToolchainError: The cluster does not answer, or does not let its namespaces be listed.
    """
    from operations import live as platform
    from operations.environments import choose

    chosen = choose(platform.environments(session), asked)
    read = platform.cluster_reader(session)
    scope = scope_of(read, chosen, named=bool(asked), deployed=platform.deployed_stacks(session))
    return inspect(read, scope, waivers.load(waivers.REGISTER, RULES), datetime.now(UTC))


def scope_of(read: Read, environments: Sequence[Environment], *, named: bool, deployed: Iterable[str]) -> Scope:
    """Decide which namespaces to look at.

    Args:
        read: Reads from the API.
        environments: Those the command is about.
        named: Whether the user named them; otherwise the platform's namespace and those that only carry careops'
            labels (an environment whose settings are gone) are looked at too.
        deployed: Stacks that were deployed and not taken down.

    Raises:
        ApiRefused: The namespaces may not be listed.
    """
    listed = {
        item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in _items(read, "/api/v1/namespaces")
    }
    own = {environment.namespace: environment.stack for environment in environments}
    deployed = set(deployed)
    missing = tuple(
        f"{stack}: its namespace {namespace} does not exist"
        for namespace, stack in own.items()
        if namespace not in listed and (named or stack in deployed)
    )
    if named:
        # Where data is masked belongs to prod's isolation, and is judged with it.
        inner = [naming.refresh_namespace(each.site) for each in environments if each.name == "prod"]
        judged = tuple(name for name in (*own, *inner) if name in listed)
    else:
        ours = {naming.OPERATOR_NAMESPACE, *own}
        labels = {naming.SITE_LABEL, naming.CLASSIFICATION_LABEL}
        judged = tuple(name for name in sorted(listed) if name in ours or labels & listed[name].keys())
    return Scope(
        judged=judged,
        identities=tuple(each.identity for each in environments if each.namespace in judged),
        missing=missing,
        absent=tuple(
            stack for name, stack in own.items() if name not in listed and not named and stack not in deployed
        ),
        left_out=tuple(sorted(listed.keys() - set(judged))),
    )


def inspect(read: Read, scope: Scope, register: Register, now: datetime) -> Inspection:
    """Read every object of the namespaces and let every rule judge it.

    Args:
        read: Reads from the API.
        scope: Which namespaces.
        register: The waivers.
        now: The time, UTC; waivers end by its day.

    Raises:
        ApiUnreachable: The cluster does not answer: then nothing is known.
    """
    kinds, unread = discover(read)
    served = {kind.name for kind in kinds} | {NAMESPACE}
    unread += [f"{name}: the API serves no such kind" for name in sorted(judged_kinds() - served)]
    objects: list[dict[str, Any]] = []
    for namespace in scope.judged:
        found, refused = _objects(read, namespace, kinds)
        objects += found
        unread += refused
    judgements: list[Judgement] = []
    try:
        judgements = live.judge(objects, register=register, today=now.date())
    except MalformedValue as error:
        unread.append(f"the answer of the API: {error}")
    return _summary(now, scope, len(objects), judgements, unread)


def judged_kinds() -> frozenset[str]:
    """Return every kind that some rule names, and the one they look at besides."""
    return frozenset({NETWORK_POLICY}).union(*(rule.kinds or () for rule in HEALTHCARE.rules))


def discover(read: Read) -> tuple[list[Kind], list[str]]:
    """Return the namespaced kinds that can be listed, each group in its preferred version, and what stayed unknown."""
    groups = [("/api/v1", "v1")]
    found = read("/apis") or {}
    groups += [(f"/apis/{name}", name) for name in (_preferred(group) for group in found.get("groups", ()))]
    kinds: list[Kind] = []
    unread = [] if found else ["the groups of the API: there is no list of them"]
    for base, version in groups:
        try:
            answer = read(base)
        except ApiRefused as error:
            unread.append(f"the kinds of {version}: {error.why}")
            continue
        if answer is None:
            unread.append(f"the kinds of {version}: there is no list of them")
            continue
        group = version.split("/", 1)[0] if "/" in version else "core"
        kinds += [
            Kind(name=f"{group}/{entry['kind']}", version=version, base=base, plural=entry["name"])
            for entry in answer["resources"]
            if entry["namespaced"] and "list" in entry["verbs"] and "/" not in entry["name"]
        ]
    return [kind for kind in kinds if kind.name not in NOT_READ], unread


def _preferred(group: Mapping[str, Any]) -> str:
    return str(group["preferredVersion"]["groupVersion"])


def _objects(read: Read, namespace: str, kinds: Sequence[Kind]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a namespace with everything in it, and the kinds that could not be read there."""
    objects: list[dict[str, Any]] = []
    unread: list[str] = []
    own = read(f"/api/v1/namespaces/{namespace}")
    if own is None:
        return [], [f"namespace {namespace}: it was deleted meanwhile"]
    objects.append(_whole(own, "v1", "Namespace"))
    for kind in kinds:
        try:
            found = _items(read, kind.path(namespace))
        except ApiRefused as error:
            unread.append(f"{kind.name} in {namespace}: {error.why}")
        else:
            objects += [_whole(item, kind.version, kind.name.rpartition("/")[2]) for item in found]
    return objects, unread


def _items(read: Read, path: str) -> list[dict[str, Any]]:
    """Return the members of a list.

    Raises:
        ApiRefused: The list may not be read, or is not there.
    """
    answer = read(path)
    if answer is None or "items" not in answer:
        raise ApiRefused(
            f"The API server has no list at {path}.",
            why="there is no such list",
            action="Compare the versions of the cluster and of careops.",
            status=404,
        )
    return answer["items"] or []  # Kubernetes writes an empty list of some kinds as null


def _whole(item: Mapping[str, Any], version: str, kind: str) -> dict[str, Any]:
    """Return a member of a list as an object of its own: there it does not say what it is."""
    metadata = {key: value for key, value in item["metadata"].items() if key != "managedFields"}
    return {**item, "apiVersion": version, "kind": kind, "metadata": metadata}


def _summary(
    now: datetime, scope: Scope, objects: int, judgements: Sequence[Judgement], unread: Sequence[str]
) -> Inspection:
    counts: Counter[tuple[str, Status]] = Counter()
    items: list[Item] = []
    for judgement in judgements:
        if isinstance(judgement.verdict, NotApplicable):
            continue
        status = _status(judgement)
        counts[judgement.rule.id, status] += 1
        told = report.diagnose(judgement, level=HEALTHCARE.levels[judgement.rule.id], preview=False)
        if told is not None:
            where = judgement.resource.label if judgement.resource else "the register of waivers"
            items.append(Item(status=status, rule=told.rule, level=told.level, object=where, text=told.message))
    order: tuple[Status, ...] = ("failed", "undetermined", "waived")
    statuses: tuple[Status, ...] = ("passed", *order)
    by_rule = {rule.id: {status: counts[rule.id, status] for status in statuses} for rule in HEALTHCARE.rules}
    return Inspection(
        judged_at=now,
        scope=scope,
        objects=objects,
        counts={status: sum(each[status] for each in by_rule.values()) for status in statuses},
        by_rule=by_rule,
        items=tuple(sorted(items, key=lambda item: (order.index(item.status), item.rule, item.object))),
        unread=tuple(unread),
    )


def _status(judgement: Judgement) -> Status:
    if judgement.waiver is not None:
        return "waived"
    if isinstance(judgement.verdict, Fail):
        return "failed"
    return "undetermined" if isinstance(judgement.verdict, Undetermined) else "passed"
