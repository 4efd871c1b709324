"""What is granted, what is refused and why, and when a request ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as some

from infra.plans.sandbox import STATES, TRANSITIONS
from operations.sandbox.decide import Situation, ends, is_due, next_step, problems_of, rebuild_problems
from operations.sandbox.hours import class_hours, meet
from operations.sandbox.wish import clock_of, day_of, read
from tests.unit.operations.sandbox.conftest import NOW, asked, request, rules, wish


def situation(*others, now=NOW, **changes):
    return Situation(rules=rules(**changes), others=others, now=now)


def whats(problems):
    return " / ".join(each.what for each in problems)


def test_a_class_that_nothing_stands_against_is_granted():
    assert problems_of(asked(), situation()) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"first_day": date(2026, 11, 23), "last_day": date(2026, 11, 23)}, "in the past"),
        ({"first_day": date(2026, 11, 24), "last_day": date(2026, 11, 24), "begins": "11:59"}, "in the past"),
        ({"first_day": date(2028, 1, 3), "last_day": date(2028, 1, 3)}, "too far ahead"),
        ({"last_day": date(2026, 12, 8)}, "too long: 8 days"),
        ({"last_day": date(2026, 11, 30)}, "before the first"),
        ({"begins": "07:00", "ends": "18:00"}, "too long: from 07:00 to 18:00"),
        ({"begins": "12:00", "ends": "12:00"}, "not after it begins"),
        ({"release": "17.0"}, "release '17.0' is unknown"),
        ({"trainees": {}}, "Nobody is to be trained"),
        ({"trainees": {"surgery": 1}}, "no group 'surgery'"),
        ({"trainees": {"sales": 4}}, "4 people of sales"),
        ({"trainees": {"sales": 0}}, "0 people of sales"),
        ({"course": " "}, "The course is not one line"),
        ({"course": "a\nb"}, "The course is not one line"),
        ({"course": "\x1b[31mred"}, "The course is not one line"),
        ({"course": "x" * 81}, "The course is not one line"),
        ({"first_day": date(2026, 12, 18), "last_day": date(2026, 12, 21)}, "release freeze"),
        ({"first_day": date(2027, 1, 3), "last_day": date(2027, 1, 3)}, "release freeze"),
        ({"first_day": date(2027, 3, 28), "last_day": date(2027, 3, 28), "begins": "02:30"}, "does not exist"),
        ({"first_day": date(2027, 10, 31), "last_day": date(2027, 10, 31), "begins": "02:30"}, "comes twice"),
    ],
)
def test_what_cannot_be_granted_is_refused(changes, said):
    assert said in whats(problems_of(asked(**changes), situation(ahead_days=400)))


@pytest.mark.parametrize(("day", "free"), [(date(2026, 12, 20), True), (date(2027, 1, 4), True)])
def test_the_days_around_a_freeze_are_free(day, free):
    assert (problems_of(asked(first_day=day, last_day=day), situation()) == []) is free


def test_today_later_is_not_the_past():
    today = {"first_day": date(2026, 11, 24), "last_day": date(2026, 11, 24)}
    assert problems_of(asked(**today, begins="12:30", ends="14:00"), situation()) == []


@pytest.mark.parametrize(
    ("states", "refused"),
    [
        ((), False),
        (("approved",), True),
        (("approved", "ready"), True),
        (("rejected",), False),
        (("approved", "withdrawn"), False),
        (("approved", "expired"), False),
        (("approved", "requested"), False),
    ],
)
def test_hours_are_taken_by_approved_classes_only(states, refused):
    found = problems_of(asked(), situation(request(*states)))
    assert ("Training is taken: Sales basics (261201-1)" in whats(found)) is refused


def test_a_request_does_not_stand_in_its_own_way():
    assert problems_of(asked(), situation(request("approved")), own_id="261201-1") == []


hours = some.tuples(some.integers(0, 13), some.integers(1, 10))


@given(hours, hours, some.integers(-2, 2), some.integers(1, 3))
def test_two_classes_are_never_granted_the_same_moment(ours, theirs, shift, count):
    first = date(2026, 12, 8)
    one = asked(first_day=first, last_day=first + timedelta(days=count - 1), **clock(*ours))
    day = first + timedelta(days=shift)
    other = request("approved", first_day=day, last_day=day, **clock(*theirs))
    refused = "Training is taken" in whats(problems_of(one, situation(other)))
    assert refused == meet(class_hours(one), class_hours(other.asked))


def clock(begin, length):
    return {"begins": f"{begin:02}:00", "ends": f"{begin + length:02}:00"}


def test_every_problem_is_told_at_once():
    made, problems = read(
        wish(course="", first_day="2026-13-01", begins="9", groups=["sales", "surgery=1"], reason="", release="17.0"),
        situation(),
    )
    assert made is None
    told = whats(problems)
    for part in ("--date", "--from", "--group", "no group 'surgery'", "The reason", "The course", "'17.0'"):
        assert part in told, part
    assert "--until" not in told, "it was not typed"


def test_problems_of_time_and_of_words_are_told_together():
    _, problems = read(wish(first_day="2026-12-24", release="17.0", groups=["sales=9", "sales=1"]), situation())
    told = whats(problems)
    assert all(part in told for part in ("release freeze", "'17.0'", "9 people", "named twice"))


def test_a_class_that_is_too_long_is_still_compared_with_freezes_and_other_classes():
    other = request("approved", first_day=date(2026, 12, 25), last_day=date(2026, 12, 25))
    _, problems = read(wish(first_day="2026-12-18", last_day="2026-12-30"), situation(other))
    assert all(part in whats(problems) for part in ("too long", "release freeze", "Training is taken"))


@pytest.mark.parametrize(("first", "last"), [("0001-01-01", None), ("9999-12-31", None), ("2026-12-01", "2199-12-31")])
def test_days_at_the_end_of_time_are_refused_like_others(first, last):
    _, problems = read(wish(first_day=first, last_day=last), situation())
    assert problems


def test_a_group_that_cannot_be_read_is_told_once():
    _, problems = read(wish(groups=["sales"]), situation())
    assert len(problems) == 1


def test_what_is_left_out_is_one_day_on_the_release_that_training_runs():
    made, problems = read(wish(), situation())
    assert problems == []
    assert (made.last_day, made.release, made.time_zone) == (date(2026, 12, 1), rules().release, "Europe/Paris")


@given(some.text(max_size=12))
def test_a_time_of_day_is_read_or_refused_and_nothing_else(text):
    found = clock_of(text, "--from")
    if isinstance(found, str):
        datetime.strptime(found, "%H:%M").replace(tzinfo=UTC)
        assert len(found) == 5


def test_days_and_times_as_people_type_them():
    assert clock_of("9:05", "--from") == "09:05"
    assert day_of("2026-12-01", "--date") == date(2026, 12, 1)
    for wrong in ("24:00", "9", "9:5", "09:00:00", "-1:00", "\u0660\u0669:\u0660\u0660", ""):
        assert not isinstance(clock_of(wrong, "--from"), str), wrong
    for wrong in ("2026-02-30", "1.12.2026", ""):
        assert not isinstance(day_of(wrong, "--date"), date), wrong


# -- rebuild and end -----------------------------------------------------------------------------------------------


def test_an_approved_request_is_rebuilt_before_and_during_its_class():
    for now in (NOW, datetime(2026, 12, 1, 9, 0, tzinfo=UTC)):
        assert rebuild_problems(request("approved"), situation(request("approved"), now=now)) == []
    assert rebuild_problems(request("approved", "ready"), situation()) == []


def test_what_nobody_approved_is_not_rebuilt_and_says_how_it_can_be():
    (problem,) = rebuild_problems(request(), situation())
    assert "not approved yet" in problem.what
    assert "./careops sandbox approve 261201-1" in problem.action


@pytest.mark.parametrize("states", [("rejected",), ("withdrawn",), ("approved", "expired")])
def test_only_what_is_approved_is_rebuilt(states):
    assert "cannot be rebuilt" in whats(rebuild_problems(request(*states), situation()))


def test_a_class_that_is_over_is_not_rebuilt():
    now = datetime(2026, 12, 1, 11, 0, tzinfo=UTC)  # noon in Paris, its end
    assert "is over" in whats(rebuild_problems(request("approved"), situation(now=now)))


def test_nothing_is_rebuilt_in_a_freeze():
    later = request("approved", first_day=date(2027, 1, 5), last_day=date(2027, 1, 5))
    now = datetime(2026, 12, 31, 9, 0, tzinfo=UTC)
    assert "release freeze" in whats(rebuild_problems(later, situation(now=now)))


def test_nothing_is_rebuilt_for_another_release_than_training_runs():
    assert "'17.0' is unknown" in whats(rebuild_problems(request("approved", release="17.0"), situation()))


def test_the_class_that_comes_first_is_not_robbed_of_its_data():
    first = request("approved", name="first", first_day=date(2026, 11, 30), last_day=date(2026, 11, 30))
    second = request("approved", name="second")
    assert "(first) needs training first" in whats(rebuild_problems(second, situation(first, second)))
    assert rebuild_problems(first, situation(first, second)) == []
    after = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
    assert rebuild_problems(second, situation(first, second, now=after)) == []


def test_nothing_is_rebuilt_in_the_class_hours_of_another():
    running = request("approved", "ready", name="running")
    later = request("approved", name="later", begins="13:00", ends="15:00")
    now = datetime(2026, 12, 1, 8, 30, tzinfo=UTC)
    assert "(running) needs training first" in whats(rebuild_problems(later, situation(running, later, now=now)))


def test_two_classes_that_take_turns_are_both_rebuilt():
    week = {"first_day": date(2026, 12, 1), "last_day": date(2026, 12, 3)}
    mornings = request("approved", name="mornings", **week)
    evenings = request("approved", name="evenings", begins="18:00", ends="20:00", **week)
    noon = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
    assert rebuild_problems(evenings, situation(mornings, evenings, now=noon)) == []
    night = datetime(2026, 12, 1, 22, 0, tzinfo=UTC)
    assert rebuild_problems(mornings, situation(mornings, evenings, now=night)) == []


def test_a_sandbox_expires_the_stated_days_after_its_last_class():
    last = request("approved", "ready")
    end = datetime(2026, 12, 8, 11, 0, tzinfo=UTC)
    assert ends(last, rules()) == end
    assert not is_due(last, rules(), end - timedelta(seconds=1))
    assert is_due(last, rules(), end)


def test_a_request_that_nobody_approved_expires_when_its_class_begins():
    begin = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    assert is_due(request(), rules(), begin)
    assert not is_due(request(), rules(), begin - timedelta(seconds=1))


@pytest.mark.parametrize("states", [("rejected",), ("withdrawn",), ("approved", "expired")])
def test_what_has_ended_does_not_expire(states):
    assert not is_due(request(*states), rules(), datetime(2030, 1, 1, tzinfo=UTC))


def test_the_list_says_what_to_do_next():
    assert "sandbox approve 261201-1" in next_step(request(), situation())
    for hour, said in ((7, "before the class: "), (9, "the class has begun: ")):
        now = datetime(2026, 12, 1, hour, 30, tzinfo=UTC)
        assert next_step(request("approved"), situation(now=now)) == f"{said}sandbox rebuild 261201-1"
    now = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
    assert next_step(request("approved"), situation(now=now)) == "its class is over; expires 2026-12-08"
    assert next_step(request("approved", "ready"), situation()) == "expires 2026-12-08"
    assert "sandbox expire" in next_step(request("approved", "ready"), situation(now=datetime(2027, 1, 9, tzinfo=UTC)))
    assert next_step(request("withdrawn"), situation()) == ""


def test_every_state_is_reached_and_the_last_ones_stay():
    reached = {state for followers in TRANSITIONS.values() for state in followers}
    assert reached | {"requested"} == set(STATES) == set(TRANSITIONS)
    assert [state for state in STATES if not TRANSITIONS[state]] == ["expired", "rejected", "withdrawn"]
