"""Tasks that bring others, and failures that stop the rest."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from operations.anonymise import pool
from operations.anonymise.pool import Desk, StoppedError, Task


class Session:
    """A session that remembers whether it was told to end its statement."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()

    def cancel(self) -> None:
        self.cancelled.set()
        raise psycopg.OperationalError("it has ended meanwhile")


@contextmanager
def desk(stopped: threading.Event) -> Iterator[Desk]:
    yield Desk(writing=Session(), source="source", target="target", stopped=stopped)


def noting(done: list[str], name: str, *more: Task, size: int = 0, late: bool = False) -> Task:
    def do(_: Desk) -> list[Task]:
        done.append(name)
        return list(more)

    return Task(do=do, size=size, late=late)


def test_the_largest_is_done_first_and_late_ones_last():
    done: list[str] = []
    tasks = [noting(done, "late", size=9, late=True), noting(done, "small", size=1), noting(done, "large", size=5)]
    pool.run(tasks, desk, jobs=1)
    assert done == ["large", "small", "late"]


@pytest.mark.parametrize("jobs", [1, 4])
def test_what_a_task_brings_is_done_too_however_many_threads_wait_for_it(jobs: int):
    done: list[str] = []
    leaf = [noting(done, f"leaf {number}") for number in range(20)]
    pool.run([noting(done, "root", noting(done, "branch", *leaf))], desk, jobs=jobs)
    assert done[:2] == ["root", "branch"]
    assert sorted(done[2:]) == sorted(f"leaf {number}" for number in range(20))


def test_nothing_to_do_is_done_at_once():
    pool.run([], desk, jobs=3)


def test_the_first_failure_is_told_and_ends_what_the_others_are_doing():
    under_way = threading.Event()
    done: list[str] = []

    def slow(at: Desk) -> list[Task]:
        under_way.set()
        assert at.writing.cancelled.wait(30), "nobody ended the statement"
        raise StoppedError

    def fail(_: Desk) -> list[Task]:
        assert under_way.wait(30)
        raise ValueError("the reason")

    with pytest.raises(ValueError, match="the reason"):
        pool.run([Task(do=slow, size=9), Task(do=fail, size=8), noting(done, "later", size=1)], desk, jobs=2)
    assert done == []


def test_a_desk_that_cannot_be_had_is_the_failure():
    @contextmanager
    def none(_: threading.Event) -> Iterator[Desk]:
        raise LookupError("no session")
        yield

    with pytest.raises(LookupError, match="no session"):
        pool.run([noting([], "never")], none, jobs=2)


def test_a_desk_without_a_source_says_so():
    with desk(threading.Event()) as made, pytest.raises(LookupError, match="without a session with the source"):
        made.reader()
