"""The calendar as a calendar program reads it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from icalendar import Calendar

from operations.cli.main import main
from operations.sandbox import access
from operations.sandbox.calendar import calendar
from operations.sandbox.hours import class_hours
from operations.sandbox.model import next_entry
from tests.unit.operations.sandbox.conftest import NOW, request, rules


def events(*requests, now=NOW):
    read = Calendar.from_ical(calendar("riverside", requests, rules(), now))
    return {str(each["uid"]): each for each in read.walk("VEVENT")}


def one(*requests):
    (found,) = (each for uid, each in events(*requests).items() if not uid.startswith("freeze-"))
    return found


def test_a_class_is_at_its_hours_in_utc():
    event = one(request("approved"))
    (hours,) = class_hours(request().asked)
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (hours.begin, hours.end)
    assert event.decoded("dtstart") == datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
    assert str(event["summary"]) == "Sales basics (training)"
    assert "2 sales" in str(event["description"])
    assert str(event["status"]) == "CONFIRMED"


def test_a_class_of_several_days_is_an_event_on_each():
    found = events(request("approved", last_day=date(2026, 12, 3)))
    days = [uid for uid in found if uid.startswith("261201-1-")]
    assert days == [f"261201-1-2026120{day}@training.riverside.careops" for day in (1, 2, 3)]


@pytest.mark.parametrize(
    ("states", "status"),
    [
        (("approved",), "CONFIRMED"),
        (("approved", "ready"), "CONFIRMED"),
        (("approved", "ready", "expired"), "CONFIRMED"),
        (("approved", "withdrawn"), "CANCELLED"),
        (("approved", "requested"), "CANCELLED"),
        (("approved", "requested", "rejected"), "CANCELLED"),
    ],
)
def test_what_calendars_have_already_is_confirmed_or_cancelled(states, status):
    assert str(one(request(*states))["status"]) == status


@pytest.mark.parametrize("states", [(), ("rejected",), ("withdrawn",), ("expired",)])
def test_what_was_never_approved_is_not_in_it(states):
    assert [uid for uid in events(request(*states)) if not uid.startswith("freeze-")] == []


def test_a_change_keeps_the_identity_and_raises_the_sequence():
    before = request("approved")
    entry = next_entry(before, "withdrawn", "ada", when=NOW + timedelta(hours=1), why="ill")
    after = replace(before, history=(*before.history, entry))
    old, new = one(before), one(after)
    assert old["uid"] == new["uid"]
    assert new["sequence"] > old["sequence"]
    assert new.decoded("dtstamp") > old.decoded("dtstamp")


def test_an_unchanged_class_is_the_same_in_every_file():
    later = events(request("approved"), now=NOW + timedelta(days=1))
    now = events(request("approved"))
    uid = "261201-1-20261201@training.riverside.careops"
    assert now[uid].to_ical() == later[uid].to_ical()


def test_a_freeze_lasts_whole_days_and_blocks_nobody():
    event = events()["freeze-20261221@training.riverside.careops"]
    assert (event.decoded("dtstart"), event.decoded("dtend")) == (date(2026, 12, 21), date(2027, 1, 4))
    assert str(event["transp"]) == "TRANSPARENT"
    assert "Year-end closing" in str(event["summary"])


def test_long_names_are_folded_and_read_back_as_they_were():
    name = "Übungskurs: Aufnahme, Verlegung; Entlassung \\ Abrechnung für die Häuser am Fluß, Teil 2"[:80]
    content = calendar("riverside", [request("approved", course=name)], rules(), NOW)
    assert max(len(line) for line in content.split(b"\r\n")) <= 75
    assert str(one(request("approved", course=name))["summary"]) == f"{name} (training)"


def test_the_file_names_its_maker_and_version():
    read = Calendar.from_ical(calendar("riverside", [], rules(), NOW))
    assert str(read["version"]) == "2.0"
    assert "careops" in str(read["prodid"])


def test_the_command_writes_a_file_that_reads_back(api, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(access, "api", lambda *_: api)
    path = tmp_path / "training.ics"
    assert main(["sandbox", "calendar", "--output", str(path)]) == 0
    assert [str(each["uid"]) for each in Calendar.from_ical(path.read_bytes()).walk("VEVENT")] == [
        "freeze-20261221@training.riverside.careops"
    ]
    assert "1 event" in capsys.readouterr().err
