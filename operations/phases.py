"""An operation as a list of phases: run in order, timed, recorded, stopped at the first failure."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from operations.errors import OperationError
    from toolchain.progress import Step

Outcome = Literal["done", "failed", "interrupted"]


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
class PhaseResult:
    """How one phase went.

    Attributes:
        name: The phase's name.
        title: The phase's title.
        seconds: Wall-clock time, rounded to milliseconds.
        outcome: Whether it was done, failed, or was interrupted.
        note: What came of it, or what went wrong.
    """

    name: str
    title: str
    seconds: float
    outcome: Outcome
    note: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """An operation's phases as written to its record file after each phase.

    Attributes:
        command: What was asked, as typed.
        started: UTC, ISO 8601.
        phases: The phases reached so far, in order.
        finished: Whether every phase was done.
        schema: Version of this record's shape.
    """

    command: str
    started: str
    phases: tuple[PhaseResult, ...] = ()
    finished: bool = False
    schema: int = field(default=1)

    @property
    def seconds(self) -> float:
        """The sum of the phases' times."""
        return round(sum(phase.seconds for phase in self.phases), 3)

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain values."""
        return {**asdict(self), "seconds": self.seconds}


def run_phases(
    phases: Iterable[Phase],
    *,
    command: str,
    announce: Callable[[Phase], AbstractContextManager[Step]],
    record: Callable[[Record], None],
    clock: Callable[[], float] = time.monotonic,
) -> Record:
    """Run the phases in order and return what came of them.

    Args:
        phases: What to do. Taken one at a time, so a generator may decide on the next ones by what came of the first.
        command: What was asked, for the record.
        announce: Context manager factory entered around each phase, for the display.
        record: Called after each phase, also the failing one, with everything so far.
        clock: Seconds, monotonic.

    Raises:
        BaseException: Whatever a phase raised, after recording it. Nothing after it has run.
    """
    done: list[PhaseResult] = []
    started = datetime.now(UTC).isoformat(timespec="seconds")
    for phase in phases:
        begin = clock()
        outcome: Outcome = "failed"
        note = ""
        try:
            with announce(phase) as step:
                note = phase.run(step)
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
            seconds = round(clock() - begin, 3)
            done.append(
                PhaseResult(name=phase.name, title=phase.title, seconds=seconds, outcome=outcome, note=note),
            )
            record(Record(command=command, started=started, phases=tuple(done)))
    complete = Record(command=command, started=started, phases=tuple(done), finished=True)
    record(complete)
    return complete


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
