"""The judge of the packet matrix, without a cluster: it must fail on what it exists to find."""

from __future__ import annotations

from tests.live.matrix import Attempt, Endpoint, attempts, differences

EDGE = Endpoint(namespace="s-dev", role="edge", pod="edge-1", ip="10.0.0.1")
WEB = Endpoint(namespace="s-dev", role="odoo-web", pod="odoo-web-1", ip="10.0.0.2")
PROD_DATABASE = Endpoint(namespace="s-prod", role="postgresql", pod="postgresql-1", ip="10.0.0.3")


def test_everything_open_is_reported_between_environments() -> None:
    tries = attempts([EDGE, WEB], [EDGE, WEB, PROD_DATABASE])
    found = differences(dict.fromkeys(tries, "open"))
    assert any("s-dev/odoo-web → s-prod/postgresql:5432 is open and must be silent" in line for line in found)
    assert not any("s-dev/edge → s-dev/odoo-web:8069" in line for line in found)


def test_a_refusal_counts_as_reached_because_a_packet_came_back() -> None:
    tried = {Attempt(source=WEB, target=PROD_DATABASE, port=5432): "refused"}
    assert len(differences(tried)) == 1


def test_everything_silent_is_reported_for_the_allowed_ones() -> None:
    tries = attempts([EDGE], [WEB])
    assert differences(dict.fromkeys(tries, "silent")) == [
        "s-dev/edge → s-dev/odoo-web:8069 is silent and must be reachable"
    ]
