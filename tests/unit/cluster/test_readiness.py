"""When a cluster counts as ready and how its state is read: never by what was true before this start."""

from __future__ import annotations

import datetime as dt

import pytest

from toolchain.cluster.processes import Usage
from toolchain.cluster.ready import heartbeat_is_fresh, node_is_ready, pod_is_fresh
from toolchain.cluster.status import ClusterStatus, PartStatus, classify, parse_health

START = dt.datetime(2026, 5, 1, 12, 0, 0, 500_000, tzinfo=dt.UTC)
AFTER = START + dt.timedelta(seconds=5)


def lease(moment):
    return {"spec": {"renewTime": moment.isoformat().replace("+00:00", "Z")}}


def pod(*started, ready="True"):
    states = [{"state": {"running": {"startedAt": item}} if item else {"waiting": {}}} for item in started]
    return {"status": {"conditions": [{"type": "Ready", "status": ready}], "containerStatuses": states}}


def test_a_heartbeat_of_the_last_run_does_not_count():
    assert not heartbeat_is_fresh(lease(START - dt.timedelta(seconds=1)), START, AFTER)
    assert heartbeat_is_fresh(lease(START + dt.timedelta(seconds=1)), START, AFTER)


def test_a_heartbeat_that_stopped_does_not_count():
    renewed = START + dt.timedelta(seconds=1)
    assert not heartbeat_is_fresh(lease(renewed), START, renewed + dt.timedelta(seconds=41))


@pytest.mark.parametrize("nothing", [None, {}, {"spec": {}}])
def test_a_node_that_never_had_a_heartbeat_is_not_there(nothing):
    assert not heartbeat_is_fresh(nothing, START, AFTER)


def test_a_node_must_say_that_it_is_ready():
    assert node_is_ready({"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
    assert not node_is_ready({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}})
    assert not node_is_ready(None)


def test_a_pod_with_the_containers_of_the_last_run_does_not_count():
    assert not pod_is_fresh(pod("2026-05-01T11:59:59Z"), START)
    assert pod_is_fresh(pod("2026-05-01T12:00:03Z"), START)


def test_a_container_that_started_in_the_second_of_the_start_counts():
    assert pod_is_fresh(pod("2026-05-01T12:00:00Z"), START), "the API tells whole seconds only"


def test_a_pod_counts_only_when_every_container_runs_and_it_is_ready():
    assert not pod_is_fresh(pod("2026-05-01T12:00:03Z", None), START)
    assert not pod_is_fresh(pod("2026-05-01T12:00:03Z", ready="False"), START)
    assert not pod_is_fresh({"status": {}}, START)


def test_health_lines_are_read_and_noise_is_not():
    assert parse_health("etcd ok 0\nkubelet down 3\nbash: noise\n\n") == {"etcd": (True, 0), "kubelet": (False, 3)}


NAMES = ("etcd", "containerd", "kube-apiserver")


@pytest.mark.parametrize(
    ("command", "in_pod", "part"),
    [
        (("etcd", "--name=x"), False, "etcd"),
        (("/opt/careops/containerd/bin/containerd",), False, "containerd"),
        (("/opt/careops/containerd/bin/containerd-shim-runc-v2", "-id"), False, "containerd"),
        (("etcd",), True, "pods"),
        (("bash", "init.sh"), False, "node"),
        ((), False, "node"),
    ],
)
def test_a_process_belongs_to_the_part_that_started_it(command, in_pod, part):
    assert classify(command, in_pod, NAMES) == part


def test_the_cluster_uses_what_its_parts_use():
    parts = tuple(
        PartStatus(name=name, usage=Usage(processes=1, memory_bytes=10, cpu_seconds=0.5)) for name in ("a", "b")
    )
    status = ClusterStatus(running=True, healthy=True, api_port=1, parts=parts)
    assert status.usage == Usage(processes=2, memory_bytes=20, cpu_seconds=1.0)
