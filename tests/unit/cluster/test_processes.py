"""Processes are told apart from later ones with the same number."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace

import pytest

from toolchain.cluster import processes


@pytest.fixture
def child():
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_alive_until_it_ended(child):
    identity = processes.identify(child.pid)
    assert identity is not None
    assert identity.alive()
    processes.send(identity, signal.SIGKILL)
    assert processes.wait_gone(identity, 5)


def test_a_process_that_nobody_waited_for_counts_as_ended(child):
    identity = processes.identify(child.pid)
    os.kill(child.pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while identity.alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not identity.alive(), "a zombie holds its number but does nothing"


def test_a_later_process_with_the_same_number_is_another_one(child):
    identity = processes.identify(child.pid)
    former = replace(identity, started=identity.started - 1)
    assert not former.alive()
    processes.send(former, signal.SIGKILL)
    assert child.poll() is None, "a signal for the former process must not reach the new one"


def test_nothing_runs_under_a_number_that_is_free():
    assert processes.identify(2**22 + 1) is None
    assert processes.command(2**22 + 1) == ()
    assert processes.usage(2**22 + 1) == processes.Usage()


def test_children_are_found(child):
    assert child.pid in processes.children(os.getpid())


def test_this_very_process_uses_memory():
    assert processes.usage(os.getpid()).memory_bytes > 1_000_000
