"""How long a partner is waited for: until its mark, until it has died, or until it has not come."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from operations.anonymise.marks import Program
from operations.anonymise.outcome import NotYet
from operations.anonymise.waiting import Patience, Seen, wait_for


class Clock:
    def __init__(self):
        self.now = 0.0
        self.said = []

    def patience(self, never: float = 100.0) -> Patience:
        return Patience(never=never, gone=60.0, say=self.said.append, clock=lambda: self.now, pause=self.pause)

    def pause(self, seconds: float) -> None:
        self.now += seconds


def looks(*seen: Seen) -> Iterator[Seen]:
    yield from seen
    while True:
        yield seen[-1]


def wait(clock: Clock, *seen: Seen):
    script = looks(*seen)
    return wait_for(Program.EXPORT, "the export", lambda: next(script), clock.patience())


def test_a_mark_that_is_there_is_returned_at_once():
    clock = Clock()
    assert wait(clock, Seen(mark={"bytes": 1})) == {"bytes": 1}
    assert clock.now == 0


def test_a_partner_that_lives_is_waited_for_without_end_of_patience():
    clock = Clock()
    assert wait(clock, *[Seen(alive=True)] * 5000, Seen(mark={})) == {}
    assert clock.now == 5000


def test_a_partner_that_was_there_and_is_gone_has_died_after_a_minute():
    clock = Clock()
    with pytest.raises(NotYet, match="export has died before the export"):
        wait(clock, Seen(alive=True), Seen())
    assert 60 < clock.now < 63


def test_a_partner_that_is_away_for_less_than_that_is_still_waited_for():
    clock = Clock()
    assert wait(clock, Seen(alive=True), *[Seen()] * 50, Seen(alive=True), *[Seen()] * 50, Seen(mark={})) == {}


def test_a_partner_that_never_came_is_given_up_with_the_last_reason():
    clock = Clock()
    with pytest.raises(NotYet, match="waited in vain for export") as waited:
        wait(clock, Seen(why="connection refused"))
    assert waited.value.why == "connection refused"
    assert 100 < clock.now < 103


def test_the_reason_is_told_once_until_it_changes():
    clock = Clock()
    wait(clock, *[Seen(why="refused")] * 3, *[Seen(alive=True)] * 3, Seen(mark={}))
    assert clock.said == ["waiting for the export: refused", "waiting for the export: export is at work"]
