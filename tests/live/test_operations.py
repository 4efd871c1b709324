"""`up` converges, survives being killed, and `down` leaves nothing behind."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from kubernetes import client

from tests.live.support import Platform
from tests.sampling import sample

pytestmark = pytest.mark.live

KILL_AT = (0.01, 0.03, 0.07, 0.11, 0.18, 0.26, 0.36, 0.48, 0.64, 0.85)
"""Moments as parts of the time that an undisturbed run takes on this machine: every one of them is inside it."""


def test_an_unchanged_environment_shows_no_change(platform: Platform, environment: str) -> None:
    preview = platform.careops("preview", environment, "--json")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    changes = json.loads(preview.stdout)["environments"][0]["changes"]
    assert {op: count for op, count in changes.items() if op != "same" and count} == {}
    assert changes["same"] > 20


def test_status_says_what_runs(platform: Platform) -> None:
    status = platform.careops("status", "--json")
    assert status.returncode == 0, status.stdout + status.stderr
    report = json.loads(status.stdout)
    assert {e["name"] for e in report["environments"]} == {"dev", "test", "training", "prod"}
    assert all(e["healthy"] for e in report["environments"]), status.stdout


def test_a_second_up_at_the_same_time_is_refused_and_says_who_holds_the_lock(platform: Platform) -> None:
    first = start_up(platform, "dev")
    try:
        deadline = time.monotonic() + 60
        while str(first.pid) not in (platform.paths.state / "lock").read_text():
            assert first.poll() is None, "the first `up` ended before it took the lock"
            assert time.monotonic() < deadline
            time.sleep(0.05)
        second = platform.careops("up", "dev", "--yes")
        assert second.returncode == 9, second.stdout + second.stderr
        assert str(first.pid) in second.stderr
    finally:
        first.wait()


def start_up(platform: Platform, environment: str) -> subprocess.Popen[str]:
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return platform.start("up", environment, "--yes", own_session=True, **silent)


@pytest.fixture(scope="module")
def undisturbed_seconds(platform: Platform) -> float:
    """What making the environment anew takes when nothing disturbs it."""
    assert platform.careops("down", "test", "--yes").returncode == 0
    started = time.monotonic()
    assert start_up(platform, "test").wait() == 0
    return time.monotonic() - started


@pytest.mark.parametrize("moment", sample(KILL_AT, 3))
def test_up_killed_at_any_moment_completes_when_run_again(
    platform: Platform, undisturbed_seconds: float, moment: float
) -> None:
    seconds = moment * undisturbed_seconds
    assert platform.careops("down", "test", "--yes").returncode == 0
    process = start_up(platform, "test")
    time.sleep(seconds)
    assert process.poll() is None, f"`up` ended within {seconds:.1f} s, before it could be killed: nothing is proved"
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    again = platform.careops("up", "test", "--yes")
    assert again.returncode == 0, f"after a kill at {seconds:.1f} s: {again.stdout}{again.stderr}"
    test_an_unchanged_environment_shows_no_change(platform, "test")


def test_down_leaves_nothing_of_an_environment_and_touches_no_other(platform: Platform) -> None:
    others = {e: running(platform, e) for e in ("dev", "training", "prod")}
    namespace = platform.naming("test").namespace
    down = platform.careops("down", "test", "--yes")
    assert down.returncode == 0, down.stdout + down.stderr
    assert namespace not in {n.metadata.name for n in platform.api.list_namespace().items}
    claims = [volume.spec.claim_ref.namespace for volume in platform.api.list_persistent_volume().items]
    assert namespace not in claims
    assert {e: running(platform, e) for e in others} == others
    up = platform.careops("up", "test", "--yes")
    assert up.returncode == 0, up.stdout + up.stderr


def running(platform: Platform, environment: str) -> set[str]:
    return {pod.metadata.uid for pod in platform.pods(platform.naming(environment).namespace)}


@pytest.mark.parametrize("environment", ["training", "prod"])
def test_down_of_an_environment_that_holds_data_asks_for_its_name(platform: Platform, environment: str) -> None:
    before = running(platform, environment)
    refused = platform.careops("down", environment, "--yes")
    assert refused.returncode == 10, refused.stdout + refused.stderr
    assert f"--confirm {environment}" in refused.stderr
    assert running(platform, environment) == before


def test_no_secret_of_an_environment_is_in_pulumis_state_or_in_a_log(platform: Platform, environment: str) -> None:
    namespace = platform.naming(environment).namespace
    values = {
        value
        for secret in ("odoo-secrets", "postgresql-app", "edge-tls")
        for key, value in platform.secret(namespace, secret).items()
        if key in {"admin_password", "master_password", "password", "tls.key"}
    }
    assert len(values) >= 4
    files = [
        Path(folder) / name
        # os.walk passes over a folder that the running platform removes meanwhile.
        for folder, _, names in os.walk(platform.paths.state)
        for name in names
        if under_review(platform, str(Path(folder) / name)) and (Path(folder) / name).is_file()
    ]
    stack = platform.paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / f"{environment}.json"
    assert stack in files, "Pulumi's state of this environment is among what is searched"
    assert any(p.is_relative_to(platform.paths.state / "cluster" / "log") for p in files), "and the API's audit log"
    written = {form for value in values for form in forms(value)}
    assert any(form in json.dumps({"data": base64.b64encode(sorted(values)[0].encode()).decode()}) for form in written)
    found = [str(p) for p in files if any(form in content(p) for form in written)]
    assert found == []


def content(path: Path) -> str:
    """Return a file's text; nothing when the running platform has removed the file since it was listed."""
    try:
        return path.read_text(errors="ignore")
    except FileNotFoundError:
        return ""


def forms(value: str) -> set[str]:
    """Return how a secret may stand in a file: as it is, as Kubernetes writes it, in JSON, or a line of a PEM file."""
    lines = [line for line in value.splitlines() if len(line) > 40 and "-----" not in line]
    return {value, base64.b64encode(value.encode()).decode(), json.dumps(value)[1:-1], *lines}


def under_review(platform: Platform, path: str) -> bool:
    relative = path.removeprefix(f"{platform.paths.state}/")
    return relative.startswith(("pulumi/backend", "logs", "cluster/log", "facts", "last-up"))


def test_namespaces_enforce_the_restricted_pod_security_standard(platform: Platform, environment: str) -> None:
    namespace = platform.naming(environment).namespace
    pod = client.V1Pod(
        metadata=client.V1ObjectMeta(name="anybody"),
        spec=client.V1PodSpec(containers=[client.V1Container(name="c", image="careops.local/none:1")]),
    )
    with pytest.raises(client.ApiException) as refused:
        platform.api.create_namespaced_pod(namespace, pod, dry_run="All")
    assert refused.value.status == 403
    assert "violates PodSecurity" in str(refused.value.body)
