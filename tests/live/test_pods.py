"""What really runs in the pods, looked at from inside with testinfra."""

from __future__ import annotations

import base64
import json
import os

import pytest
import testinfra

from infra.naming import ENVIRONMENTS
from tests.live.support import Platform

pytestmark = pytest.mark.live

USERS = {"odoo-web": 10019, "odoo-cron": 10019, "mail-sink": 10019, "edge": 10020, "postgresql": 26}
"""User and group of each workload, declared here independently of infra/; 26 is CloudNativePG's."""

WITH_CRON = ("training", "prod")
PLACES = [
    (environment, workload)
    for environment in ENVIRONMENTS
    for workload in USERS
    if (workload != "odoo-cron" or environment in WITH_CRON) and (workload != "mail-sink" or environment != "prod")
]
"""What runs where: small environments let web run the scheduled actions, and prod's mail goes to a real server."""


def inside(platform: Platform, environment: str, workload: str) -> testinfra.host.Host:
    namespace = platform.naming(environment).namespace
    pod = platform.pod_named(namespace, workload)
    os.environ["PATH"] = f"{platform.paths.state / 'bin'}:{os.environ['PATH']}"
    query = f"?namespace={namespace}&kubeconfig={platform.paths.kubeconfig}&container={pod.spec.containers[0].name}"
    return testinfra.get_host(f"kubectl://{pod.metadata.name}{query}")


@pytest.mark.parametrize(("environment", "workload"), PLACES)
def test_a_pod_runs_as_nobody_special_on_a_read_only_root(platform: Platform, environment: str, workload: str) -> None:
    host = inside(platform, environment, workload)
    status = host.file("/proc/1/status").content_string
    fields = {name: value.split() for name, _, value in (line.partition(":") for line in status.splitlines())}
    user = str(USERS[workload])
    assert host.check_output("id -u") == user
    assert fields["Uid"] == [user] * 4, "real, effective, saved and of the file system"
    assert fields["Gid"] == [user] * 4
    for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert fields[kind] == ["0000000000000000"], kind
    assert fields["NoNewPrivs"] == ["1"]
    assert fields["Seccomp"] == ["2"]
    [root] = [line.split() for line in host.check_output("cat /proc/mounts").splitlines() if line.split()[1] == "/"]
    assert "ro" in root[3].split(",")
    refused = host.run("touch /careops-was-here")
    assert refused.rc != 0
    assert "Read-only file system" in refused.stderr


def test_every_long_running_pod_is_of_a_workload_looked_into(platform: Platform, environment: str) -> None:
    """A workload that is added later does not escape the tests of this file."""
    known = {workload for place, workload in PLACES if place == environment}
    pods = platform.pods(platform.naming(environment).namespace)
    lasting = {pod.metadata.name for pod in pods if {one.kind for one in pod.metadata.owner_references or []} - {"Job"}}
    assert lasting
    assert [name for name in sorted(lasting) if not any(name.startswith(f"{one}-") for one in known)] == []


@pytest.mark.parametrize(("environment", "workload"), [place for place in PLACES if place[1] != "postgresql"])
def test_a_pod_has_no_token_of_the_kubernetes_api(platform: Platform, environment: str, workload: str) -> None:
    assert not inside(platform, environment, workload).file("/var/run/secrets/kubernetes.io").exists


def test_postgresql_alone_has_a_token_and_it_is_for_its_own_namespace(platform: Platform, environment: str) -> None:
    """The instance manager tells the operator how it is through the API; what is no part of that it may not read."""
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    host = inside(platform, environment, "postgresql")
    namespace = platform.naming(environment).namespace
    assert host.file(f"{folder}/namespace").content_string == namespace
    token = host.file(f"{folder}/token").content_string
    claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    assert claims["sub"] == f"system:serviceaccount:{namespace}:postgresql"


@pytest.mark.parametrize("environment", [one for one in ENVIRONMENTS if one != "prod"])
def test_the_mail_sink_keeps_no_mail_and_holds_no_secret(platform: Platform, environment: str) -> None:
    host = inside(platform, environment, "mail-sink")
    assert host.check_output("ls -A /tmp") == ""
    writable = {
        line.split()[1]
        for line in host.check_output("cat /proc/mounts").splitlines()
        if "rw" in line.split()[3].split(",") and not line.split()[1].startswith(("/proc", "/dev", "/sys"))
    }
    assert writable <= {"/tmp", "/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert not [name for name in host.environment() if "PASSWORD" in name or "SECRET" in name]


@pytest.mark.parametrize("environment", WITH_CRON)
def test_cron_alone_runs_the_scheduled_actions_where_it_has_a_deployment(platform: Platform, environment: str) -> None:
    threads = {
        workload: _settings(inside(platform, environment, workload))["max_cron_threads"]
        for workload in ("odoo-web", "odoo-cron")
    }
    assert threads["odoo-web"] == "0"
    assert int(threads["odoo-cron"]) >= 1


def _settings(host: testinfra.host.Host) -> dict[str, str]:
    lines = host.file("/run/odoo/odoo.conf").content_string.splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {name.strip().lower(): value.strip().lower() for name, _, value in pairs}


def test_odoo_runs_with_the_settings_it_was_given(platform: Platform, environment: str) -> None:
    wanted = {"list_db": "false", "proxy_mode": "true", "db_sslmode": "verify-full"}
    found = _settings(inside(platform, environment, "odoo-web"))
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
