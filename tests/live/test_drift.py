"""What somebody deleted by hand is made again, and nobody is locked out by it."""

from __future__ import annotations

import json
import ssl
import time
from typing import TYPE_CHECKING

import pytest

from infra.naming import EDGE_TLS, ODOO_SECRETS
from tests.live.support import Platform, browser, forwarded

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live

BROUGHT_SECONDS = 120
"""The kubelet brings a changed Secret within 90 s, the edge looks for it every 10."""


def deployed(platform: Platform) -> str:
    """Run `up` of dev; return what it says about the deployment."""
    up = platform.careops("up", "dev", "--yes", "--json")
    assert up.returncode == 0, up.stdout + up.stderr
    (note,) = [phase["note"] for phase in json.loads(up.stdout)["phases"] if phase["name"] == "deploy:dev"]
    return note


def running_edges(platform: Platform, namespace: str) -> set[str]:
    return {pod.metadata.uid for pod in platform.pods(namespace) if pod.metadata.name.startswith("edge-")}


def test_a_deleted_certificate_is_made_anew_and_served_by_the_same_edge(platform: Platform, tmp_path: Path) -> None:
    namespace = platform.naming("dev").namespace
    before, edges = platform.secret(namespace, EDGE_TLS), running_edges(platform, namespace)
    platform.api.delete_namespaced_secret(EDGE_TLS, namespace)
    assert "the Secret edge-tls was not there" in deployed(platform)
    after = platform.secret(namespace, EDGE_TLS)
    assert after["ca.crt"] != before["ca.crt"]
    deadline = time.monotonic() + BROUGHT_SECONDS
    with forwarded(platform, namespace, "service/edge", 8443) as port:
        while ssl.get_server_certificate(("127.0.0.1", port)).strip() != after["tls.crt"].strip():
            assert time.monotonic() < deadline, "the edge still serves the old certificate"
            time.sleep(1)
    assert running_edges(platform, namespace) == edges
    with browser(platform, "dev", tmp_path) as user:
        assert user.log_in().status_code == 200


def test_a_deleted_login_is_made_anew_and_opens_the_database_that_was_there(platform: Platform, tmp_path: Path) -> None:
    namespace = platform.naming("dev").namespace
    with browser(platform, "dev", tmp_path) as user:
        user.log_in()
        uuid = user.call("ir.config_parameter", "get_param", "database.uuid")
        old = user.password
    platform.api.delete_namespaced_secret(ODOO_SECRETS, namespace)
    assert "a new administrator's password" in deployed(platform)
    with browser(platform, "dev", tmp_path) as user:
        assert user.password != old
        user.log_in()
        assert user.call("ir.config_parameter", "get_param", "database.uuid") == uuid
    assert deployed(platform) == "unchanged", "made once, not at every run"
