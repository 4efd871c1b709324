"""An operation as a list of phases: timed, recorded, stopped at the first failure; some of them run at once."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from operations.errors import OperationError
from operations.interrupt import interrupt_children

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from toolchain.progress import Step

Outcome = Literal["done", "failed", "interrupted"]

GRACE_SECONDS = 10.0
"""How long an interrupted phase may take to end by itself: Ctrl-C in a terminal reached its program already, and a
second signal makes Pulumi drop what it is doing."""


@dataclass(frozen=True, kw_only=True)
class Phase:
    """One step of an operation.

    Attributes:
        name: Stable name for records and scripts.
        title: What it does, for people: "Build the toolchain".
        run: Does it; returns one line about what came of it. Raises to stop the operation. The step it is given shows
            what it is doing just now.
    """

    name: str
    title: str
    run: Callable[[Step], str]


@dataclass(frozen=True, kw_only=True)
class Together:
    """Phases that may run at the same time.

    Attributes:
        phases: Started in this order.
        width: How many of them run at once at most.
    """

    phases: tuple[Phase, ...]
    width: int


@dataclass(frozen=True, kw_only=True)
class PhaseResult:
    """How one phase went.

    Attributes:
        name: The phase's name.
        title: The phase's title.
        began: Seconds between the operation's start and the phase's, rounded to milliseconds.
        seconds: Wall-clock time, rounded to milliseconds.
        outcome: Whether it was done, failed, or was interrupted.
        note: What came of it, or what went wrong.
    """

    name: str
    title: str
    began: float
    seconds: float
    outcome: Outcome
    note: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """An operation's phases as written to its record file after each phase.

    Attributes:
        command: What was asked, as typed.
        started: UTC, ISO 8601.
        phases: The phases that have ended so far, in order of their start.
        finished: Whether every phase was done.
        seconds: Wall-clock time so far; less than the sum of the phases', where some ran at once.
        circumstances: What the times depend on: what was there before, what had to be built.
        schema: Version of this record's shape.
    """

    command: str
    started: str
    phases: tuple[PhaseResult, ...] = ()
    finished: bool = False
    seconds: float = 0.0
    circumstances: Mapping[str, Any] = field(default_factory=dict)
    schema: int = field(default=2)

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return asdict(self)


def run_phases(
    phases: Iterable[Phase | Together],
    *,
    command: str,
    announce: Callable[[Phase], AbstractContextManager[Step]],
    record: Callable[[Record], None],
    circumstances: Callable[[], Mapping[str, Any]] = dict,
    clock: Callable[[], float] = time.monotonic,
) -> Record:
    """Run the phases in order and return what came of them.

    Args:
        phases: What to do. Taken one at a time, so a generator may decide on the next ones by what came of the first.
        command: What was asked, for the record.
        announce: Context manager factory entered around each phase, for the display; from several threads.
        record: Called after each phase, also the failing one, with everything so far; never twice at once.
        circumstances: What the record says beside the phases, asked anew each time.
        clock: Seconds, monotonic.

    Raises:
        BaseException: Whatever a phase raised, after recording it; of phases that ran at once, every failure in one
            error. What ran beside a failed phase has come to its end, and nothing after it has run.
    """
    run = _Run(command, announce, record, circumstances, clock)
    for item in phases:
        if isinstance(item, Phase):
            run.phase(item, run.next_place())
        else:
            run.together(item)
    return run.keep(finished=True)


class _Run:
    """One run of an operation's phases."""

    def __init__(
        self,
        command: str,
        announce: Callable[[Phase], AbstractContextManager[Step]],
        record: Callable[[Record], None],
        circumstances: Callable[[], Mapping[str, Any]],
        clock: Callable[[], float],
    ) -> None:
        self._command = command
        self._announce = announce
        self._record = record
        self._circumstances = circumstances
        self._clock = clock
        self._begin = clock()
        self._started = datetime.now(UTC).isoformat(timespec="seconds")
        self._results: dict[int, PhaseResult] = {}
        self._places = 0
        self._lock = threading.Lock()
        self._interrupted = False

    def next_place(self) -> int:
        """Return the next place in the record."""
        self._places += 1
        return self._places

    def keep(self, *, finished: bool = False) -> Record:
        """Record everything so far."""
        with self._lock:
            record = Record(
                command=self._command,
                started=self._started,
                phases=tuple(self._results[place] for place in sorted(self._results)),
                finished=finished,
                seconds=round(self._clock() - self._begin, 3),
                circumstances=self._circumstances(),
            )
            self._record(record)
        return record

    def phase(self, phase: Phase, place: int) -> None:
        """Run one phase and record it."""
        begin = self._clock()
        outcome: Outcome = "failed"
        note = ""
        try:
            with self._announce(phase) as step:
                note = self._outcome(phase, step)
                if note:
                    step.note(note)
            outcome = "done"
        except KeyboardInterrupt:
            outcome = "interrupted"
            raise
        except Exception as error:
            note = str(error).partition("\n")[0]
            raise
        finally:
            self._results[place] = PhaseResult(
                name=phase.name,
                title=phase.title,
                began=round(begin - self._begin, 3),
                seconds=round(self._clock() - begin, 3),
                outcome=outcome,
                note=note,
            )
            self.keep()

    def _outcome(self, phase: Phase, step: Step) -> str:
        """Run the phase; the errors with which the programs of an interrupted operation end are no failures."""
        try:
            return phase.run(step)
        except Exception as error:
            if self._interrupted:
                raise KeyboardInterrupt from error
            raise

    def together(self, group: Together) -> None:
        """Run phases at once, bounded; a failure lets the others end and starts nothing new."""
        waiting = [(phase, self.next_place()) for phase in group.phases]
        running: dict[Future[None], int] = {}
        failed: dict[int, BaseException] = {}
        with ThreadPoolExecutor(max_workers=group.width, thread_name_prefix="careops-phase") as pool:
            try:
                while running or (waiting and not failed):
                    while waiting and not failed and len(running) < group.width:
                        phase, place = waiting.pop(0)
                        running[pool.submit(self.phase, phase, place)] = place
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        place = running.pop(future)
                        if (error := future.exception()) is not None:
                            failed[place] = error
            except KeyboardInterrupt:
                self._interrupted = True
                _let_end(running)
                raise
        if failed:
            raise one_error([failed[place] for place in sorted(failed)])


def _let_end(running: Iterable[Future[None]]) -> None:
    """Wait until interrupted phases have ended; who has not heard is told."""
    left = set(running)
    while left:
        try:
            left = wait(left, timeout=GRACE_SECONDS).not_done
            if left:
                interrupt_children()
        except KeyboardInterrupt:
            continue  # a second Ctrl-C: the terminal has sent it to the programs, which end at once now


def one_error(errors: Sequence[BaseException]) -> BaseException:
    """Return the failures of phases that ran at once as one error.

    The exit code is the first one's, in the order of the phases. An interruption, or an error that nobody foresaw,
    comes before those that can be told.
    """
    from operations.translate import known

    if len(errors) == 1:
        return errors[0]
    for error in errors:
        if isinstance(error, KeyboardInterrupt):
            return error
    told = [known(error) for error in errors]
    for error, translated in zip(errors, told, strict=True):
        if translated is None:
            for other in errors:
                if other is not error:
                    error.add_note(f"failed at the same time: {other}")
            return error
    foreseen = [one for one in told if one is not None]
    return OperationError(foreseen[0].code, *(problem for one in foreseen for problem in one.problems))


def write_record(path: Path) -> Callable[[Record], None]:
    """Return the function that keeps an operation's record in a file, replaced whole each time."""

    def write(record: Record) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(record.as_json(), indent=2) + "\n")
        partial.replace(path)

    return write


def error_json(error: OperationError) -> dict[str, Any]:
    """Return a failure as every `--json` report shows it."""
    return {
        "error": {
            "code": int(error.code),
            "name": error.code.name,
            "problems": [problem.as_json() for problem in error.problems],
        },
    }
