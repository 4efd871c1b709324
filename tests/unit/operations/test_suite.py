from __future__ import annotations

from pathlib import Path

import pytest

from operations.gate import Check, CheckResult, checks, run_check, shell_scripts
from operations.session import open_session
from operations.suite import PytestRun, Suite, run_suite

PASSED = CheckResult(check=Check(name="ruff check", command=("true",), fix=""), passed=True, output="")
FAILED = CheckResult(check=Check(name="ty", command=("false",), fix="types"), passed=False, output="infra/x.py: no")


class Parts:
    """A suite whose parts answer as told."""

    def __init__(self, *, gate=(PASSED,), fast=0, live=0, up=0) -> None:
        self._gate, self._codes, self._up = gate, {"not live": fast, "live": live}, up
        self.did: list[str] = []
        self.markers: list[str] = []
        self.environ: dict[str, str] = {}

    def gate(self):
        self.did.append("gate")
        return self._gate

    def pytest(self, marker, environ):
        self.markers.append(marker)
        marker = marker.removesuffix(" and not full")
        self.did.append(f"pytest {marker}")
        self.environ = dict(environ)
        return PytestRun(code=self._codes[marker], closing=f"=== closing line of {marker} ===")

    def careops(self, arguments, _environ):
        self.did.append(f"careops {arguments[0]}")
        return self._up if arguments[0] == "up" else 0


@pytest.fixture
def session(tmp_path):
    return open_session(["test"], {"HOME": str(tmp_path), "CAREOPS_FACTS": "/elsewhere", "KUBECONFIG": "/mine"})


def test_the_whole_suite_checks_tests_brings_a_platform_up_tests_it_and_removes_it(session, capsys):
    parts = Parts()
    assert run_suite(session, Suite(), parts).passed
    assert parts.did == ["gate", "pytest not live", "careops up", "pytest live", "careops down"]
    closing = capsys.readouterr().out.split("== summary")[1]
    assert "=== closing line of live ===" in closing
    assert "=== closing line of not live ===" in closing


@pytest.mark.parametrize(
    ("full", "markers"),
    [(False, ["not live and not full", "live and not full"]), (True, ["not live", "live"])],
)
def test_the_longest_tests_run_only_when_the_whole_of_everything_is_asked_for(session, full, markers):
    parts = Parts()
    run_suite(session, Suite(full=full), parts)
    assert parts.markers == markers


def test_fast_starts_no_platform(session):
    parts = Parts()
    assert run_suite(session, Suite(fast=True), parts).passed
    assert parts.did == ["gate", "pytest not live"]


def test_a_failed_check_fails_the_suite_but_not_silently_the_tests(session, capsys):
    parts = Parts(gate=(PASSED, FAILED))
    assert not run_suite(session, Suite(), parts).passed
    assert "pytest live" in parts.did
    assert "infra/x.py: no" in capsys.readouterr().out


@pytest.mark.parametrize("code", [1, 2, 5])
def test_pytest_fails_the_suite_with_any_code_also_when_it_collected_nothing(session, code):
    assert not run_suite(session, Suite(fast=True), Parts(fast=code)).passed
    assert not run_suite(session, Suite(), Parts(live=code)).passed


def test_the_test_platform_is_removed_also_after_failures(session):
    for parts in (Parts(up=8), Parts(live=1)):
        assert not run_suite(session, Suite(), parts).passed
        assert parts.did[-1] == "careops down"


def test_keep_leaves_the_test_platform_and_says_how_to_reach_it(session, capsys):
    parts = Parts()
    run_suite(session, Suite(keep=True), parts)
    assert "careops down" not in parts.did
    assert ".careops-test" in capsys.readouterr().out


def test_the_test_platform_never_touches_the_users_own(session):
    parts = Parts()
    run_suite(session, Suite(full=True, fast=True), parts)
    assert parts.environ["CAREOPS_STATE"].endswith("/.careops-test")
    assert parts.environ["CAREOPS_API_PORT"] != "16443"
    assert parts.environ["CAREOPS_TEST_FULL"] == "1"
    assert not {"CAREOPS_FACTS", "KUBECONFIG"} & set(parts.environ)


def test_a_gate_without_a_single_check_fails(session):
    assert not run_suite(session, Suite(fast=True), Parts(gate=())).passed


def test_a_gate_that_found_nothing_to_check_is_a_defect_not_a_pass():
    with pytest.raises(ValueError, match="search is broken"):
        checks(Path("/bin"), [], [Path("Containerfile")])


def test_a_check_passes_and_fails_with_its_program(tmp_path):
    assert run_check(Check(name="t", command=("true",), fix=""), tmp_path).passed
    failed = run_check(Check(name="f", command=("sh", "-c", "echo no; exit 3"), fix=""), tmp_path)
    assert not failed.passed
    assert failed.output == "no"


def test_shell_scripts_are_found_by_name_and_by_first_line_but_not_in_state_or_environments(tmp_path):
    for name, text in {
        "careops": "#!/usr/bin/env bash\n",
        "tool/run": "#!/bin/sh\n",
        "tool/node.sh": "no first line\n",
        "tool/program": "#!/usr/bin/env python3\n",
        "README.md": "#!/bin/sh in prose\n",
        ".careops-test/node.sh": "#!/bin/sh\n",
        ".venv/bin/activate": "#!/bin/sh\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = {str(path.relative_to(tmp_path)) for path in shell_scripts(tmp_path)}
    assert found == {"careops", "tool/run", "tool/node.sh"}
