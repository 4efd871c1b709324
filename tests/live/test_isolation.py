"""Environments cannot reach each other: proved with packets between running pods, not by reading policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from kubernetes import client

from infra.naming import ENVIRONMENTS
from tests.live.matrix import ALL_PORTS, LISTENS, Attempt, Endpoint, attempts, differences, observe
from tests.live.support import Platform, eventually
from toolchain.cluster.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

STRANGER_PREFIX = "careops-test-stranger-"


def role_of(pod: client.V1Pod) -> str | None:
    return next((role for role in LISTENS if pod.metadata.name.startswith(f"{role}-")), None)


def endpoints(platform: Platform, namespace: str) -> list[Endpoint]:
    return [
        Endpoint(namespace=namespace, role=role, pod=pod.metadata.name, ip=pod.status.pod_ip)
        for pod in platform.pods(namespace)
        if (role := role_of(pod))
    ]


@pytest.fixture(scope="module")
def stranger(platform: Platform) -> Iterator[Endpoint]:
    """A pod in a namespace without any policy: free to send, so that only the targets' policies can stop it."""
    wanted = client.V1Namespace(metadata=client.V1ObjectMeta(generate_name=STRANGER_PREFIX))
    namespace = platform.api.create_namespace(wanted).metadata.name
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name="stranger-0"),
        spec=client.V1PodSpec(
            automount_service_account_token=False,
            termination_grace_period_seconds=0,
            containers=[
                client.V1Container(
                    name="python",
                    image=read_facts(platform.paths.facts).images["odoo"],
                    command=["sleep", "3600"],
                    security_context=client.V1SecurityContext(
                        allow_privilege_escalation=False,
                        run_as_non_root=True,
                        run_as_user=65534,
                        capabilities=client.V1Capabilities(drop=["ALL"]),
                        seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
                    ),
                )
            ],
        ),
    )
    try:
        platform.api.create_namespaced_pod(namespace, pod)

        def running() -> None:
            assert endpoints(platform, namespace)

        eventually(running)
        yield endpoints(platform, namespace)[0]
    finally:
        platform.api.delete_namespace(namespace)


@pytest.fixture
def everybody(platform: Platform, stranger: Endpoint) -> list[Endpoint]:
    pods = [e for environment in ENVIRONMENTS for e in endpoints(platform, platform.naming(environment).namespace)]
    return [*pods, stranger]


@pytest.fixture
def api_server(platform: Platform) -> Endpoint:
    address = read_facts(platform.paths.facts).api_server.cidrs[0].split("/")[0]
    return Endpoint(namespace="node", role="api-server", pod="-", ip=address)


def test_every_environment_runs_the_parts_the_matrix_speaks_of(everybody: list[Endpoint], platform: Platform) -> None:
    for environment in ENVIRONMENTS:
        roles = {e.role for e in everybody if e.namespace == platform.naming(environment).namespace}
        assert {"edge", "odoo-web", "postgresql"} <= roles, environment
        assert ("mail-sink" in roles) == (environment != "prod"), "mail leaves prod and only prod"


def test_only_declared_connections_open(platform: Platform, everybody: list[Endpoint], api_server: Endpoint) -> None:
    inside = [e for e in everybody if e.role != "stranger"]
    observed = observe(platform, attempts(inside, [*everybody, api_server]))
    assert differences(observed) == []
    assert any(outcome == "open" for outcome in observed.values()), "nothing opened: the probe itself is broken"


def test_a_stranger_reaches_no_pod_of_any_environment(
    platform: Platform, everybody: list[Endpoint], stranger: Endpoint, api_server: Endpoint
) -> None:
    control = observe(platform, attempts([stranger], [api_server]))
    assert set(control.values()) == {"open"}, "the stranger has no network at all: its silence would prove nothing"
    observed = observe(platform, attempts([stranger], [e for e in everybody if e != stranger]))
    assert {str(a): o for a, o in observed.items() if o != "silent"} == {}


def test_training_cannot_reach_the_production_database(platform: Platform, everybody: list[Endpoint]) -> None:
    training = platform.naming("training").namespace
    prod = platform.naming("prod").namespace
    sources = [e for e in everybody if e.namespace == training]
    targets = [e for e in everybody if e.namespace == prod and e.role == "postgresql"]
    tries = [Attempt(source=s, target=t, port=5432) for s in sources for t in targets]
    assert len(tries) >= 3
    assert set(observe(platform, tries).values()) == {"silent"}


def test_the_matrix_fails_where_a_policy_is_missing(platform: Platform, everybody: list[Endpoint]) -> None:
    """The failing side: without its policies an environment is open, the matrix says so, and `pulumi up` mends it."""
    namespace = platform.naming("dev").namespace
    policies = client.NetworkingV1Api(platform.apis)
    before = {policy.metadata.name for policy in policies.list_namespaced_network_policy(namespace).items}
    assert "default-deny" in before
    sources = [e for e in everybody if e.namespace == namespace]
    tries = [t for t in attempts(sources, sources) if t.port in ALL_PORTS]
    try:
        policies.delete_collection_namespaced_network_policy(namespace)

        def noticed() -> None:
            assert any("must be silent" in line for line in differences(observe(platform, tries)))

        eventually(noticed)
    finally:
        mended = platform.careops("up", "dev", "--refresh", "--yes")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert {policy.metadata.name for policy in policies.list_namespaced_network_policy(namespace).items} == before

    def closed() -> None:
        assert differences(observe(platform, tries)) == []

    eventually(closed)
