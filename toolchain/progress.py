"""How long work tells what it is doing: a protocol, and the two reporters that need no terminal."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager

NOTE_INTERVAL_SECONDS = 30.0


class Step(Protocol):
    """One piece of work in progress."""

    def note(self, text: str) -> None:
        """Replace the step's second half with `text`: what it is doing just now."""
        ...


class Reporter(Protocol):
    """Something that shows steps; safe to use from several threads."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """Open a step; leaving the context ends it, as failed when an exception leaves it."""
        ...


class _Silent:
    def note(self, text: str) -> None:
        """Ignore the text."""


class NullReporter:
    """Shows nothing."""

    @contextmanager
    def step(self, title: str) -> Generator[Step]:  # noqa: ARG002  the protocol names it
        """Open a step that nobody sees."""
        yield _Silent()


def nested(outer: Step) -> Reporter:
    """Return a reporter whose steps show as notes of `outer`: one line for work that consists of steps itself."""
    return _Nested(outer)


class _NestedStep:
    def __init__(self, outer: Step, title: str) -> None:
        self._outer = outer
        self._title = title

    def note(self, text: str) -> None:
        self._outer.note(f"{self._title}: {text}")


class _Nested:
    def __init__(self, outer: Step) -> None:
        self._outer = outer

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        self._outer.note(title)
        yield _NestedStep(self._outer, title)


class _PlainStep:
    def __init__(self, write: Callable[[str], None], title: str, clock: Callable[[], float]) -> None:
        self._write = write
        self._title = title
        self._clock = clock
        self._started = clock()
        self._shown = self._started
        self.last = ""

    def note(self, text: str) -> None:
        self.last = text
        now = self._clock()
        if now - self._shown >= NOTE_INTERVAL_SECONDS:
            self._shown = now
            self._write(f"     {self._title}: {text} ({self.seconds():.0f} s)")

    def seconds(self) -> float:
        return self._clock() - self._started


class PlainReporter:
    """Writes a line when a step starts and one when it ends, with its seconds; a note at most every half minute.

    Args:
        stream: where to write.
        clock: seconds that only grow.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def step(self, title: str) -> Generator[Step]:
        """Open a step that is shown as lines."""
        self._write(f"...  {title}")
        step = _PlainStep(self._write, title, self._clock)
        try:
            yield step
        except BaseException:
            self._write(f"FAIL {title} ({step.seconds():.1f} s)")
            raise
        detail = f": {step.last}" if step.last else ""
        self._write(f"ok   {title}{detail} ({step.seconds():.1f} s)")

    def _write(self, line: str) -> None:
        with self._lock:
            self._stream.write(line + "\n")
            self._stream.flush()
