"""Tasks of several sessions at a time: a task may bring more when it is done, and the first failure stops the rest."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager


class StoppedError(Exception):
    """Another task failed, or the program was asked to end."""


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What one thread works with.

    Attributes:
        writing: Its session with the target.
        reading: Its session with the source; None where nothing is read.
        source: What messages call the source's server.
        target: What messages call the target's server.
        stopped: Set when it is to end soon.
    """

    writing: psycopg.Connection[Any]
    reading: psycopg.Connection[Any] | None = None
    source: str
    target: str
    stopped: threading.Event

    def reader(self) -> psycopg.Connection[Any]:
        """Return the session with the source.

        Raises:
            LookupError: There is none, which is a mistake of this program.
        """
        if self.reading is None:
            raise LookupError("this thread was opened without a session with the source")
        return self.reading


@dataclass(frozen=True, kw_only=True)
class Task:
    """A piece of work.

    Attributes:
        do: Does it and returns the tasks that can be done now because this one is.
        size: Bytes that it is about; the largest that waits is taken first.
        late: Taken only when nothing waits that is not late.
    """

    do: Callable[[Desk], Sequence[Task]]
    size: int
    late: bool = False


def run(tasks: Iterable[Task], desk: Callable[[threading.Event], AbstractContextManager[Desk]], *, jobs: int) -> None:
    """Do all tasks and what they bring, `jobs` at a time.

    Args:
        tasks: What can be done at once.
        desk: Opens the sessions of a thread.
        jobs: How many threads.

    Raises:
        Exception: That of the task that failed first; the others are stopped, whatever they were doing.
    """
    board = _Board(waiting=list(tasks))
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        threads = [pool.submit(board.work, desk) for _ in range(jobs)]
        try:
            wait(threads)
        except BaseException:  # a signal: the threads would go on to the last task, and the program wait for them
            board.stop()
            raise
    if board.failure is not None:
        raise board.failure


@dataclass(kw_only=True)
class _Board:
    waiting: list[Task]
    failure: BaseException | None = None
    _at_work: int = 0
    _desks: list[Desk] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def work(self, desk: Callable[[threading.Event], AbstractContextManager[Desk]]) -> None:
        """Take one task after the other until none is left and nobody's work can bring one."""
        try:
            with desk(self._stopped) as mine:
                with self._changed:
                    self._desks.append(mine)
                try:
                    while (task := self._take()) is not None:
                        more: Sequence[Task] = ()
                        try:
                            more = task.do(mine)
                        finally:
                            self._finished(more)
                finally:
                    with self._changed:
                        self._desks.remove(mine)
        except BaseException as error:  # told to the thread that waits
            self._fail(error)

    def _take(self) -> Task | None:
        with self._changed:
            while not self.waiting and self._at_work and not self._stopped.is_set():
                self._changed.wait()
            if not self.waiting or self._stopped.is_set():
                return None
            task = min(self.waiting, key=lambda each: (each.late, -each.size))
            self.waiting.remove(task)
            self._at_work += 1
            return task

    def _finished(self, more: Sequence[Task]) -> None:
        with self._changed:
            self._at_work -= 1
            self.waiting += more
            self._changed.notify_all()

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            # What the others raise from now on only says that they were stopped.
            if not self._stopped.is_set():
                self.failure = error
        self.stop()

    def stop(self) -> None:
        """Let nobody take a task any more, and end what the target's sessions are doing."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()
            for desk in self._desks:
                with suppress(psycopg.Error):
                    desk.writing.cancel()
