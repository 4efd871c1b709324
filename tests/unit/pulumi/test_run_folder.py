"""What a run of the engine keeps while it lasts is for its owner alone, and gone afterwards, also after a kill."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from toolchain.pulumi.run_folder import run_folder

KILLED = """
import sys, time
from pathlib import Path
from toolchain.pulumi.run_folder import run_folder
with run_folder(Path(sys.argv[1]), "dev") as folder:
    (folder / "events.json").write_text("inputs and outputs")
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def runs(tmp_path):
    return tmp_path / "state" / "pulumi" / "runs"


@pytest.fixture
def running(runs):
    """Return a process that is in the middle of a run, and its folder's name."""
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(runs)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    yield process, process.stdout.readline().strip().rpartition("/")[2]
    process.kill()
    process.wait()
    process.stdout.close()


def names(runs):
    return sorted(folder.name for folder in runs.iterdir())


def test_a_run_has_a_folder_that_only_its_owner_reads_and_leaves_nothing(runs):
    before = os.umask(0)
    try:
        with run_folder(runs, "dev") as folder:
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE(runs.stat().st_mode) == 0o700
            (folder / "events.json").write_text("{}")
    finally:
        os.umask(before)
    assert names(runs) == []


def test_a_run_that_fails_leaves_nothing(runs):
    with pytest.raises(RuntimeError), run_folder(runs, "dev"):
        raise RuntimeError("the engine said no")
    assert names(runs) == []


def test_a_folder_that_others_could_read_is_closed_to_them(runs):
    runs.mkdir(parents=True, mode=0o755)
    with run_folder(runs, "dev"):
        assert stat.S_IMODE(runs.stat().st_mode) == 0o700


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_a_killed_run_left_the_next_run_removes_whichever_stack_it_is_on(runs, running, stack):
    process, left = running
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert names(runs) == [left], "a kill that left nothing proves nothing"
    assert (runs / left / "events.json").exists()
    with run_folder(runs, stack) as folder:
        assert names(runs) == [folder.name]
    assert names(runs) == []


def test_what_a_living_run_keeps_is_left_alone(runs, running):
    _, kept = running
    with run_folder(runs, "dev") as folder:
        assert names(runs) == sorted([kept, folder.name])
    assert names(runs) == [kept]
    assert (runs / kept / "events.json").exists()


def test_runs_that_begin_at_once_do_not_remove_each_others_folders(runs):
    def one(number):
        with run_folder(runs, f"stack{number}") as folder:
            (folder / "events.json").write_text(str(number))
            return (folder / "events.json").read_text()

    with ThreadPoolExecutor(max_workers=8) as pool:
        assert list(pool.map(one, range(40))) == [str(number) for number in range(40)]
    assert names(runs) == []
