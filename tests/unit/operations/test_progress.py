from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from operations.cli.progress import HEARTBEAT, LiveReporter, PlainReporter, duration


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_short_step_is_one_line_with_its_time():
    clock, lines = Clock(), []
    reporter = PlainReporter(lines.append, clock)
    with reporter.step("Debian packages") as step:
        clock.now = 0.4
        reporter.tick()
        step.note("all present")
    assert lines == ["[    0.4s] done   Debian packages (0.4 s): all present"]


def test_a_step_longer_than_two_seconds_says_that_it_began_and_gives_a_sign_of_life_every_half_minute():
    clock, lines = Clock(), []
    reporter = PlainReporter(lines.append, clock)
    with reporter.step("Build of kube") as step:
        for second in range(1, 96):
            clock.now = float(second)
            step.note(f"{second} packages")
            reporter.tick()
    words = [line.split("] ")[1].split()[0] for line in lines]
    assert words == ["start", "...", "...", "...", "done"]
    assert "32.0 s so far: 32 packages" in lines[1]
    assert 95 / HEARTBEAT > 3


def test_a_step_that_fails_or_is_interrupted_says_so():
    lines: list[str] = []
    reporter = PlainReporter(lines.append, Clock())
    with pytest.raises(ValueError, match="x"), reporter.step("Deploy dev"):
        raise ValueError("x")
    with pytest.raises(KeyboardInterrupt), reporter.step("Deploy test"):
        raise KeyboardInterrupt
    assert "failed" in lines[0]
    assert "interrupted" in lines[1]


def test_the_live_display_keeps_what_ended_with_its_time_and_shows_what_runs():
    clock, screen = Clock(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    reporter = LiveReporter(console, clock)
    with reporter, reporter.step("Toolchain"):
        with reporter.step("Build of kube"):
            clock.now = 61.0
        clock.now = 65.0
    text = screen.getvalue()
    assert "✓ Build of kube  1 min 01 s" in text
    assert "✓ Toolchain  1 min 05 s" in text


def test_steps_beside_each_other_are_equals_and_each_keeps_its_own_inner_steps():
    clock, screen = Clock(), io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100, color_system=None)
    reporter = LiveReporter(console, clock)
    both, shown = threading.Barrier(2, timeout=10), []

    def deploy(name: str) -> None:
        with reporter.step(f"Deploy {name}"):
            both.wait()
            with reporter.step(f"Loading for {name}"):
                both.wait()
                if name == "dev":
                    shown.extend((one.title, one.depth) for one in reporter.running)
                both.wait()

    threads = [threading.Thread(target=deploy, args=(name,)) for name in ("dev", "test")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name in ("dev", "test"):
        place = shown.index((f"Deploy {name}", 0))
        assert shown[place + 1] == (f"Loading for {name}", 1), "an inner step stands right below its own"
    lines = [line.rstrip() for line in screen.getvalue().splitlines()]
    assert {line for line in lines if "✓ Deploy" in line} == {"✓ Deploy dev  0.0 s", "✓ Deploy test  0.0 s"}
    assert all(line.startswith("  ✓") for line in lines if "Loading" in line)


def test_a_step_of_a_worker_stands_inside_the_step_that_all_workers_serve():
    reporter = LiveReporter(Console(file=io.StringIO()), Clock())
    depths = []

    def work() -> None:
        with reporter.step("Build of kube") as step:
            depths.append(step.depth)

    with reporter.step("Toolchain"):
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()
    assert depths == [1]


def test_plain_lines_of_steps_that_run_at_once_each_name_their_own():
    clock, lines = Clock(), []
    reporter = PlainReporter(lines.append, clock)
    with reporter.step("Deploy dev") as dev, reporter.step("Deploy test") as test:
        dev.note("3 resources")
        test.note("5 resources")
        for clock.now in (2.5, 40.0):
            reporter.tick()
    told = [line.split("] ")[1].split("(")[0].strip() for line in lines]
    assert told[:2] == ["start  Deploy dev", "start  Deploy test"]
    assert "Deploy dev: 40.0 s so far: 3 resources" in lines[2]
    assert "Deploy test: 40.0 s so far: 5 resources" in lines[3]


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (59.9, "59.9 s"), (187, "3 min 07 s"), (3720, "1 h 02 min")]
)
def test_durations_are_written_for_people(seconds, text):
    assert duration(seconds) == text
