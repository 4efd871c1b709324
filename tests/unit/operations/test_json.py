"""`--json`: one document on stdout for a machine, on every command that reports."""

from __future__ import annotations

import json
import sys

import pytest
import typer.main

from operations import live, suite
from operations.cli.main import app, main
from operations.errors import failure
from operations.exit_codes import ExitCode
from operations.gate import Check, CheckResult
from operations.session import open_session
from operations.suite import PytestRun

OTHER_PROGRAMS = {"kubectl", "pulumi", "python"}
"""They print what the program they hand everything to prints."""

JSON_ANYWAY = {"config schema"}


def commands(command=None, path=()):
    """Yield every command of the application with its words."""
    command = command or typer.main.get_command(app)
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from commands(each, (*path, name))
    else:
        yield " ".join(path), command


def test_every_command_that_reports_has_it():
    known = dict(commands())
    assert set(known) >= OTHER_PROGRAMS | JSON_ANYWAY
    with_it = {name for name, each in known.items() if any("--json" in param.opts for param in each.params)}
    assert set(known) - with_it == OTHER_PROGRAMS | JSON_ANYWAY


@pytest.fixture
def at_hand(monkeypatch, tmp_path):
    """An embedded cluster that notes what is done to it."""
    did = []
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(live, "require_embedded", lambda *_: None)
    monkeypatch.setattr(live, "require_platform", lambda *_: None)
    monkeypatch.setattr(live, "start_cluster", lambda *_: did.append("start"))
    monkeypatch.setattr(live, "stop_cluster", lambda *_: did.append("stop"))
    return did


@pytest.mark.parametrize(("command", "running"), [("start", True), ("stop", False)])
def test_start_and_stop_say_whether_the_cluster_runs_now(at_hand, capsys, command, running):
    assert main([command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"schema": 1, "running": running}
    assert at_hand == [command]


@pytest.mark.parametrize("command", ["start", "stop"])
def test_start_and_stop_say_nothing_on_stdout_to_people(at_hand, capsys, command):
    assert main([command]) == 0
    assert capsys.readouterr().out == ""
    assert at_hand == [command]


@pytest.mark.parametrize("command", ["start", "stop"])
def test_a_failure_of_start_or_stop_is_one_document_too(at_hand, capsys, command, monkeypatch):
    def broken(*_):
        raise failure(ExitCode.CLUSTER, "It does not answer", "nobody is there", "./careops up")

    monkeypatch.setattr(live, f"{command}_cluster", broken)
    assert main([command, "--json"]) == 6
    assert json.loads(capsys.readouterr().out)["error"]["name"] == "CLUSTER"
    assert at_hand == []


@pytest.mark.parametrize(("typed", "said"), [(["status", "--jsn"], "--jsn"), (["up", "--registry", "x"], "--context")])
def test_a_command_line_that_cannot_be_read_is_one_document_too(capsys, typed, said):
    assert main([*typed, "--json"]) == ExitCode.USAGE
    shown = capsys.readouterr()
    assert said in json.loads(shown.out)["error"]["problems"][0]["what"]
    assert said in shown.err
    assert main(typed) == ExitCode.USAGE
    assert capsys.readouterr().out == ""


class Parts:
    """A suite that ends as told and shows what its programs say where it is told."""

    def __init__(self, out, *, code: int) -> None:
        self._out, self._code = out, code

    def gate(self):
        return [CheckResult(check=Check(name="ruff", command=("true",), fix=""), passed=True, output="")]

    def pytest(self, _marker, _environ):
        self._out.write("a line of pytest's\n")
        return PytestRun(code=self._code, closing="=== 3 of them ===")

    def careops(self, _arguments, _environ):
        raise AssertionError("the fast tests need no platform")


@pytest.mark.parametrize(("code", "exit_code"), [(0, 0), (1, 12)])
def test_the_suite_reports_its_phases_and_everything_said_on_the_way_is_on_stderr(capsys, monkeypatch, code, exit_code):
    monkeypatch.setattr(suite, "ProcessParts", lambda _session, out: Parts(out, code=code))
    assert main(["test", "--fast", "--json"]) == exit_code
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert report["schema"] == 1
    assert report["passed"] is (code == 0)
    assert [(phase["name"], phase["passed"], phase["detail"]) for phase in report["phases"]] == [
        ("code checks", True, "1 checks"),
        ("tests without a platform", code == 0, "=== 3 of them ==="),
    ]
    assert report["seconds"] >= max(phase["seconds"] for phase in report["phases"])
    assert "a line of pytest's" in said.err
    assert "== summary" in said.err


def test_the_suite_tells_people_on_stdout(capsys, monkeypatch):
    monkeypatch.setattr(suite, "ProcessParts", lambda _session, out: Parts(out, code=0))
    assert main(["test", "--fast"]) == 0
    assert "== summary" in capsys.readouterr().out


@pytest.mark.parametrize("stream", ["out", "err"])
def test_what_the_suites_programs_print_goes_where_the_suite_speaks(capfd, stream, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(program(tmp_path)))
    out = sys.stderr if stream == "err" else sys.stdout
    parts = suite.ProcessParts(open_session(["test"], {"HOME": str(tmp_path)}), out)
    assert parts.careops(["status"], {}) == 0
    assert parts.pytest("not live", {}).closing == "said"
    captured = capfd.readouterr()
    assert getattr(captured, stream).count("said") == 2
    assert "said" not in getattr(captured, "out" if stream == "err" else "err")


def program(folder):
    """Return a program that prints a word on stdout, whatever it is asked."""
    made = folder / "program"
    made.write_text("#!/bin/sh\necho said\n")
    made.chmod(0o755)
    return made
