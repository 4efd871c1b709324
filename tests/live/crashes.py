"""The node of the platform, killed in the middle of a refresh, and what it is when it is back."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from kubernetes import client

from infra.naming import REFRESH_ADOPT, REFRESH_EXPORT, REFRESH_MASK, refresh_namespace
from tests.live.cluster.support import init, inside, until
from tests.live.support import SITE, Platform
from toolchain.cluster.cluster import EmbeddedCluster
from toolchain.cluster.node import read_record
from toolchain.cluster.processes import send
from toolchain.cluster.spec import Layout

if TYPE_CHECKING:
    from collections.abc import Sequence

PROD, TRAINING, ISOLATED = f"{SITE}-prod", f"{SITE}-training", refresh_namespace(SITE)
REFRESH = ("refresh", "training", "--confirm", f"{SITE}/training")
BACK_SECONDS = 240.0
"""How long the platform may take to be whole again after its node was killed."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When the node is killed: as soon as a program says a line."""

    program: str
    says: str

    def __str__(self) -> str:
        return f"{self.program.removeprefix('refresh-')}: {self.says}"

    @property
    def namespace(self) -> str:
        return {REFRESH_EXPORT: PROD, REFRESH_MASK: ISOLATED, REFRESH_ADOPT: TRAINING}[self.program]


MOMENTS = (
    Moment(program=REFRESH_EXPORT, says="load"),
    Moment(program=REFRESH_MASK, says="transfer: copy"),
    Moment(program=REFRESH_MASK, says="transfer: constraints"),
    Moment(program=REFRESH_MASK, says="wait for the adoption"),
    Moment(program=REFRESH_ADOPT, says="neutralise"),
    Moment(program=REFRESH_ADOPT, says="recompute"),
    Moment(program=REFRESH_MASK, says="verify"),
    Moment(program=REFRESH_ADOPT, says="swap"),
)


@dataclass(frozen=True, kw_only=True)
class Crash:
    """What a killed node left, once it was back.

    Attributes:
        moment: When it was killed.
        code: What the command ended with, which watched over the node's end.
        said: What it said.
        before: Run whose data training held before; None when no refresh had made them.
        after: The same afterwards.
        run: The run that was interrupted.
        copies: Folders of the node's disk that hold the isolated copy.
        pods: Pods of the isolated namespace that run.
        entered: Whether training's role may enter a half database; None when there is none.
        real: Lines of training's databases, the half one too, that hold a real value.
    """

    moment: Moment
    code: int
    said: str
    before: str | None
    after: str | None
    run: str
    copies: Sequence[str]
    pods: Sequence[str]
    entered: bool | None
    real: int


def crash(platform: Platform, moment: Moment, real: Sequence[str]) -> Crash:
    """Start a refresh, kill the node at a moment, start it again, and look.

    Args:
        platform: The platform.
        moment: When.
        real: Values of production that training must never hold.
    """
    cluster, before = cluster_of(platform), generation(platform)
    process = platform.start(*REFRESH)
    run = _reach(platform, process, moment)
    assert isolated_copies(cluster), "the search finds no isolated copy while there is one"
    send(init(cluster), signal.SIGKILL)
    until("nothing of the node runs", lambda: not cluster.status().running)
    assert process.poll() is None, "the command ended before the node did: nothing was interrupted"
    cluster.start()
    _, said = process.communicate(timeout=600)
    until("the platform is whole again", lambda: whole(platform), BACK_SECONDS)
    until("no pod of the run is left", lambda: not platform.pods(ISOLATED))
    return Crash(
        moment=moment,
        code=process.returncode,
        said=said,
        before=before,
        after=generation(platform),
        run=run,
        copies=isolated_copies(cluster),
        pods=[str(pod.metadata and pod.metadata.name) for pod in platform.pods(ISOLATED)],
        entered=_entered(platform),
        real=sum(count(platform, TRAINING, name, real) for name in _databases(platform)),
    )


def _reach(platform: Platform, process: subprocess.Popen[str], moment: Moment) -> str:
    """Wait for the moment and return the run; a run that ends before it fails the test."""
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        if process.poll() is not None:
            pytest.fail(f"the run ended before {moment}: {process.communicate()}")
        for pod in platform.pods(moment.namespace):
            assert pod.metadata
            name = str(pod.metadata.name)
            said = _log(platform, pod, moment) if name.startswith(f"{moment.program}-") else ""
            # As `careops-refresh: mask: <step>`, or `careops-odoo: adopt: [  1.0 s] <step>`.
            if f": {moment.says}" in said or f"] {moment.says}" in said:
                return name.removeprefix(f"{moment.program}-").partition("-")[0]
        time.sleep(0.3)
    pytest.fail(f"not within ten minutes: {moment}")


def _log(platform: Platform, pod: client.V1Pod, moment: Moment) -> str:
    assert pod.metadata
    try:
        return platform.api.read_namespaced_pod_log(pod.metadata.name, moment.namespace, container=moment.program)
    except client.ApiException as error:
        if error.status in (400, 404):  # its container is still starting, or its pod has gone meanwhile
            return ""
        raise


def cluster_of(platform: Platform) -> EmbeddedCluster:
    """Return the platform's own cluster."""
    record = read_record(Layout.of(platform.paths.state))
    assert record is not None
    return EmbeddedCluster(platform.paths, record.api_port)


def isolated_copies(cluster: EmbeddedCluster) -> list[str]:
    """Return the folders of the node's disk that hold an isolated PostgreSQL's data."""
    script = "find /var/lib/kubelet/pods -path '*empty-dir/isolated-data/*' -name PG_VERSION 2>/dev/null; true"
    return inside(cluster, script).stdout.decode().split()


def generation(platform: Platform) -> str | None:
    """Return the run whose data training holds."""
    said = platform.careops("refresh", "status", "--json")
    assert said.returncode == 0, said.stderr
    return json.loads(said.stdout)["generation"]


def whole(platform: Platform) -> bool:
    """Return whether every environment is healthy by the platform's own account."""
    said = platform.careops("status", "--json")
    return said.returncode == 0 and all(each["healthy"] for each in json.loads(said.stdout)["environments"])


def _databases(platform: Platform) -> list[str]:
    said = _sql(platform, "SELECT datname FROM pg_database WHERE datname ~ '^odoo' AND datallowconn")
    assert "odoo" in said.split()
    return said.split()


def _entered(platform: Platform) -> bool | None:
    half = "SELECT has_database_privilege('odoo', datname, 'CONNECT') FROM pg_database WHERE datname = 'odoo_refresh'"
    return {"": None, "t": True, "f": False}[_sql(platform, half)]


def _sql(platform: Platform, query: str) -> str:
    pod = platform.pod_named(TRAINING, "postgresql")
    return platform.run_in(pod, ["psql", "-XAtqc", query, "postgres"], container="postgres").strip()


def count(platform: Platform, namespace: str, database: str, values: Sequence[str]) -> int:
    """Return how many lines of a whole database hold one of the values."""
    pod = platform.pod_named(namespace, "postgresql")
    patterns = " ".join(f"-e '{value}'" for value in values)
    command = f"pg_dump --data-only {database} | grep -c -F {patterns}; test $? -le 1"
    return int(platform.run_in(pod, ["bash", "-c", command], container="postgres").strip().splitlines()[-1])
