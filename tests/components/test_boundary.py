"""What the boundary keeps apart: decided from the declared policies of all environments together."""

from __future__ import annotations

import itertools

import pytest

from infra import naming
from infra.naming import ENVIRONMENTS, Naming
from tests import declared
from tests.netpol import End, Policy, permits, pod, policies_of

WORKLOADS = (
    naming.EDGE,
    naming.ODOO_WEB,
    naming.ODOO_CRON,
    naming.ODOO_MIGRATE,
    naming.ODOO_SECRETS_JOB,
    naming.MAIL_SINK,
    naming.POSTGRESQL,
)
PORTS = (53, 80, 443, 1025, 5432, 6443, 8000, 8025, 8069, 8072, 8080, 8443, 9443)
API_SERVER = End(ip="10.199.0.2")
INTERNET = End(ip="203.0.113.9")
METADATA = End(ip="169.254.169.254")
# SSH, etcd, kube-proxy, the kubelet, the controller manager and the scheduler.
NODE_PORTS = (22, 2379, 2380, 10249, 10250, 10255, 10256, 10257, 10259)
OPERATOR = pod(naming.OPERATOR_NAMESPACE, naming.OPERATOR_APP)


def namespace(environment: str) -> str:
    return Naming(site="riverside", environment=environment).namespace  # ty: ignore[invalid-argument-type]


@pytest.fixture(scope="module")
def everything(platform) -> list[Policy]:
    return policies_of(platform, *(declared.environment(name) for name in ENVIRONMENTS))


def open_connections(policies: list[Policy], sources: list[End], targets: list[End]) -> set[tuple[str, str, int]]:
    return {
        (source.labels[0][1], target.labels[0][1], port)
        for source in sources
        for target in targets
        for port in PORTS
        if permits(policies, source, target, port)
    }


@pytest.mark.parametrize(("source", "target"), list(itertools.permutations(ENVIRONMENTS, 2)))
def test_no_pod_of_an_environment_reaches_a_pod_of_another(everything, source, target):
    here = [pod(namespace(source), name) for name in WORKLOADS]
    there = [pod(namespace(target), name) for name in WORKLOADS]
    assert open_connections(everything, here, there) == set()


def test_training_has_no_rule_towards_prod():
    training = str([resource.spec for resource in declared.environment("training").of("NetworkPolicy")])
    assert "riverside-prod" not in training


def test_inside_prod_exactly_the_declared_connections_are_open(everything):
    pods = [pod(namespace("prod"), name) for name in WORKLOADS]
    assert open_connections(everything, pods, pods) == {
        ("edge", "odoo-web", 8069),
        ("edge", "odoo-web", 8072),
        ("odoo-web", "postgresql", 5432),
        ("odoo-cron", "postgresql", 5432),
        ("odoo-migrate", "postgresql", 5432),
        ("postgresql", "postgresql", 5432),
        ("postgresql", "postgresql", 8000),
    }


def test_inside_training_mail_goes_to_the_sink_and_the_long_poll_has_no_port(everything):
    pods = [pod(namespace("training"), name) for name in WORKLOADS]
    assert open_connections(everything, pods, pods) == {
        ("edge", "odoo-web", 8069),
        ("odoo-web", "postgresql", 5432),
        ("odoo-cron", "postgresql", 5432),
        ("odoo-migrate", "postgresql", 5432),
        ("odoo-web", "mail-sink", 1025),
        ("odoo-cron", "mail-sink", 1025),
        ("postgresql", "postgresql", 5432),
        ("postgresql", "postgresql", 8000),
    }


@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_nothing_but_odoo_and_the_instances_reaches_postgresql(everything, environment_name):
    database = pod(namespace(environment_name), naming.POSTGRESQL)
    strangers = [End(namespace=namespace(environment_name), labels=(("app", "stranger"),)), OPERATOR, INTERNET]
    strangers += [pod(namespace(environment_name), name) for name in (naming.EDGE, naming.MAIL_SINK)]
    assert not any(permits(everything, stranger, database, 5432) for stranger in strangers)
    assert permits(everything, pod(namespace(environment_name), naming.ODOO_WEB), database, 5432)


def test_the_check_of_the_boundary_fails_without_the_default_deny(everything):
    open_policies = [policy for policy in everything if policy.spec["podSelector"]]
    stranger = End(namespace=namespace("training"), labels=(("app", "stranger"),))
    target = End(namespace=namespace("prod"), labels=(("app", "stranger"),))
    assert permits(open_policies, stranger, target, 80)
    assert not permits(everything, stranger, target, 80)


@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_only_the_secrets_job_and_the_instances_reach_the_api_server(everything, environment_name):
    reaching = {
        name for name in WORKLOADS if permits(everything, pod(namespace(environment_name), name), API_SERVER, 6443)
    }
    assert reaching == {naming.ODOO_SECRETS_JOB, naming.POSTGRESQL}


@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
@pytest.mark.parametrize("outside", [INTERNET, METADATA], ids=["the internet", "a cloud's metadata"])
@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_no_pod_reaches_the_outside(everything, environment_name, outside, protocol):
    here = namespace(environment_name)
    assert not any(
        permits(everything, pod(here, name), outside, port, protocol) for name in WORKLOADS for port in PORTS
    )


def test_the_check_of_the_outside_fails_where_a_rule_names_everywhere(everything):
    everywhere = {
        "podSelector": {},
        "policyTypes": ["Egress"],
        "egress": [{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}], "ports": [{"port": 80, "protocol": "TCP"}]}],
    }
    careless = [*everything, Policy(namespace=namespace("dev"), spec=everywhere)]
    sender = pod(namespace("dev"), naming.ODOO_WEB)
    assert all(permits(careless, sender, outside, 80) for outside in (INTERNET, METADATA, API_SERVER))
    assert not permits(careless, sender, METADATA, 443)


@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_the_api_servers_address_is_open_for_nothing_but_the_api_server(everything, environment_name):
    """On the embedded node the API server's address is the node's: a rule without a port would open the kubelet."""
    here = namespace(environment_name)
    assert not any(permits(everything, pod(here, name), API_SERVER, port) for name in WORKLOADS for port in NODE_PORTS)
    assert not any(permits(everything, OPERATOR, API_SERVER, port) for port in NODE_PORTS)


@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_no_pod_of_an_environment_reaches_the_operator(everything, environment_name):
    here = namespace(environment_name)
    assert not any(permits(everything, pod(here, name), OPERATOR, port) for name in WORKLOADS for port in PORTS)


@pytest.mark.parametrize("environment_name", ENVIRONMENTS)
def test_every_pod_resolves_names_and_the_operator_manages_instances(everything, environment_name):
    here = namespace(environment_name)
    dns = End(namespace="kube-system", labels=(("k8s-app", "kube-dns"),))
    assert all(permits(everything, pod(here, name), dns, 53, "UDP") for name in WORKLOADS)
    assert permits(everything, OPERATOR, pod(here, naming.POSTGRESQL), 8000)
    assert not permits(everything, OPERATOR, pod(here, naming.ODOO_WEB), 8069)


def test_the_edge_is_reached_from_its_own_clients_networks_only(everything):
    edge = pod(namespace("dev"), naming.EDGE)
    assert permits(everything, End(ip="10.20.10.7"), edge, 8443)
    assert not permits(everything, End(ip="10.20.128.7"), edge, 8443), "prod's clients are not dev's"
    assert not permits(everything, End(ip="10.20.10.7"), edge, 8080)
    assert not permits(everything, End(ip="10.20.10.7"), pod(namespace("dev"), naming.ODOO_WEB), 8069)


def test_the_api_server_reaches_the_operators_webhook_and_nothing_else_does(everything):
    assert permits(everything, API_SERVER, OPERATOR, 9443)
    assert not permits(everything, pod(namespace("dev"), naming.ODOO_WEB), OPERATOR, 9443)
    assert permits(everything, OPERATOR, API_SERVER, 6443)


def test_a_partner_of_prod_is_reached_on_its_port_by_odoo_alone():
    partner = {"name": "laboratory", "cidr": "192.0.2.16/28", "ports": (443,)}
    stack = declared.with_network(declared.settings("prod"), partners=[partner])
    policies = policies_of(declared.declare(stack))
    laboratory, here = End(ip="192.0.2.20"), namespace("prod")
    assert permits(policies, pod(here, naming.ODOO_WEB), laboratory, 443)
    assert permits(policies, pod(here, naming.ODOO_CRON), laboratory, 443)
    assert not permits(policies, pod(here, naming.ODOO_WEB), laboratory, 80)
    assert not permits(policies, pod(here, naming.EDGE), laboratory, 443)
    assert not permits(policies, pod(here, naming.ODOO_WEB), End(ip="192.0.2.40"), 443)


def test_the_namespace_admits_only_restricted_pods(environment):
    labels = environment.of("Namespace")[0].metadata["labels"]
    assert {labels[f"pod-security.kubernetes.io/{mode}"] for mode in ("enforce", "audit", "warn")} == {"restricted"}


def test_the_namespace_says_which_data_it_holds():
    found = {
        name: declared.environment(name).of("Namespace")[0].metadata["labels"][naming.CLASSIFICATION_LABEL]
        for name in ENVIRONMENTS
    }
    assert found == {"dev": "demo", "test": "demo", "training": "anonymised", "prod": "phi"}


def test_the_default_deny_selects_every_pod_in_both_directions(environment):
    closed = {
        policy.metadata["namespace"]: policy.spec
        for policy in environment.of("NetworkPolicy")
        if policy.metadata["name"] == "default-deny"
    }
    assert set(closed) == {each.metadata["name"] for each in environment.of("Namespace")}
    assert all(spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} for spec in closed.values())


def test_no_service_opens_a_port_of_the_nodes(environment):
    assert {service.spec["type"] for service in environment.of("Service")} == {"ClusterIP"}
    assert environment.of("ResourceQuota")[0].spec["hard"]["services.nodeports"] == "0"


def test_identities_carry_no_token_and_only_the_secrets_job_takes_one(environment):
    accounts = environment.of("ServiceAccount")
    assert accounts
    assert all(account.inputs["automountServiceAccountToken"] is False for account in accounts)
    with_token = {
        name for name, template in environment.pods().items() if template["spec"]["automountServiceAccountToken"]
    }
    assert with_token == {naming.ODOO_SECRETS_JOB}


def test_workloads_wait_for_every_rule_of_the_boundary(environment):
    starting = ("Deployment", "Job", "CronJob", "Cluster")
    started = [resource for resource in environment.resources if resource.kind in starting]
    assert started
    for resource in started:
        rules = {
            each.urn
            for each in environment.resources
            if each.kind in ("NetworkPolicy", "ResourceQuota")
            and each.metadata["namespace"] == resource.metadata["namespace"]
        }
        assert rules
        assert rules <= set(resource.dependencies), f"{resource.name} could start before it is fenced"
