"""Waiting for objects to be ready, and what is said when they do not become so."""

from __future__ import annotations

import json
import threading
import time

import pytest

from toolchain.pulumi.runner import DeploymentFailed, Diagnostic

pytestmark = pytest.mark.live

DEPLOYMENT = """
from pulumi_kubernetes.apps.v1 import Deployment
ns = Namespace("ns", metadata={"name": NS}, opts=opts)
app = Deployment("app",
    metadata={"namespace": NS, "name": "app", "annotations": {"pulumi.com/timeoutSeconds": "TIMEOUT"}},
    spec={"selector": {"matchLabels": {"app": "app"}},
          "template": {"metadata": {"labels": {"app": "app"}},
                       "spec": {"containers": [{"name": "main", "image": "nowhere.invalid/app:1"}]}}},
    opts=options(depends_on=[ns]))
pulumi.export("generation", app.metadata["generation"])
"""


def meanwhile(action):
    """Do what a kubelet would do while the engine waits; its own failure fails the test."""
    failures = []

    def run():
        try:
            action()
        except Exception as error:
            failures.append(error)

    thread = threading.Thread(target=run)
    thread.start()

    def finish():
        thread.join(60)
        assert not failures

    return finish


def until(found, seconds=40):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if result := found():
                return result
        except RuntimeError:
            pass
        time.sleep(0.3)
    raise AssertionError("it never came")


def pods(project):
    return until(lambda: project.plane.get("pods", "-n", project.namespace)["items"])


def waiting_status(reason, message):
    container = {"name": "main", "image": "nowhere.invalid/app:1", "imageID": "", "restartCount": 0, "ready": False}
    return {
        "phase": "Pending",
        "containerStatuses": [{**container, "state": {"waiting": {"reason": reason, "message": message}}}],
    }


READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def test_a_deployment_that_cannot_pull_says_so(project):
    project.program(DEPLOYMENT.replace("TIMEOUT", "15"))

    def kubelet():
        (pod,) = pods(project)
        status = waiting_status("ImagePullBackOff", 'Back-off pulling image "nowhere.invalid/app:1": no such host')
        project.plane.patch_status("pod", pod["metadata"]["name"], project.namespace, status)

    finish = meanwhile(kubelet)
    with pytest.raises(DeploymentFailed) as failure:
        project.up()
    finish()
    assert "is not ready after 15 s" in failure.value.why
    assert "0 of 1 pods available" in failure.value.why
    assert "ImagePullBackOff" in failure.value.why
    assert "nowhere.invalid/app:1" in failure.value.why
    # It exists and is recorded, so the next update waits for the same object instead of making another.
    uid = project.plane.get("deployment", "app", "-n", project.namespace)["metadata"]["uid"]
    project.program(DEPLOYMENT.replace("TIMEOUT", "60"))

    def healed_kubelet():
        (pod,) = pods(project)
        project.plane.patch_status("pod", pod["metadata"]["name"], project.namespace, READY)

    finish = meanwhile(healed_kubelet)
    project.up()
    finish()
    live = project.plane.get("deployment", "app", "-n", project.namespace)
    assert live["metadata"]["uid"] == uid
    assert live["status"]["availableReplicas"] == 1
    assert project.up().is_unchanged


def test_what_is_waited_for_is_shown_while_it_is_waited_for(project):
    project.program(DEPLOYMENT.replace("TIMEOUT", "3"))
    with pytest.raises(DeploymentFailed):
        project.up()
    shown = [event.text for event in project.progress if isinstance(event, Diagnostic) and event.passing]
    assert any("pods available" in text for text in shown)


def test_a_deployment_over_quota_says_so(project):
    quota = (
        'q = ResourceQuota("none", metadata={"namespace": NS, "name": "none"}, spec={"hard": {"pods": "0"}},'
        " opts=options(depends_on=[ns]))\n"
    )
    text = DEPLOYMENT.replace("TIMEOUT", "12").replace("app = Deployment", quota + "app = Deployment")
    project.program(
        text.replace('spec={"selector"', 'spec={"selector"').replace(
            "opts=options(depends_on=[ns]))\npulumi.export", "opts=options(depends_on=[q]))\npulumi.export"
        )
    )
    with pytest.raises(DeploymentFailed, match="exceeded quota: none"):
        project.up()


JOB = """
from pulumi_kubernetes.batch.v1 import Job
ns = Namespace("ns", metadata={"name": NS}, opts=opts)
Job("work", metadata={"namespace": NS, "name": "work"}, spec={
    "backoffLimit": 0,
    "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "a:1"}]}},
}, opts=options(depends_on=[ns]))
"""


def ended(code, message=""):
    container = {"name": "main", "image": "a:1", "imageID": "", "restartCount": 0, "ready": False}
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    terminated = {"exitCode": code, "reason": "Error" if code else "Completed", "message": message, **times}
    return {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [{**container, "state": {"terminated": terminated}}],
    }


def test_a_job_is_waited_for_until_it_completes(project):
    project.program(JOB)

    def kubelet():
        (pod,) = pods(project)
        project.plane.patch_status("pod", pod["metadata"]["name"], project.namespace, ended(0))

    finish = meanwhile(kubelet)
    project.up()
    finish()
    assert project.plane.get("job", "work", "-n", project.namespace)["status"]["succeeded"] == 1


def test_a_job_that_fails_fails_the_update_with_the_programs_last_words(project):
    project.program(JOB)

    def kubelet():
        (pod,) = pods(project)
        project.plane.patch_status("pod", pod["metadata"]["name"], project.namespace, ended(78, "wrong identity"))

    finish = meanwhile(kubelet)
    with pytest.raises(DeploymentFailed) as failure:
        project.up()
    finish()
    assert "exit code 78" in failure.value.why
    assert "wrong identity" in failure.value.why


def test_a_service_is_waited_for_until_a_pod_stands_behind_it_and_a_headless_one_is_not(project):
    project.program("""
ns = Namespace("ns", metadata={"name": NS}, opts=opts)
ports = [{"port": 80}]
Service("head", metadata={"namespace": NS, "name": "head"}, opts=options(depends_on=[ns]),
        spec={"selector": {"app": "none"}, "clusterIP": "None", "ports": ports})
Service("bare", metadata={"namespace": NS, "name": "bare"}, opts=options(depends_on=[ns]), spec={"ports": ports})
""")
    project.up()
    project.program("""
ns = Namespace("ns", metadata={"name": NS}, opts=opts)
Service("web", metadata={"namespace": NS, "name": "web", "annotations": {"pulumi.com/timeoutSeconds": "2"}},
        spec={"selector": {"app": "none"}, "ports": [{"port": 80}]}, opts=options(depends_on=[ns]))
""")
    with pytest.raises(DeploymentFailed, match="no ready pod stands behind the service"):
        project.up()


CLAIM = """
from pulumi_kubernetes.storage.v1 import StorageClass
ns = Namespace("ns", metadata={"name": NS}, opts=opts)
lazy = StorageClass("class", metadata={"name": NS}, provisioner="example.com/none",
                    volume_binding_mode="MODE", opts=opts)
PersistentVolumeClaim("data",
    metadata={"namespace": NS, "name": "data", "annotations": {"pulumi.com/timeoutSeconds": "2"}},
    spec={"accessModes": ["ReadWriteOnce"], "storageClassName": NS, "resources": {"requests": {"storage": "1024Mi"}}},
    opts=options(depends_on=[ns, lazy]))
"""


def test_a_claim_that_binds_at_first_use_is_not_waited_for_and_an_immediate_one_is(project):
    project.program(CLAIM.replace("MODE", "WaitForFirstConsumer"))
    project.up()
    # 1024Mi comes back as 1Gi: the same amount is no change, not after a refresh either.
    project.pulumi.refresh("test")
    assert project.up().is_unchanged
    project.destroy()
    project.program(CLAIM.replace("MODE", "Immediate"))
    with pytest.raises(DeploymentFailed, match="the claim is not bound yet"):
        project.up()
    project.kubectl("delete", "storageclass", project.namespace, "--ignore-not-found")


def test_a_custom_resource_is_waited_for_as_its_annotation_says(project):
    name = f"probe{project.namespace}"
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{name}s.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": f"{name}s", "singular": name, "kind": name.capitalize()},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                }
            ],
        },
    }
    project.plane.kubectl("apply", "-f", "-", data=json.dumps(crd))
    # The time counts for the deletion too, and the garbage collector looks for new kinds only every 30 s.
    project.program(f"""
from pulumi_kubernetes.apiextensions import CustomResource
ns = Namespace("ns", metadata={{"name": NS}}, opts=opts)
CustomResource("probe", api_version="example.com/v1", kind="{name.capitalize()}", metadata={{
    "namespace": NS, "name": "probe",
    "annotations": {{"pulumi.com/waitFor": '["condition=Ready", "jsonpath={{.status.phase}}=Up"]',
                     "pulumi.com/timeoutSeconds": "90"}}}}, opts=options(depends_on=[ns]))
""")

    def controller():
        until(lambda: project.plane.get(f"{name}s", "probe", "-n", project.namespace))
        time.sleep(2)
        status = {"phase": "Up", "conditions": [{"type": "Ready", "status": "True"}]}
        project.plane.patch_status(f"{name}s", "probe", project.namespace, status)

    finish = meanwhile(controller)
    started = time.monotonic()
    project.up()
    finish()
    assert time.monotonic() - started > 2
    project.destroy()
    project.kubectl("delete", "crd", f"{name}s.example.com")


def test_a_misspelt_steering_annotation_is_refused_before_anything_is_touched(project):
    project.program('Namespace("ns", metadata={"name": NS, "annotations": {"pulumi.com/waitFor": "Ready"}}, opts=opts)')
    with pytest.raises(DeploymentFailed, match=r"pulumi\.com/waitFor"):
        project.up()
    with pytest.raises(RuntimeError, match="not found"):
        project.plane.get("namespace", project.namespace)
