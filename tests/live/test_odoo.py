"""Each environment's Odoo answers its users through the edge, and only through the edge."""

from __future__ import annotations

import ssl
import warnings
from typing import TYPE_CHECKING

import httpx
import pytest

from infra.settings import load_stack
from tests.live.support import ROOT, Platform, browser, forwarded

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live


def test_a_user_logs_in_and_creates_a_contact(platform: Platform, environment: str, tmp_path: Path) -> None:
    with browser(platform, environment, tmp_path) as user:
        assert "/odoo" in str(user.log_in().url), "the login did not lead into Odoo"
        name = f"Contact made by a test in {environment}"
        contact = user.call("res.partner", "create", [{"name": name}])
        assert user.call("res.partner", "search_read", [["name", "=", name]], ["name"])[0]["name"] == name
        assert user.call("res.partner", "unlink", contact) is True


def test_a_wrong_password_does_not_log_in(platform: Platform, tmp_path: Path) -> None:
    with browser(platform, "prod", tmp_path) as user:
        object.__setattr__(user, "password", "admin")
        assert "/web/login" in str(user.log_in().url)


def test_one_environments_password_is_not_anothers(platform: Platform) -> None:
    passwords = {
        platform.secret(platform.naming(e).namespace, "odoo-secrets")["admin_password"]
        for e in ("dev", "test", "training", "prod")
    }
    assert len(passwords) == 4


@pytest.mark.parametrize(
    "path",
    [
        "/web/database/manager",
        "/fr/web/database/manager",
        "/web/database/selector",
        "/web/database/backup",
        "/xmlrpc/2/db",
    ],
)
def test_the_edge_blocks_the_database_manager(platform: Platform, environment: str, tmp_path: Path, path: str) -> None:
    with browser(platform, environment, tmp_path) as user:
        assert user.http.get(path).status_code in {403, 404}


def test_the_edge_tells_browsers_to_stay_on_tls(platform: Platform, environment: str, tmp_path: Path) -> None:
    with browser(platform, environment, tmp_path) as user:
        assert "max-age=" in user.http.get("/web/login").headers["strict-transport-security"]


def test_the_edge_speaks_no_old_tls(platform: Platform) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings(action="ignore"):  # Python warns of what this test asks for on purpose
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    namespace = platform.naming("prod").namespace
    with forwarded(platform, namespace, "service/edge", 8443) as port, pytest.raises(httpx.ConnectError):
        httpx.get(f"https://127.0.0.1:{port}/", verify=context)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "riverside-test.localhost"])
def test_the_edge_answers_to_no_name_that_another_environment_has_too(
    platform: Platform, tmp_path: Path, name: str
) -> None:
    with browser(platform, "dev", tmp_path) as user:
        answer = user.http.get("/web/login", headers={"Host": f"{name}:{user.http.base_url.port}"})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers


def test_the_websocket_route_upgrades(platform: Platform, environment: str, tmp_path: Path) -> None:
    with browser(platform, environment, tmp_path) as user:
        user.log_in()
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
            "Origin": str(user.http.base_url).rstrip("/"),
        }
        with user.http.stream("GET", "/websocket", headers=headers) as answer:
            assert answer.status_code == 101


def test_the_data_are_the_environments_own(platform: Platform, environment: str, tmp_path: Path) -> None:
    with browser(platform, environment, tmp_path) as user:
        user.log_in()
        demo = user.call("ir.module.module", "search_count", [["demo", "=", True]])
        identity = user.call("ir.config_parameter", "get_param", "careops.identity")
        assert identity == platform.naming(environment).identity
        assert (demo > 0) == (environment in {"dev", "test"}), "demo data belong to dev and test, and nowhere else"


def test_no_two_environments_share_their_database_uuid(platform: Platform, tmp_path: Path) -> None:
    seen = set()
    for environment in ("dev", "test", "training", "prod"):
        with browser(platform, environment, tmp_path) as user:
            user.log_in()
            seen.add(user.call("ir.config_parameter", "get_param", "database.uuid"))
    assert len(seen) == 4


def test_production_carries_the_sites_company(platform: Platform, tmp_path: Path) -> None:
    company = load_stack(ROOT, "prod").site.company
    with browser(platform, "prod", tmp_path) as user:
        user.log_in()
        assert user.call("res.company", "search_read", [], ["name"])[0]["name"] == company.name
