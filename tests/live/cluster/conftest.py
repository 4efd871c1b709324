"""One embedded cluster of its own for all of these tests, beside whatever else runs on the machine."""

from __future__ import annotations

import os
import secrets
import socket
import sys
from pathlib import Path

import pytest

from tests.live.cluster.support import Workbench, traces
from toolchain.cluster.cluster import EmbeddedCluster
from toolchain.cluster.kubeapi import KubeApi
from toolchain.paths import Paths
from toolchain.progress import PlainReporter

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def new_cluster(state: Path, **options) -> EmbeddedCluster:
    """A cluster with its own state; builds and images come from the cache that every checkout shares."""
    shared = Paths.from_environment(os.environ, ROOT)
    return EmbeddedCluster(Paths(root=ROOT, state=state, cache=shared.cache), free_port(), **options)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    cluster = new_cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start(PlainReporter(sys.stderr))
        yield cluster
    finally:
        cluster.wipe()
    assert traces(cluster) == []


@pytest.fixture(scope="module")
def unenforced(tmp_path_factory):
    """A second cluster, side by side with the first, whose NetworkPolicy nothing enforces."""
    cluster = new_cluster(tmp_path_factory.mktemp("unenforced"), network_policy="none")
    try:
        cluster.start(PlainReporter(sys.stderr))
        yield cluster
    finally:
        cluster.wipe()


@pytest.fixture
def api(cluster):
    """The API of the running cluster; a test that stopped it before has it started again."""
    cluster.start()
    return KubeApi(cluster.kubeconfig, cluster.context)


@pytest.fixture
def bench(api, cluster):
    """A throw-away namespace (restricted, as every namespace that says nothing) with helpers around it."""
    bench = Workbench(api=api, namespace=f"test-{secrets.token_hex(4)}", images=cluster.system_images())
    bench.open()
    yield bench
    bench.close()
