"""What the commands show of an environment's address and certificate."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest

from operations.certificates import certificate_status, read_certificate
from operations.cli import open_, status, up
from operations.phases import Record
from operations.status import EnvironmentStatus
from tests.edge_tls import NOW, edge_tls


@pytest.fixture
def four(make_environment):
    return [make_environment(name) for name in ("dev", "test", "training", "prod")]


def test_no_two_environments_have_a_host_name_in_common_also_on_a_further_site(four, make_environment):
    everywhere = [*four, make_environment("dev", "north", 1)]
    hosts = [urlsplit(one.url()).hostname for one in everywhere]
    assert len(set(hosts)) == len(hosts), "browsers send the cookies of a host name to all its ports"
    assert hosts[0] == "riverside-dev.localhost"
    assert hosts[-1] == "north-dev.localhost"


def test_up_status_and_open_show_the_same_address(four, capsys):
    found = [EnvironmentStatus(stack=one.stack, namespace=one.namespace, state="ready") for one in four]
    by_up = up.report(Record(command="up", started="now"), four)["environments"]
    by_status = status.report(four, found, [])["environments"]
    by_open = [open_.access(one, one.port, "admin") for one in four]
    wanted = [f"https://riverside-{one.name}.localhost:{one.port}" for one in four]
    for shown in (by_up, by_status, by_open):
        assert [one["url"] for one in shown] == wanted
    open_._tell(by_open[0], as_json=False)
    said = capsys.readouterr().out
    assert wanted[0] in said
    assert "127.0.0.1 riverside-dev.localhost" in said, "glibc alone does not resolve the name"


def test_another_port_keeps_the_name(make_environment):
    shown = open_.access(make_environment("prod"), 9000, "admin")
    assert shown["url"] == "https://riverside-prod.localhost:9000"


def test_status_shows_each_certificates_days_left_and_warns_below_sixty(four, capsys):
    def shown(one, days):
        certificate = certificate_status(read_certificate(edge_tls(days=days, names=(one.host,))), one, NOW)
        return EnvironmentStatus(stack=one.stack, namespace=one.namespace, state="ready", certificate=certificate)

    found = [shown(one, days) for one, days in zip(four, (300, 60, 59, -1), strict=True)]
    report = json.loads(json.dumps(status.report(four, found, [])))
    assert [one["certificate"]["days_left"] for one in report["environments"]] == [300, 60, 59, -1]
    assert [one["healthy"] for one in report["environments"]] == [True, True, True, False]
    assert report["healthy"] is False
    status._show(four, found, [])
    out, err = capsys.readouterr()
    assert "300 days left" in out
    assert "expired" in out
    assert "dev: " not in err
    assert "test: " not in err
    assert "training: its certificate expires in 59 days, on 2027-01-22: renew it: ./careops up training" in err
    assert "prod: its certificate expired on 2026-11-23: renew it: ./careops up prod" in err
