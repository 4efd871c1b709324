"""When an object counts as ready, and why it does not."""

from __future__ import annotations

import threading

import pytest

from toolchain.pulumi.kubernetes_plugin import reasons, steering, waiting
from toolchain.pulumi.kubernetes_plugin.cluster import Ref
from toolchain.pulumi.kubernetes_plugin.conditions import expectation
from toolchain.pulumi.kubernetes_plugin.errors import BadAnnotation, Cancelled, NotReady
from toolchain.pulumi.kubernetes_plugin.readiness import Rule, rule_for
from toolchain.pulumi.kubernetes_plugin.tokens import Gvk
from toolchain.pulumi.kubernetes_plugin.verdicts import READY, State
from toolchain.pulumi.kubernetes_plugin.verdicts import waiting as not_yet


class Cluster:
    """What a rule is told about the rest of the cluster."""

    def __init__(self, objects=(), listed=()):
        self.objects, self.listed = list(objects), list(listed)

    def get(self, _):
        return self.objects.pop(0) if self.objects else None

    def select(self, *_, **__):
        return self.listed


def judged(group, kind, obj, **cluster):
    gvk = Gvk(group=group, version="v1", kind=kind)
    rule = rule_for(gvk, {}, await_all=False)
    obj = {"kind": kind, "metadata": {"name": "x", "namespace": "n", "generation": 2}, **obj}
    return rule.judge(obj, Cluster(**cluster))


def state_of(*arguments, **cluster):
    return judged(*arguments, **cluster).state


ROLLED_OUT = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (ROLLED_OUT, State.READY),
        ({**ROLLED_OUT, "observedGeneration": 1}, State.WAITING),
        ({**ROLLED_OUT, "updatedReplicas": 1}, State.WAITING),
        ({**ROLLED_OUT, "replicas": 3}, State.WAITING),
        ({**ROLLED_OUT, "availableReplicas": 1}, State.WAITING),
        ({}, State.WAITING),
        (
            {**ROLLED_OUT, "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded"}]},
            State.FAILED,
        ),
    ],
)
def test_a_deployment_is_ready_when_all_wanted_pods_are_new_and_available(status, expected):
    assert state_of("apps", "Deployment", {"spec": {"replicas": 2}, "status": status}) is expected


def test_a_paused_deployment_is_not_waited_for():
    assert state_of("apps", "Deployment", {"spec": {"paused": True}}) is State.READY


def test_a_deployment_scaled_to_nothing_is_ready_once_it_has_been_seen():
    status = {"observedGeneration": 2}
    assert state_of("apps", "Deployment", {"spec": {"replicas": 0}, "status": status}) is State.READY


SETTLED = {
    "observedGeneration": 2,
    "readyReplicas": 3,
    "updatedReplicas": 3,
    "currentRevision": "b",
    "updateRevision": "b",
}


@pytest.mark.parametrize(
    ("strategy", "status", "expected"),
    [
        ({}, SETTLED, State.READY),
        ({}, {**SETTLED, "readyReplicas": 2}, State.WAITING),
        ({}, {**SETTLED, "currentRevision": "a"}, State.WAITING),
        ({}, {**SETTLED, "updatedReplicas": 1}, State.WAITING),
        ({"type": "OnDelete"}, {**SETTLED, "updatedReplicas": 0, "currentRevision": "a"}, State.READY),
        ({"rollingUpdate": {"partition": 2}}, {**SETTLED, "updatedReplicas": 1, "currentRevision": "a"}, State.READY),
        ({"rollingUpdate": {"partition": 2}}, {**SETTLED, "updatedReplicas": 0}, State.WAITING),
    ],
)
def test_a_stateful_set_is_ready_as_its_update_strategy_says(strategy, status, expected):
    obj = {"spec": {"replicas": 3, "updateStrategy": strategy}, "status": status}
    assert state_of("apps", "StatefulSet", obj) is expected


def test_a_daemon_set_is_ready_when_every_matching_node_runs_it():
    status = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
    assert state_of("apps", "DaemonSet", {"spec": {}, "status": status}) is State.READY
    assert state_of("apps", "DaemonSet", {"spec": {}, "status": {**status, "numberAvailable": 1}}) is State.WAITING
    assert (
        state_of("apps", "DaemonSet", {"spec": {}, "status": {**status, "updatedNumberScheduled": 1}}) is State.WAITING
    )


def test_a_job_is_ready_when_complete_and_failed_when_it_says_so():
    assert state_of("batch", "Job", {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}) is State.READY
    failed = {"conditions": [{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "m"}]}
    verdict = judged("batch", "Job", {"status": failed})
    assert verdict.state is State.FAILED
    assert "BackoffLimitExceeded" in verdict.text
    assert state_of("batch", "Job", {"status": {"active": 1}}) is State.WAITING
    assert state_of("batch", "Job", {"spec": {"suspend": True}}) is State.READY


def test_a_service_needs_a_ready_endpoint_only_when_it_selects_pods():
    endpoint = {"addresses": ["10.0.0.1"], "conditions": {"ready": True}}
    spec = {"selector": {"a": "b"}}
    assert state_of("", "Service", {"spec": spec}, listed=[{"endpoints": [endpoint]}]) is State.READY
    unready = {**endpoint, "conditions": {"ready": False}}
    assert state_of("", "Service", {"spec": spec}, listed=[{"endpoints": [unready]}]) is State.WAITING
    assert state_of("", "Service", {"spec": spec}) is State.WAITING
    for skipped in (
        {"selector": {"a": "b"}, "clusterIP": "None"},
        {"type": "ExternalName", "selector": {"a": "b"}},
        {},
    ):
        assert state_of("", "Service", {"spec": skipped}) is State.READY
    balancer = {"type": "LoadBalancer"}
    assert state_of("", "Service", {"spec": balancer}) is State.WAITING


def test_a_claim_waits_unless_its_class_binds_at_first_use():
    lazy, eager = {"volumeBindingMode": "WaitForFirstConsumer"}, {"volumeBindingMode": "Immediate"}
    obj = {"spec": {"storageClassName": "c"}, "status": {"phase": "Pending"}}
    assert state_of("", "PersistentVolumeClaim", obj, objects=[lazy]) is State.READY
    assert state_of("", "PersistentVolumeClaim", obj, objects=[eager]) is State.WAITING
    assert "does not exist" in judged("", "PersistentVolumeClaim", obj).text
    assert "no default one" in judged("", "PersistentVolumeClaim", {"spec": {}}).text
    assert state_of("", "PersistentVolumeClaim", {"status": {"phase": "Bound"}}) is State.READY
    assert state_of("", "PersistentVolumeClaim", {"status": {"phase": "Lost"}}) is State.FAILED


def test_a_quota_is_ready_when_its_controller_has_taken_up_every_limit():
    spec = {"hard": {"pods": "5", "requests.memory": "1024Mi"}}
    assert state_of("", "ResourceQuota", {"spec": spec}) is State.WAITING
    status = {"hard": {"pods": "5", "requests.memory": "1Gi"}}
    assert state_of("", "ResourceQuota", {"spec": spec, "status": status}) is State.READY


def test_a_new_kind_is_ready_when_it_is_served():
    established = {"conditions": [{"type": "Established", "status": "True"}]}
    group = "apiextensions.k8s.io"
    assert state_of(group, "CustomResourceDefinition", {"status": established}) is State.READY
    assert state_of(group, "CustomResourceDefinition", {}) is State.WAITING
    taken = {"conditions": [{"type": "NamesAccepted", "status": "False"}]}
    assert state_of(group, "CustomResourceDefinition", {"status": taken}) is State.FAILED


CLUSTER = Gvk(group="postgresql.cnpg.io", version="v1", kind="Cluster")


def test_a_custom_resource_is_waited_for_only_when_the_program_says_so():
    assert rule_for(CLUSTER, {}, await_all=False) is None
    assert rule_for(CLUSTER, {}, await_all=True) is not None
    said = {"metadata": {"annotations": {steering.WAIT_FOR: "condition=Ready"}}}
    rule = rule_for(CLUSTER, said, await_all=False)
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert rule.judge(ready, Cluster()).state is State.READY
    assert rule.judge({}, Cluster()).state is State.WAITING


@pytest.mark.parametrize("value", ["true", "ready"])
def test_a_wait_can_be_skipped(value):
    skipping = {"metadata": {"annotations": {steering.SKIP_AWAIT: value}}}
    assert rule_for(Gvk(group="apps", version="v1", kind="Deployment"), skipping, await_all=False) is None


OBJ = {
    "metadata": {"generation": 3},
    "status": {
        "phase": "Up",
        "ready": True,
        "conditions": [
            {"type": "Ready", "status": "True", "observedGeneration": 3},
            {"type": "Old", "status": "True", "observedGeneration": 2},
        ],
        "list": [{"name": "a", "ip": "1"}],
        "a.b": "dotted",
    },
}


@pytest.mark.parametrize(
    "text",
    [
        "condition=Ready",
        "condition=ready=true",
        "condition=Ready=True",
        "jsonpath={.status.phase}=Up",
        "jsonpath='{.status.phase}'=Up",
        "jsonpath={.status.ready}=true",
        "jsonpath={.status.list[0].ip}",
        "jsonpath={.status.list[*].ip}=1",
        'jsonpath={.status.conditions[?(@.type=="Ready")].status}=True',
        "jsonpath={.status['a.b']}=dotted",
        r"jsonpath={.status.a\.b}=dotted",
    ],
)
def test_an_expectation_that_is_met(text):
    assert expectation(text).holds(OBJ)


@pytest.mark.parametrize(
    "text",
    [
        "condition=Missing",
        "condition=Ready=False",
        "condition=Old",
        "jsonpath={.status.phase}=Down",
        "jsonpath={.status.nothing}",
        "jsonpath={.status.list[3].ip}",
    ],
)
def test_an_expectation_that_is_not_met(text):
    assert not expectation(text).holds(OBJ)


@pytest.mark.parametrize("text", ["Ready", "condition=", "jsonpath={.a[}"])
def test_an_expectation_that_is_not_understood_is_refused(text):
    with pytest.raises(BadAnnotation):
        expectation(text)


def test_several_expectations_are_written_as_a_json_array():
    def of(value):
        return steering.wait_expressions({"metadata": {"annotations": {steering.WAIT_FOR: value}}})

    assert of("condition=Ready") == ["condition=Ready"]
    assert of('["condition=A", "jsonpath={.b}"]') == ["condition=A", "jsonpath={.b}"]
    for bad in ("[]", "[1]", "{}"):
        with pytest.raises(BadAnnotation):
            of(bad)


def test_the_time_to_wait_comes_from_the_program_first():
    said = {"metadata": {"annotations": {steering.TIMEOUT_SECONDS: "30"}}}
    assert steering.timeout_seconds(said, 5, 600) == 5
    assert steering.timeout_seconds(said, 0, 600) == 30
    assert steering.timeout_seconds({}, 0, 600) == 600
    with pytest.raises(BadAnnotation, match="whole number"):
        steering.timeout_seconds({"metadata": {"annotations": {steering.TIMEOUT_SECONDS: "5m"}}}, 0, 600)


def pod(name="p-1", **status):
    return {"metadata": {"name": name}, "status": status}


def container(**state):
    return {"name": "main", "image": "a:1", **state}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]},
            "cannot be scheduled: 0/1",
        ),
        (
            {"containerStatuses": [container(state={"waiting": {"reason": "ErrImagePull", "message": "no"}})]},
            "image a:1",
        ),
        (
            {
                "containerStatuses": [
                    container(
                        state={"waiting": {"reason": "CrashLoopBackOff"}},
                        lastState={"terminated": {"exitCode": 78, "message": "wrong identity"}},
                    )
                ]
            },
            "exit code 78: wrong identity",
        ),
        (
            {"initContainerStatuses": [container(state={"terminated": {"exitCode": 1, "reason": "Error"}})]},
            "exit code 1",
        ),
        (
            {"containerStatuses": [container(state={"terminated": {"exitCode": 137, "reason": "OOMKilled"}})]},
            "OOMKilled",
        ),
        ({"phase": "Failed", "reason": "Evicted"}, "Evicted"),
    ],
)
def test_a_pods_problem_is_told_in_its_own_words(status, words):
    assert words in reasons.pod_problem(pod(**status))


def test_a_pod_that_is_only_starting_has_no_problem():
    starting = [container(state={"waiting": {"reason": "ContainerCreating"}})]
    assert reasons.pod_problem(pod(containerStatuses=starting)) is None
    assert reasons.pod_problem(pod(phase="Running")) is None


def test_the_same_problem_of_many_pods_is_told_once():
    pods = [pod(f"p-{i}", phase="Failed", reason="Evicted") for i in range(5)]
    (text,) = reasons.pod_problems(pods)
    assert "and 4 more pods" in text


REF = Ref(gvk=CLUSTER, namespace="n", name="x")
LIVE = {"kind": "Cluster", "metadata": {"name": "x", "uid": "1"}}


def waiter(*objects):
    return waiting.Waiter(cluster=Cluster(objects=objects), say=lambda _: None, cancelled=threading.Event())


def test_waiting_ends_when_the_object_is_ready():
    rule = Rule(judge=lambda obj, _: READY if obj.get("done") else not_yet("not done"), seconds=5)
    done = {**LIVE, "done": True}
    assert waiter(LIVE, done).until_ready(REF, LIVE, rule, 5) == done


def test_waiting_that_takes_too_long_says_for_what():
    rule = Rule(judge=lambda *_: not_yet("no instance is up"), seconds=5, explain=lambda *_: ["disk full"])
    with pytest.raises(NotReady) as error:
        waiter(*[LIVE] * 9).until_ready(REF, LIVE, rule, 0.3)
    assert error.value.reasons == ["Cluster n/x is not ready after 0 s: no instance is up", "disk full"]


def test_an_object_that_disappears_while_it_is_waited_for_is_reported():
    rule = Rule(judge=lambda *_: not_yet("no"), seconds=5)
    with pytest.raises(NotReady, match="deleted by someone else"):
        waiter().until_ready(REF, LIVE, rule, 5)


def test_a_cancelled_wait_ends_at_once():
    cancelled = waiter(*[LIVE] * 99)
    cancelled.cancelled.set()
    with pytest.raises(Cancelled):
        cancelled.until_ready(REF, LIVE, Rule(judge=lambda *_: not_yet("no"), seconds=60), 60)


def test_an_object_that_does_not_go_is_reported_with_its_finalizers():
    stuck = {**LIVE, "metadata": {"uid": "1", "finalizers": ["example.com/hold", "foregroundDeletion"]}}
    with pytest.raises(NotReady, match=r"finalizers still on it: example\.com/hold\."):
        waiter(*[stuck] * 9).until_gone(REF, "1", 0.3)


def test_a_successor_under_the_same_name_counts_as_gone():
    waiter({**LIVE, "metadata": {"uid": "2"}}).until_gone(REF, "1", 5)
