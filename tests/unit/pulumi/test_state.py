"""What is kept about an object, what is secret in it, and how a refresh turns it back into inputs."""

from __future__ import annotations

from toolchain.pulumi.kubernetes_plugin import preview
from toolchain.pulumi.kubernetes_plugin.checkpoint import checkpoint, from_api, last_inputs, live_part, marked, to_api
from toolchain.pulumi.kubernetes_plugin.inputs import imported, refreshed
from toolchain.pulumi.kubernetes_plugin.quantities import same_quantity
from toolchain.pulumi.kubernetes_plugin.tokens import Gvk, gvk_of_token
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, Secret, contains_secret, dig, reveal

CONFIG_MAP = Gvk(group="", version="v1", kind="ConfigMap")


def test_a_state_has_the_official_layout_and_can_be_taken_apart_again():
    inputs = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
    live = {**inputs, "metadata": {"name": "a", "uid": "1"}}
    state = checkpoint(live, inputs, api_version="v1", manager="pulumi-kubernetes-1")
    assert {"__inputs", "__initialApiVersion", "__fieldManager"} < set(state)
    assert live_part(state) == live
    assert last_inputs(state, {}) == inputs
    assert last_inputs(state, {"kind": "other"}) == {"kind": "other"}


def test_everything_in_a_secret_is_secret_even_when_the_program_did_not_say_so():
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"p": "x"}}
    live = {**inputs, "data": {"p": "eA=="}}
    state = checkpoint(live, inputs, api_version="v1", manager="m")
    assert isinstance(state["data"], Secret)
    assert isinstance(state["stringData"], Secret)
    assert isinstance(dig(state, "__inputs")["stringData"], Secret)


def test_the_copy_kubectl_keeps_of_a_secret_object_is_secret_too():
    note = "kubectl.kubernetes.io/last-applied-configuration"
    live = {"kind": "Secret", "apiVersion": "v1", "metadata": {"annotations": {note: "{...}", "a": "b"}}}
    annotations = marked(live, {})["metadata"]["annotations"]
    assert isinstance(annotations[note], Secret)
    assert annotations["a"] == "b"


def test_a_secret_inside_a_list_makes_the_list_secret_and_nothing_beside_it():
    live = {"spec": {"env": [{"value": "x"}, {"value": "y"}], "image": "a"}}
    state = marked(live, {"spec": {"env": [{"value": Secret("x")}], "image": "a"}})
    assert isinstance(state["spec"]["env"], Secret)
    assert state["spec"]["image"] == "a"


def test_schemas_of_new_kinds_are_spelt_with_dashes_for_the_api_server_only():
    spelt = {"properties": [{"x_kubernetes_int_or_string": True}]}
    assert to_api(spelt) == {"properties": [{"x-kubernetes-int-or-string": True}]}
    assert from_api(to_api(spelt)) == spelt


def test_a_refresh_keeps_what_only_is_written_differently():
    inputs = {"spec": {"limits": {"cpu": "0.5", "memory": "1024Mi"}, "empty": {}, "off": False}}
    live = {"spec": {"limits": {"cpu": "500m", "memory": "1Gi"}, "defaulted": 1}}
    assert refreshed(inputs, live) == inputs


def test_a_refresh_of_a_definition_keeps_either_spelling_of_its_schema_and_sees_what_really_changed():
    live = {"spec": {"versions": [{"schema": {"x_kubernetes_list_type": "map", "x_kubernetes_int_or_string": True}}]}}
    for unchanged in (live, to_api(live)):
        assert refreshed(unchanged, live) == unchanged
        assert refreshed(unchanged, to_api(live)) == unchanged, "also when the server's own spelling comes in"
    changed = {"spec": {"versions": [{"schema": {"x-kubernetes-list-type": "atomic"}}]}}
    found = refreshed(to_api(live), changed)
    assert found == changed, "a changed value is taken over, a removed one is left out, in the program's spelling"


def test_a_refresh_takes_over_what_someone_changed_and_drops_what_is_gone():
    inputs = {"data": {"a": "1", "b": "2"}, "containers": [{"name": "x", "image": "a"}]}
    live = {"data": {"a": "9", "c": "3"}, "containers": [{"name": "sidecar"}, {"name": "x", "image": "b"}]}
    assert refreshed(inputs, live) == {"data": {"a": "9"}, "containers": [{"name": "x", "image": "b"}]}


def test_a_refresh_of_a_secret_compares_its_text_and_keeps_it_secret():
    inputs = {"kind": "Secret", "apiVersion": "v1", "stringData": Secret({"p": "x", "q": "y"})}
    live = {"kind": "Secret", "apiVersion": "v1", "data": {"p": "eA==", "q": "Y2hhbmdlZA=="}}
    found = refreshed(inputs, live)
    assert isinstance(found["stringData"], Secret)
    assert reveal(found)["stringData"] == {"p": "x", "q": "changed"}


def test_an_imported_object_carries_nothing_the_server_fills_in():
    live = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "a", "uid": "1", "labels": {"kubernetes.io/metadata.name": "a"}, "managedFields": []},
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
    assert imported(Gvk(group="", version="v1", kind="Namespace"), live) == wanted


def test_an_imported_secret_is_secret():
    live = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "data": {"p": "eA=="}}
    assert contains_secret(imported(Gvk(group="", version="v1", kind="Secret"), live))


def test_quantities_are_compared_by_amount():
    for left, right in (("0.5", "500m"), ("1Gi", "1024Mi"), (1, "1"), ("1e3", "1k"), ("2E", "2000P")):
        assert same_quantity(left, right), (left, right)
    for left, right in (("1G", "1Gi"), ("a", "b"), ("1", "1m"), (True, 1.5), ("", "0")):
        assert not same_quantity(left, right), (left, right)


def test_a_new_objects_computed_fields_are_unknown():
    service = gvk_of_token("kubernetes:core/v1:Service")
    inputs = {
        "metadata": {"name": "a"},
        "spec": {"type": "NodePort", "ports": [{"port": 1}, {"port": 2, "nodePort": 9}]},
    }
    dry = {
        "metadata": {"name": "a", "uid": "invented", "namespace": "n"},
        "spec": {
            "type": "NodePort",
            "clusterIP": "10.0.0.9",
            "ports": [{"port": 1, "nodePort": 5}, {"port": 2, "nodePort": 9}],
        },
        "status": {"loadBalancer": {}},
    }
    planned = preview.planned_creation(service, inputs, dry)
    assert planned["metadata"]["name"] == "a"
    assert planned["metadata"]["namespace"] == "n"
    for path in (("metadata", "uid"), ("metadata", "resourceVersion"), ("spec", "clusterIP"), ("status",)):
        assert dig(planned, *path) is UNKNOWN, path
    assert planned["spec"]["ports"] == [{"port": 1, "nodePort": UNKNOWN}, {"port": 2, "nodePort": 9}]


def test_a_cluster_ip_the_program_sets_is_known():
    service = gvk_of_token("kubernetes:core/v1:Service")
    inputs = {"metadata": {"name": "a"}, "spec": {"clusterIP": "None"}}
    assert preview.planned_creation(service, inputs, None)["spec"]["clusterIP"] == "None"


def test_a_kind_without_status_gets_none():
    planned = preview.planned_creation(CONFIG_MAP, {"metadata": {"name": "a"}, "data": {"a": "1"}}, None)
    assert "status" not in planned
    assert planned["data"] == {"a": "1"}


def test_the_data_of_a_secret_written_as_text_is_unknown_and_secret_without_a_dry_run():
    secret = gvk_of_token("kubernetes:core/v1:Secret")
    inputs = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}, "stringData": {"p": "x"}}
    assert preview.planned_creation(secret, inputs, None)["data"] == Secret(UNKNOWN)


def test_an_update_keeps_the_identity_and_the_fields_it_does_not_touch():
    state = {"metadata": {"name": "a", "uid": "1", "resourceVersion": "5"}, "data": {"a": "1"}, "__inputs": {}}
    planned = preview.planned_update(state, {"metadata": {"name": "a"}, "data": {"a": UNKNOWN}}, None)
    assert planned["metadata"]["uid"] == "1"
    assert planned["metadata"]["resourceVersion"] is UNKNOWN
    assert planned["data"] == {"a": UNKNOWN}
    assert "__inputs" not in planned
