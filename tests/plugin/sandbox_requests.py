"""Requests for a sandbox as careops writes them to a real API server, and as another program may."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest

from infra.plans.sandbox import GROUP, PLURAL, VERSION
from operations.sandbox.desk import Desk
from operations.sandbox.model import next_entry
from operations.sandbox.store import Store
from operations.sandbox.wish import Wish
from tests import declared
from toolchain.cluster.errors import ApiRefused

TRAINING = "riverside-training"
REQUESTS = f"/apis/{GROUP}/{VERSION}/namespaces/{TRAINING}/{PLURAL}"
VERSIONS = {
    "Role": "rbac.authorization.k8s.io/v1",
    "RoleBinding": "rbac.authorization.k8s.io/v1",
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "ValidatingAdmissionPolicy": "admissionregistration.k8s.io/v1",
    "ValidatingAdmissionPolicyBinding": "admissionregistration.k8s.io/v1",
}


def being_deleted(api, namespace):
    found = api.get(f"/api/v1/namespaces/{namespace}") or {"metadata": {}}
    return "deletionTimestamp" in found["metadata"]


def guarded(api):
    """Wait until the API server judges by the guard: it takes a moment to learn of a new one."""

    def refuses():
        try:
            api.request("POST", REQUESTS, body=new("somebody else"))
        except ApiRefused as error:
            return error.status == 403
        return False

    until(refuses)


def until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(ApiRefused):
            if holds():
                return
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.2)


def store(api):
    return Store(api, TRAINING)


def desk(api):
    return Desk(store(api))


def wish(days=10, **changes):
    day = (datetime.now(UTC) + timedelta(days=days)).date()
    first = day if not in_freeze(day) else day + timedelta(days=30)
    typed = {
        "first_day": first.isoformat(),
        "last_day": None,
        "begins": "09:00",
        "ends": "12:00",
        "groups": ["sales=2"],
    }
    return Wish(**{"course": "Sales", "reason": "New sales people", **typed, **changes})


def in_freeze(day):
    return any(each.first_day <= day <= each.last_day for each in declared.settings("training").site.freezes)


def new(who, **changes):
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = {"number": 1, "state": "requested", "who": who, "when": now, "why": "to try it"} | changes
    hours = {"begins": "09:00", "ends": "12:00", "timeZone": "Europe/Paris", "trainees": {"sales": 1}}
    days = {"firstDay": "2027-05-03", "lastDay": "2027-05-03"}
    head = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "SandboxRequest", "metadata": {"generateName": "r-"}}
    return {**head, "spec": {"course": "x", "release": "19.0", **days, **hours}, "history": [entry]}


def refused(call, status=403):
    with pytest.raises(ApiRefused) as told:
        call()
    assert told.value.status == status, told.value.why
    return told.value.why


def written(api, request, state, **changes):
    """Write an entry as a program other than careops would."""
    entry = {**next_entry(request, state, "", when=datetime.now(UTC), why="by hand").as_object(), **changes}
    found = api.get(f"{REQUESTS}/{request.id}")
    return api.request("PUT", f"{REQUESTS}/{request.id}", body={**found, "history": [*found["history"], entry]})
