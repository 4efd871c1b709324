"""Rules about pods: what complies, what violates, what stays undetermined, in each kind and each list of containers."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies.pods import POD_KINDS
from policies.rules import RULES
from policies.values import UNKNOWN
from policies.verdicts import Fail, NotApplicable, Pass, Undetermined

POD_RULES = [
    "pods-run-as-non-root",
    "pods-have-read-only-root",
    "pods-stay-off-the-host",
    "pods-have-resource-limits",
    "images-are-pinned-by-digest",
    "postgresql-requires-tls",
    "data-is-classified",
    "secrets-are-never-plaintext",
]

# rule, property of the container (a dotted path), value that violates; None removes it
CONTAINER_VIOLATIONS = [
    ("pods-run-as-non-root", "securityContext", None),
    ("pods-run-as-non-root", "securityContext.runAsUser", 0),
    ("pods-run-as-non-root", "securityContext.runAsNonRoot", False),
    ("pods-run-as-non-root", "securityContext.allowPrivilegeEscalation", None),
    ("pods-run-as-non-root", "securityContext.allowPrivilegeEscalation", True),
    ("pods-run-as-non-root", "securityContext.privileged", True),
    ("pods-run-as-non-root", "securityContext.capabilities", None),
    ("pods-run-as-non-root", "securityContext.capabilities.drop", ["NET_RAW"]),
    ("pods-run-as-non-root", "securityContext.capabilities.add", ["SYS_ADMIN"]),
    ("pods-have-read-only-root", "securityContext", None),
    ("pods-have-read-only-root", "securityContext.readOnlyRootFilesystem", None),
    ("pods-have-read-only-root", "securityContext.readOnlyRootFilesystem", False),
    ("pods-have-read-only-root", "securityContext.readOnlyRootFilesystem", "true"),
    ("pods-stay-off-the-host", "ports", [{"containerPort": 80, "hostPort": 80}]),
    ("pods-stay-off-the-host", "securityContext.windowsOptions", {"hostProcess": True}),
    ("pods-have-resource-limits", "resources", None),
    ("pods-have-resource-limits", "resources.limits.memory", None),
    ("pods-have-resource-limits", "resources.limits.memory", "0Mi"),
    ("pods-have-resource-limits", "resources.limits.cpu", 0),
    ("pods-have-resource-limits", "resources.limits.cpu", ""),
    ("images-are-pinned-by-digest", "image", None),
    ("images-are-pinned-by-digest", "image", "odoo:19.0"),
    ("images-are-pinned-by-digest", "image", "odoo@sha256:abc"),
    ("images-are-pinned-by-digest", "image", "odoo@sha1:" + "a" * 64),
    ("images-are-pinned-by-digest", "env", [{"name": "OPERATOR_IMAGE_NAME", "value": "operator:1.29"}]),
    ("postgresql-requires-tls", "env", [{"name": "PGHOST", "value": "db"}]),
    (
        "postgresql-requires-tls",
        "env",
        [{"name": "PGPASSWORD", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}],
    ),
    ("postgresql-requires-tls", "env", [{"name": "PGSSLMODE", "value": "require"}]),
    ("postgresql-requires-tls", "env", [{"name": "PGSSLMODE", "value": "verify-full"}]),  # no PGSSLROOTCERT
    ("postgresql-requires-tls", "env", [{"name": "DATABASE", "value": "postgresql://odoo@db/odoo"}]),
    (
        "postgresql-requires-tls",
        "env",
        [{"name": "PGHOST", "value": "/run"}, {"name": "PGHOSTADDR", "value": "10.0.0.1"}],
    ),
    ("postgresql-requires-tls", "args", ["--dsn", "host=db sslmode=prefer"]),
    ("postgresql-requires-tls", "command", ["psql", "postgres://odoo@db/odoo?sslmode=require"]),
    ("secrets-are-never-plaintext", "env", [{"name": "ADMIN_PASSWORD", "value": "hunter2"}]),
    ("secrets-are-never-plaintext", "env", [{"name": "ADMIN_PASSWORD", "value": UNKNOWN}]),
    ("secrets-are-never-plaintext", "env", [{"name": "smtpPassword", "value": "hunter2"}]),
    ("secrets-are-never-plaintext", "env", [{"name": "AMQP", "value": "amqp://user:hunter2@queue/"}]),
    ("secrets-are-never-plaintext", "args", ["-----BEGIN EC PRIVATE KEY-----"]),
]

# rule, property of the container, value that is fine
CONTAINER_COMPLIANCE = [
    ("pods-run-as-non-root", "securityContext.runAsUser", 10020.0),
    ("pods-run-as-non-root", "securityContext.capabilities.add", ["NET_BIND_SERVICE"]),
    ("pods-stay-off-the-host", "ports", None),
    ("pods-have-resource-limits", "resources.limits.cpu", "100m"),
    ("pods-have-resource-limits", "resources.limits.cpu", 0.5),
    ("images-are-pinned-by-digest", "image", "odoo@sha256:" + "0" * 64),
    ("postgresql-requires-tls", "env", None),
    ("postgresql-requires-tls", "env", [{"name": "PGHOST", "value": "/controller/run"}]),  # as in CloudNativePG's pods
    ("postgresql-requires-tls", "args", ["postgresql://odoo@db/odoo?connect_timeout=3&sslmode=verify-full"]),
    ("secrets-are-never-plaintext", "env", [{"name": "ADMIN_PASSWORD_FILE", "value": "/run/secrets/admin"}]),
    ("secrets-are-never-plaintext", "env", [{"name": "SECRET_NAME", "value": "odoo-secrets"}]),
    ("secrets-are-never-plaintext", "env", [{"name": "ADMIN_PASSWORD", "value": "$(FROM_ELSEWHERE)"}]),
    ("secrets-are-never-plaintext", "env", [{"name": "ADMIN_PASSWORD", "value": ""}]),
    ("secrets-are-never-plaintext", "args", ["https://user@example.org/path"]),
]

# rule, property of the container that is not known yet
CONTAINER_UNKNOWNS = [
    ("pods-run-as-non-root", "securityContext"),
    ("pods-run-as-non-root", "securityContext.allowPrivilegeEscalation"),
    ("pods-run-as-non-root", "securityContext.runAsUser"),
    ("pods-run-as-non-root", "securityContext.capabilities.drop"),
    ("pods-have-read-only-root", "securityContext.readOnlyRootFilesystem"),
    ("pods-stay-off-the-host", "ports"),
    ("pods-have-resource-limits", "resources.limits.memory"),
    ("images-are-pinned-by-digest", "image"),
    ("images-are-pinned-by-digest", "env"),
    ("postgresql-requires-tls", "env"),
    ("postgresql-requires-tls", "args"),
    ("secrets-are-never-plaintext", "env"),
    ("secrets-are-never-plaintext", "args"),
]

# rule, property of the pod's specification, value that violates
POD_VIOLATIONS = [
    ("pods-run-as-non-root", "securityContext", None),
    ("pods-run-as-non-root", "securityContext.runAsUser", 0),
    ("pods-stay-off-the-host", "hostNetwork", True),
    ("pods-stay-off-the-host", "hostPID", True),
    ("pods-stay-off-the-host", "hostIPC", True),
    ("pods-stay-off-the-host", "securityContext.windowsOptions", {"hostProcess": True}),
    ("pods-stay-off-the-host", "volumes", [{"name": "root", "hostPath": {"path": "/"}}]),
    ("images-are-pinned-by-digest", "volumes", [{"name": "baseline", "image": {"reference": "baseline:19.0"}}]),
    ("images-are-pinned-by-digest", "volumes", [{"name": "baseline", "image": {}}]),
]

POD_UNKNOWNS = [
    ("pods-run-as-non-root", "securityContext"),
    ("pods-stay-off-the-host", "hostNetwork"),
    ("pods-stay-off-the-host", "volumes"),
    ("images-are-pinned-by-digest", "volumes"),
    ("secrets-are-never-plaintext", "volumes"),
    *((rule, "containers") for rule in POD_RULES if rule != "data-is-classified"),
    *((rule, "initContainers") for rule in POD_RULES if rule != "data-is-classified"),
]


def test_every_kind_of_pod_in_these_tests_is_every_kind_the_rules_know():
    for rule in POD_RULES:
        kinds = RULES[rule].kinds
        assert kinds is None or kinds >= POD_KINDS


@pytest.mark.parametrize("kind", sorted(POD_KINDS))
@pytest.mark.parametrize("rule", POD_RULES)
def test_a_complying_workload_passes(rule, kind, body, judged):
    assert judged(rule, body(kind)) == Pass()


@pytest.mark.parametrize(("rule", "path", "value"), CONTAINER_VIOLATIONS)
def test_a_violating_container_fails_wherever_it_stands(rule, path, value, spoilt, judged):
    for role in ("initContainers", "containers"):
        verdict = judged(rule, spoilt("apps/Deployment", path, value, role))
        assert isinstance(verdict, Fail)
        assert all(role in finding.path for finding in verdict.findings), "a finding points at the container"


@pytest.mark.parametrize(("rule", "path", "value"), CONTAINER_COMPLIANCE)
def test_what_only_looks_like_a_violation_passes(rule, path, value, spoilt, judged):
    assert judged(rule, spoilt("apps/Deployment", path, value, "containers")) == Pass()


@pytest.mark.parametrize(("rule", "path"), CONTAINER_UNKNOWNS)
def test_an_unknown_property_of_a_container_is_never_a_pass(rule, path, spoilt, judged):
    assert isinstance(judged(rule, spoilt("apps/Deployment", path, UNKNOWN, "containers")), Undetermined)


@pytest.mark.parametrize(("rule", "path", "value"), POD_VIOLATIONS)
def test_a_violating_pod_fails(rule, path, value, spoilt, judged):
    assert isinstance(judged(rule, spoilt("batch/CronJob", path, value)), Fail)


@pytest.mark.parametrize(("rule", "path"), POD_UNKNOWNS)
def test_an_unknown_property_of_a_pod_is_never_a_pass(rule, path, spoilt, judged):
    assert isinstance(judged(rule, spoilt("batch/Job", path, UNKNOWN)), Undetermined)


@pytest.mark.parametrize("kind", sorted(POD_KINDS - {"core/Pod", "core/PodTemplate"}))
@pytest.mark.parametrize("rule", POD_RULES)
def test_a_wholly_unknown_specification_is_never_a_pass(rule, kind, body, judged):
    assert isinstance(judged(rule, {**body(kind), "spec": UNKNOWN}), Undetermined)


@pytest.mark.parametrize("rule", [rule for rule in POD_RULES if rule != "data-is-classified"])
@pytest.mark.parametrize("containers", [None, [], "web", [7]])
def test_a_pod_without_readable_containers_fails(rule, containers, spoilt, judged):
    assert isinstance(judged(rule, spoilt("apps/StatefulSet", "containers", containers)), Fail)


@pytest.mark.parametrize(
    "rule",
    ["pods-run-as-non-root", "pods-have-read-only-root", "images-are-pinned-by-digest", "postgresql-requires-tls"],
)
def test_an_ephemeral_container_is_judged_like_any_other(rule, body, pod_of, judged):
    pod = body("core/Pod")
    debugger = {"name": "debug", "image": "busybox", "env": [{"name": "PGUSER", "value": "odoo"}]}
    pod_of(pod)["spec"]["ephemeralContainers"] = [debugger]
    verdict = judged(rule, pod)
    assert isinstance(verdict, Fail)
    assert "ephemeral container debug" in verdict.findings[0].message


def test_an_ephemeral_container_needs_no_limits_because_kubernetes_refuses_them(body, pod_of, judged):
    pod = body("core/Pod")
    pod_of(pod)["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
    assert judged("pods-have-resource-limits", pod) == Pass()


def test_limits_of_the_pod_count_for_its_containers(body, pod_of, judged):
    workload = body("apps/Deployment")
    spec = pod_of(workload)["spec"]
    for container in (*spec["initContainers"], *spec["containers"]):
        container.pop("resources")
    spec["resources"] = {"limits": {"cpu": "2", "memory": "2Gi"}}
    assert judged("pods-have-resource-limits", workload) == Pass()


def test_a_container_overrides_its_pod_as_kubernetes_does(body, pod_of, judged):
    workload = body("apps/Deployment")
    spec = pod_of(workload)["spec"]
    spec["securityContext"] = {"runAsNonRoot": False, "runAsUser": 0}
    for container in (*spec["initContainers"], *spec["containers"]):
        container["securityContext"] |= {"runAsNonRoot": True, "runAsUser": 26}
    assert judged("pods-run-as-non-root", workload) == Pass()


def test_the_last_of_two_variables_of_one_name_counts_as_in_kubernetes(body, pod_of, judged):
    workload = body("apps/Deployment")
    pod_of(workload)["spec"]["containers"][0]["env"].append({"name": "PGSSLMODE", "value": "disable"})
    assert isinstance(judged("postgresql-requires-tls", workload), Fail)


def test_variables_taken_whole_from_another_object_cannot_be_judged(body, pod_of, judged):
    workload = body("apps/Deployment")
    container = pod_of(workload)["spec"]["containers"][0]
    container["env"] = []
    container["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    assert isinstance(judged("postgresql-requires-tls", workload), Undetermined)


def test_a_mode_kept_in_another_object_cannot_be_judged(body, pod_of, judged):
    workload = body("apps/Deployment")
    reference = {"name": "PGSSLMODE", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "mode"}}}
    pod_of(workload)["spec"]["containers"][0]["env"].append(reference)
    assert isinstance(judged("postgresql-requires-tls", workload), Undetermined)


def test_one_certain_violation_fails_beside_an_unknown_and_both_are_told(body, pod_of, judged):
    workload = body("apps/Deployment")
    spec = pod_of(workload)["spec"]
    spec["containers"][0]["image"] = UNKNOWN
    spec["initContainers"][0]["image"] = "busybox"
    verdict = judged("images-are-pinned-by-digest", workload)
    assert isinstance(verdict, Fail)
    assert [doubt.path for doubt in verdict.doubts] == ["spec.template.spec.containers[0].image"]


@pytest.mark.parametrize("rule", [rule for rule in POD_RULES if RULES[rule].kinds is not None])
def test_pod_rules_say_nothing_about_a_service(rule, judged):
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "edge"}}
    assert isinstance(judged(rule, service), NotApplicable)


@pytest.mark.parametrize("rule", [rule for rule in POD_RULES if RULES[rule].kinds is not None])
def test_a_patch_is_undetermined_because_it_shows_a_part_of_the_object(rule, body, judged):
    token = "kubernetes:apps/v1:DeploymentPatch"
    assert isinstance(judged(rule, body("apps/Deployment"), token=token), Undetermined)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
WITHOUT_SECURITY = st.dictionaries(
    st.sampled_from(["name", "image", "env", "ports", "resources", "args", "command", "envFrom"]), JSON, max_size=5
)


SPEC_WITHOUT_SECURITY = st.fixed_dictionaries(
    {"containers": st.lists(WITHOUT_SECURITY, min_size=1, max_size=3)},
    optional={"initContainers": st.lists(WITHOUT_SECURITY, max_size=2), "volumes": JSON, "hostNetwork": JSON},
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(kind=st.sampled_from(sorted(POD_KINDS)), spec=SPEC_WITHOUT_SECURITY)
def test_no_pod_without_a_security_context_passes_whatever_else_it_says(kind, spec, body, pod_of, judged):
    workload = body(kind)
    pod_of(workload)["spec"] = spec
    assert isinstance(judged("pods-run-as-non-root", workload), Fail)
    assert isinstance(judged("pods-have-read-only-root", workload), Fail)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(rule=st.sampled_from(sorted(RULES)), spec=JSON, metadata=st.dictionaries(st.text(max_size=8), JSON))
def test_no_rule_breaks_on_any_shape_of_object(rule, spec, metadata, judged):
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}
    verdict = judged(rule, deployment)
    assert not (isinstance(verdict, Fail) and verdict.broken)
