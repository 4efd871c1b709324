from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from operations.cli import main as cli
from operations.cli.failures import report_failure
from operations.errors import failure
from operations.exit_codes import ExitCode
from operations.translate import known
from toolchain import errors as toolchain_errors
from toolchain.cluster import errors as cluster_errors


def broken(kind, **more):
    return kind("Something happened.", why="a reason", action="a remedy", **more)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (broken(toolchain_errors.DownloadRefused), ExitCode.TOOLCHAIN),
        (broken(toolchain_errors.BrokenArtifact), ExitCode.TOOLCHAIN),
        (broken(toolchain_errors.BuildFailed), ExitCode.TOOLCHAIN),
        (broken(toolchain_errors.PackagesRefused), ExitCode.TOOLCHAIN),
        (broken(toolchain_errors.HostUnfit), ExitCode.MACHINE_UNFIT),
        (broken(cluster_errors.PortTaken), ExitCode.MACHINE_UNFIT),
        (broken(cluster_errors.NotEnforced), ExitCode.CLUSTER),
        (broken(cluster_errors.NodeFailed), ExitCode.CLUSTER),
        (broken(cluster_errors.ApiUnreachable), ExitCode.CLUSTER),
        (broken(cluster_errors.ClusterBusy), ExitCode.LOCK_HELD),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_of_the_toolchain_has_its_exit_code_and_keeps_its_words(error, code):
    told = known(error)
    assert told is not None
    assert told.code == code
    problem = told.problems[0]
    assert (problem.what, problem.why, problem.action) == ("Something happened", "a reason", "a remedy")


def test_a_task_that_failed_for_a_known_reason_has_that_reasons_code():
    task = broken(toolchain_errors.TaskFailed, task="node")
    task.__cause__ = broken(toolchain_errors.HostUnfit)
    told = known(task)
    assert told is not None
    assert told.code == ExitCode.MACHINE_UNFIT


def test_a_user_without_the_right_is_told_to_use_root_and_not_of_a_defect(monkeypatch):
    refused = PermissionError(13, "Permission denied", "/state/kubeconfig")
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    told = known(refused)
    assert told is not None
    assert told.code == ExitCode.MACHINE_UNFIT
    assert "/state/kubeconfig" in told.problems[0].what
    assert "as root" in told.problems[0].action


def test_a_refusal_that_root_meets_or_that_is_about_no_file_is_a_defect(monkeypatch):
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert known(PermissionError(13, "Permission denied", "/state/kubeconfig")) is None
    monkeypatch.setattr("os.geteuid", lambda: 65534)
    assert known(PermissionError("not allowed")) is None


def test_an_error_shows_what_why_and_what_to_do_on_stderr_and_nothing_on_stdout(capsys):
    code = report_failure(failure(ExitCode.CLUSTER, "It broke", "a reason", "a remedy"), [])
    shown = capsys.readouterr()
    assert code == ExitCode.CLUSTER
    assert shown.out == ""
    assert shown.err.splitlines() == ["error: It broke", "  why:  a reason", "  do:   a remedy"]


def test_an_error_is_json_on_stdout_when_json_was_asked_for(capsys):
    report_failure(failure(ExitCode.CLUSTER, "It broke", "a reason", "a remedy"), ["status", "--json"])
    assert json.loads(capsys.readouterr().out)["error"] == {
        "code": 6,
        "name": "CLUSTER",
        "problems": [{"what": "It broke", "why": "a reason", "action": "a remedy"}],
    }


def test_an_unforeseen_error_is_one_message_with_a_log_and_no_traceback_on_screen(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path))
    with pytest.raises(ZeroDivisionError) as caught:
        divmod(1, 0)
    assert report_failure(caught.value, ["status"]) == ExitCode.UNEXPECTED
    shown = capsys.readouterr().err
    assert "Traceback" not in shown
    log = next((tmp_path / "logs").glob("defect-*.log"))
    assert str(log) in shown
    assert "ZeroDivisionError" in log.read_text()


@pytest.mark.parametrize(
    "arguments",
    [["upp"], ["up", "--jsno"], ["open"], ["open", "dev", "--port", "99999"], ["up", "--registry", "r"], ["down"]],
)
def test_a_command_line_that_cannot_be_meant_ends_with_2_and_touches_nothing(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CAREOPS_CACHE", str(tmp_path / "cache"))
    assert cli.main(arguments) == ExitCode.USAGE
    assert capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("name", "value"), [("CAREOPS_API_PORT", "80"), ("CAREOPS_STATE", "relative")])
def test_an_impossible_variable_ends_with_2(name, value, monkeypatch, capsys):
    monkeypatch.setenv(name, value)
    assert cli.main(["status"]) == ExitCode.USAGE
    assert name in capsys.readouterr().err


def test_help_names_every_command_and_every_exit_code(capsys):
    assert cli.main(["--help"]) == ExitCode.OK
    text = capsys.readouterr().out
    for command in (
        "up",
        "status",
        "open",
        "preview",
        "down",
        "stop",
        "start",
        "doctor",
        "test",
        "seed",
        "env",
        "config",
    ):
        assert f"\n  {command} " in text
    assert "130  interrupted" in text


def test_ctrl_c_and_sigterm_end_quietly_with_130_and_reach_the_programs_that_were_started(tmp_path):
    script = tmp_path / "wait.py"
    script.write_text(
        "import subprocess, sys\n"
        "from operations.cli import main\n"
        "from operations.cli.up import register\n"
        "import operations.live\n"
        "def slow(*_, **__):\n"
        "    child = subprocess.Popen(['sleep', '60']); print(child.pid, flush=True); child.wait()\n"
        "operations.live.up_parts = slow\n"
        "main.run()\n"
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        with subprocess.Popen(
            [sys.executable, str(script), "up"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # A background run has SIGINT ignored and hands that on; a terminal does not.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
            env=os.environ | {"CAREOPS_STATE": str(tmp_path / "state")},
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            child = int(process.stdout.readline())
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does
            else:
                process.terminate()
            assert process.wait(timeout=20) == ExitCode.INTERRUPTED
            told = process.stderr.read()
        assert "run the same command again" in told
        assert "Traceback" not in told
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and os.path.exists(f"/proc/{child}"):  # noqa: PTH110 - /proc is not a path to keep
            time.sleep(0.05)
        assert not os.path.exists(f"/proc/{child}")  # noqa: PTH110 - as above
