from __future__ import annotations

import json

import pytest

from operations import doctor, inventory
from operations.cli import main as cli
from operations.doctor import Finding, blocked, guarded, judge_host
from operations.errors import Problem, failure
from operations.exit_codes import ExitCode
from operations.session import open_session


@pytest.fixture
def session(tmp_path):
    environ = {
        "HOME": str(tmp_path),
        "PATH": "/usr/bin:/bin",
        "CAREOPS_STATE": str(tmp_path / "state"),
        "CAREOPS_CACHE": str(tmp_path / "cache"),
    }
    return open_session(["doctor"], environ)


def test_what_blocks_is_told_apart_from_what_only_costs_time(make_host):
    problem = Problem(what="careops does not run as root", why="namespaces", action="sudo")
    assert not blocked(judge_host(make_host(), []))
    found = judge_host(make_host(), [problem])
    assert blocked(found)
    assert found[-1].hint == "sudo"
    assert not blocked([Finding(name="go", verdict="note", found="not on PATH")])


def test_a_look_that_fails_becomes_a_finding_and_the_others_go_on(session):
    def look(_session):
        raise failure(ExitCode.SETTINGS_INVALID, "Pulumi.dev.yaml", "unknown setting", "did you mean …")

    def broken(_session):
        raise OSError("disk on fire")

    assert guarded("settings", look, session)[0].verdict == "blocks"
    assert guarded("settings", broken, session)[0].found == "disk on fire"


def test_a_new_machine_is_told_what_up_would_fetch_and_build(session):
    tools = {tool.name: tool for tool in inventory.tools(session)}
    assert not tools["Pulumi engine"].present
    assert "from source" in tools["Pulumi engine"].hint
    assert "kube" in tools["cluster programs"].found
    assert "stand-in" in tools["Kubernetes plugin"].hint


def test_the_vendor_is_not_mentioned_where_it_is_not_asked():
    assert "vendor" in inventory.ways({}, "builds it")
    assert inventory.ways({"CAREOPS_VENDOR_DOWNLOADS": "never"}, "builds it") == "up builds it"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [("pulumi-0123456789ab", "built from source"), ("pulumi-vendor-0123456789ab", "the vendor's download")],
)
def test_doctor_says_where_a_program_came_from(session, entry, expected):
    target = session.paths.artifacts / entry / "bin" / "pulumi"
    target.parent.mkdir(parents=True)
    target.write_text("program")
    session.paths.bin.mkdir(parents=True)
    link = session.paths.bin / "pulumi"
    link.symlink_to(target)
    assert expected in inventory.origin(link, session)


def test_a_stand_in_is_called_one(session):
    session.paths.bin.mkdir(parents=True)
    launcher = session.paths.bin / "pulumi-language-python"
    launcher.write_text("#!/bin/sh\nexec python -P -m toolchain.pulumi.language_host\n")
    assert inventory.origin(launcher, session) == "careops' stand-in"


def test_doctor_exits_with_4_only_when_something_blocks_and_reports_json(monkeypatch, capsys):
    for verdict, code in (("note", ExitCode.OK), ("blocks", ExitCode.MACHINE_UNFIT)):
        monkeypatch.setattr(
            doctor, "examine", lambda _session, verdict=verdict: (Finding(name="x", verdict=verdict, found="y"),)
        )
        assert cli.main(["doctor", "--json"]) == code
        assert json.loads(capsys.readouterr().out)["fit"] is (code == ExitCode.OK)
