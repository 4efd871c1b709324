"""The same rules judge plain Kubernetes objects."""

from __future__ import annotations

import pytest

from policies.live import judge
from policies.values import MalformedValue
from policies.verdicts import Fail, NotApplicable, Undetermined
from policies.waivers import Register, Waiver


def failing(judgements):
    return {(found.rule.id, found.resource.label) for found in judgements if isinstance(found.verdict, Fail)}


@pytest.fixture
def environment(body):
    kinds = (
        "core/Namespace",
        "networking.k8s.io/NetworkPolicy",
        "postgresql.cnpg.io/Cluster",
        "core/Pod",
        "apps/Deployment",
    )
    return [body(kind) for kind in kinds]


def test_a_complying_environment_has_no_finding(environment, today):
    judgements = judge(environment, register=Register(), today=today)
    assert failing(judgements) == set()
    assert not [found for found in judgements if isinstance(found.verdict, Undetermined)]


def test_a_violation_made_by_hand_in_the_cluster_is_found(environment, today):
    environment[3]["spec"]["ephemeralContainers"] = [{"name": "debug", "image": "busybox"}]
    assert ("pods-run-as-non-root", "core/Pod riverside-dev/odoo-web") in failing(
        judge(environment, register=Register(), today=today)
    )


def test_a_denial_deleted_in_the_cluster_is_found(environment, today):
    del environment[1]
    assert ("namespaces-deny-by-default", "core/Namespace riverside-dev") in failing(
        judge(environment, register=Register(), today=today)
    )


def test_a_list_as_kubectl_prints_it_is_taken_apart(environment, today):
    environment[3]["spec"]["hostPID"] = True
    listed = [{"apiVersion": "v1", "kind": "List", "items": environment}]
    assert failing(judge(listed, register=Register(), today=today)) == {
        ("pods-stay-off-the-host", "core/Pod riverside-dev/odoo-web")
    }


def test_a_secret_in_the_cluster_is_where_a_credential_belongs(today):
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "edge-tls"}, "data": {"tls.key": "a2V5"}}
    assert failing(judge([secret], register=Register(), today=today)) == set()


def test_a_live_object_has_no_provider_to_judge(environment, today):
    found = [
        each
        for each in judge(environment, register=Register(), today=today)
        if each.rule.id == "providers-are-explicit"
    ]
    assert found
    assert all(isinstance(each.verdict, NotApplicable) for each in found)


def test_a_waiver_covers_the_live_object_of_the_declared_resource(environment, today):
    environment[4]["spec"]["template"]["spec"]["hostIPC"] = True
    name = "kubernetes:apps/v1:Deployment::riverside-dev/odoo-web"
    waiver = Waiver(rule="pods-stay-off-the-host", resource=name, reason="r" * 20, approver="a", expires=today)
    [found] = [each for each in judge(environment, register=Register(waivers=(waiver,)), today=today) if each.waiver]
    assert found.waiver == waiver
    assert isinstance(found.verdict, Fail)


def test_what_is_no_kubernetes_object_is_refused(today):
    with pytest.raises(MalformedValue):
        judge([{"metadata": {}}], register=Register(), today=today)
