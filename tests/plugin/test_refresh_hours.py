"""No refresh in approved class hours or a freeze: judged by a real API server, by its own clock, for whatever asks."""

from __future__ import annotations

import dataclasses
import time
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from infra.model import Freeze
from infra.naming import refresh_guard
from infra.plans.refresh_hours import (
    REQUEST_ANNOTATION,
    STOP_SECONDS,
    classes_binding,
    classes_policy,
    freezes_binding,
    freezes_policy,
)
from infra.plans.sandbox import CRD_NAME, GROUP, KIND, PLURAL, VERSION, definition
from operations.refresh import jobs
from operations.refresh.jobs import Asked
from operations.refresh.plan import left_out
from tests.plugin.sandbox_requests import until
from toolchain.cluster.errors import ApiRefused
from toolchain.cluster.kubeapi import KubeApi

pytestmark = pytest.mark.live

SITE = "northside"
TRAINING, ISOLATED = f"{SITE}-training", f"{SITE}-refresh"
REQUESTS = f"/apis/{GROUP}/{VERSION}/namespaces/{TRAINING}/{PLURAL}"
ADMISSION = "admissionregistration.k8s.io/v1"
ZONES = ("Europe/Paris", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "America/Los_Angeles")
HOUR = 3600


@pytest.fixture(scope="module")
def api(control_plane):
    """Training's namespace, the kind of requests, and the guard of class hours; writes of requests are not judged."""
    made = KubeApi(control_plane.kubeconfig)
    for namespace in (TRAINING, ISOLATED):
        made.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    kind = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"}
    made.apply({**kind, "metadata": {"name": CRD_NAME}, "spec": definition()})
    until(lambda: made.get(REQUESTS) is not None, seconds=60)
    guarded = guard(made, "classes", classes_policy(SITE), classes_binding(refresh_guard(SITE, "classes"), TRAINING))
    judges(made)
    yield made
    for path in guarded:
        made.delete(path)
    made.delete(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{CRD_NAME}")
    control_plane.kubectl("delete", "namespace", TRAINING, ISOLATED, "--wait=false")
    until(lambda: made.get(REQUESTS) is None, seconds=60)


def guard(api, against, policy, binding):
    """Apply a guard and return the paths of its objects."""
    name = refresh_guard(SITE, against)
    for kind, spec in (("ValidatingAdmissionPolicy", policy), ("ValidatingAdmissionPolicyBinding", binding)):
        api.apply({"apiVersion": ADMISSION, "kind": kind, "metadata": {"name": name}, "spec": spec})
    kinds = ("validatingadmissionpolicybindings", "validatingadmissionpolicies")
    return [f"/apis/{ADMISSION}/{kind}/{name}" for kind in kinds]


def judges(api):
    """Wait until the guard judges: the API server looks for new kinds every half minute, and refuses until then."""
    name = granted(api, ZONES[0], "00:00", "23:59")

    def names_the_class():
        try:
            start(api)
        except ApiRefused as error:
            return name in error.why
        return False

    until(names_the_class, seconds=60)
    api.delete(f"{REQUESTS}/{name}")
    takes(api)


@pytest.fixture(autouse=True)
def no_requests(api):
    yield
    for each in api.get(REQUESTS)["items"]:
        api.delete(f"{REQUESTS}/{each['metadata']['name']}")


def by_day(zone):
    """Return whether hours around this moment lie within one day there."""
    return 4 <= datetime.now(ZoneInfo(zone)).hour <= 19


@pytest.fixture
def zone():
    return next(zone for zone in ZONES if by_day(zone))


def clock(zone, minutes):
    if isinstance(minutes, str):
        return minutes
    return (datetime.now(ZoneInfo(zone)) + timedelta(minutes=minutes)).strftime("%H:%M")


def today(zone, days=0):
    return (datetime.now(ZoneInfo(zone)) + timedelta(days=days)).date().isoformat()


def granted(api, zone, begins, ends, *, states=("requested", "approved"), days=(0, 0)):
    """Keep a class and return its name.

    Its hours begin and end these minutes from now, or at a time of day; its days are counted from today.
    """
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    history = [
        {"number": number, "state": state, "who": "ada", "when": now, "why": "to try it"}
        for number, state in enumerate(states, start=1)
    ]
    hours = {"begins": clock(zone, begins), "ends": clock(zone, ends), "timeZone": zone, "trainees": {"sales": 1}}
    spec = {"firstDay": today(zone, days[0]), "lastDay": today(zone, days[1]), "course": "Sales basics", **hours}
    head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND, "metadata": {"generateName": "r-"}}
    made = api.request("POST", REQUESTS, body={**head, "spec": {"release": "19.0", **spec}, "history": history})
    return made["metadata"]["name"]


def start(api, *, part="refresh-mask", namespace=ISOLATED, seconds=HOUR, site=SITE, annotations=None):
    """Ask for a Job of a refresh; nothing is kept of it."""
    labels = {"careops.io/site": site, "app.kubernetes.io/name": part}
    body = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": f"{part}-", "labels": labels, "annotations": annotations or {}},
        "spec": {
            "activeDeadlineSeconds": seconds,
            "template": {"spec": _pod(part)},
        },
    }
    if seconds is None:
        del body["spec"]["activeDeadlineSeconds"]
    return api.request("POST", f"/apis/batch/v1/namespaces/{namespace}/jobs", query={"dryRun": "All"}, body=body)


def _pod(part):
    return {"containers": [{"name": part, "image": "none"}], "restartPolicy": "Never"}


def refusal(api, **job):
    """Return what the API server says about a Job once it knows of what was just kept; fails when it takes it."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            start(api, **job)
        except ApiRefused as error:
            if error.status == 403:
                return error.why
            raise
        time.sleep(0.2)
    pytest.fail("the API server takes it")


def seen(api, zone):
    """Wait until the API server judges by what was kept up to now: it learns of it by watching, in order."""
    marker = granted(api, zone, -5, 5)
    refusal(api)
    api.delete(f"{REQUESTS}/{marker}")


def takes(api, **job):
    """Return only when the API server takes such a Job within a moment: what was removed is forgotten by then."""
    until(lambda: start(api, **job), seconds=20)


@pytest.mark.parametrize("zone", ZONES)
def test_no_part_of_a_refresh_begins_in_class_hours_and_the_refusal_names_them(api, zone):
    name = granted(api, zone, "00:00", "23:59")
    said = refusal(api)
    assert f"the class Sales basics ({name})" in said
    assert f"00:00-23:59 ({zone})" in said
    for part, namespace in (("refresh-export", TRAINING), ("refresh-adopt", TRAINING)):
        refusal(api, part=part, namespace=namespace)


def test_a_refresh_that_could_last_into_class_hours_does_not_begin(api, zone):
    granted(api, zone, 60, 120)
    assert "this refresh could last until" in refusal(api, seconds=2 * HOUR)
    refusal(api, seconds=4 * HOUR)  # beyond their end: they lie within it
    takes(api, seconds=HOUR // 2)


def test_a_pod_has_its_time_to_end_before_the_class_begins(api, zone):
    granted(api, zone, 10, 30)
    refusal(api, seconds=10 * 60)
    takes(api, seconds=9 * 60 - STOP_SECONDS)


def test_a_job_without_a_deadline_could_last_into_any_class(api, zone):
    granted(api, zone, 60, 120)
    refusal(api, seconds=None)


def test_hours_of_every_day_of_a_class_count_and_the_nights_between_do_not(api, zone):
    granted(api, zone, -30, 30, days=(-2, 2))
    refusal(api)
    for each in api.get(REQUESTS)["items"]:
        api.delete(f"{REQUESTS}/{each['metadata']['name']}")
    granted(api, zone, 120, 180, days=(-2, 2))
    takes(api, seconds=HOUR)
    refusal(api, seconds=2 * HOUR)


@pytest.mark.parametrize("days", [(-3, -1), (1, 3)])
def test_the_same_hours_of_other_days_do_not_count(api, zone, days):
    granted(api, zone, -30, 30, days=days)
    seen(api, zone)
    takes(api)


@pytest.mark.parametrize(
    "states",
    [
        ("requested",),
        ("requested", "approved", "requested"),
        ("requested", "rejected"),
        ("requested", "approved", "withdrawn"),
        ("requested", "approved", "ready", "expired"),
    ],
)
def test_hours_that_nobody_granted_or_that_were_given_back_do_not_count(api, zone, states):
    granted(api, zone, -30, 30, states=states)
    seen(api, zone)
    takes(api)


def test_a_class_that_has_its_data_keeps_its_hours(api, zone):
    granted(api, zone, -30, 30, states=("requested", "approved", "ready"))
    refusal(api)


def test_a_refresh_that_carries_out_the_request_itself_begins_and_one_for_another_request_does_not(api, zone):
    name = granted(api, zone, -30, 30)
    assert name in refusal(api)
    takes(api, annotations={REQUEST_ANNOTATION: name})
    refusal(api, annotations={REQUEST_ANNOTATION: "another"})


@pytest.mark.parametrize("job", [{"site": "riverside"}, {"part": "refresh-rollback"}, {"part": "odoo-migrate"}])
def test_other_sites_rollbacks_and_other_jobs_are_not_held_back(api, zone, job):
    granted(api, zone, -30, 30)
    refusal(api)
    start(api, **job)


def test_what_the_command_makes_of_a_template_fits_before_the_class(api, zone):
    """The command shortens its Jobs so that they end before the class; the guard takes exactly those."""
    granted(api, zone, 20, 60)
    template = {"metadata": {"uid": "u"}, "spec": {"jobTemplate": {"metadata": {}, "spec": _template_spec()}}}
    (part,) = (part for part in jobs.run_parts(SITE) if part.template == "refresh-mask")
    now = datetime.now(UTC)
    class_begins = datetime.fromisoformat(f"{today(zone)}T{clock(zone, 20)}").replace(tzinfo=ZoneInfo(zone))
    asked = Asked(requested_by="ada", approved_by="ada", until=class_begins)
    free = jobs.manifest(template, part, "1", dataclasses.replace(asked, until=None), now)
    bound = jobs.manifest(template, part, "1", asked, now)
    refusal(api, seconds=free["spec"]["activeDeadlineSeconds"])
    takes(api, seconds=bound["spec"]["activeDeadlineSeconds"])


def _template_spec():
    return {"activeDeadlineSeconds": 6 * HOUR, "template": {"spec": {"containers": []}}}


def test_a_scheduled_run_waits_for_the_class_to_end_and_the_status_knows_why(api, zone):
    """The CronJob's own controller asks, in its own time: nobody's command is in between."""
    name = granted(api, zone, "00:00", "23:59")
    refusal(api, part="refresh-adopt", namespace=TRAINING)
    due = (datetime.now(UTC) + timedelta(seconds=65)).replace(second=0, microsecond=0)
    labels = {"careops.io/site": SITE, "app.kubernetes.io/name": "refresh-adopt"}
    job = {"activeDeadlineSeconds": HOUR, "suspend": True, "template": {"spec": _pod("refresh-adopt")}}
    spec = {
        "schedule": f"{due.minute} {due.hour} * * *",
        "timeZone": "Etc/UTC",
        "startingDeadlineSeconds": 600,
        "jobTemplate": {"metadata": {"labels": labels}, "spec": job},
    }
    described = {"name": "refresh-adopt", "namespace": TRAINING}
    api.apply({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": described, "spec": spec})
    path = f"/apis/batch/v1/namespaces/{TRAINING}/jobs"
    until(lambda: left_out(api, SITE), seconds=120)
    assert f"the class Sales basics ({name})" in left_out(api, SITE)[0].why
    assert api.get(path)["items"] == []
    api.delete(f"{REQUESTS}/{name}")
    # The controller waits twice as long after each refusal.
    until(lambda: api.get(path)["items"], seconds=180)
    (made,) = api.get(path)["items"]
    assert made["metadata"]["name"] == f"refresh-adopt-{int(due.timestamp()) // 60}"


# -- freezes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def frozen(api):
    """Deploy freezes and return who does it; they are gone afterwards."""
    paths = []

    def deploy(zone, *days):
        freezes = [
            Freeze(first_day=date.fromisoformat(first), last_day=date.fromisoformat(last), reason="Year-end closing")
            for first, last in days
        ]
        policy, binding = freezes_policy(SITE, freezes, zone), freezes_binding(refresh_guard(SITE, "freezes"))
        paths.extend(guard(api, "freezes", policy, binding))

    yield deploy
    for path in paths:
        api.delete(path)
    takes(api)


def test_no_refresh_begins_in_a_release_freeze_and_the_refusal_names_it(api, zone, frozen):
    frozen(zone, (today(zone, -1), today(zone)))
    assert f"release freeze {today(zone, -1)} to {today(zone)}: Year-end closing" in refusal(api)
    start(api, part="refresh-rollback")


def test_a_refresh_that_could_last_into_a_freeze_does_not_begin(api, zone, frozen):
    frozen(zone, (today(zone, 1), today(zone, 3)))
    refusal(api, seconds=24 * HOUR)
    takes(api, seconds=60)


def test_a_freeze_ends_with_its_last_day_in_the_sites_time_zone(api, zone, frozen):
    frozen(zone, (today(zone, -3), today(zone, -1)), (today(zone, 3), today(zone, 4)))
    refusal(api, seconds=48 * HOUR + 24 * HOUR)
    takes(api)
