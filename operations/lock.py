"""One change of a platform at a time: a lock on its state folder that says who holds it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who is changing the platform.

    Attributes:
        pid: Process id on this machine.
        command: What was asked of it, such as `careops up dev`.
        since: Start, UTC, ISO 8601 with seconds.
    """

    pid: int
    command: str
    since: str


class PlatformLock:
    """An exclusive lock held for as long as the `with` block runs; a killed holder releases it by dying."""

    def __init__(self, path: Path, command: str) -> None:
        self._path = path
        self._command = command
        self._descriptor: int | None = None

    def holder(self) -> Holder | None:
        """Return who holds the lock now, or None; creates nothing."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read_holder(self._path)
        else:
            return None
        finally:
            os.close(descriptor)

    def refuse_if_held(self) -> None:
        """Raise the error that names the holder when another process has the lock.

        Raises:
            OperationError: With `LOCK_HELD`.
        """
        holder = self.holder()
        if holder is not None:
            raise _held(holder)

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            OperationError: With `LOCK_HELD`, when another process has it.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Never unlinked: a lock file that is removed lets two processes lock two different files of one name.
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise _held(_read_holder(self._path)) from None
        now = datetime.now(UTC).isoformat(timespec="seconds")
        holder = Holder(pid=os.getpid(), command=self._command, since=now)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)
        self._descriptor = descriptor
        return self

    def __exit__(self, *_exception: object) -> None:
        """Release the lock."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def _read_holder(path: Path) -> Holder:
    """Return what the holder wrote about itself; it may have had no time to write yet."""
    try:
        return Holder(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return Holder(pid=0, command="careops", since="a moment ago")


def _held(holder: Holder) -> Exception:
    process = f" (process {holder.pid})" if holder.pid else ""
    return failure(
        ExitCode.LOCK_HELD,
        f"`{holder.command}`{process} is changing this platform, since {holder.since}",
        "two changes at once would undo each other",
        "wait until it ends"
        + (f", or end it with `kill {holder.pid}`: it stops cleanly, as with Ctrl-C" if holder.pid else ""),
    )
