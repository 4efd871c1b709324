"""What changed, and what must be made anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolchain.pulumi.kubernetes_plugin.diff import Kind, changes, parse_path, path_text
from toolchain.pulumi.kubernetes_plugin.immutable import immutable_paths
from toolchain.pulumi.kubernetes_plugin.tokens import gvk_of_token
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, Secret


def replaced(token, old, new, *, config_maps=False, secrets=False):
    paths = immutable_paths(gvk_of_token(token), new, mutable_config_maps=config_maps, mutable_secrets=secrets)
    return [path_text(change.path) for change in changes(old, new, immutable=paths) if change.replaces]


def found(old, new):
    return {path_text(change.path): change.kind for change in changes(old, new)}


def test_equal_inputs_have_no_difference_whatever_is_secret_in_them():
    assert found({"a": {"b": [1, Secret("x")]}}, {"a": Secret({"b": [1, "x"]})}) == {}


def test_each_changed_field_is_named_on_its_own():
    old = {"metadata": {"labels": {"app.kubernetes.io/name": "a"}}, "spec": {"ports": [{"port": 1}, {"port": 2}]}}
    new = {"metadata": {"labels": {"app.kubernetes.io/name": "b"}}, "spec": {"ports": [{"port": 1}], "type": "X"}}
    assert found(old, new) == {
        'metadata.labels["app.kubernetes.io/name"]': Kind.UPDATE,
        "spec.ports[1]": Kind.DELETE,
        "spec.type": Kind.ADD,
    }


def test_an_unknown_value_counts_as_changed():
    assert found({"a": 1}, {"a": UNKNOWN}) == {"a": Kind.UPDATE}
    assert found({}, {"a": UNKNOWN}) == {"a": Kind.ADD}


def test_true_and_one_are_not_the_same_but_one_and_one_point_zero_are():
    assert found({"a": True}, {"a": 1}) == {"a": Kind.UPDATE}
    assert found({"a": 1}, {"a": 1.0}) == {}


def test_an_absent_field_and_an_empty_one_are_the_same():
    assert found({"a": None}, {}) == {}


def test_ignored_paths_are_not_reported_and_neither_is_what_is_below_them():
    old, new = {"spec": {"replicas": 1, "a": {"b": 1}}}, {"spec": {"replicas": 2, "a": {"b": 2}}}
    ignored = (parse_path("spec.replicas"), parse_path("spec.a"))
    assert changes(old, new, ignored=ignored) == []


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        (
            "kubernetes:apps/v1:Deployment",
            {"spec": {"selector": {"matchLabels": {"a": "1"}}}},
            {"spec": {"selector": {"matchLabels": {"a": "2"}}}},
        ),
        ("kubernetes:apps/v1:StatefulSet", {"spec": {"serviceName": "a"}}, {"spec": {"serviceName": "b"}}),
        (
            "kubernetes:batch/v1:Job",
            {"spec": {"template": {"spec": {"x": 1}}}},
            {"spec": {"template": {"spec": {"x": 2}}}},
        ),
        ("kubernetes:core/v1:Service", {"spec": {"clusterIP": "10.0.0.1"}}, {"spec": {"clusterIP": "10.0.0.2"}}),
        (
            "kubernetes:core/v1:PersistentVolumeClaim",
            {"spec": {"accessModes": ["A"]}},
            {"spec": {"accessModes": ["B"]}},
        ),
        ("kubernetes:core/v1:Secret", {"type": "a"}, {"type": "b"}),
        ("kubernetes:core/v1:Secret", {"stringData": Secret({"a": "1"})}, {"stringData": Secret({"a": "2"})}),
        ("kubernetes:core/v1:ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}),
        ("kubernetes:core/v1:ConfigMap", {"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}),
        ("kubernetes:core/v1:Namespace", {"metadata": {"namespace": "a"}}, {"metadata": {"namespace": "b"}}),
        (
            "kubernetes:core/v1:Pod",
            {"spec": {"containers": [{"image": "a"}]}},
            {"spec": {"containers": [{"image": "b"}]}},
        ),
        ("kubernetes:rbac.authorization.k8s.io/v1:RoleBinding", {"roleRef": {"name": "a"}}, {"roleRef": {"name": "b"}}),
        ("kubernetes:storage.k8s.io/v1:StorageClass", {"provisioner": "a"}, {"provisioner": "b"}),
    ],
)
def test_a_change_the_api_server_refuses_in_place_needs_a_new_object(token, old, new):
    assert replaced(token, old, new)


@pytest.mark.parametrize(
    ("token", "old", "new"),
    [
        ("kubernetes:apps/v1:Deployment", {"spec": {"replicas": 1}}, {"spec": {"replicas": 2}}),
        ("kubernetes:batch/v1:Job", {"spec": {"backoffLimit": 1}}, {"spec": {"backoffLimit": 2}}),
        ("kubernetes:core/v1:Service", {"spec": {"ports": [{"port": 1}]}}, {"spec": {"ports": [{"port": 2}]}}),
        (
            "kubernetes:core/v1:PersistentVolumeClaim",
            {"spec": {"resources": {"requests": {"storage": "1Gi"}}}},
            {"spec": {"resources": {"requests": {"storage": "2Gi"}}}},
        ),
        ("kubernetes:core/v1:ConfigMap", {"metadata": {"labels": {"a": "1"}}}, {"metadata": {"labels": {"a": "2"}}}),
        ("kubernetes:postgresql.cnpg.io/v1:Cluster", {"spec": {"instances": 1}}, {"spec": {"instances": 2}}),
    ],
)
def test_any_other_change_is_made_in_place(token, old, new):
    assert not replaced(token, old, new)


def test_mutable_config_maps_and_secrets_are_changed_in_place_unless_they_call_themselves_immutable():
    old, new = {"data": {"a": "1"}}, {"data": {"a": "2"}}
    assert not replaced("kubernetes:core/v1:ConfigMap", old, new, config_maps=True)
    assert not replaced("kubernetes:core/v1:Secret", old, new, secrets=True)
    frozen = {**new, "immutable": True}
    assert replaced("kubernetes:core/v1:ConfigMap", {**old, "immutable": True}, frozen, config_maps=True)
    assert replaced("kubernetes:core/v1:Secret", {**old, "immutable": True}, frozen, secrets=True)


def test_adding_the_parent_of_an_immutable_field_replaces_only_when_it_holds_the_field():
    assert replaced("kubernetes:apps/v1:Deployment", {}, {"spec": {"selector": {}}})
    assert not replaced("kubernetes:apps/v1:Deployment", {}, {"spec": {"replicas": 1}})


KEYS = st.one_of(st.text(st.characters(exclude_characters='"\\'), min_size=1), st.integers(0, 20))


@given(st.lists(KEYS, min_size=1, max_size=5).filter(lambda path: isinstance(path[0], str)))
def test_a_path_survives_being_written_and_read(path):
    assert parse_path(path_text(tuple(path))) == tuple(path)


def test_something_that_is_no_path_is_refused():
    with pytest.raises(ValueError, match="not a property path"):
        parse_path("spec[")
