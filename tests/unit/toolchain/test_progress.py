from __future__ import annotations

import io

import pytest

from toolchain.progress import NullReporter, PlainReporter, nested


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_step_is_a_line_when_it_starts_and_one_with_its_seconds_when_it_ends():
    stream, clock = io.StringIO(), Clock()
    with PlainReporter(stream, clock).step("Building") as step:
        step.note("12 packages")
        clock.now = 3.25
    assert stream.getvalue().splitlines() == ["...  Building", "ok   Building: 12 packages (3.2 s)"]


def test_a_step_that_an_error_leaves_is_shown_as_failed_and_the_error_goes_on():
    stream = io.StringIO()
    with pytest.raises(KeyError), PlainReporter(stream, Clock()).step("Building"):
        raise KeyError
    assert stream.getvalue().splitlines()[-1] == "FAIL Building (0.0 s)"


def test_notes_of_a_long_step_are_shown_at_most_every_half_minute():
    stream, clock = io.StringIO(), Clock()
    with PlainReporter(stream, clock).step("Building") as step:
        for second in range(0, 100, 10):
            clock.now = float(second)
            step.note(f"at {second}")
    shown = [line.strip() for line in stream.getvalue().splitlines()[1:-1]]
    assert shown == ["Building: at 30 (30 s)", "Building: at 60 (60 s)", "Building: at 90 (90 s)"]


def test_steps_inside_a_task_are_notes_of_the_task():
    stream = io.StringIO()
    with PlainReporter(stream, Clock()).step("Images") as outer, nested(outer).step("Packages") as inner:
        inner.note("3 of 5")
    assert stream.getvalue().splitlines()[-1] == "ok   Images: Packages: 3 of 5 (0.0 s)"


def test_the_silent_reporter_takes_the_same_calls():
    with NullReporter().step("anything") as step:
        step.note("ignored")
