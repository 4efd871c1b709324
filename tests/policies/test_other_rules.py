"""Rules about PostgreSQL clusters, namespaces, providers, classification and credentials."""

from __future__ import annotations

import base64
import copy

import pytest

from policies.resources import from_pulumi
from policies.values import UNKNOWN, Sealed
from policies.verdicts import Fail, NotApplicable, Pass, Undetermined

CLUSTER = "postgresql.cnpg.io/Cluster"
CLOSED = "hostnossl all all all reject"
SECRET = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "edge-tls"}, "type": "Opaque"}
KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"


def messages(verdict):
    assert isinstance(verdict, Fail)
    return " | ".join(f"{finding.path}: {finding.message}" for finding in verdict.findings)


# --- PostgreSQL clusters ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rule",
    ["pods-have-resource-limits", "images-are-pinned-by-digest", "postgresql-requires-tls", "data-is-classified"],
)
def test_a_complying_cluster_passes_and_an_unknown_one_does_not(rule, body, judged):
    assert judged(rule, body(CLUSTER)) == Pass()
    assert isinstance(judged(rule, {**body(CLUSTER), "spec": UNKNOWN}), Undetermined)
    assert isinstance(judged(rule, {**body(CLUSTER), "spec": {}}), Fail), "unset is a violation"


@pytest.mark.parametrize(
    "lines",
    [
        [CLOSED],
        ["hostssl all all all scram-sha-256", CLOSED],
        ["hostnossl all all 0.0.0.0/0 reject", "hostnossl all all ::/0 reject"],
        [CLOSED, "host all all all scram-sha-256"],
    ],
)
def test_postgresql_that_refuses_plain_text_first_passes(lines, body, judged):
    cluster = body(CLUSTER)
    cluster["spec"]["postgresql"]["pg_hba"] = lines
    assert judged("postgresql-requires-tls", cluster) == Pass()


@pytest.mark.parametrize(
    "lines",
    [
        None,
        [],
        ["hostssl all all all scram-sha-256"],
        ["host all all all scram-sha-256", CLOSED],
        ["hostnossl all odoo 10.0.0.0/8 md5", CLOSED],
        ["hostnossl odoo all all reject"],
        ["hostnossl all all 0.0.0.0/0 reject"],
        ["hostnossl all all all md5"],
    ],
)
def test_postgresql_that_lets_plain_text_in_fails(lines, body, judged):
    cluster = body(CLUSTER)
    cluster["spec"]["postgresql"]["pg_hba"] = lines
    assert isinstance(judged("postgresql-requires-tls", cluster), Fail)


def test_a_line_of_pg_hba_that_is_not_known_yet_leaves_it_open(body, judged):
    cluster = body(CLUSTER)
    cluster["spec"]["postgresql"]["pg_hba"] = [UNKNOWN, CLOSED]
    assert isinstance(judged("postgresql-requires-tls", cluster), Undetermined)


def test_a_replica_that_does_not_verify_its_source_fails(body, judged):
    cluster = body(CLUSTER)
    cluster["spec"]["externalClusters"] = [
        {"name": "old", "connectionParameters": {"host": "db", "sslmode": "require"}}
    ]
    assert "another cluster" in messages(judged("postgresql-requires-tls", cluster))


def test_an_image_chosen_by_a_catalogue_is_not_pinned(body, judged):
    cluster = body(CLUSTER)
    cluster["spec"]["imageCatalogRef"] = {"kind": "ImageCatalog", "name": "postgresql", "major": 17}
    assert "catalogue" in messages(judged("images-are-pinned-by-digest", cluster))


def test_the_pods_an_operator_makes_must_inherit_the_class(body, judged):
    cluster = body(CLUSTER)
    cluster["spec"].pop("inheritedMetadata")
    assert "spec.inheritedMetadata" in messages(judged("data-is-classified", cluster))


# --- classification --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"), [("phi", Pass), ("secret", Fail), (None, Fail), (UNKNOWN, Undetermined)]
)
@pytest.mark.parametrize("kind", ["core/Namespace", "core/Pod", "apps/Deployment"])
def test_only_a_known_data_class_is_accepted(kind, value, expected, body, judged):
    found = body(kind)
    found["metadata"]["labels"] = {"careops.io/data-classification": value}
    assert isinstance(judged("data-is-classified", found), expected)


def test_a_workload_whose_pod_is_not_labelled_fails(body, pod_of, judged):
    workload = body("apps/Deployment")
    pod_of(workload)["metadata"] = {}
    assert "spec.template.metadata" in messages(judged("data-is-classified", workload))


# --- default-deny ----------------------------------------------------------------------------------------------------

DENY = "namespaces-deny-by-default"


def policy(**spec):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "policy", "namespace": "riverside-dev"},
        "spec": {"podSelector": {}, **spec},
    }


@pytest.mark.parametrize(
    "policies",
    [
        [policy(policyTypes=["Ingress", "Egress"])],
        [policy(policyTypes=["Ingress", "Egress"], podSelector=None)],  # the API's default is the empty selector
        [policy(policyTypes=["Ingress"]), policy(policyTypes=["Egress"])],
        [policy(), policy(policyTypes=["Egress"], egress=[])],
    ],
)
def test_a_namespace_closed_in_both_directions_passes(policies, body, judged):
    assert judged(DENY, body("core/Namespace"), body("apps/Deployment"), *policies) == Pass()


@pytest.mark.parametrize(
    ("policies", "word"),
    [
        ([], "ingress and egress"),
        ([policy(policyTypes=["Ingress"])], "egress"),
        ([policy()], "egress"),
        ([policy(policyTypes=["Ingress", "Egress"], ingress=[{}])], "allows all ingress"),
        ([policy(policyTypes=["Ingress", "Egress"]), policy(policyTypes=["Egress"], egress=[{}])], "allows all egress"),
        ([policy(policyTypes=["Ingress", "Egress"], podSelector={"matchLabels": {"app": "odoo"}})], "is open"),
        (
            [
                policy(
                    policyTypes=["Ingress", "Egress"],
                    podSelector={"matchExpressions": [{"key": "a", "operator": "Exists"}]},
                )
            ],
            "is open",
        ),
    ],
)
def test_a_namespace_open_in_a_direction_fails(policies, word, body, judged):
    assert word in messages(judged(DENY, body("core/Namespace"), body("apps/Deployment"), *policies))


def test_a_policy_of_another_namespace_closes_nothing(body, judged):
    elsewhere = policy(policyTypes=["Ingress", "Egress"])
    elsewhere["metadata"]["namespace"] = "riverside-test"
    assert isinstance(judged(DENY, body("core/Namespace"), body(CLUSTER), elsewhere), Fail)


@pytest.mark.parametrize(
    "unsure",
    [
        policy(policyTypes=UNKNOWN),
        policy(podSelector=UNKNOWN),
        {**policy(policyTypes=["Ingress", "Egress"]), "metadata": {"name": "policy", "namespace": UNKNOWN}},
        {**policy(), "spec": UNKNOWN},
        policy(podSelector={"matchLabels": UNKNOWN}),
        policy(podSelector={"matchExpressions": UNKNOWN}),
        policy(policyTypes=["Ingress", UNKNOWN]),
        policy(policyTypes=["Ingress", "Egress"], ingress=UNKNOWN),
        policy(policyTypes=["Ingress", "Egress"], egress=[UNKNOWN]),
    ],
)
def test_a_policy_that_is_not_known_yet_leaves_the_namespace_undetermined(unsure, body, judged):
    assert isinstance(judged(DENY, body("core/Namespace"), body("apps/Deployment"), unsure), Undetermined)
    closed = policy(policyTypes=["Ingress", "Egress"])
    verdict = judged(DENY, body("core/Namespace"), body("apps/Deployment"), closed, unsure)
    assert isinstance(verdict, Undetermined), "what is not known yet may open all of it again"


def test_a_namespace_without_workloads_has_nothing_to_close(body, judged):
    assert isinstance(judged(DENY, body("core/Namespace")), NotApplicable)


def test_a_namespace_whose_name_is_not_known_yet_is_undetermined(body, judged):
    namespace = body("core/Namespace")
    namespace["metadata"]["name"] = UNKNOWN
    assert isinstance(judged(DENY, namespace, body("apps/Deployment")), Undetermined)


def test_a_workload_cannot_dodge_the_denial_by_using_an_undeclared_namespace(body, judged):
    workload = body("apps/Deployment")
    workload["metadata"].pop("namespace")
    assert "namespace default is open" in messages(judged(DENY, workload, body("core/Namespace")))


def test_a_workload_in_a_declared_namespace_is_judged_there_once(body, judged):
    assert isinstance(judged(DENY, body("apps/Deployment"), body("core/Namespace")), NotApplicable)


def test_a_workload_whose_namespace_is_not_known_yet_is_undetermined(body, judged):
    workload = body("apps/Deployment")
    workload["metadata"]["namespace"] = UNKNOWN
    assert isinstance(judged(DENY, workload), Undetermined)


# --- providers -------------------------------------------------------------------------------------------------------

PROVIDERS = "providers-are-explicit"


@pytest.mark.parametrize(
    ("provider", "expected"), [("riverside", Pass), ("default", Fail), ("default_4_34_2", Fail), (None, Fail)]
)
def test_only_a_named_provider_is_explicit(provider, expected, body, judged):
    assert isinstance(judged(PROVIDERS, body("core/Namespace"), provider=provider), expected)


@pytest.mark.parametrize("token", ["careops:boundary:Environment", "pulumi:pulumi:Stack", "random:index/id:RandomId"])
def test_what_acts_on_no_system_needs_no_provider(token, body, judged):
    assert isinstance(judged(PROVIDERS, body("core/Namespace"), provider=None, token=token), NotApplicable)


def test_a_package_nobody_listed_needs_an_explicit_provider(body, judged):
    assert isinstance(judged(PROVIDERS, body("core/Namespace"), provider=None, token="aws:s3/bucket:Bucket"), Fail)


# --- credentials -----------------------------------------------------------------------------------------------------

PLAIN = "secrets-are-never-plaintext"


def config_map(**data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": data}


@pytest.mark.parametrize(
    "found",
    [
        config_map(admin_password="hunter2"),
        config_map(**{"odoo.conf": "[options]\nadmin_passwd = hunter2\n"}),
        config_map(**{"odoo.json": '{"smtp": {"user": "odoo", "password": "hunter2"}}'}),
        config_map(**{"app.yaml": "apiKey: 0123456789abcdef\n"}),
        config_map(tls=KEY),
        config_map(url="https://odoo:hunter2@example.org/"),
        config_map(log="key AKIAIOSFODNN7EXAMPLE"),
        {**config_map(), "binaryData": {"tls": base64.b64encode(KEY.encode()).decode()}},
        {**config_map(), "metadata": {"name": "settings", "annotations": {"note": KEY}}},
        {"apiVersion": "example.org/v1", "kind": "Broker", "metadata": {}, "spec": {"url": "amqp://u:hunter2@queue"}},
    ],
)
def test_a_credential_in_clear_fails_and_is_not_repeated(found, judged):
    assert "hunter2" not in messages(judged(PLAIN, found))


@pytest.mark.parametrize(
    "found",
    [
        config_map(**{"odoo.conf": "[options]\nadmin_passwd = ${MASTER}\ndb_password = False\nlist_db = False\n"}),
        config_map(**{"odoo.json": '{"base_url": "https://odoo.example.org", "secret_name": "odoo-secrets"}'}),
        config_map(**{"nginx.conf": "ssl_certificate_key /run/careops/edge-tls/tls.key;"}),
        config_map(password_file="/run/careops/secrets/admin_password"),
        config_map(template="password: {{ admin_password }}"),
        config_map(ca="-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----\n"),
    ],
)
def test_references_and_public_values_pass(found, judged):
    assert judged(PLAIN, found) == Pass()


@pytest.mark.parametrize("found", [config_map(a=UNKNOWN), {**config_map(), "data": UNKNOWN}])
def test_a_text_that_is_not_known_yet_is_never_a_pass(found, judged):
    assert isinstance(judged(PLAIN, found), Undetermined)


def test_a_namespace_that_is_not_known_yet_cannot_be_a_credential(judged):
    assert judged(PLAIN, {**config_map(), "metadata": {"name": UNKNOWN, "namespace": UNKNOWN}}) == Pass()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"data": {"tls.key": "a2V5"}}, Fail),
        ({"stringData": {"password": "hunter2"}}, Fail),
        ({"stringData": {"password": Sealed("hunter2"), "login": "admin"}}, Fail),
        ({"stringData": {"password": UNKNOWN}}, Undetermined),
        ({"stringData": UNKNOWN}, Undetermined),
        ({"stringData": {"password": Sealed("hunter2")}}, Pass),
        ({"stringData": {"password": Sealed(UNKNOWN)}}, Pass),
        ({"stringData": Sealed({"password": "hunter2"})}, Pass),
        ({"data": Sealed(UNKNOWN)}, Pass),
        ({}, Pass),
    ],
)
def test_a_secrets_content_must_be_marked_as_secret(content, expected, judged):
    assert isinstance(judged(PLAIN, {**SECRET, **copy.deepcopy(content)}), expected)


def test_a_literal_variable_stays_in_clear_even_when_pulumi_knows_it_is_secret(body, pod_of, judged):
    workload = body("apps/Deployment")
    pod_of(workload)["spec"]["containers"][0]["env"].append({"name": "API_KEY", "value": Sealed("abcdef")})
    assert "API_KEY" in messages(judged(PLAIN, workload))


def test_a_list_does_not_hide_what_it_holds(body):
    pods = [body("core/Pod"), body("core/Pod")]
    found = from_pulumi(
        type_="kubernetes:core/v1:PodList",
        name="pods",
        urn="urn:pulumi:dev::careops::kubernetes:core/v1:PodList::pods",
        properties={"apiVersion": "v1", "kind": "PodList", "items": pods},
        provider=None,
    )
    assert [resource.kind for resource in found] == ["core/PodList", "core/Pod", "core/Pod"]
    assert found[1].properties.value == pods[0]


def test_an_object_is_what_it_says_it_is_not_what_its_token_says(body, judged):
    verdict = judged(
        "pods-run-as-non-root", {**body("core/Pod"), "spec": {"containers": [{}]}}, token="kubernetes:core/v1:ConfigMap"
    )
    assert isinstance(verdict, Fail)
