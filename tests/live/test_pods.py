"""What really runs in the pods, looked at from inside with testinfra."""

from __future__ import annotations

import os

import pytest
import testinfra

from infra.naming import ENVIRONMENTS
from tests.live.support import Platform

pytestmark = pytest.mark.live


def inside(platform: Platform, environment: str, workload: str) -> testinfra.host.Host:
    namespace = platform.naming(environment).namespace
    pod = platform.pod_named(namespace, workload)
    os.environ["PATH"] = f"{platform.paths.state / 'bin'}:{os.environ['PATH']}"
    query = f"?namespace={namespace}&kubeconfig={platform.paths.kubeconfig}&container={pod.spec.containers[0].name}"
    return testinfra.get_host(f"kubectl://{pod.metadata.name}{query}")


@pytest.mark.parametrize("workload", ["odoo-web", "edge"])
def test_a_pod_runs_as_nobody_special_on_a_read_only_root(platform: Platform, environment: str, workload: str) -> None:
    host = inside(platform, environment, workload)
    status = host.file("/proc/1/status").content_string
    assert int(host.check_output("id -u")) >= 10000
    assert "CapEff:\t0000000000000000" in status
    assert "CapBnd:\t0000000000000000" in status
    assert "NoNewPrivs:\t1" in status
    assert "Seccomp:\t2" in status
    assert host.run("touch /careops-was-here").rc != 0


@pytest.mark.parametrize("workload", ["odoo-web", "edge"])
def test_a_pod_has_no_token_of_the_kubernetes_api(platform: Platform, environment: str, workload: str) -> None:
    assert not inside(platform, environment, workload).file("/var/run/secrets/kubernetes.io").exists


def test_odoo_runs_with_the_settings_it_was_given(platform: Platform, environment: str) -> None:
    settings = inside(platform, environment, "odoo-web").file("/run/odoo/odoo.conf").content_string
    wanted = {"list_db": "false", "proxy_mode": "true", "db_sslmode": "verify-full"}
    found = dict((part.strip().lower() for part in line.split("=", 1)) for line in settings.splitlines() if "=" in line)
    assert {key: found.get(key) for key in wanted} == wanted
    assert found["admin_passwd"].startswith("$pbkdf2-sha512$")


def test_the_running_image_is_the_same_in_every_environment(platform: Platform) -> None:
    """One digest is promoted: what was tested is what runs in production."""
    images = {
        platform.pod_named(platform.naming(e).namespace, "odoo-web").spec.containers[0].image for e in ENVIRONMENTS
    }
    assert len(images) == 1
    assert "@sha256:" in images.pop()


def test_a_database_of_another_environment_is_refused_at_start(platform: Platform) -> None:
    """The boot guard's failing side: the same pod, told that it is prod, does not start on dev's database."""
    host = inside(platform, "dev", "odoo-web")
    refused = host.run("env CAREOPS_ENVIRONMENT=prod careops-odoo guard")
    assert refused.rc == 78
    assert "riverside/dev" in refused.stdout + refused.stderr
    assert host.run("careops-odoo guard").rc == 0
