"""What is refused before anything is touched."""

from __future__ import annotations

import os
import socket

import pytest

from toolchain.cluster import hostcheck
from toolchain.cluster.cluster import EmbeddedCluster
from toolchain.cluster.errors import NodeFailed, PortTaken
from toolchain.errors import HostUnfit, MissingTool
from toolchain.paths import Paths


@pytest.fixture
def listener():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.fixture
def paths(tmp_path):
    return Paths(root=tmp_path / "checkout", state=tmp_path / "state", cache=tmp_path / "cache")


def test_a_taken_port_is_refused_with_the_process_that_holds_it(listener):
    with pytest.raises(PortTaken, match=str(listener)) as refused:
        hostcheck.check_port(listener)
    assert f"Process {os.getpid()} " in refused.value.why


def test_a_free_port_is_accepted():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
    hostcheck.check_port(port)


def test_a_start_on_a_taken_port_touches_nothing(paths, listener):
    with pytest.raises(PortTaken):
        EmbeddedCluster(paths, listener).start()
    assert not paths.state.exists()
    assert not paths.cache.exists()


def test_a_user_who_is_not_root_is_refused_and_told_of_the_other_way(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(HostUnfit, match="root") as refused:
        hostcheck.check_host(tmp_path / "state")
    assert "--context" in refused.value.action
    assert not (tmp_path / "state").exists()


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(hostcheck, "PROGRAMS", ("bash", "no-such-program"))
    with pytest.raises(MissingTool, match="no-such-program"):
        hostcheck.check_host(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_a_machine_that_refuses_overlay_mounts_is_refused_with_its_own_words(tmp_path, monkeypatch):
    monkeypatch.setattr(hostcheck, "_PROBE", 'mount -t no-such-file-system none "$1"')
    with pytest.raises(HostUnfit, match="overlay") as refused:
        hostcheck.check_host(tmp_path)
    assert "mount:" in refused.value.why
    assert list(tmp_path.iterdir()) == [], "the trial leaves nothing"


@pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")
def test_a_fit_machine_is_accepted_and_the_trial_leaves_nothing(tmp_path):
    hostcheck.check_host(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_program_cannot_run_in_a_cluster_that_does_not_run(paths):
    with pytest.raises(NodeFailed, match="does not run"):
        EmbeddedCluster(paths).exec(["true"])


def test_a_cluster_that_never_ran_says_so(paths):
    status = EmbeddedCluster(paths, 17001).status()
    assert not status.running
    assert not status.healthy
    assert status.parts == ()


def test_stopping_and_wiping_what_never_ran_is_harmless(paths):
    cluster = EmbeddedCluster(paths)
    cluster.stop()
    cluster.wipe()
    assert list(paths.state.iterdir()) == []
