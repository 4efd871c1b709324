"""Requests of trainers on the running platform: asked for, approved, carried out and ended with the commands."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from infra.plans.sandbox import GROUP, PLURAL, VERSION
from operations.exit_codes import ExitCode
from operations.refresh.jobs import run_parts
from tests.live.changes import TRAINING, frozen
from tests.live.support import SITE, Platform
from toolchain.cluster.errors import ApiRefused
from toolchain.cluster.kubeapi import KubeApi

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.live

REQUESTS = f"/apis/{GROUP}/{VERSION}/namespaces/{TRAINING}/{PLURAL}"
ROLES = {"ada": "trainer", "bob": "trainer", "grace": "approver"}
CONFIRM = ("--confirm", f"{SITE}/training")
ZONE = ZoneInfo("Europe/Paris")
LEAD_SECONDS = 75
"""Until class hours begin: what is asked for lies ahead, and a second person needs a moment too."""


@dataclass(kw_only=True)
class Life:
    """One request from its beginning to its end.

    Attributes:
        platform: Where.
        files: Each person's access.
        folder: Where files of the test are.
        day: The class's day.
        begins: When it begins.
        ends: When it ends.
        said: What each command said, by a name of the test's.
        name: The request.
        unapproved: Another request for the same hours, which nobody approves.
        guard: What the API server says to a Job that is made without the command.
    """

    platform: Platform
    files: dict[str, Path]
    folder: Path
    day: str
    begins: datetime
    ends: str
    said: dict[str, subprocess.CompletedProcess[str]] = field(default_factory=dict)
    name: str = ""
    unapproved: str = ""
    guard: str = ""

    def run(self, note: str, who: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command with a person's access, or the operator's where there is none of that name."""
        given = ("--kubeconfig", str(self.files[who])) if who in self.files else ()
        self.said[note] = self.platform.careops(*argv, *given)
        return self.said[note]

    def ask(self, note: str, who: str, course: str, **other: str) -> str:
        """Ask for the hours, or others; return the request's name, empty when it was refused."""
        typed = {"date": self.day, "from": f"{self.begins:%H:%M}", "to": self.ends, **other}
        options = [text for name, value in typed.items() for text in (f"--{name}", value)]
        reason = ("--group", "sales=2", "--reason", "New people on the wards")
        done = self.run(note, who, "sandbox", "request", "--course", course, *options, *reason)
        return done.stderr.split(" is requested by ")[0].strip() if done.returncode == 0 else ""

    def text(self, note: str) -> str:
        """Return what a command said, its lines as one."""
        return " ".join((self.said[note].stdout + self.said[note].stderr).split())

    def code(self, note: str) -> int:
        return self.said[note].returncode


def hours() -> tuple[datetime, str]:
    """Return when class hours begin, soon, and the time of day when they end; both on one day."""
    while (begins := datetime.now(ZONE) + timedelta(seconds=LEAD_SECONDS + 60)).strftime("%H:%M") > "23:50":
        time.sleep(5)  # a class ends on the day it begins: the last minutes of a day have no room for one
    begins = begins.replace(second=0, microsecond=0)
    ends = begins + timedelta(minutes=30)
    return begins, f"{ends:%H:%M}" if ends.date() == begins.date() else "23:59"


@pytest.fixture(scope="module")
def life(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """Walk through the whole life of a request, in the time that its class hours need to begin."""
    folder = tmp_path_factory.mktemp("people")
    files = {name: folder / name for name in ROLES}
    for name, role in ROLES.items():
        made = platform.careops("sandbox", "person", name, "--role", role, "--output", str(files[name]))
        assert made.returncode == 0, made.stderr
    begins, ends = hours()
    found = Life(platform=platform, files=files, folder=folder, day=f"{begins:%Y-%m-%d}", begins=begins, ends=ends)
    try:
        before_the_class(found)
        in_the_class(found)
        yield found
    finally:
        api = KubeApi(platform.paths.kubeconfig)
        for each in (api.get(REQUESTS) or {"items": ()})["items"]:
            if each["history"][0]["who"] in ROLES:
                api.delete(f"{REQUESTS}/{each['metadata']['name']}")


def before_the_class(life: Life) -> None:
    life.name = life.ask("asked", "ada", "Admission and transfer")
    assert life.name, life.text("asked")
    life.unapproved = life.ask("asked too", "bob", "Stores")
    life.run("approved by who asked", "ada", "sandbox", "approve", life.name)
    life.run("approved by a trainer", "bob", "sandbox", "approve", life.name)
    life.run("approved", "grace", "sandbox", "approve", life.name, "--why", "The room is free")
    life.ask("hours taken", "bob", "Stores")
    life.run("second approval", "grace", "sandbox", "approve", life.unapproved)
    away = date.fromisoformat(life.day) + timedelta(days=40)
    with frozen(life.platform, away, away):
        life.ask("in a freeze", "bob", "Stores", date=f"{away}")
        life.run("calendar", "ada", "sandbox", "calendar", "--output", str(life.folder / "training.ics"))


def in_the_class(life: Life) -> None:
    time.sleep(max(0.0, (life.begins - datetime.now(UTC)).total_seconds()))
    life.run("refresh in the class", "operator", "refresh", "training", *CONFIRM)
    life.guard = refused_job(life.platform)
    life.run("status in the class", "operator", "refresh", "status")
    today = date.fromisoformat(life.day)
    with frozen(life.platform, today, today):
        life.run("refresh in a freeze", "operator", "refresh", "training", *CONFIRM)
        life.run("rebuild in a freeze", "operator", "sandbox", "rebuild", life.name, *CONFIRM)
    life.run("expired", "grace", "sandbox", "expire")
    life.run("rebuilt", "operator", "sandbox", "rebuild", life.name, *CONFIRM)
    life.run("list", "ada", "sandbox", "list")
    life.run("show", "ada", "sandbox", "show", life.name)
    life.run("with kubectl", "operator", "kubectl", "-n", TRAINING, "get", PLURAL)
    life.run("withdrawn", "ada", "sandbox", "withdraw", life.name, "--why", "Nobody enrolled")
    life.run("plan after it", "operator", "refresh", "training", "--plan-only")
    life.run("calendar after it", "ada", "sandbox", "calendar", "--output", str(life.folder / "later.ics"))


def refused_job(platform: Platform) -> str:
    """Return what the API server says to a Job made from the template as `kubectl create job --from` makes it."""
    api, part = KubeApi(platform.paths.kubeconfig), run_parts(SITE)[0]
    template = api.get(part.template_path)["spec"]["jobTemplate"]
    described = {"name": f"{part.template}-byhand", "labels": template["metadata"]["labels"]}
    body = {"apiVersion": "batch/v1", "kind": "Job", "metadata": described, "spec": template["spec"]}
    try:
        api.request("POST", part.jobs_path(), query={"dryRun": "All"}, body=body)
    except ApiRefused as error:
        return error.why
    return ""


def events(file: Path) -> dict[str, Any]:
    found = Calendar.from_ical(file.read_bytes()).walk("VEVENT")
    return {str(event["summary"]): event for event in found}


def history(life: Life, name: str) -> list[tuple[str, str, str]]:
    done = life.platform.careops("sandbox", "show", name, "--json")
    entries = json.loads(done.stdout)["request"]["history"]
    return [(entry["state"], entry["who"], entry["why"]) for entry in entries]


def test_who_asked_is_told_the_hours_and_what_comes_next(life: Life) -> None:
    said = life.text("asked")
    assert f"is requested by ada: Admission and transfer, {life.day}, {life.begins:%H:%M}-{life.ends}" in said
    assert f"./careops sandbox approve {life.name}" in said


def test_only_a_second_person_who_is_an_approver_approves(life: Life) -> None:
    assert life.code("approved by who asked") == ExitCode.NOT_ALLOWED
    assert life.code("approved by a trainer") == ExitCode.NOT_ALLOWED
    assert "only an approver approves" in life.text("approved by a trainer")
    assert life.code("approved") == 0, life.text("approved")
    assert f"{life.name} is approved by grace" in life.text("approved")


@pytest.mark.parametrize("note", ["hours taken", "second approval"])
def test_the_class_hours_of_another_course_are_refused_with_its_name(life: Life, note: str) -> None:
    assert life.code(note) == ExitCode.USAGE
    assert f"Training is taken: Admission and transfer ({life.name})" in life.text(note)


def test_a_class_in_a_release_freeze_is_refused_with_its_reason(life: Life) -> None:
    assert life.code("in a freeze") == ExitCode.USAGE
    assert "release freeze" in life.text("in a freeze")
    assert "Tried by a test" in life.text("in a freeze")


def test_the_calendar_has_the_class_and_the_freeze_and_later_the_cancellation(life: Life) -> None:
    now, later = events(life.folder / "training.ics"), events(life.folder / "later.ics")
    course = "Admission and transfer (training)"
    assert now[course]["dtstart"].dt == life.begins
    assert str(now[course]["status"]) == "CONFIRMED"
    assert "Release freeze: Tried by a test" in now
    assert str(later[course]["status"]) == "CANCELLED"
    assert later[course]["uid"] == now[course]["uid"]
    assert "Stores (training)" not in now


def test_a_refresh_in_class_hours_is_refused_by_the_command_and_by_the_cluster(life: Life) -> None:
    assert life.code("refresh in the class") == ExitCode.USAGE
    said = life.text("refresh in the class")
    assert f"class hours of Admission and transfer ({life.name}), until {life.day} {life.ends}" in said
    assert f"class Admission and transfer ({life.name})" in life.guard
    assert f"class hours of Admission and transfer ({life.name})" in life.text("status in the class")


def test_nothing_is_refreshed_in_a_freeze_a_request_neither(life: Life) -> None:
    assert life.code("refresh in a freeze") == life.code("rebuild in a freeze") == ExitCode.USAGE
    assert "release freeze" in life.text("refresh in a freeze")
    assert "release freeze" in life.text("rebuild in a freeze")


def test_what_nobody_approved_expires_when_its_class_begins(life: Life) -> None:
    assert f"{life.unapproved} (Stores) is expired: nobody approved it before it began." in life.text("expired")
    assert history(life, life.unapproved)[-1] == ("expired", "grace", "nobody approved it before it began")


def test_the_class_itself_gets_its_data_in_the_names_of_who_asked_and_who_approved(life: Life) -> None:
    assert life.code("rebuilt") == 0, life.text("rebuilt")
    state = json.loads(life.platform.careops("refresh", "status", "--json").stdout)
    certificate = json.loads(life.platform.careops("refresh", "verify", state["certificate"], "--json").stdout)
    assert certificate["certificate"]["requested_by"] == "ada"
    assert certificate["certificate"]["approved_by"] == "grace"


def test_the_record_is_in_the_cluster_with_everybody_who_acted(life: Life) -> None:
    operator = "careops-admin"
    assert [(state, who) for state, who, _ in history(life, life.name)] == [
        ("requested", "ada"),
        ("approved", "grace"),
        ("ready", operator),
        ("withdrawn", "ada"),
    ]
    assert history(life, life.name)[1][2] == "The room is free"
    assert "Admission and transfer" in life.text("with kubectl")
    assert life.name in life.text("with kubectl")
    assert "ready" in life.text("list")
    assert "The room is free" in life.text("show")


def test_hours_that_were_given_back_hold_nothing_back(life: Life) -> None:
    assert life.code("withdrawn") == 0, life.text("withdrawn")
    assert life.code("plan after it") == 0, life.text("plan after it")
