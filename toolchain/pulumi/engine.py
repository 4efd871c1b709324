"""One run of the engine as a process: its event log is read while it grows, and an interruption ends it gently."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from typing import TYPE_CHECKING, Final

from toolchain.pulumi.events import parse_event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from toolchain.pulumi.events import EngineEvent

_TAIL_SECONDS: Final = 0.1
_STOP_SECONDS: Final = 30
# Ctrl-C in a terminal, and whoever hands a signal on, has reached the engine already; a second signal makes it drop
# what it is doing, so ours waits until it is clear that the first one was not heard.
_GRACE_SECONDS: Final = 10


def watch(
    arguments: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    log: Path,
    listeners: Sequence[Callable[[EngineEvent], None]],
) -> tuple[int, str]:
    """Run the engine to its end and pass its events on as they come.

    Args:
        arguments: program and arguments.
        folder: working directory.
        environ: the whole environment.
        log: the event log the arguments name.
        listeners: called in turn with each event.

    Returns:
        The exit code, and what came on standard error.

    Raises:
        OSError: when the program cannot be started.
    """
    process = subprocess.Popen(
        arguments,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    heard: list[str] = []
    assert process.stderr is not None  # noqa: S101 - stderr=PIPE: for the type checker
    reader = threading.Thread(target=heard.extend, args=(process.stderr,), daemon=True)
    reader.start()
    try:
        for line in _tail(log, process):
            event = parse_event(line)
            if event is not None:
                for listener in listeners:
                    listener(event)
    except BaseException:
        _stop(process)
        raise
    reader.join(_STOP_SECONDS)
    return process.wait(), "".join(heard).strip()


def _tail(log: Path, process: subprocess.Popen[str]) -> Iterator[str]:
    """Yield the complete lines of a growing file until its writer has ended."""
    while True:
        ended = process.poll() is not None
        if log.exists():
            break
        if ended:
            return
        time.sleep(_TAIL_SECONDS)
    with log.open(encoding="utf-8") as file:
        rest = ""
        while True:
            # Asked before reading: what was written before the end is then surely read.
            ended = process.poll() is not None
            rest += file.read()
            *lines, rest = rest.split("\n")
            yield from lines
            if ended:
                return
            time.sleep(_TAIL_SECONDS)


def _stop(process: subprocess.Popen[str]) -> None:
    """End the engine as Ctrl-C does, so that it records what it did; a second one when it does not listen."""
    steps = ((None, _GRACE_SECONDS), *((number, _STOP_SECONDS) for number in (signal.SIGINT, signal.SIGINT)))
    for number, seconds in (*steps, (signal.SIGKILL, _STOP_SECONDS)):
        if number is not None:
            process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return
