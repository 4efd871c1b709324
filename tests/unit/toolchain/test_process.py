from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from toolchain import process
from toolchain.errors import MissingTool

if TYPE_CHECKING:
    from pathlib import Path

ENV = {"PATH": "/usr/bin:/bin"}


def python(code: str, tmp_path: Path, **options):
    return process.run([sys.executable, "-c", code], cwd=tmp_path, env=ENV, **options)


def test_output_and_errors_come_line_by_line_and_are_kept_in_the_log(tmp_path: Path):
    lines: list[str] = []
    code = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    finished = python(code, tmp_path, log=tmp_path / "logs" / "x.log", on_line=lines.append)
    assert finished.code == 0
    assert lines == ["out", "err"]
    assert (tmp_path / "logs" / "x.log").read_text() == "out\nerr\n"


def test_the_exit_status_and_the_last_lines_of_a_failure_are_told(tmp_path: Path):
    finished = python("import sys; print('why'); sys.exit(7)", tmp_path)
    assert (finished.code, finished.tail) == (7, ("why",))


def test_the_cpu_time_of_the_program_and_of_its_children_is_measured_not_ours(tmp_path: Path):
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}], check=True)"
    assert python(child, tmp_path).cpu_seconds >= 0.3
    assert python("pass", tmp_path).cpu_seconds < 0.3


def test_a_program_ends_when_its_reader_is_interrupted(tmp_path: Path):
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(KeyboardInterrupt):
        python(code, tmp_path, on_line=interrupt)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_program_that_does_not_exist_is_named(tmp_path: Path):
    with pytest.raises(MissingTool, match="no-such-program"):
        process.run(["no-such-program"], cwd=tmp_path, env=ENV)
