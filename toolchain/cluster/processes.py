"""Processes of the host: told apart from later ones with the same number, looked at through /proc."""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal

PROC = Path("/proc")
KIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessId:
    """A process that is still the same one: numbers are reused, number and start time together are not.

    Attributes:
        number: the process number on the host.
        started: clock ticks between the machine's start and the process's.
    """

    number: int
    started: int

    def alive(self) -> bool:
        """Whether this very process runs (a zombie does not)."""
        fields = _stat(self.number)
        return fields is not None and int(fields[19]) == self.started and fields[0] not in {"Z", "X"}


def identify(number: int) -> ProcessId | None:
    """Return the identity of a process number, or None when nothing runs under it."""
    fields = _stat(number)
    if fields is None or fields[0] in {"Z", "X"}:
        return None
    return ProcessId(number=number, started=int(fields[19]))


def children(number: int) -> list[int]:
    """Return the numbers of a process's children."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for task in (PROC / str(number) / "task").iterdir():
            found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def parent(number: int) -> int | None:
    """Return the number of a process's parent, or None when the process ended."""
    fields = _stat(number)
    return int(fields[1]) if fields is not None else None


def send(process: ProcessId, number: signal.Signals) -> None:
    """Send a signal if this very process still runs."""
    if process.alive():
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.number, number)


def wait_gone(process: ProcessId, seconds: float) -> bool:
    """Wait until a process has ended.

    Returns:
        Whether it ended in time.
    """
    deadline = time.monotonic() + seconds
    while process.alive():
        if time.monotonic() >= deadline:
            return False
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.number, os.WNOHANG)  # one that this very program started would stay as a zombie
        time.sleep(0.02)
    return True


def command(number: int) -> tuple[str, ...]:
    """Return a process's command line; empty when it ended or is the kernel's."""
    try:
        raw = (PROC / str(number) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode(errors="replace") for part in raw.split(b"\0") if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What processes use.

    Attributes:
        processes: how many.
        memory_bytes: proportional set size: pages that several share count once in total.
        cpu_seconds: user and system time since each started.
    """

    processes: int = 0
    memory_bytes: int = 0
    cpu_seconds: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            processes=self.processes + other.processes,
            memory_bytes=self.memory_bytes + other.memory_bytes,
            cpu_seconds=self.cpu_seconds + other.cpu_seconds,
        )


def usage(number: int) -> Usage:
    """Return what one process uses; zero when it ended."""
    fields = _stat(number)
    if fields is None:
        return Usage()
    ticks = int(fields[11]) + int(fields[12])
    memory = 0
    with contextlib.suppress(OSError):
        for line in (PROC / str(number) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                memory = int(line.split()[1]) * KIB
    return Usage(processes=1, memory_bytes=memory, cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"))


def _stat(number: int) -> list[str] | None:
    """Return the fields of /proc/N/stat after the name: 0 state, 1 parent, 11 and 12 times, 19 start."""
    try:
        return (PROC / str(number) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
