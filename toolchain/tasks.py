"""Runs a graph of tasks: each after what it needs, two lanes at once, the first failure stops what has not started.

A task must be idempotent, as everything made through `toolchain.store` is: running a graph again then does only what is
missing.
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from toolchain.errors import TaskFailed, ToolchainError
from toolchain.progress import nested

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toolchain.progress import Reporter

Lane = Literal["cpu", "net"]

LANES: Mapping[Lane, int] = {"cpu": 1, "net": 2}
"""How many tasks of a lane run at once: a Go build uses every core already, downloads wait for the network."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One piece of work.

    Attributes:
        name: unique in its graph.
        title: what people read while it runs.
        run: does it; steps it opens are shown inside the task's own.
        needs: names of tasks that must have ended well before.
        lane: what it mostly uses.
    """

    name: str
    title: str
    run: Callable[[Reporter], object]
    needs: tuple[str, ...] = ()
    lane: Lane = "cpu"


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """A task that ended well.

    Attributes:
        name: of the task.
        seconds: elapsed time.
    """

    name: str
    seconds: float


def order(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Return the names in an order in which each comes after what it needs; otherwise as listed.

    Raises:
        ToolchainError: a name occurs twice, a need does not exist, or needs go round in a circle.
    """
    known = {task.name: task for task in tasks}
    if len(known) != len(tasks):
        names = [task.name for task in tasks]
        raise _misfit(f"tasks have the same name: {sorted({name for name in names if names.count(name) > 1})}")
    for task in tasks:
        unknown = [need for need in task.needs if need not in known]
        if unknown:
            raise _misfit(f"{task.name} needs what does not exist: {unknown}")
    ordered: list[str] = []
    left = list(known)
    while left:
        free = next((name for name in left if all(need in ordered for need in known[name].needs)), None)
        if free is None:
            raise _misfit(f"these need each other in a circle: {left}")
        ordered.append(free)
        left.remove(free)
    return tuple(ordered)


def run_tasks(tasks: Sequence[Task], reporter: Reporter) -> tuple[Done, ...]:
    """Run the graph to its end.

    Args:
        tasks: of the graph; those listed first start first where several could.
        reporter: shows one step a task.

    Returns:
        What was done, in the order in which it ended.

    Raises:
        TaskFailed: a task failed; those already running were let finish, the others never started.
        ToolchainError: the graph is not one.
    """
    known = {task.name: task for task in tasks}
    waiting = list(order(tasks))
    running: dict[Future[float], Task] = {}
    done: list[Done] = []
    failed: list[tuple[Task, BaseException]] = []
    with ThreadPoolExecutor(max_workers=sum(LANES.values())) as pool:
        while waiting or running:
            for name in [] if failed else _startable(waiting, known, running, done):
                waiting.remove(name)
                running[pool.submit(_timed, known[name], reporter)] = known[name]
            if not running:
                break
            ended, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                task = running.pop(future)
                error = future.exception()
                if error is None:
                    done.append(Done(name=task.name, seconds=future.result()))
                else:
                    failed.append((task, error))
    if failed:
        raise _failure(*failed[0], cancelled=waiting) from failed[0][1]
    return tuple(done)


def _startable(
    waiting: Sequence[str], known: Mapping[str, Task], running: Mapping[Future[float], Task], done: Sequence[Done]
) -> list[str]:
    ended = {task.name for task in done}
    room = {lane: size - sum(task.lane == lane for task in running.values()) for lane, size in LANES.items()}
    chosen = []
    for name in waiting:
        task = known[name]
        if room[task.lane] > 0 and all(need in ended for need in task.needs):
            room[task.lane] -= 1
            chosen.append(name)
    return chosen


def _timed(task: Task, reporter: Reporter) -> float:
    started = time.monotonic()
    with reporter.step(task.title) as step:
        task.run(nested(step))
    return time.monotonic() - started


def _failure(task: Task, error: BaseException, *, cancelled: Sequence[str]) -> TaskFailed:
    rest = f" Not started: {', '.join(cancelled)}." if cancelled else ""
    if isinstance(error, ToolchainError):
        return TaskFailed(f"{task.title}: {error.what}{rest}", why=error.why, action=error.action, task=task.name)
    return TaskFailed(
        f"{task.title}: {type(error).__name__}.{rest}",
        why=str(error) or "The error carries no text.",
        action="Run the command again: it continues where it stopped. If it fails again, report the error.",
        task=task.name,
    )


def _misfit(why: str) -> ToolchainError:
    return ToolchainError("The tasks do not form a graph.", why=why, action="Correct the declaration of the tasks.")
