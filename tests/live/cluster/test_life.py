"""Start, stop, crash and start again."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.live.cluster.conftest import ROOT, free_port
from tests.live.cluster.support import forwarder, init, launcher, traces, until
from toolchain.cluster import processes
from toolchain.cluster.cluster import EmbeddedCluster
from toolchain.cluster.errors import ClusterBusy, NodeFailed, PortTaken

pytestmark = pytest.mark.live

PARTS = ("etcd", "containerd", "kube-apiserver", "kubelet", "kube-proxy", "kube-scheduler", "calico-felix")

_START = """
import sys
from pathlib import Path
from toolchain.cluster.cluster import EmbeddedCluster
from toolchain.paths import Paths
root, state, cache, port = sys.argv[1:]
EmbeddedCluster(Paths(root=Path(root), state=Path(state), cache=Path(cache)), int(port)).start()
"""


@pytest.mark.usefixtures("api")
def test_a_started_cluster_is_healthy_in_every_part(cluster):
    status = cluster.status()
    assert status.running
    assert status.healthy
    assert {part.name for part in status.parts} >= {*PARTS, "kube-controller-manager", "pods"}
    assert all(part.process for part in status.parts if part.healthy is not None)
    assert status.usage.memory_bytes > 100 * 2**20


@pytest.mark.usefixtures("api")
def test_a_second_start_adopts_the_running_cluster(cluster):
    before = launcher(cluster), init(cluster)
    began = time.monotonic()
    cluster.start()
    assert (launcher(cluster), init(cluster)) == before
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.usefixtures("api")
def test_a_part_that_is_killed_comes_back_by_itself(cluster, name):
    def part():
        return next(item for item in cluster.status().parts if item.name == name)

    killed = part()
    os.kill(killed.process, signal.SIGKILL)
    back = until(
        f"{name} is well again",
        lambda: found if (found := part()).healthy and found.process not in {None, killed.process} else None,
    )
    assert back.restarts == killed.restarts + 1
    until("the whole cluster is well", lambda: cluster.status().healthy)


def test_a_killed_forwarder_comes_back_by_itself(api, cluster):
    killed = forwarder(cluster)
    processes.send(killed, signal.SIGKILL)
    until("the API answers again", lambda: _answers(api))
    assert forwarder(cluster) != killed


def _answers(api):
    try:
        return api.request("GET", "/readyz", timeout=2) == "ok"
    except Exception:
        return False


@pytest.mark.parametrize("victim", [init, launcher], ids=["the node's PID 1", "the launcher"])
def test_a_killed_node_leaves_nothing_running_and_starts_again_with_its_data(bench, cluster, victim):
    bench.config_map("kept", "over the crash")
    processes.send(victim(cluster), signal.SIGKILL)
    until("nothing of the node runs", lambda: [line for line in traces(cluster) if "process" in line] == [])
    assert not cluster.status().running
    with pytest.raises(NodeFailed):
        cluster.exec(["true"])
    assert cluster.start().healthy
    assert bench.api.get(f"{bench.path}/configmaps/kept")["data"] == {"value": "over the crash"}


@pytest.fixture(scope="module")
def start_seconds(cluster):
    """How long a start of the stopped cluster takes here when nothing disturbs it, Python's own start included."""
    cluster.stop()
    began = time.monotonic()
    assert _starter(cluster).wait() == 0
    return time.monotonic() - began


@pytest.mark.parametrize("part", [0.1, 0.35, 0.7], ids=lambda part: f"{part:.0%} of a start")
def test_a_start_that_is_killed_half_way_is_completed_by_the_next(cluster, start_seconds, part):
    cluster.stop()
    starter = _starter(cluster)
    time.sleep(part * start_seconds)
    ended = starter.poll()
    starter.kill()
    starter.wait()
    assert ended is None, "the start had ended before it could be killed: nothing was interrupted"
    assert cluster.start().healthy


def _starter(cluster):
    """Start the stopped cluster in a process of its own."""
    arguments = [str(ROOT), str(cluster.layout.state), str(cluster.paths.cache), str(cluster.spec.api_port)]
    return subprocess.Popen([sys.executable, "-c", _START, *arguments], cwd=ROOT)


@pytest.mark.usefixtures("api")
def test_a_start_with_a_damaged_record_ends_what_runs_and_starts_anew(cluster):
    before = init(cluster)
    cluster.layout.node_record.write_text('{"launcher": ')
    processes_before = before
    try:
        status = cluster.start()
    except PortTaken:
        pytest.fail("the cluster's own forwarder was taken for a stranger")
    assert status.healthy
    assert not processes_before.alive()


def test_a_stopped_cluster_leaves_no_process_mount_or_group_and_keeps_its_data(bench, cluster):
    bench.config_map("kept", "over a stop")
    cluster.stop()
    assert traces(cluster) == []
    assert not cluster.status().running
    cluster.stop()
    assert cluster.start().healthy
    assert bench.api.get(f"{bench.path}/configmaps/kept")["data"] == {"value": "over a stop"}


def test_a_stop_lets_containers_end_by_themselves(bench, cluster):
    bench.claim("data", None, "ReadWriteOnce")
    bench.pod("writer", "sh", "-c", "trap 'echo ended > /data/mark; exit 0' TERM; sleep 3600 & wait", claim="data")
    cluster.stop()
    marks = list(cluster.layout.data("pv").glob(f"block/*{bench.namespace}_data/mark"))
    cluster.start()
    assert [mark.read_text() for mark in marks] == ["ended\n"]


@pytest.mark.usefixtures("api")
def test_a_start_on_a_taken_port_is_refused_and_the_running_cluster_goes_on(cluster):
    before = init(cluster)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        other = EmbeddedCluster(cluster.paths, server.getsockname()[1])
        with pytest.raises(PortTaken):
            other.start()
    assert init(cluster) == before
    assert cluster.status().healthy


def test_another_port_restarts_the_cluster_on_it(bench, cluster):
    bench.config_map("kept", "over a new port")
    moved = EmbeddedCluster(cluster.paths, free_port())
    try:
        assert moved.start().api_port == moved.spec.api_port
        assert str(moved.spec.api_port) in moved.kubeconfig.read_text()
    finally:
        cluster.start()
    assert bench.api.get(f"{bench.path}/configmaps/kept")["data"] == {"value": "over a new port"}


@pytest.mark.usefixtures("api")
def test_two_commands_at_once_do_not_touch_each_other(cluster):
    with cluster.layout.lock.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for command in (cluster.start, cluster.stop, cluster.wipe):
            with pytest.raises(ClusterBusy, match="Another"):
                command()
    assert cluster.status().healthy


@pytest.mark.usefixtures("api")
def test_the_machines_own_settings_are_as_before(cluster):
    """The kubelet wants these knobs of the whole machine; the node shows it others."""
    wanted = {"kernel/panic": "10", "kernel/panic_on_oops": "1", "vm/overcommit_memory": "1"}
    shown = {name: cluster.exec(["cat", f"/proc/sys/{name}"]).stdout.decode().strip() for name in wanted}
    assert shown == wanted
    host = {name: (processes.PROC / "sys" / name).read_text().strip() for name in wanted}
    assert host != wanted, "the machine has these values by itself: this test can tell nothing here"


@pytest.mark.usefixtures("api")
def test_two_clusters_run_side_by_side_and_a_wipe_leaves_nothing_of_one(cluster, unenforced):
    assert unenforced.status().healthy
    assert unenforced.layout.name != cluster.layout.name
    unenforced.wipe()
    assert traces(unenforced) == []
    assert list(unenforced.layout.state.iterdir()) == []
    assert cluster.status().healthy
