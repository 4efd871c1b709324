"""Provider settings and kubeconfigs: what is used, what is refused."""

from __future__ import annotations

import json

import pytest

from toolchain.pulumi.kubernetes_plugin.cluster import connect
from toolchain.pulumi.kubernetes_plugin.configuration import ProviderConfig, active, kubeconfig_document, parse
from toolchain.pulumi.kubernetes_plugin.conflicts import conflict_text, may_take_over
from toolchain.pulumi.kubernetes_plugin.errors import ApiFailure, BadConfiguration, PluginError, Unreachable
from toolchain.pulumi.kubernetes_plugin.provider import KubernetesProvider
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, Secret


def kubeconfig(server="https://127.0.0.1:6443", context="one", namespace=None):
    chosen = {"cluster": "c", "user": "u"} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority": "ca.crt"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": context, "context": chosen}],
        "current-context": context,
    }


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(kubeconfig(namespace="apps")))
    (tmp_path / "ca.crt").write_text("")
    return path


def test_booleans_arrive_as_json_text_and_fall_back_to_the_environment():
    assert parse({"enableSecretMutable": "true"}, {}).mutable_secrets
    assert parse({}, {"PULUMI_K8S_ENABLE_SECRET_MUTABLE": "true"}).mutable_secrets
    assert not parse({"enableSecretMutable": "false"}, {"PULUMI_K8S_ENABLE_SECRET_MUTABLE": "true"}).mutable_secrets
    with pytest.raises(BadConfiguration, match="must be true or false"):
        parse({"enableSecretMutable": "maybe"}, {})


@pytest.mark.parametrize(
    "setting",
    [{"renderYamlToDirectory": "out"}, {"enableServerSideApply": "false"}, {"helmReleaseSettings": '{"a": 1}'}],
)
def test_settings_only_the_official_plugin_serves_are_refused(setting):
    with pytest.raises(BadConfiguration, match="official pulumi-resource-kubernetes"):
        parse(setting, {})


def test_a_setting_that_is_not_known_yet_is_not_judged():
    assert parse({"renderYamlToDirectory": UNKNOWN, "kubeconfig": UNKNOWN}, {}).kubeconfig == ""


def test_a_kubeconfig_may_be_a_path_or_its_contents(written):
    by_path = kubeconfig_document(ProviderConfig(kubeconfig=str(written)), {})
    assert by_path["current-context"] == "one"
    by_text = kubeconfig_document(ProviderConfig(kubeconfig=json.dumps(kubeconfig())), {})
    assert active(by_text)["settings"]["server"] == "https://127.0.0.1:6443"
    assert kubeconfig_document(ProviderConfig(), {"KUBECONFIG": str(written)})["current-context"] == "one"


def test_certificates_beside_a_kubeconfig_are_found_from_any_folder(written):
    document = kubeconfig_document(ProviderConfig(kubeconfig=str(written)), {})
    assert document["clusters"][0]["cluster"]["certificate-authority"] == str(written.parent / "ca.crt")


def test_several_kubeconfigs_are_merged_and_the_first_word_counts(written, tmp_path):
    other = tmp_path / "other"
    other.write_text(json.dumps(kubeconfig(context="two")))
    document = kubeconfig_document(ProviderConfig(kubeconfig=f"{written}:{other}"), {})
    assert document["current-context"] == "one"
    assert {entry["name"] for entry in document["contexts"]} == {"one", "two"}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"kubeconfig": "/nowhere/kubeconfig"}, "does not exist"),
        ({"kubeconfig": "a:\n  - : ["}, "is not YAML"),
        ({"kubeconfig": "a:\n  b: c"}, "lists no cluster"),
        ({"kubeconfig": json.dumps(kubeconfig()), "context": "nowhere"}, "it has: one"),
        ({"kubeconfig": json.dumps(kubeconfig()), "cluster": "nowhere"}, "it has: c"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_explained(config, words):
    with pytest.raises(BadConfiguration, match=words):
        kubeconfig_document(ProviderConfig(**config), {})


def test_no_kubeconfig_at_all_is_explained(tmp_path):
    with pytest.raises(BadConfiguration, match="Set KUBECONFIG"):
        kubeconfig_document(ProviderConfig(), {"HOME": str(tmp_path)})


def test_the_default_namespace_is_the_providers_then_the_contexts_then_default(written):
    path = str(written)
    assert connect(ProviderConfig(kubeconfig=path, namespace="mine"), {}).default_namespace == "mine"
    assert connect(ProviderConfig(kubeconfig=path), {}).default_namespace == "apps"
    written.write_text(json.dumps(kubeconfig()))
    assert connect(ProviderConfig(kubeconfig=path), {}).default_namespace == "default"


def provider():
    return KubernetesProvider(log=lambda *_, **__: None, environ={})


def test_another_cluster_means_new_objects_and_the_same_one_does_not(tmp_path):
    here, there = json.dumps(kubeconfig()), json.dumps(kubeconfig(server="https://10.0.0.1"))
    copy = tmp_path / "copy"
    copy.write_text(here)
    assert provider().config_replaces({"kubeconfig": here}, {"kubeconfig": there}) == ["kubeconfig"]
    assert provider().config_replaces({"kubeconfig": here}, {"kubeconfig": str(copy)}) == []
    assert provider().config_replaces({"kubeconfig": here}, {"kubeconfig": UNKNOWN}) == []
    named = {"kubeconfig": here, "clusterIdentifier": "a"}
    assert provider().config_replaces(named, {"kubeconfig": there, "clusterIdentifier": "a"}) == []
    assert provider().config_replaces(named, {**named, "clusterIdentifier": "b"}) == ["clusterIdentifier"]


def conflict(*managers):
    causes = [
        {
            "reason": "FieldManagerConflict",
            "field": ".spec.replicas",
            "message": f'conflict with "{name}" using apps/v1',
        }
        for name in managers
    ]
    return ApiFailure(409, {"reason": "Conflict", "message": "Apply failed", "details": {"causes": causes}})


def test_a_conflict_is_never_retried_and_names_field_manager_and_way_out():
    failure = conflict("autoscaler")
    assert failure.is_conflict
    assert not failure.is_transient
    text = conflict_text(failure, "pulumi-kubernetes-1")
    assert all(word in text for word in (".spec.replicas", "autoscaler", "pulumi.com/patchForce", "ignoreChanges"))


def test_only_fields_of_earlier_tools_are_taken_over_without_being_asked():
    assert may_take_over(conflict("kubectl-edit", "pulumi-kubernetes-1"), "pulumi-kubernetes-1")
    assert not may_take_over(conflict("kubectl", "autoscaler"), "m")
    assert not may_take_over(ApiFailure(409, {}), "m")


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (503, {}, True),
        (429, {}, True),
        (500, {"message": 'failed calling webhook "x": connection refused'}, True),
        (500, {"message": "index out of range"}, False),
        (409, {"reason": "Conflict", "message": "the object has been modified"}, True),
        (409, {"reason": "AlreadyExists"}, False),
        (422, {}, False),
    ],
)
def test_only_what_may_pass_is_tried_again(status, body, expected):
    assert ApiFailure(status, body).is_transient is expected


def test_a_secret_kubeconfig_is_used_and_not_shown():
    config = parse({"kubeconfig": Secret(json.dumps(kubeconfig()))}, {})
    assert kubeconfig_document(config, {})["current-context"] == "one"


@pytest.fixture
def dead(monkeypatch):
    """A kubeconfig to an address where nobody listens, and a probe that does not wait long."""
    monkeypatch.setattr("toolchain.pulumi.kubernetes_plugin.cluster.RETRY_SECONDS", 0.2)
    monkeypatch.setattr("toolchain.pulumi.kubernetes_plugin.cluster.Cluster.probe.__defaults__", (0.2,))
    document = kubeconfig(server="http://127.0.0.1:1")
    del document["clusters"][0]["cluster"]["certificate-authority"]
    return json.dumps(document)


def test_a_cluster_that_does_not_answer_stops_the_provider_unless_it_may_be_forgotten(dead):
    with pytest.raises(Unreachable, match="does not answer"):
        provider().configure({"kubeconfig": dead})
    said = []
    forgiving = KubernetesProvider(log=lambda *words, **_: said.append(words), environ={})
    forgiving.configure({"kubeconfig": dead, "deleteUnreachable": "true"})
    assert forgiving.is_unreachable
    assert said[0][1] == "warning"
    with pytest.raises(Unreachable):
        forgiving.operations("urn")


def test_an_object_keeps_its_last_inputs_while_its_cluster_may_be_skipped(dead):
    skipping = provider()
    skipping.configure({"kubeconfig": dead, "skipUpdateUnreachable": "true"})
    old, new = {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}
    urn = "urn:pulumi:dev::p::kubernetes:core/v1:Namespace::x"
    assert skipping.check(urn, "kubernetes:core/v1:Namespace", old, new, seed=b"", proposal=None) == old


def check(token, inputs, old=None):
    configured = provider()
    urn = f"urn:pulumi:dev::p::{token}::x"
    return configured.check(urn, token, old or {}, inputs, seed=b"s", proposal=None)


def test_what_only_the_server_may_write_is_dropped_from_inputs():
    found = check("kubernetes:core/v1:Namespace", {"metadata": {"name": "a", "uid": "1", "managedFields": []}})
    assert found == {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({"kind": "Pod"}, "make them the same"),
        ({"apiVersion": "v2"}, "make them the same"),
        ({"metadata": {"generateName": "a-"}}, "generateName is not supported"),
        ({"metadata": {"name": "a", "annotations": {"pulumi.com/waitFor": "Ready"}}}, "write condition=TYPE"),
        ({"metadata": {"name": "a", "annotations": {"pulumi.com/timeoutSeconds": "soon"}}}, "whole number"),
    ],
)
def test_inputs_that_cannot_be_meant_are_refused(inputs, words):
    with pytest.raises(PluginError, match=words):
        check("kubernetes:core/v1:Namespace", inputs)
