"""Environments cannot reach each other: proved with packets between running pods, not by reading policies."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from kubernetes import client

from infra.naming import ENVIRONMENTS
from tests.live import places, stand_ins
from tests.live.matrix import ENVIRONMENT_ROLES, PORTS, Attempt, Endpoint, attempts, differences, unproved
from tests.live.outside import outside
from tests.live.packets import observe, resolve, see
from tests.live.support import Platform, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

LINK = "fe80::ecee:eeff:feee:eeee%eth0"
"""The node's end of every pod's link over IPv6: Calico gives it the hardware address ee:ee:ee:ee:ee:ee."""

DATABASE = "postgresql-rw"
DOMAIN = "svc.cluster.local."


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everybody who takes part.

    Attributes:
        inside: The pods of the environments, and those that stand for their jobs: they send and are sent to.
        stranger: A pod that no policy holds back.
        node: Where the kubelet sends from: no policy of a pod holds it back either.
        services: The environments' pods by their Services' addresses.
        beyond: The cluster's own parts, the node, an address outside and the metadata service.
    """

    inside: list[Endpoint]
    stranger: Endpoint
    node: Endpoint
    services: list[Endpoint]
    beyond: list[Endpoint]

    @property
    def targets(self) -> list[Endpoint]:
        return [*self.inside, self.stranger, *self.services, *self.beyond]

    def of(self, namespace: str) -> list[Endpoint]:
        return [end for end in self.inside if end.namespace == namespace]


@dataclass(frozen=True, kw_only=True)
class Matrix:
    """What the packets did: those of the environments and the stranger, and the controls of every target."""

    tried: dict[Attempt, str]
    controls: dict[Attempt, str]
    seconds: float


@pytest.fixture(scope="module")
def scene(platform: Platform) -> Iterator[Scene]:
    spaces = [platform.naming(environment).namespace for environment in ENVIRONMENTS]
    with stand_ins.stranger(platform) as stranger, stand_ins.jobs(platform) as jobs, outside(platform) as far:
        yield Scene(
            inside=[*places.everywhere(platform), *jobs],
            stranger=stranger,
            node=places.node(platform),
            services=[service for namespace in spaces for service in places.services(platform, namespace)],
            beyond=[*places.system(platform), *far],
        )


def tries_of(scene: Scene) -> list[Attempt]:
    """Return the matrix; a pod that meets itself behind a Service is no connection between two."""
    tries = attempts([*scene.inside, scene.stranger], scene.targets)
    return [t for t in tries if not (t.target.only and _same_workload(t))]


def _same_workload(attempt: Attempt) -> bool:
    return (attempt.source.namespace, attempt.source.role) == (attempt.target.namespace, attempt.target.role)


@pytest.fixture(scope="module")
def matrix(platform: Platform, scene: Scene) -> Matrix:
    begin = time.monotonic()
    tried = observe(platform, tries_of(scene))
    by_node = observe(platform, attempts([scene.node], scene.targets))
    by_stranger = {attempt: outcome for attempt, outcome in tried.items() if attempt.source == scene.stranger}
    return Matrix(tried=tried, controls=by_node | by_stranger, seconds=time.monotonic() - begin)


def test_every_environment_runs_the_parts_the_matrix_speaks_of(platform: Platform, scene: Scene) -> None:
    for environment in ENVIRONMENTS:
        roles = [end.role for end in scene.of(platform.naming(environment).namespace)]
        assert {"edge", "odoo-web", "postgresql", "odoo-migrate", "odoo-secrets"} <= set(roles), environment
        assert ("mail-sink" in roles) == (environment != "prod"), "mail leaves prod and only prod"
        assert (roles.count("postgresql") > 1) == (environment == "prod"), "prod has a standby, which takes part"
    beyond = {end.role for end in scene.beyond}
    assert beyond == {"operator", "dns", "storage", "node", "api-service", "dns-service", "outside", "metadata"}


def test_only_declared_connections_open(
    scene: Scene, matrix: Matrix, capsys: pytest.CaptureFixture[str], record_property
) -> None:
    count = len(matrix.tried) + len(matrix.controls)
    summary = f"{count} connections between {len(scene.inside) + 2} sources and {len(scene.targets)} targets"
    record_property("packets", f"{summary} in {matrix.seconds:.0f} s")
    with capsys.disabled():
        print(f" {summary} in {matrix.seconds:.0f} s ", end="")
    assert differences(matrix.tried) == []
    assert differences(matrix.controls) == []


def test_whatever_is_silent_is_reached_from_where_it_may_be(matrix: Matrix) -> None:
    """The positive control: a dead listener, or an address that nobody has, is silent as well and proves nothing."""
    assert unproved(matrix.tried, matrix.controls) == []
    assert sum(outcome == "silent" for outcome in matrix.tried.values()) > len(matrix.controls)


def test_a_stranger_reaches_no_pod_of_any_environment(scene: Scene, matrix: Matrix) -> None:
    environments = [*scene.inside, *scene.services]
    found = {a: o for a, o in matrix.tried.items() if a.source == scene.stranger and a.target in environments}
    assert len(found) > len(environments)
    assert {str(a): o for a, o in found.items() if o != "silent"} == {}


def test_training_cannot_reach_the_production_database(platform: Platform, matrix: Matrix) -> None:
    training, prod = (platform.naming(environment).namespace for environment in ("training", "prod"))
    found = {
        attempt: outcome
        for attempt, outcome in matrix.tried.items()
        if attempt.source.namespace == training
        and (attempt.target.namespace, attempt.target.role, attempt.port) == (prod, "postgresql", "tcp/5432")
    }
    assert {attempt.source.role for attempt in found} == set(ENVIRONMENT_ROLES)
    assert len({attempt.target.ip for attempt in found}) >= 3, "both instances, and a Service before them"
    assert set(found.values()) == {"silent"}


@pytest.mark.parametrize("beyond", ["outside", "metadata", "storage", "operator"])
def test_no_pod_of_an_environment_gets_out_to(beyond: str, scene: Scene, matrix: Matrix) -> None:
    found = {
        attempt: outcome
        for attempt, outcome in matrix.tried.items()
        if attempt.source in scene.inside and attempt.target.role == beyond
    }
    assert {attempt.source for attempt in found} == set(scene.inside)
    assert {str(attempt): outcome for attempt, outcome in found.items() if outcome != "silent"} == {}


def test_an_environment_resolves_names_and_reaches_nobody_elses_by_them(
    platform: Platform, scene: Scene, matrix: Matrix
) -> None:
    spaces = [platform.naming(environment).namespace for environment in ENVIRONMENTS]
    addresses = {end.namespace: end.ip for end in scene.services if end.pod == DATABASE}
    for source in (next(end for end in scene.of(namespace) if end.role == "odoo-web") for namespace in spaces):
        answers = resolve(platform, source, [f"{DATABASE}.{space}.{DOMAIN}" for space in spaces])
        assert answers == {f"{DATABASE}.{space}.{DOMAIN}": addresses[space] for space in spaces}
        reached = {
            attempt.target.namespace
            for attempt, outcome in matrix.tried.items()
            if attempt.source == source and attempt.target.ip in addresses.values() and outcome != "silent"
        }
        assert reached == {source.namespace}, "a name of another environment is known, and its address is silent"


def test_the_name_server_carries_no_question_out_of_the_cluster(platform: Platform, scene: Scene) -> None:
    """Whoever may ask for any name can send data out as names; this server knows the cluster's own only."""
    source = next(end for end in scene.inside if end.role == "odoo-web")
    own = f"{DATABASE}.{source.namespace}.{DOMAIN}"
    answers = resolve(platform, source, [own, "example.org."])
    assert answers[own], "it answers at all"
    assert answers["example.org."] is None


def test_ipv6_leads_no_pod_anywhere(platform: Platform, scene: Scene) -> None:
    """The rules are IPv4 only, so nothing may answer over IPv6, though every pod has a link-local address of it.

    The control is each pod's own loopback, which refuses: the probe speaks IPv6 and would have told.
    """
    sources = [*scene.inside, scene.stranger]
    assert all(":" not in end.ip for end in sources), "pods have addresses of IPv4"
    seen = see(platform, sources, {LINK: PORTS["node"], "::1": ["tcp/9"]})
    assert {str(source): outcomes["::1", "tcp/9"] for source, outcomes in seen.items()} == dict.fromkeys(
        map(str, sources), "refused"
    )
    reached = {
        f"{source} → the node's link {port}": outcome
        for source, outcomes in seen.items()
        for (address, port), outcome in outcomes.items()
        if address == LINK and outcome != "silent"
    }
    assert reached == {}


def test_the_matrix_fails_where_a_policy_is_missing(platform: Platform, scene: Scene) -> None:
    """The failing side: the matrix says what a missing policy opens, one and then all, and `pulumi up` mends it."""
    namespace = platform.naming("dev").namespace
    policies = client.NetworkingV1Api(platform.apis)
    before = {policy.metadata.name for policy in policies.list_namespaced_network_policy(namespace).items}
    assert "default-deny" in before
    dev = scene.of(namespace)
    tries = [
        *attempts(dev, [*dev, *scene.beyond]),
        *attempts([scene.stranger], dev),
    ]

    def opened_to(source: Endpoint | None, roles: set[str]) -> None:
        wrong = [a for a, o in observe(platform, tries).items() if differences({a: o})]
        assert roles <= {a.target.role for a in wrong if source is None or a.source == source}

    try:
        policies.delete_namespaced_network_policy("default-deny", namespace)
        eventually(lambda: opened_to(scene.stranger, {"odoo-migrate", "odoo-secrets"}))
        policies.delete_collection_namespaced_network_policy(namespace)
        eventually(lambda: opened_to(None, {"odoo-web", "postgresql", "node", "outside", "metadata"}))
    finally:
        mended = platform.careops("up", "dev", "--refresh", "--yes")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert {policy.metadata.name for policy in policies.list_namespaced_network_policy(namespace).items} == before

    def closed() -> None:
        assert differences(observe(platform, tries)) == []

    eventually(closed)
