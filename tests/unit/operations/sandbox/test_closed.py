"""When training is not to be refreshed: decided from requests and freezes, told in one error."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operations.sandbox.closed import LEAST_SECONDS, begins_next, closed_times, read, refusal
from operations.sandbox.hours import class_hours, frozen
from operations.sandbox.rules import Freeze
from tests import declared
from tests.unit.operations.sandbox.conftest import request

PARIS = ZoneInfo("Europe/Paris")
FREEZE = Freeze(first_day=date(2026, 12, 21), last_day=date(2027, 1, 3), reason="Year-end closing")
CLASS = request("approved")  # 2026-12-01, 09:00-12:00 in Paris
IN_CLASS = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
BEFORE = datetime(2026, 12, 1, 5, 0, tzinfo=UTC)


def told(now, *requests, freezes=(), seconds=None, own_id=""):
    return refusal(closed_times(requests, freezes, PARIS, now, own_id=own_id), PARIS, now, seconds)


def test_nothing_stands_against_a_refresh_outside_of_hours_and_freezes():
    assert told(BEFORE, CLASS, freezes=[FREEZE]) is None
    assert told(datetime(2026, 12, 1, 11, 0, tzinfo=UTC), CLASS) is None, "it is over at 12:00 in Paris"


def test_a_refusal_names_the_course_its_hours_and_when_they_end():
    problem = told(IN_CLASS, CLASS)
    assert problem.what == (
        "Training is not refreshed now: class hours of Sales basics (261201-1), until 2026-12-01 12:00 (Europe/Paris)"
    )
    assert "2026-12-01, 09:00-12:00 (Europe/Paris)" in problem.why
    assert "./careops sandbox rebuild 261201-1" in problem.action
    assert "./careops sandbox withdraw 261201-1 --why" in problem.action


def test_a_refusal_names_the_freeze_its_reason_and_its_end():
    problem = told(datetime(2026, 12, 31, 20, 0, tzinfo=UTC), freezes=[FREEZE])
    assert "release freeze 2026-12-21 to 2027-01-03, until 2027-01-04 00:00 (Europe/Paris)" in problem.what
    assert problem.why == "Year-end closing"


def test_of_several_reasons_the_one_that_lasts_longest_is_told():
    longer = request("ready", name="261201-2", course="Stores", begins="11:00", ends="15:00")
    assert "Stores (261201-2), until 2026-12-01 15:00" in told(IN_CLASS.replace(hour=10, minute=30), CLASS, longer).what


@pytest.mark.parametrize("states", [(), ("rejected",), ("approved", "withdrawn"), ("approved", "requested")])
def test_hours_that_are_not_granted_stand_against_nothing(states):
    assert told(IN_CLASS, request(*states)) is None


def test_the_request_that_a_refresh_is_for_does_not_stand_in_its_way_and_a_freeze_does():
    assert told(IN_CLASS, CLASS, own_id=CLASS.id) is None
    assert told(IN_CLASS, CLASS, own_id="another")
    assert told(datetime(2026, 12, 24, tzinfo=UTC), CLASS, freezes=[FREEZE], own_id=CLASS.id)


@pytest.mark.parametrize(
    ("minutes", "seconds", "refused"),
    [(1, None, True), (3, None, True), (10, None, False), (10, 1200.0, True), (30, 1200.0, False)],
)
def test_a_refresh_that_would_last_into_class_hours_is_refused_before_it_begins(minutes, seconds, refused):
    now = class_hours(CLASS.asked)[0].begin - timedelta(minutes=minutes)
    problem = told(now, CLASS, seconds=seconds)
    assert bool(problem) is refused
    if problem:
        assert "Sales basics (261201-1), from 2026-12-01 09:00 (Europe/Paris)" in problem.what
        assert "run it after 2026-12-01 12:00" in problem.action


def test_the_next_hours_end_a_run_that_nothing_stands_against():
    days = request("approved", first_day=date(2026, 11, 30), last_day=date(2026, 12, 2))
    now = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    times = closed_times([days], [FREEZE], PARIS, now)
    assert begins_next(times, now) == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    assert begins_next((), now) is None


@given(st.datetimes(datetime(2026, 11, 30), datetime(2027, 1, 6), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds
def test_a_moment_is_refused_exactly_when_it_lies_in_hours_or_a_freeze_or_shortly_before(now):
    spans = [*class_hours(CLASS.asked), frozen(FREEZE, PARIS)]
    needs = timedelta(seconds=LEAST_SECONDS + 90)
    assert bool(told(now, CLASS, freezes=[FREEZE])) is any(span.begin - needs < now < span.end for span in spans)


def test_a_site_that_takes_no_requests_keeps_the_freezes_of_its_settings():
    class Untouched:
        def __getattr__(self, name):
            pytest.fail(f"there are no requests to ask for {name}")

    stack = declared.settings("training")
    bare = declared.with_site(stack, sandbox=None)
    (only,) = read(Untouched(), bare, BEFORE)
    assert only.why == "Year-end closing"
