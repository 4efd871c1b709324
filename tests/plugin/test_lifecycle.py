"""Objects from creation to deletion, through the real engine and a real API server."""

from __future__ import annotations

import json

import pytest

from toolchain.pulumi.runner import DeploymentFailed, Phase

pytestmark = pytest.mark.live

NAMESPACE = 'ns = Namespace("ns", metadata={"name": NS}, opts=opts)\n'
SETTINGS = NAMESPACE + (
    'cm = ConfigMap("settings", metadata={"namespace": NS, "name": "settings"}, data={"colour": "blue"},'
    " opts=options(depends_on=[ns]))\n"
)


def test_an_object_gets_the_official_id_and_an_unchanged_program_shows_no_change(project):
    project.program(SETTINGS + 'pulumi.export("id", cm.id); pulumi.export("ns", ns.id)')
    first = project.up()
    assert first.changes == {"create": 4}
    outputs = project.pulumi.outputs("test")
    assert outputs == {"id": f"{project.namespace}/settings", "ns": project.namespace}
    assert project.preview().is_unchanged
    second = project.up()
    assert second.is_unchanged
    assert second.changes == {"same": 4}


def test_an_object_without_a_name_is_named_after_the_resource_and_keeps_the_name(project):
    project.program(
        NAMESPACE + 'cm = ConfigMap("auto", metadata={"namespace": NS}, opts=options(depends_on=[ns]))\n'
        'pulumi.export("name", cm.metadata["name"])'
    )
    project.up()
    name = project.pulumi.outputs("test")["name"]
    prefix, _, suffix = name.rpartition("-")
    assert prefix == "auto"
    assert len(suffix) == 8
    assert int(suffix, 16) >= 0
    live = project.plane.get("configmap", name, "-n", project.namespace)
    assert live["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    project.up()
    assert project.pulumi.outputs("test")["name"] == name


def test_preview_leaves_server_computed_fields_unknown(project):
    project.program(
        SETTINGS
        + """
service = Service("web", metadata={"namespace": NS, "name": "web"},
                  spec={"ports": [{"port": 80}]}, opts=options(depends_on=[ns]))
def must_not_run(value):
    raise RuntimeError(f"preview knew {value!r}")
for value in (ns.metadata["uid"], ns.status, service.spec.cluster_ip, cm.metadata["resource_version"],
              service.status.load_balancer):
    value.apply(lambda found: must_not_run(found) if pulumi.runtime.is_dry_run() else found)
ns.metadata["name"].apply(lambda name: name == NS or must_not_run(name))
pulumi.export("uid", ns.metadata["uid"])
"""
    )
    assert project.preview().changes == {"create": 5}
    # The namespace exists now, so the server computes the rest in a dry run.
    project.kubectl("create", "namespace", project.namespace)
    assert project.preview().changes == {"create": 5}


def test_preview_works_before_the_namespace_and_the_new_kind_exist(project):
    kind = f"Gadget{project.namespace}"
    project.program(f"""
from pulumi_kubernetes.apiextensions import CustomResource
from pulumi_kubernetes.apiextensions.v1 import CustomResourceDefinition
ns = Namespace("ns", metadata={{"name": NS}}, opts=opts)
crd = CustomResourceDefinition("gadgets", metadata={{"name": "{kind.lower()}s.example.com"}}, spec={{
    "group": "example.com", "scope": "Namespaced",
    "names": {{"plural": "{kind.lower()}s", "singular": "{kind.lower()}", "kind": "{kind}"}},
    "versions": [{{"name": "v1", "served": True, "storage": True, "schema": {{"openAPIV3Schema": {{
        "type": "object",
        "properties": {{"spec": {{"type": "object", "x_kubernetes_preserve_unknown_fields": True}}}},
    }}}}}}],
}}, opts=opts)
gadget = CustomResource("gadget", api_version="example.com/v1", kind="{kind}", spec={{"size": 3}},
                        metadata={{"namespace": ns.metadata["name"], "name": "gadget"}}, opts=options(depends_on=[crd]))
pulumi.export("id", gadget.id)
""")
    assert project.preview().changes == {"create": 5}
    project.up()
    assert project.pulumi.outputs("test")["id"] == f"{project.namespace}/gadget"
    crd = project.plane.get("crd", f"{kind.lower()}s.example.com")
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert schema["x-kubernetes-preserve-unknown-fields"] is True
    assert project.up().is_unchanged
    project.destroy()
    with pytest.raises(RuntimeError, match="not found"):
        project.plane.get("crd", f"{kind.lower()}s.example.com")


def test_a_refresh_of_an_unchanged_definition_changes_nothing_also_when_it_is_spelt_as_kubernetes_does(project):
    plural = f"widget{project.namespace}s"
    project.program(f"""
from pulumi_kubernetes.apiextensions.v1 import CustomResourceDefinition
CustomResourceDefinition("widgets", metadata={{"name": "{plural}.example.com"}}, spec={{
    "group": "example.com", "scope": "Namespaced",
    "names": {{"plural": "{plural}", "singular": "{plural[:-1]}", "kind": "{plural[:-1].title().replace("-", "")}"}},
    "versions": [{{"name": "v1", "served": True, "storage": True, "schema": {{"openAPIV3Schema": {{
        "type": "object",
        "properties": {{"spec": {{"type": "object", "x-kubernetes-preserve-unknown-fields": True}}}},
    }}}}}}],
}}, opts=opts)
""")
    project.up()
    project.pulumi.refresh("test")
    assert project.up().is_unchanged


def test_a_changed_field_is_updated_in_place_and_only_that_one(project):
    project.program(NAMESPACE)
    project.up()
    uid = project.plane.get("namespace", project.namespace)["metadata"]["uid"]
    project.program('ns = Namespace("ns", metadata={"name": NS, "labels": {"tier": "gold"}}, opts=opts)')
    assert project.up().changes == {"same": 2, "update": 1}
    live = project.plane.get("namespace", project.namespace)["metadata"]
    assert live["uid"] == uid
    assert live["labels"]["tier"] == "gold"
    project.program(NAMESPACE)
    project.up()
    assert "tier" not in project.plane.get("namespace", project.namespace)["metadata"]["labels"]


def test_changed_data_of_a_config_map_replaces_it_unless_the_provider_says_it_is_mutable(project):
    project.program(SETTINGS)
    project.up()
    uid = project.plane.get("configmap", "settings", "-n", project.namespace)["metadata"]["uid"]
    project.program(SETTINGS.replace("blue", "green"))
    assert project.up().changes["replace"] == 1
    replaced = project.plane.get("configmap", "settings", "-n", project.namespace)
    assert replaced["metadata"]["uid"] != uid
    assert replaced["data"] == {"colour": "green"}
    mutable = SETTINGS.replace("blue", "red")
    project.program(mutable, provider="enable_config_map_mutable=True")
    assert project.up().changes == {"same": 2, "update": 2}
    changed = project.plane.get("configmap", "settings", "-n", project.namespace)
    assert changed["metadata"]["uid"] == replaced["metadata"]["uid"]
    assert changed["data"] == {"colour": "red"}


def test_a_changed_job_template_replaces_the_job(project):
    job = (
        NAMESPACE
        + """
from pulumi_kubernetes.batch.v1 import Job
Job("work", metadata={"namespace": NS, "name": "work", "annotations": {"pulumi.com/skipAwait": "true"}}, spec={
    "backoffLimit": BACKOFF,
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "IMAGE"}]}},
}, opts=options(depends_on=[ns]))
"""
    )
    project.program(job.replace("IMAGE", "a:1").replace("BACKOFF", "2"))
    project.up()
    uid = project.plane.get("job", "work", "-n", project.namespace)["metadata"]["uid"]
    project.program(job.replace("IMAGE", "a:1").replace("BACKOFF", "3"))
    assert project.up().changes == {"same": 3, "update": 1}
    assert project.plane.get("job", "work", "-n", project.namespace)["metadata"]["uid"] == uid
    project.program(job.replace("IMAGE", "a:2").replace("BACKOFF", "3"))
    assert project.preview().changes["replace"] == 1
    assert project.up().changes["replace"] == 1
    live = project.plane.get("job", "work", "-n", project.namespace)
    assert live["metadata"]["uid"] != uid
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "a:2"


def test_a_conflicting_field_manager_is_named_with_the_field(project):
    # patch makes the other manager's fields: an apply by `rival` owns data.colour.
    project.program(SETTINGS)
    project.up()
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "settings", "namespace": project.namespace, "labels": {"owner": "rival"}},
    }
    project.plane.kubectl("apply", "--server-side", "--field-manager=rival", "-f", "-", data=json.dumps(manifest))
    labelled = SETTINGS.replace('"name": "settings"}', '"name": "settings", "labels": {"owner": "us"}}')
    project.program(labelled)
    with pytest.raises(DeploymentFailed) as failure:
        project.up()
    message = failure.value.why
    assert ".metadata.labels.owner" in message
    assert '"rival"' in message
    assert "pulumi.com/patchForce" in message
    forced = labelled.replace('"labels"', '"annotations": {"pulumi.com/patchForce": "true"}, "labels"')
    project.program(forced)
    project.up()
    live = project.plane.get("configmap", "settings", "-n", project.namespace)
    assert live["metadata"]["labels"]["owner"] == "us"


def test_creating_what_already_exists_is_refused_and_left_as_it_is(project):
    project.kubectl("create", "namespace", project.namespace)
    project.kubectl("create", "configmap", "settings", "-n", project.namespace, "--from-literal=colour=red")
    project.program(
        'ConfigMap("settings", metadata={"namespace": NS, "name": "settings"}, data={"colour": "blue"}, opts=opts)'
    )
    with pytest.raises(DeploymentFailed, match="already exists"):
        project.up()
    live = project.plane.get("configmap", "settings", "-n", project.namespace)
    assert live["data"] == {"colour": "red"}


def test_an_unknown_field_is_refused_in_preview(project):
    project.kubectl("create", "namespace", project.namespace)
    project.program(
        'ConfigMap("bad", metadata={"namespace": NS, "name": "bad", "labls": {"a": "b"}}, data={"a": "b"}, opts=opts)'
    )
    with pytest.raises(DeploymentFailed, match="labls"):
        project.preview()


def test_refresh_notices_a_deleted_object_and_the_next_up_makes_it_again(project):
    project.program(SETTINGS)
    project.up()
    project.kubectl("delete", "configmap", "settings", "-n", project.namespace)
    assert project.pulumi.refresh("test").changes.get("delete") == 1
    assert project.up().changes["create"] == 1
    assert project.plane.get("configmap", "settings", "-n", project.namespace)["data"] == {"colour": "blue"}


def test_refresh_notices_a_changed_field_and_the_next_up_restores_it(project):
    project.program(SETTINGS)
    project.up()
    patch = json.dumps({"data": {"colour": "red", "extra": "theirs"}})
    project.kubectl("patch", "configmap", "settings", "-n", project.namespace, "-p", patch)
    assert project.up().is_unchanged
    assert project.pulumi.refresh("test").changes.get("update") == 1
    project.up()
    assert project.plane.get("configmap", "settings", "-n", project.namespace)["data"]["colour"] == "blue"


def test_import_of_an_existing_namespace(project):
    project.kubectl("create", "namespace", project.namespace)
    uid = project.plane.get("namespace", project.namespace)["metadata"]["uid"]
    project.program('Namespace("ns", metadata={"name": NS}, opts=options(import_=NS))')
    assert project.up().changes == {"create": 2, "import": 1}
    assert project.plane.get("namespace", project.namespace)["metadata"]["uid"] == uid
    project.program(NAMESPACE)
    assert project.up().is_unchanged


def test_get_reads_an_object_that_the_stack_does_not_own(project):
    project.kubectl("create", "namespace", project.namespace)
    project.program('found = Namespace.get("found", NS, opts=opts)\npulumi.export("phase", found.status.phase)')
    project.up()
    assert project.pulumi.outputs("test") == {"phase": "Active"}
    project.destroy()
    assert project.plane.get("namespace", project.namespace)["status"]["phase"] == "Active"


def test_destroy_waits_until_the_namespace_and_everything_in_it_is_gone(project):
    project.program(SETTINGS)
    project.up()
    project.destroy()
    with pytest.raises(RuntimeError, match="not found"):
        project.plane.get("namespace", project.namespace)
    assert project.pulumi.stacks() == ["test"]
    project.pulumi.remove("test")
    assert project.pulumi.stacks() == []


def test_a_finalizer_that_nobody_removes_is_reported_by_name(project):
    project.program(
        SETTINGS.replace(
            '"name": "settings"}',
            '"name": "settings", "finalizers": ["example.com/hold"],'
            ' "annotations": {"pulumi.com/timeoutSeconds": "2"}}',
        )
    )
    project.up()
    project.program(NAMESPACE)
    with pytest.raises(DeploymentFailed, match=r"example\.com/hold"):
        project.up()
    project.kubectl(
        "patch",
        "configmap",
        "settings",
        "-n",
        project.namespace,
        "--type=json",
        "-p",
        '[{"op": "remove", "path": "/metadata/finalizers"}]',
    )
    project.up()
    with pytest.raises(RuntimeError, match="not found"):
        project.plane.get("configmap", "settings", "-n", project.namespace)


def test_progress_is_told_while_the_engine_works(project):
    project.program(NAMESPACE)
    project.up()
    told = [(event.name, event.operation, event.phase) for event in project.progress if hasattr(event, "phase")]
    assert ("ns", "create", Phase.STARTED) in told
    assert ("ns", "create", Phase.DONE) in told


def test_an_ignored_field_stays_as_someone_else_set_it(project):
    labelled = NAMESPACE + (
        'labels = {"owner": "us", "tier": "TIER"}\n'
        'ConfigMap("settings", metadata={"namespace": NS, "name": "settings", "labels": labels},'
        ' opts=options(depends_on=[ns], ignore_changes=["metadata.labels.owner"]))'
    )
    project.program(labelled.replace("TIER", "one"))
    project.up()
    patch = json.dumps({"metadata": {"labels": {"owner": "them"}}})
    project.kubectl("patch", "configmap", "settings", "-n", project.namespace, "--field-manager=rival", "-p", patch)
    project.program(labelled.replace("TIER", "two"))
    assert project.up().changes["update"] == 1
    labels = project.plane.get("configmap", "settings", "-n", project.namespace)["metadata"]["labels"]
    assert labels == {"owner": "them", "tier": "two"}


def test_a_job_that_failed_is_made_anew_when_it_says_replace_unready(project):
    project.program(
        NAMESPACE
        + """
from pulumi_kubernetes.batch.v1 import Job
Job("work", metadata={"namespace": NS, "name": "work", "annotations": {
    "pulumi.com/skipAwait": "true", "pulumi.com/replaceUnready": "true"}}, spec={
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "a:1"}]}},
}, opts=options(depends_on=[ns]))
"""
    )
    project.up()
    uid = project.plane.get("job", "work", "-n", project.namespace)["metadata"]["uid"]
    assert project.up().changes["replace"] == 1
    assert project.plane.get("job", "work", "-n", project.namespace)["metadata"]["uid"] != uid


def test_a_hundred_objects_are_made_at_once(project):
    project.program(
        NAMESPACE + 'for i in range(100):\n    ConfigMap(f"m{i}", metadata={"namespace": NS, "name": f"m{i}"},'
        ' data={"n": str(i)}, opts=options(depends_on=[ns]))\n'
    )
    assert project.up().changes == {"create": 103}
    assert project.up().is_unchanged


def test_a_resource_inside_a_component_is_handled_by_its_own_type(project):
    project.program("""
class Boundary(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("careops:test:Boundary", name, None, None)
        child = pulumi.ResourceOptions(parent=self, provider=provider)
        self.namespace = Namespace(f"{name}-namespace", metadata={"name": NS}, opts=child)
        self.register_outputs({"namespace": self.namespace.metadata["name"]})
pulumi.export("name", Boundary("boundary").namespace.metadata["name"])
""")
    project.up()
    assert project.pulumi.outputs("test") == {"name": project.namespace}
    assert project.up().is_unchanged


def test_an_object_whose_namespace_is_ending_waits_for_it(project):
    project.program(SETTINGS)
    project.up()
    # Deleted behind Pulumi's back and still on its way out when the next update begins.
    project.kubectl("delete", "namespace", project.namespace, "--wait=false")
    project.pulumi.refresh("test")
    project.up()
    assert project.plane.get("configmap", "settings", "-n", project.namespace)["data"] == {"colour": "blue"}
