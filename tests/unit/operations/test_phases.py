"""Phases that run at once: bounded, recorded truthfully, ended together."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Generator

import pytest

from operations.errors import OperationError, failure
from operations.exit_codes import ExitCode
from operations.phases import Phase, Record, Together, one_error, run_phases

WAIT = 20


class Quiet:
    def note(self, text: str) -> None: ...


@contextlib.contextmanager
def announce(_phase: Phase) -> Generator[Quiet]:
    yield Quiet()


def phase(name: str, run) -> Phase:
    return Phase(name=name, title=name.title(), run=lambda _step: run() or "")


def run(*items: Phase | Together, records: list[Record] | None = None) -> Record:
    kept = [] if records is None else records
    return run_phases(items, command="careops up", announce=announce, record=kept.append)


def test_no_more_phases_run_at_once_than_the_width_allows():
    lock, now, most = threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.05)
        with lock:
            now -= 1

    record = run(Together(phases=tuple(phase(f"p{number}", work) for number in range(5)), width=2))
    assert most == 2
    assert [one.name for one in record.phases] == ["p0", "p1", "p2", "p3", "p4"]


def test_the_total_is_the_time_on_the_clock_and_not_the_sum_of_what_ran_at_once():
    both = threading.Barrier(2, timeout=WAIT)

    def work() -> None:
        both.wait()
        threading.Event().wait(0.2)

    record = run(Together(phases=(phase("one", work), phase("two", work)), width=2))
    assert all(one.seconds >= 0.2 for one in record.phases)
    assert record.seconds < sum(one.seconds for one in record.phases)


def test_a_failure_lets_what_runs_end_and_starts_nothing_new():
    ended, failed = [], threading.Event()

    def fail() -> None:
        failed.set()
        raise failure(ExitCode.DEPLOYMENT, "dev failed", "a reason", "a remedy")

    def slow() -> None:
        failed.wait(WAIT)
        threading.Event().wait(0.1)
        ended.append("slow")

    records: list[Record] = []
    group = Together(
        phases=(phase("fail", fail), phase("slow", slow), phase("never", lambda: ended.append("n"))), width=2
    )
    with pytest.raises(OperationError, match="dev failed"):
        run(group, phase("after", lambda: ended.append("after")), records=records)
    assert ended == ["slow"]
    assert [(one.name, one.outcome) for one in records[-1].phases] == [("fail", "failed"), ("slow", "done")]
    assert not records[-1].finished


def test_a_group_without_phases_is_no_obstacle():
    assert run(Together(phases=(), width=2), phase("after", lambda: "")).finished


def test_a_defect_comes_before_what_can_be_told_and_carries_it_along():
    defect = KeyError("x")
    told = failure(ExitCode.DEPLOYMENT, "test failed", "a reason", "a remedy")
    assert one_error([told, defect]) is defect
    assert "test failed" in defect.__notes__[0]
    assert one_error([told]) is told
    assert isinstance(one_error([told, KeyboardInterrupt()]), KeyboardInterrupt)


SCRIPT = """
import contextlib, json, os, subprocess, sys
import operations.phases as phases
phases.GRACE_SECONDS = 1.5
CHILD = '''
import os, signal, sys, time
def say(text):
    os.write(1, (text + chr(10)).encode())  # whole lines: two processes write here
def end(*_):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    time.sleep(1)
    say("ended cleanly " + sys.argv[1])
    sys.exit(1)
signal.signal(signal.SIGINT, end)
say("runs")
time.sleep(60)
'''
class Quiet:
    def note(self, text): pass
@contextlib.contextmanager
def announce(phase):
    try:
        yield Quiet()
    except BaseException as error:
        os.write(1, f"{phase.name} shown as {type(error).__name__}\\n".encode())
        raise
def engine(name):
    def run(step):
        subprocess.run([sys.executable, "-c", CHILD, name], check=True)
    return phases.Phase(name=name, title=name, run=run)
kept = []
group = phases.Together(phases=tuple(map(engine, ("dev", "test", "training"))), width=2)
try:
    phases.run_phases([group], command="up", announce=announce, record=kept.append)
except KeyboardInterrupt:
    print(json.dumps([[one.name, one.outcome] for one in kept[-1].phases]), flush=True)
"""


@pytest.mark.parametrize("whole_group", [True, False], ids=["as a terminal does", "this process alone"])
def test_ctrl_c_lets_both_engines_end_cleanly_and_starts_nothing_new(whole_group):
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A background run has SIGINT ignored and hands that on; a terminal does not.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - no threads here
    ) as process:
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == ["runs\n", "runs\n"]
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
        said = process.stdout.read().splitlines()
        assert process.wait(timeout=WAIT) == 0
    assert {"ended cleanly dev", "ended cleanly test"} < set(said)
    assert {"dev shown as KeyboardInterrupt", "test shown as KeyboardInterrupt"} < set(said)
    assert json.loads(said[-1]) == [["dev", "interrupted"], ["test", "interrupted"]]
