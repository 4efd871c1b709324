"""Requests from being asked for to their end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.sandbox.desk import Desk
from operations.sandbox.store import Store
from tests.unit.operations.sandbox.conftest import NOW, RULES_PATH, at, refusal, stored, wish


def test_a_request_is_kept_with_who_asked_when_and_why(api):
    made = at(api, "ada").ask(wish())
    assert stored(api, made.id)["history"] == [
        {"number": 1, "state": "requested", "who": "ada", "when": "2026-11-24T11:00:00Z", "why": "New sales people"}
    ]
    assert made.id.startswith("261201-")


def test_nothing_is_kept_of_what_is_refused(api):
    with pytest.raises(OperationError) as told:
        at(api, "ada").ask(wish(first_day="2026-12-24", course="", release="17.0"))
    assert told.value.code is ExitCode.USAGE
    assert len(told.value.problems) == 3
    assert list(api.objects) == [RULES_PATH]


def test_every_transition_adds_an_entry(api):
    name = at(api, "ada").ask(wish()).id
    at(api, "grace").approve(name, "go ahead")
    at(api, "administrator").ready(name, "29400180")
    at(api, "administrator", NOW + timedelta(days=30)).expire()
    history = stored(api, name)["history"]
    assert [(entry["state"], entry["who"]) for entry in history] == [
        ("requested", "ada"),
        ("approved", "grace"),
        ("ready", "administrator"),
        ("expired", "administrator"),
    ]
    assert history[2]["run"] == "29400180"


@pytest.mark.parametrize("decide", [Desk.approve, Desk.reject])
def test_who_asked_does_not_decide(api, decide):
    name = at(api, "ada").ask(wish()).id
    with pytest.raises(OperationError, match="who asked for it") as told:
        decide(at(api, "ada"), name, "my own")
    assert told.value.code is ExitCode.NOT_ALLOWED
    assert len(stored(api, name)["history"]) == 1


def test_an_approval_judges_again_what_was_free_when_it_was_asked_for(api):
    first, second = at(api, "ada").ask(wish()).id, at(api, "bob").ask(wish()).id
    at(api, "grace").approve(first, "")
    with pytest.raises(OperationError, match="Training is taken"):
        at(api, "grace").approve(second, "")
    with pytest.raises(OperationError, match="in the past"):
        at(api, "grace", NOW + timedelta(days=8)).approve(second, "")


def test_withdrawn_hours_are_free_again(api):
    first, second = at(api, "ada").ask(wish()).id, at(api, "bob").ask(wish()).id
    at(api, "grace").approve(first, "")
    at(api, "ada").withdraw(first, "nobody enrolled")
    assert at(api, "grace").approve(second, "").state == "approved"


def test_an_approval_that_meets_another_one_is_taken_back(api):
    first, second = at(api, "ada").ask(wish()).id, at(api, "bob").ask(wish()).id

    class Late(Store):
        """Reads before the other approval, writes after it."""

        def append(self, request, entry):
            if entry.state == "approved":
                at(api, "mary").approve(first, "")
                api.user = "grace"
            return super().append(request, entry)

    api.user = "grace"
    with pytest.raises(OperationError) as told:
        Desk(Late(api, "riverside-training"), lambda: NOW).approve(second, "")
    assert told.value.code is ExitCode.LOCK_HELD
    assert [entry["state"] for entry in stored(api, second)["history"]] == ["requested", "approved", "requested"]
    assert stored(api, first)["history"][-1]["state"] == "approved"


@pytest.mark.parametrize("why", ["", "no", "a\nb", "x" * 501])
def test_a_rejection_needs_a_reason(api, why):
    name = at(api, "ada").ask(wish()).id
    with pytest.raises(OperationError, match="The reason"):
        at(api, "grace").reject(name, why)


def test_what_ended_is_not_changed_any_more(api):
    name = at(api, "ada").ask(wish()).id
    at(api, "grace").reject(name, "no room")
    with pytest.raises(OperationError, match="cannot be approved") as told:
        at(api, "grace").approve(name, "")
    assert "it is rejected, by grace" in told.value.problems[0].why


def test_an_approval_that_was_taken_back_is_no_approval(api):
    name = at(api, "ada").ask(wish()).id
    at(api, "grace").approve(name, "")
    request = Store(api, "riverside-training").one(name)
    assert request.approval.who == "grace"
    stored(api, name)["history"].append(
        {"number": 3, "state": "requested", "who": "grace", "when": "2026-11-24T11:00:00Z", "why": "back"}
    )
    assert Store(api, "riverside-training").one(name).approval is None


def test_a_late_clock_does_not_make_an_entry_older_than_the_one_before(api):
    name = at(api, "ada").ask(wish()).id
    approved = at(api, "grace", NOW - timedelta(minutes=5)).approve(name, "")
    assert approved.history[-1].when == approved.history[0].when


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, ExitCode.NOT_ALLOWED, "does not know you"),
        (403, ExitCode.NOT_ALLOWED, "You may not do that"),
        (409, ExitCode.LOCK_HELD, "Somebody else changed"),
        (422, ExitCode.USAGE, "refused the request"),
        (404, ExitCode.DEPLOYMENT, "takes no requests"),
    ],
)
def test_what_the_api_server_refuses_is_told_with_its_own_code(api, status, code, said):
    name = at(api, "ada").ask(wish()).id
    request = Store(api, "riverside-training").one(name)
    api.refuse = refusal(status, "ValidatingAdmissionPolicy 'x' with binding 'x' denied request: not you")
    with pytest.raises(OperationError, match=said) as told:
        Store(api, "riverside-training").append(request, request.history[0])
    assert told.value.code is code
    if status in (403, 422):
        assert told.value.problems[0].why == "not you"


def test_a_training_without_rules_or_kind_is_told_what_to_deploy(api):
    api.served = False
    with pytest.raises(OperationError, match="takes no requests") as told:
        at(api, "ada").situation()
    assert told.value.code is ExitCode.DEPLOYMENT
    for content in ({}, {"rules.json": "{}"}, {"rules.json": '{"schema": 2}'}):
        api.objects[RULES_PATH] = {"data": content}
        with pytest.raises(OperationError, match="takes no requests"):
            at(api, "ada").situation()
    del api.objects[RULES_PATH]
    with pytest.raises(OperationError, match="takes no requests"):
        at(api, "ada").situation()


def test_moments_are_kept_in_utc(api):
    made = at(api, "ada", datetime(2026, 11, 24, 11, 0, 0, 5, tzinfo=UTC)).ask(wish())
    assert stored(api, made.id)["history"][0]["when"] == "2026-11-24T11:00:00Z"
