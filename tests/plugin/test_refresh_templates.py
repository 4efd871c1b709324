"""The refresh's templates, Secrets and runs on a real API server with its controllers; the tests play the kubelet."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime

import pytest

from infra.naming import REFRESH_MASK, priority_class
from operations.errors import OperationError
from operations.refresh.cluster import LiveCluster
from operations.refresh.jobs import run_parts
from operations.refresh.links import ensure
from operations.refresh.plan import all_jobs, refuse_unless_ready, unfinished
from operations.refresh.run import Asked, Clock, Run
from tests import declared
from toolchain.cluster.kubeapi import KubeApi

pytestmark = pytest.mark.live

SITE, PROD, REFRESH, TRAINING = "riverside", "riverside-prod", "riverside-refresh", "riverside-training"
KINDS = ("ResourceQuota", "LimitRange", "ServiceAccount", "CronJob", "Service")
ASKED = Asked(requested_by="ada", approved_by="grace")


def manifest(resource):
    version = {"CronJob": "batch/v1"}.get(resource.kind, "v1")
    return {"apiVersion": version, "kind": resource.kind, **resource.inputs}


@pytest.fixture(scope="module")
def cluster(control_plane):
    """The namespaces, limits, identities and templates of prod and training, as the repository declares them."""
    api = KubeApi(control_plane.kubeconfig)
    for name in ("prod", "training"):
        priority = {"metadata": {"name": priority_class(name)}, "value": 1000}
        api.apply({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", **priority})
        resources = declared.environment(name).resources
        for kind in ("Namespace", *KINDS):
            for resource in resources:
                if resource.kind == kind:
                    api.apply(manifest(resource))
    kubectl = control_plane.folder / "bin" / "kubectl"
    made = LiveCluster(api=api, kubectl=kubectl, kubeconfig=control_plane.kubeconfig, environ=dict(os.environ))
    yield made
    for name in (PROD, REFRESH, TRAINING):
        control_plane.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(autouse=True)
def no_jobs(cluster):
    """Leave no job of another test, and no pod of it."""
    yield
    for state in all_jobs(cluster, SITE):
        cluster.delete(state.part.jobs_path(state.part.job(state.run)))
    until(lambda: not any(pods(cluster, part.namespace) for part in run_parts(SITE)))


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.2)


def pods(cluster, namespace):
    return cluster.get(f"/api/v1/namespaces/{namespace}/pods")["items"]


class Kubelet:
    """Ends pods as a kubelet would; `plan` says how, by the name of their container."""

    def __init__(self, control_plane, cluster, plan):
        self.plane, self.cluster, self.plan = control_plane, cluster, plan

    def sleep(self, _seconds):
        time.sleep(0.3)
        for part in run_parts(SITE):
            for pod in pods(self.cluster, part.namespace):
                phase = pod["status"].get("phase")
                if phase == "Pending":
                    self.plane.patch_status("pod", pod["metadata"]["name"], part.namespace, {"phase": "Running"})
                elif phase == "Running" and part.template in self.plan:
                    self.end(part, pod, self.plan[part.template])

    def end(self, part, pod, code):
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        over = {"exitCode": code, "finishedAt": now, "startedAt": now, "reason": "Error" if code else "Completed"}
        state = {"name": part.template, "state": {"terminated": over}, "ready": False, "restartCount": 0, "image": "x"}
        status = {"phase": "Failed" if code else "Succeeded", "containerStatuses": [state | {"imageID": "x"}]}
        self.plane.patch_status("pod", pod["metadata"]["name"], part.namespace, status)

    def clock(self):
        return Clock(sleep=self.sleep)


class Notes(list):
    def note(self, text):
        self.append(text)


def test_the_server_stores_the_templates_as_they_are_declared(cluster):
    """A field the server writes differently would look changed at every comparison, and be applied for ever."""
    for part in run_parts(SITE):
        before = cluster.get(part.template_path)["metadata"]["generation"]
        (resource,) = [
            each
            for name in ("prod", "training")
            for each in declared.environment(name).of("CronJob")
            if each.metadata["name"] == part.template
        ]
        cluster.apply(manifest(resource))
        stored = cluster.get(part.template_path)
        assert stored["metadata"]["generation"] == before
        assert differences(stored["spec"], resource.spec) == [], part.template


def differences(stored, wanted, path="spec"):
    """Return where the server has something else; what says nothing (false, empty) it does not keep."""
    if isinstance(wanted, dict):
        return [
            found
            for key, value in wanted.items()
            if value not in ([], {}, False)
            for found in differences((stored or {}).get(key), value, f"{path}.{key}")
        ]
    if isinstance(wanted, list) and isinstance(stored, list) and len(stored) == len(wanted):
        return [
            found
            for n, pair in enumerate(zip(stored, wanted, strict=True))
            for found in differences(*pair, f"{path}[{n}]")
        ]
    return [] if stored == wanted else [f"{path}: {stored!r} instead of {wanted!r}"]


def test_secrets_are_made_once_with_the_operators_rights(cluster, control_plane):
    authority = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "postgresql-ca", "namespace": TRAINING}}
    cluster.apply(authority | {"stringData": {"ca.crt": "authority"}})
    made = ensure(cluster, SITE, {"extra.tsv": "table\n"})
    assert {change.verb for change in made} == {"made"}
    assert ensure(cluster, SITE, {"extra.tsv": "table\n"}) == []
    role = control_plane.get("secret", "refresh-role", "-n", TRAINING)
    assert role["type"] == "kubernetes.io/basic-auth"
    assert [change.name for change in ensure(cluster, SITE, {})] == [f"{REFRESH}/refresh-catalogue"]


def test_a_run_gets_three_pods_that_restricted_namespaces_and_quotas_admit_and_ends_with_them(cluster, control_plane):
    plan = {part.template: 0 for part in run_parts(SITE)}
    run = Run(cluster, SITE, clock=Kubelet(control_plane, cluster, plan).clock())
    outcome = run.go(Notes(), ASKED)
    assert set(outcome.parts) == set(plan)
    assert unfinished(cluster, SITE) == []
    for part in run_parts(SITE):
        (pod,) = pods(cluster, part.namespace)
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == part.job(run.name)
        # The name policies select the pods by must survive the way from template to job to pod.
        assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == part.template
        job = cluster.get(part.jobs_path(part.job(run.name)))
        assert job["metadata"]["ownerReferences"][0]["kind"] == "CronJob"


def test_a_part_that_fails_is_not_tried_again_and_takes_the_others_with_it(cluster, control_plane):
    kubelet = Kubelet(control_plane, cluster, {REFRESH_MASK: 78})
    run = Run(cluster, SITE, clock=kubelet.clock())
    with pytest.raises(OperationError, match=r"training's database does not answer") as told:
        run.go(Notes(), ASKED)
    assert "refresh-mask ended with 78" in told.value.problems[0].why
    left = {state.part.template: state.phase for state in all_jobs(cluster, SITE)}
    assert left == {REFRESH_MASK: "failed"}
    until(lambda: not pods(cluster, PROD) and not pods(cluster, TRAINING))
    (pod,) = pods(cluster, REFRESH)
    assert pod["status"]["phase"] == "Failed"


def test_a_second_run_is_refused_and_its_masking_pod_would_not_even_fit(cluster, control_plane):
    mask = run_parts(SITE)[0]

    def check(_seconds):
        until(lambda: len(pods(cluster, REFRESH)) == 1)
        with pytest.raises(OperationError, match="is under way"):
            refuse_unless_ready(cluster, SITE)
        # As the CronJob's controller would, which knows nothing of runs that people started.
        second = cluster.get(mask.template_path)["spec"]["jobTemplate"]
        described = {"name": mask.job("29400180"), "labels": second["metadata"]["labels"]}
        job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": described, "spec": second["spec"]}
        cluster.create(mask.jobs_path(), job)
        until(lambda: "exceeded quota" in control_plane.kubectl("get", "events", "-n", REFRESH))
        assert len(pods(cluster, REFRESH)) == 1
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Run(cluster, SITE, clock=Clock(sleep=check)).go(Notes(), ASKED)
    cluster.delete(mask.jobs_path(mask.job("29400180")))
    until(lambda: not unfinished(cluster, SITE))


def test_the_jobs_of_a_scheduled_run_end_in_the_same_number(cluster, control_plane):
    for part in run_parts(SITE):
        patch = json.dumps({"spec": {"schedule": "* * * * *", "suspend": False}})
        control_plane.kubectl("patch", "cronjob", part.template, "-n", part.namespace, "--type=merge", "-p", patch)
    try:
        until(lambda: len({state.part.template for state in unfinished(cluster, SITE)}) == 3, seconds=90)
        newest = {state.part.template: state.run for state in unfinished(cluster, SITE)}
        assert len(set(newest.values())) == 1, newest
        assert set(newest.values()).pop().isdigit()
    finally:
        for part in run_parts(SITE):
            patch = json.dumps({"spec": {"suspend": True}})
            control_plane.kubectl("patch", "cronjob", part.template, "-n", part.namespace, "--type=merge", "-p", patch)
