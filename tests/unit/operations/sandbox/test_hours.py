"""Class hours as moments, on days of 23, 24 and 25 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as some

from operations.sandbox.hours import Span, class_hours, fault, frozen, meet, moment
from operations.sandbox.rules import Freeze
from tests.unit.operations.sandbox.conftest import asked

ZONES = ("Europe/Paris", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "UTC")
PARIS = ZoneInfo("Europe/Paris")
days = some.dates(date(2020, 1, 1), date(2035, 12, 31))
clocks = some.times().map(lambda clock: clock.replace(second=0, microsecond=0))
zones = some.sampled_from(ZONES).map(ZoneInfo)
spans = some.tuples(some.integers(0, 50), some.integers(1, 20)).map(
    lambda pair: Span(
        begin=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=pair[0]),
        end=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=sum(pair)),
    )
)


@given(days, clocks, zones)
def test_a_time_without_fault_is_shown_once_by_the_wall_clock(day, clock, zone):
    naive = datetime.combine(day, clock)
    around = [moment(day, clock, zone) + timedelta(minutes=minutes) for minutes in range(-180, 181, 30)]
    shown = [each for each in around if each.astimezone(zone).replace(tzinfo=None) == naive]
    expected = {"": 1, "comes twice": 2, "does not exist": 0}[fault(day, clock, zone)]
    assert len(shown) == expected


@pytest.mark.parametrize(
    ("day", "clock", "zone", "wrong"),
    [
        (date(2026, 3, 29), time(2, 30), "Europe/Paris", "does not exist"),
        (date(2026, 3, 29), time(2, 0), "Europe/Paris", "does not exist"),
        (date(2026, 3, 29), time(3, 0), "Europe/Paris", ""),
        (date(2026, 10, 25), time(2, 30), "Europe/Paris", "comes twice"),
        (date(2026, 10, 25), time(3, 0), "Europe/Paris", ""),
        (date(2026, 10, 4), time(2, 15), "Australia/Lord_Howe", "does not exist"),
        (date(2026, 4, 5), time(1, 45), "Australia/Lord_Howe", "comes twice"),
    ],
)
def test_the_nights_of_the_change_are_known(day, clock, zone, wrong):
    assert fault(day, clock, ZoneInfo(zone)) == wrong


def test_a_class_across_the_change_keeps_its_wall_clock_hours():
    hours = class_hours(asked(first_day=date(2026, 10, 24), last_day=date(2026, 10, 26)))
    assert [span.begin.hour for span in hours] == [7, 8, 8]
    assert {span.end - span.begin for span in hours} == {timedelta(hours=3)}


def test_a_class_over_the_change_itself_lasts_an_hour_less_or_more():
    night = {"begins": "01:00", "ends": "05:00"}
    lengths = {
        day: class_hours(asked(first_day=day, last_day=day, **night))[0]
        for day in (date(2026, 3, 29), date(2026, 10, 25), date(2026, 10, 26))
    }
    assert [(span.end - span.begin) / timedelta(hours=1) for span in lengths.values()] == [3, 5, 4]


@given(spans, spans)
def test_meeting_is_mutual_and_means_a_common_moment(one, other):
    common = [
        one.begin + timedelta(minutes=30 * step)
        for step in range(40)
        if one.holds(one.begin + timedelta(minutes=30 * step)) and other.holds(one.begin + timedelta(minutes=30 * step))
    ]
    assert one.meets(other) == other.meets(one) == bool(common)


@given(some.lists(spans, max_size=4), some.lists(spans, max_size=4))
def test_lists_of_times_meet_when_a_pair_does(some_spans, others):
    assert meet(some_spans, others) == any(one.meets(other) for one in some_spans for other in others)


def test_classes_that_only_touch_do_not_meet():
    morning, noon = class_hours(asked())[0], class_hours(asked(begins="12:00", ends="14:00"))[0]
    assert not morning.meets(noon)


@given(days, some.integers(0, 20), zones)
def test_a_freeze_holds_exactly_its_days_in_the_zone(first, length, zone):
    last = first + timedelta(days=length)
    span = frozen(Freeze(first_day=first, last_day=last, reason="x"), zone)
    noon = time(12)
    assert span.holds(moment(first, noon, zone))
    assert span.holds(moment(last, noon, zone))
    assert not span.holds(moment(first - timedelta(days=1), noon, zone))
    assert not span.holds(moment(last + timedelta(days=1), noon, zone))


def test_hours_of_two_time_zones_are_compared_as_moments():
    paris = class_hours(asked(begins="15:00", ends="17:00"))
    new_york = class_hours(asked(begins="10:00", ends="11:00", time_zone="America/New_York"))
    same_clock = class_hours(asked(begins="15:00", ends="17:00", time_zone="America/New_York"))
    assert meet(paris, new_york)
    assert not meet(paris, same_clock)
