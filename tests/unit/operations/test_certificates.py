"""What an edge's certificate says, and what the commands make of it."""

from __future__ import annotations

import pytest

from operations.certificates import certificate_authority, certificate_status, read_certificate
from operations.doctor import judge_certificate as finding
from operations.health import judge_certificate
from operations.status import EnvironmentStatus, healthy
from tests.edge_tls import HOST, NOW, edge_tls


def test_the_authority_comes_out_of_the_environments_own_secret():
    assert certificate_authority(edge_tls()) == "CA"
    assert certificate_authority(None) is None
    assert certificate_authority({"data": {}}) is None


def test_a_secret_without_a_readable_certificate_has_none():
    assert read_certificate(None) is None
    assert read_certificate({"data": {"tls.crt": "bm8gUEVN"}}) is None


@pytest.mark.parametrize(
    ("secret", "fault"),
    [
        (edge_tls(days=61), None),
        (edge_tls(days=60), None),
        (edge_tls(days=59.9), "expires in 59 days"),
        (edge_tls(days=-0.1), "expired on 2026-11-24"),
        (edge_tls(names=("localhost",)), f"is not for {HOST}"),
    ],
    ids=["61 days", "60 days", "less than 60 days", "expired", "another name"],
)
def test_a_certificate_is_good_with_sixty_days_left_and_the_environments_name(secret, fault):
    found = read_certificate(secret)
    assert found is not None
    assert found.own
    said = found.fault(HOST, NOW)
    assert said is None if fault is None else fault in str(said)


def test_status_and_doctor_show_the_days_left_and_what_to_do_under_sixty(make_environment):
    dev = make_environment("dev")
    good = certificate_status(read_certificate(edge_tls(days=300)), dev, NOW)
    late = certificate_status(read_certificate(edge_tls(days=40)), dev, NOW)
    assert good is not None
    assert late is not None
    assert (str(good), good.days_left, good.hint) == ("300 days left", 300, "")
    assert (str(late), late.hint) == ("40 days left", "renew it: ./careops up dev")
    assert (finding("dev", good).verdict, finding("dev", late).verdict) == ("ok", "note")
    assert "expires in 40 days" in finding("dev", late).found


def test_a_certificate_of_the_hospitals_own_authority_is_theirs_to_replace(make_environment):
    found = certificate_status(read_certificate(edge_tls(days=5, issuer="Riverside CA")), make_environment("dev"), NOW)
    assert found is not None
    assert "replace Secret edge-tls in riverside-dev" in found.hint


def test_an_environment_with_an_expired_certificate_is_not_healthy(make_environment):
    dev = make_environment("dev")

    def status(days: float) -> EnvironmentStatus:
        certificate = certificate_status(read_certificate(edge_tls(days=days)), dev, NOW)
        return EnvironmentStatus(stack="dev", namespace="riverside-dev", state="ready", certificate=certificate)

    assert healthy([status(10)], [])
    assert not healthy([status(-1)], [])


@pytest.mark.parametrize(
    ("secret", "complaint"),
    [
        (edge_tls(days=10), None),
        (edge_tls(days=-10), "expired on 2026-11-14"),
        (edge_tls(names=("erp.example.org",)), f"is not for {HOST}; the job odoo-secrets should have made it anew"),
        (edge_tls(days=-10, issuer="Riverside CA"), "your own authority signed it"),
        (None, "no certificate that can be read"),
    ],
    ids=["a few days", "expired", "another name", "expired and yours", "none"],
)
def test_up_says_at_once_why_no_browser_would_accept_the_certificate(secret, complaint):
    said = judge_certificate(read_certificate(secret), HOST, NOW)
    assert said is None if complaint is None else complaint in str(said)
