"""The entry script, with a stand-in for uv: what it installs, when, and what it says when it cannot."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

UV = """#!/bin/sh
echo "$@" >>"$UV_LOG"
case "$1" in
  --version) echo "uv ${FAKE_UV_VERSION:-0.13.9} (stand-in)" ;;
  sync | venv)
    [ -z "$FAKE_UV_FAILS" ] || { echo "error: 403 Forbidden"; exit 2; }
    sleep "${FAKE_UV_SECONDS:-0}"
    mkdir -p "$UV_PROJECT_ENVIRONMENT/bin"
    printf '#!/bin/sh\\necho ran "$@"\\n' >"$UV_PROJECT_ENVIRONMENT/bin/python"
    chmod +x "$UV_PROJECT_ENVIRONMENT/bin/python" ;;
esac
"""


class Checkout:
    """A checkout with nothing but what the entry script looks at."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "checkout"
        self.programs = folder / "bin"
        self.log = folder / "uv.log"
        self.root.mkdir()
        self.programs.mkdir()
        shutil.copy(ROOT / "careops", self.root / "careops")
        (self.root / "uv.lock").write_text("version = 1\n")
        (self.root / "pyproject.toml").write_text("[project]\n")
        (self.programs / "uv").write_text(UV)
        (self.programs / "uv").chmod(0o755)
        self.log.touch()

    def start(self, *arguments: str, folder: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        environ = {name: value for name, value in os.environ.items() if not name.startswith(("UV", "PIP_"))}
        environ |= {"PATH": f"{self.programs}:{environ['PATH']}", "UV_LOG": str(self.log), **variables}
        return subprocess.Popen(
            [str(self.root / "careops"), *arguments],
            cwd=folder or self.root,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, folder: Path | None = None, **variables: str) -> tuple[int, str, str]:
        process = self.start(*arguments, folder=folder, **variables)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    def asked(self, word: str) -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(word)]


@pytest.fixture
def checkout(tmp_path):
    return Checkout(tmp_path)


def test_the_first_start_installs_from_the_lock_with_one_line_and_runs_the_command_line(checkout, tmp_path):
    code, out, err = checkout.run("status", "--json", folder=tmp_path)
    assert code == 0
    assert out == "ran -P -m operations.cli status --json\n"
    assert len(err.splitlines()) == 1
    assert checkout.asked("sync") == ["sync --frozen --quiet"]


def test_later_starts_install_nothing_and_say_nothing(checkout):
    checkout.run()
    started = time.monotonic()
    code, _, err = checkout.run("--help")
    assert time.monotonic() - started < 2
    assert (code, err) == (0, "")
    assert len(checkout.asked("sync")) == 1


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_a_changed_lock_is_installed_again(checkout, name):
    checkout.run()
    (checkout.root / name).write_text("changed\n")
    checkout.run()
    assert len(checkout.asked("sync")) == 2


def test_two_starts_at_once_install_once(checkout):
    first = checkout.start(FAKE_UV_SECONDS="1.5")
    time.sleep(0.4)
    second = checkout.start()
    outputs = [process.communicate(timeout=60) for process in (first, second)]
    assert [process.returncode for process in (first, second)] == [0, 0]
    assert "waiting for it" in outputs[1][1]
    assert len(checkout.asked("sync")) == 1


def test_a_refusing_registry_ends_with_5_what_why_and_what_to_do_and_the_next_start_tries_again(checkout):
    code, out, err = checkout.run("up", FAKE_UV_FAILS="1")
    assert code == 5
    assert out == ""
    assert "403 Forbidden" in err
    assert {"error:", "why:", "do:"} <= {word for line in err.splitlines() for word in line.split()[:1]}
    assert checkout.run()[0] == 0


def test_an_interrupted_installation_is_not_taken_for_a_whole_one(checkout):
    process = checkout.start(FAKE_UV_SECONDS="20")
    deadline = time.monotonic() + 20
    while not checkout.asked("sync") and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert checkout.run()[0] == 0
    assert len(checkout.asked("sync")) == 2


def test_a_mirror_that_pip_knows_is_used_by_name_and_checksum(checkout):
    code, _, _ = checkout.run(PIP_INDEX_URL="https://mirror.hospital.example/simple")
    assert code == 0
    assert checkout.asked("sync") == []
    assert "--require-hashes" in checkout.asked("pip sync")[0]
    assert "--no-deps" in checkout.asked("pip install")[0]


def test_python_downloads_of_uv_are_never_used():
    assert "UV_PYTHON_DOWNLOADS=never" in (ROOT / "careops").read_text()


def test_a_folder_that_is_no_checkout_is_refused(checkout):
    (checkout.root / "uv.lock").unlink()
    code, _, err = checkout.run()
    assert code == 2
    assert "uv.lock" in err
