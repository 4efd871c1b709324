from __future__ import annotations

import threading
import time

import pytest

from toolchain.errors import BuildFailed, TaskFailed, ToolchainError
from toolchain.tasks import LANES, Task, order, run_tasks


class Recorder:
    """Makes tasks that remember when they ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.at_once: dict[str, int] = {"cpu": 0, "net": 0}
        self.most: dict[str, int] = {"cpu": 0, "net": 0}
        self._lock = threading.Lock()

    def task(
        self, name: str, *needs: str, lane="cpu", error: BaseException | None = None, seconds: float = 0.0
    ) -> Task:
        def run(_) -> None:
            with self._lock:
                self.ran.append(name)
                self.at_once[lane] += 1
                self.most[lane] = max(self.most[lane], self.at_once[lane])
            time.sleep(seconds)
            with self._lock:
                self.at_once[lane] -= 1
            if error is not None:
                raise error

        return Task(name=name, title=f"Title of {name}", needs=needs, run=run, lane=lane)


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


def test_a_task_runs_after_everything_it_needs(recorder: Recorder, reporter):
    tasks = [recorder.task("c", "a", "b"), recorder.task("b", "a", lane="net"), recorder.task("a")]
    done = run_tasks(tasks, reporter)
    assert recorder.ran == ["a", "b", "c"]
    assert [task.name for task in done] == ["a", "b", "c"]


def test_tasks_that_need_nothing_run_in_the_order_they_are_listed(recorder: Recorder, reporter):
    run_tasks([recorder.task(name) for name in "dbca"], reporter)
    assert recorder.ran == list("dbca")


def test_a_lane_never_runs_more_than_it_may_and_lanes_run_beside_each_other(recorder: Recorder, reporter):
    tasks = [recorder.task(f"{lane}{n}", lane=lane, seconds=0.05) for n in range(4) for lane in ("cpu", "net")]
    run_tasks(tasks, reporter)
    assert recorder.most == dict(LANES)


def test_the_first_failure_cancels_what_has_not_started_and_names_the_task(recorder: Recorder, reporter):
    error = BuildFailed("compiler failed", why="because", action="do this")
    tasks = [recorder.task("a"), recorder.task("b", "a", error=error), recorder.task("c"), recorder.task("d", "b")]
    with pytest.raises(TaskFailed) as caught:
        run_tasks(tasks, reporter)
    assert caught.value.task == "b"
    assert caught.value.__cause__ is error
    assert "Title of b" in caught.value.what
    assert "Not started: c, d" in caught.value.what
    assert (caught.value.why, caught.value.action) == ("because", "do this")
    assert recorder.ran == ["a", "b"]


def test_what_runs_already_when_another_fails_is_let_finish(recorder: Recorder, reporter):
    finished = threading.Event()

    def slow(_) -> None:
        time.sleep(0.2)
        finished.set()

    tasks = [Task(name="slow", title="s", run=slow, lane="net"), recorder.task("bad", error=ValueError("x"))]
    with pytest.raises(TaskFailed, match="bad"):
        run_tasks(tasks, reporter)
    assert finished.is_set()


def test_an_error_of_unknown_kind_is_told_with_its_kind_and_text(recorder: Recorder, reporter):
    with pytest.raises(TaskFailed) as caught:
        run_tasks([recorder.task("a", error=ValueError("seven"))], reporter)
    assert "ValueError" in caught.value.what
    assert caught.value.why == "seven"


def test_running_again_after_a_failure_does_only_what_is_missing(tmp_path, reporter):
    made: list[str] = []

    def make(name: str, *, broken: bool) -> Task:
        def run(_) -> None:
            if (tmp_path / name).exists():
                return
            made.append(name)
            if broken:
                raise OSError("no network")
            (tmp_path / name).touch()

        return Task(name=name, title=name, run=run)

    with pytest.raises(TaskFailed):
        run_tasks([make("a", broken=False), make("b", broken=True)], reporter)
    run_tasks([make("a", broken=False), make("b", broken=False)], reporter)
    assert made == ["a", "b", "b"]


def test_each_task_is_one_step_and_the_steps_inside_are_its_notes(reporter):
    def run(inner) -> None:
        with inner.step("Unpacking") as step:
            step.note("half")

    run_tasks([Task(name="a", title="Image", run=run)], reporter)
    assert reporter.titles == ["Image"]
    assert reporter.notes == ["Unpacking", "Unpacking: half"]


def test_a_circle_a_missing_need_and_a_double_name_are_refused_before_anything_runs(recorder: Recorder, reporter):
    for tasks, word in (
        ([recorder.task("a", "b"), recorder.task("b", "a")], "circle"),
        ([recorder.task("a", "ghost")], "ghost"),
        ([recorder.task("a"), recorder.task("a")], "same name"),
    ):
        with pytest.raises(ToolchainError, match=word):
            run_tasks(tasks, reporter)
    assert recorder.ran == []


def test_the_order_is_the_listed_one_where_needs_allow():
    tasks = [
        Task(name=name, title=name, run=print, needs=needs) for name, needs in (("x", ("z",)), ("y", ()), ("z", ()))
    ]
    assert order(tasks) == ("y", "z", "x")


def test_no_tasks_are_done_at_once(reporter):
    assert run_tasks([], reporter) == ()
