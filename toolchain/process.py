"""Runs a program, watches its output line by line and measures what it cost."""

from __future__ import annotations

import os
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain.errors import MissingTool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

TAIL_LINES = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Finished:
    """A program that ended.

    Attributes:
        code: exit status; negative is the signal that ended it.
        wall_seconds: elapsed time.
        cpu_seconds: user and system time of the program and of every child it waited for.
        tail: its last lines, output and errors together.
    """

    code: int
    wall_seconds: float
    cpu_seconds: float
    tail: tuple[str, ...]


def run(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    log: Path | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> Finished:
    """Run `argv` to its end; the program is ended too when the caller is interrupted.

    Args:
        argv: program and arguments; no shell.
        cwd: working directory.
        env: the whole environment of the program.
        log: file that gets every line, replaced if it exists.
        on_line: called with each line of output or errors as it comes.

    Raises:
        MissingTool: the program does not exist.
    """
    started = time.monotonic()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    try:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise MissingTool(
            f"{argv[0]} cannot be started.", why=str(error), action="Install it, or see what `careops doctor` lists."
        ) from error
    output = process.stdout
    assert output is not None  # noqa: S101  stdout=PIPE: for the type checker
    sink = None
    try:
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            sink = log.open("w", encoding="utf-8", buffering=1)  # whoever watches it sees each line
        for raw in output:
            line = raw.rstrip("\n")
            tail.append(line)
            if sink is not None:
                sink.write(raw)
            on_line(line)
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        output.close()
        if sink is not None:
            sink.close()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Finished(
        code=process.returncode,
        wall_seconds=time.monotonic() - started,
        cpu_seconds=usage.ru_utime + usage.ru_stime,
        tail=tuple(tail),
    )
