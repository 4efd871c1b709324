"""The refresh that nobody asks for: started by the schedule, held back by a freeze, and proved afterwards."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from infra.naming import refresh_namespace
from operations.refresh.jobs import Part, Phase, job_state, run_parts
from tests.live.changes import changed, frozen
from tests.live.support import SITE, Platform, eventually
from toolchain.cluster.kubeapi import KubeApi

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.live

PARTS = run_parts(SITE)
BEGIN_SECONDS = 180
"""Until the scheduled minute, and until the controller tries again what was refused in it."""

RUN_SECONDS = 600


@dataclass(frozen=True, kw_only=True)
class Scheduled:
    """A run that the schedule started.

    Attributes:
        number: The minute it was due, as the controller counts: since 1970.
        refused: What `refresh status` said while a freeze held it back.
        kept_back: Runs that existed then.
        runs: The number that each part's Job ends in.
        phases: How each ended.
        status: What `refresh status` says afterwards.
    """

    number: str
    refused: dict[str, Any]
    kept_back: set[str]
    runs: set[str]
    phases: set[Phase]
    status: dict[str, Any]


def status(platform: Platform) -> dict[str, Any]:
    done = platform.careops("refresh", "status", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def jobs_of(api: KubeApi, part: Part, number: str) -> list[dict[str, Any]]:
    return [job for job in api.get(part.jobs_path())["items"] if job["metadata"]["name"] == part.job(number)]


def at(moment: datetime) -> Callable[[dict[str, Any]], None]:
    """Return what a deployment with this schedule makes of a template."""

    def change(template: dict[str, Any]) -> None:
        local = moment.astimezone(ZoneInfo(template["spec"]["timeZone"]))
        template["spec"] |= {"schedule": f"{local.minute} {local.hour} {local.day} {local.month} *", "suspend": False}

    return change


@pytest.fixture(scope="module")
def scheduled(platform: Platform) -> Scheduled:
    """Let the three CronJobs come due in a freeze, lift it, and wait for the run that they start then."""
    api = KubeApi(platform.paths.kubeconfig)
    due = (datetime.now(UTC) + timedelta(seconds=80)).replace(second=0, microsecond=0)
    number = str(int(due.timestamp()) // 60)
    with ExitStack() as deployed:
        with frozen(platform, date.today() - timedelta(days=1), date.today() + timedelta(days=1)):  # noqa: DTZ011 - a day around today in any zone
            for part in PARTS:
                deployed.enter_context(changed(platform, part.template_path, at(due)))
            refused = until(lambda: found if (found := status(platform))["left_out"] else None, BEGIN_SECONDS)
            kept_back = {part.template for part in PARTS if jobs_of(api, part, number)}
        until(lambda: all(jobs_of(api, part, number) for part in PARTS), BEGIN_SECONDS)
    states = until(lambda: ended(api, number), RUN_SECONDS)
    return Scheduled(
        number=number,
        refused=refused,
        kept_back=kept_back,
        runs={state.run for state in states},
        phases={state.phase for state in states},
        status=status(platform),
    )


def ended(api: KubeApi, number: str) -> list[Any] | None:
    states = [job_state(part, job) for part in PARTS for job in jobs_of(api, part, number)]
    return None if any(state.phase is Phase.RUNNING for state in states) else states


def until(look: Callable[[], Any], seconds: float) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"nothing came of it within {seconds:.0f} s"
        time.sleep(2)
    return found


def test_the_schedule_starts_nothing_in_a_release_freeze_and_the_status_says_why(scheduled: Scheduled) -> None:
    assert scheduled.kept_back == set()
    assert "Tried by a test" in scheduled.refused["left_out"][0]["why"]
    assert "release freeze" in scheduled.refused["against_now"]


def test_the_jobs_of_a_scheduled_run_find_each_other_and_end_well_without_anybodys_command(
    scheduled: Scheduled,
) -> None:
    assert scheduled.runs == {scheduled.number}
    assert scheduled.phases == {Phase.DONE}


def test_training_holds_the_data_of_the_scheduled_run(scheduled: Scheduled) -> None:
    assert scheduled.status["generation"] == scheduled.number
    assert scheduled.status["previous_bytes"] > 0, "and what it held before can be had back"


def test_its_certificate_can_be_had_and_verified_afterwards(platform: Platform, scheduled: Scheduled) -> None:
    checked = platform.careops("refresh", "verify", scheduled.status["certificate"], "--json")
    assert checked.returncode == 0, checked.stderr
    certificate = json.loads(checked.stdout)["certificate"]
    assert certificate["run"] == scheduled.number
    assert (certificate["requested_by"], certificate["approved_by"]) == ("schedule", "nobody: started by the schedule")


def test_nothing_of_the_unmasked_copy_stays(platform: Platform, scheduled: Scheduled) -> None:
    assert scheduled.number

    def gone() -> None:
        assert platform.pods(refresh_namespace(SITE)) == []

    eventually(gone)
