"""Running Python programs for the engine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from toolchain.pulumi.language_host import HostError, interpreter, outcome, program_path, run_arguments


def test_a_project_without_a_virtualenv_runs_on_the_hosts_python(tmp_path):
    assert interpreter(tmp_path, {}).executable == Path(sys.executable)


def test_a_relative_virtualenv_starts_at_the_project(tmp_path):
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    found = interpreter(tmp_path, {"virtualenv": ".venv"})
    assert found.executable == python
    environ = found.environment({"PATH": "/bin", "PYTHONHOME": "x", "GRPC_ENABLE_FORK_SUPPORT": "false", "A": "b"})
    assert environ == {"PATH": f"{python.parent}{os.pathsep}/bin", "VIRTUAL_ENV": str(tmp_path / ".venv"), "A": "b"}


def test_a_virtualenv_that_is_not_there_is_named_with_the_way_out(tmp_path):
    with pytest.raises(HostError, match="uv sync"):
        interpreter(tmp_path, {"virtualenv": ".venv"})


def test_a_program_gets_what_the_sdk_needs_and_its_own_arguments_last():
    info = language_pb2.ProgramInfo(root_directory="/p", program_directory="/p/infra", entry_point=".")
    request = language_pb2.RunRequest(
        project="careops", stack="dev", pwd="/p/infra", dryRun=True, monitor_address="m:1", info=info, args=["x"]
    )
    words = run_arguments(request, Path("/exec"), Path("/python"), "e:1")
    assert words[:3] == ["/python", "-u", "/exec"]
    assert words[-2:] == ["/p/infra", "x"]
    for name, value in {"--dry_run": "true", "--stack": "dev", "--engine": "e:1", "--parallel": "0"}.items():
        assert words[words.index(name) + 1] == value
    request.dryRun = False
    assert "--dry_run" not in run_arguments(request, Path("/exec"), Path("/python"), "e:1")


def test_an_entry_point_of_its_own_is_run():
    info = language_pb2.ProgramInfo(program_directory="/p", entry_point="main.py")
    assert program_path(info) == "/p/main.py"


def test_how_a_program_ended_is_told_as_the_engine_expects():
    assert outcome(0) == language_pb2.RunResponse()
    assert outcome(32) == language_pb2.RunResponse(bail=True)
    assert "code 7" in outcome(7).error
    assert "SIGKILL" in outcome(-9).error


@pytest.fixture
def host(tmp_path):
    script = tmp_path / "exec.py"
    script.write_text("import os, sys, time\nopen(os.environ['MARK'], 'w').write(str(os.getpid()))\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "toolchain.pulumi.language_host", "--exec-script", str(script), "127.0.0.1:1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "MARK": str(tmp_path / "mark")},
        text=True,
    )
    port = process.stdout.readline().strip()
    yield process, language_pb2_grpc.LanguageRuntimeStub(grpc.insecure_channel(f"127.0.0.1:{port}")), tmp_path
    process.kill()
    process.wait()


def child_of(folder):
    deadline = time.monotonic() + 60  # many seconds on a busy machine, one otherwise
    while time.monotonic() < deadline:
        if (folder / "mark").exists() and (text := (folder / "mark").read_text()):
            return int(text)
        time.sleep(0.05)
    raise AssertionError("the program did not start")


def is_gone(pid):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.05)
    return False


def running(stub, folder):
    info = language_pb2.ProgramInfo(root_directory=str(folder), program_directory=str(folder), entry_point=".")
    request = language_pb2.RunRequest(project="p", stack="s", pwd=str(folder), info=info, monitor_address="m:1")
    return stub.Run.future(request, wait_for_ready=True)


def test_a_cancelled_run_ends_the_program(host):
    _, stub, folder = host
    call = running(stub, folder)
    pid = child_of(folder)
    call.cancel()
    assert is_gone(pid)


def test_an_ended_host_takes_its_program_along_and_says_nothing(host):
    process, stub, folder = host
    call = running(stub, folder)  # dropped, the request would be cancelled
    pid = child_of(folder)
    process.terminate()
    assert process.wait(60) == 0
    assert is_gone(pid)
    call.cancel()


def test_a_killed_host_takes_its_program_along(host):
    process, stub, folder = host
    call = running(stub, folder)
    pid = child_of(folder)
    process.kill()
    process.wait()
    assert is_gone(pid)
    call.cancel()


def test_the_host_tells_what_it_is_and_which_python_runs_programs(host):
    _, stub, folder = host
    info = language_pb2.ProgramInfo(root_directory=str(folder))
    about = stub.About(language_pb2.AboutRequest(info=info), timeout=60)
    assert about.version == sys.version.split()[0]
    request = language_pb2.GetProgramDependenciesRequest(info=info)
    names = {item.name for item in stub.GetProgramDependencies(request, timeout=60).dependencies}
    assert {"pulumi", "pulumi_kubernetes"} <= {name.replace("-", "_") for name in names}
    pieces = list(stub.InstallDependencies(language_pb2.InstallDependenciesRequest(info=info), timeout=60))
    assert b"nothing to install" in pieces[0].stdout
