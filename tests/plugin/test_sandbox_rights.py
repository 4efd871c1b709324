"""Who may do what with a request for a sandbox: real people, a real API server, and the guard as it is declared."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from infra.plans.sandbox import GROUP, LONGEST_HISTORY, PLURAL, VERSION
from operations.cli.main import main
from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.sandbox import person as people
from operations.sandbox.desk import Desk
from operations.sandbox.model import Entry, next_entry
from operations.sandbox.store import Store
from tests import declared
from tests.plugin.sandbox_requests import (
    REQUESTS,
    TRAINING,
    VERSIONS,
    being_deleted,
    desk,
    guarded,
    new,
    refused,
    store,
    until,
    wish,
    written,
)
from toolchain.cluster.kubeapi import KubeApi

pytestmark = pytest.mark.live

DEV = "riverside-dev"
TRAINERS, APPROVERS = "riverside-trainers", "riverside-training-approvers"


@pytest.fixture(scope="module")
def admin(control_plane, tmp_path_factory):
    api = KubeApi(control_plane.kubeconfig)
    platform = declared.platform(tmp_path_factory.mktemp("operator"))
    # Another module may have left one that is still being deleted.
    until(lambda: not any(being_deleted(api, namespace) for namespace in (TRAINING, DEV)), seconds=90)
    for namespace in (TRAINING, DEV):
        api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    declared_here = [each for each in platform.resources if "sandbox" in each.urn.lower()]
    for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding", "CustomResourceDefinition"):
        for resource in declared_here:
            if resource.kind == kind:
                api.apply({"apiVersion": VERSIONS[kind], "kind": kind, **resource.inputs})
    for kind in ("Role", "RoleBinding", "ConfigMap"):
        for resource in declared.environment("training").of(kind):
            if "SandboxAccess" in resource.urn:
                api.apply({"apiVersion": VERSIONS.get(kind, "v1"), "kind": kind, **resource.inputs})
    until(lambda: api.get(REQUESTS) is not None)
    yield api
    control_plane.kubectl("delete", "namespace", TRAINING, DEV)
    for resource in declared_here:
        if resource.kind in VERSIONS:
            api.delete(api.path_of({"apiVersion": VERSIONS[resource.kind], "kind": resource.kind, **resource.inputs}))
    until(lambda: api.get(REQUESTS) is None)


@pytest.fixture(scope="module")
def people_files(tmp_path_factory):
    return tmp_path_factory.mktemp("people")


@pytest.fixture(scope="module")
def known(admin, control_plane, people_files):
    """Five people with certificates of the cluster; nobody of them is an administrator."""
    given = {
        "ada": (TRAINERS,),
        "bob": (TRAINERS,),
        "grace": (APPROVERS,),
        "mary": (TRAINERS, APPROVERS),
        "eve": ("somebody-else",),
    }
    found = {}
    for name, groups in given.items():
        who = people.Person(name=name, groups=groups, life=timedelta(days=1))
        path = people_files / name
        path.write_text(people.kubeconfig(control_plane.kubeconfig, who, people.grant(admin, who)))
        found[name] = KubeApi(path)
    guarded(found["ada"])
    return found


@pytest.fixture(autouse=True)
def no_requests(admin):
    yield
    for each in admin.get(REQUESTS)["items"]:
        admin.delete(f"{REQUESTS}/{each['metadata']['name']}")


def test_a_trainer_asks_and_a_second_person_approves(known):
    asked = desk(known["ada"]).ask(wish())
    assert (asked.state, asked.requester) == ("requested", "ada")
    approved = desk(known["grace"]).approve(asked.id, "")
    assert [(entry.state, entry.who) for entry in approved.history] == [("requested", "ada"), ("approved", "grace")]
    assert desk(known["ada"]).withdraw(asked.id, "nobody enrolled").state == "withdrawn"


def test_everybody_is_who_their_certificate_says(known, admin):
    assert store(known["ada"]).whoami() == "ada"
    assert store(admin).whoami() == "administrator"


def test_a_trainer_cannot_approve(known):
    asked = desk(known["ada"]).ask(wish())
    with pytest.raises(OperationError, match="You may not do that") as told:
        desk(known["bob"]).approve(asked.id, "")
    assert told.value.code is ExitCode.NOT_ALLOWED
    assert "only an approver" in told.value.problems[0].why


def test_nobody_approves_what_they_asked_for_even_with_both_roles(known, admin):
    asked = desk(known["mary"]).ask(wish())
    with pytest.raises(OperationError) as told:
        desk(known["mary"]).approve(asked.id, "")
    assert told.value.code is ExitCode.NOT_ALLOWED
    by_hand = refused(lambda: written(known["mary"], asked, "approved", who="mary"))
    assert "a second person decides" in by_hand
    assert desk(known["grace"]).approve(asked.id, "").state == "approved"
    own = desk(admin).ask(wish(20))
    assert "a second person decides" in refused(lambda: written(admin, own, "approved", who="administrator"))


def test_nobody_writes_in_anothers_name(known, admin):
    assert "names the user" in refused(lambda: known["ada"].request("POST", REQUESTS, body=new("bob")))
    asked = desk(known["ada"]).ask(wish())
    assert "names the user" in refused(lambda: written(known["bob"], asked, "approved", who="grace"))
    assert "names the user" in refused(lambda: written(admin, asked, "approved", who="grace"))


def test_a_request_begins_as_requested_with_one_entry(known):
    api = known["ada"]
    assert "state" in refused(lambda: api.request("POST", REQUESTS, body=new("ada", state="approved")), 422)
    numbered = new("ada", number=2)
    assert "numbered from 1" in refused(lambda: api.request("POST", REQUESTS, body=numbered), 422)
    body = new("ada")
    body["history"].append({**body["history"][0], "number": 2, "state": "approved"})
    assert "adds one entry" in refused(lambda: api.request("POST", REQUESTS, body=body), 422)


def test_what_was_written_stays_written(known):
    asked = desk(known["ada"]).ask(wish())
    api, path = known["ada"], f"{REQUESTS}/{asked.id}"

    def changed(change):
        found = api.get(path)
        change(found)
        return refused(lambda: api.request("PUT", path, body=found), 422)

    def forged(found):
        found["history"][0]["why"] = "another reason"
        found["history"].append(next_entry(asked, "withdrawn", "ada", when=datetime.now(UTC), why="x").as_object())

    def swapped(found):
        found["spec"]["course"] = "Another"
        found["history"].append(next_entry(asked, "withdrawn", "ada", when=datetime.now(UTC), why="x").as_object())

    assert "changes none" in changed(forged)
    assert "changes none" in changed(
        lambda found: found["history"].clear() or found["history"].append(new("ada")["history"][0])
    )
    assert "does not change" in changed(swapped)
    assert "adds one entry" in changed(lambda found: found["metadata"].update(labels={"a": "b"}))


def test_the_order_in_which_a_history_is_sent_does_not_change_who_asked(known):
    """With the approver's entry in front, the one who asked would look like somebody else."""
    asked = desk(known["mary"]).ask(wish())
    approved = desk(known["grace"]).approve(asked.id, "")
    taken_back = store(known["grace"]).append(
        approved, next_entry(approved, "requested", "grace", when=datetime.now(UTC), why="again")
    )
    found = known["mary"].get(f"{REQUESTS}/{asked.id}")
    entry = next_entry(taken_back, "approved", "mary", when=datetime.now(UTC), why="mine").as_object()
    body = {**found, "history": [*reversed(found["history"]), entry]}
    why = refused(lambda: known["mary"].request("PUT", f"{REQUESTS}/{asked.id}", body=body))
    assert "a second person decides" in why


def test_only_who_asked_or_an_approver_withdraws(known):
    asked = desk(known["ada"]).ask(wish())
    with pytest.raises(OperationError) as told:
        desk(known["bob"]).withdraw(asked.id, "not mine")
    assert "only who asked" in told.value.problems[0].why
    assert desk(known["grace"]).withdraw(asked.id, "the trainer is ill").state == "withdrawn"


def test_only_an_administrator_says_that_training_is_ready(known, admin):
    asked = desk(known["ada"]).ask(wish())
    desk(known["grace"]).approve(asked.id, "")
    approved = store(known["ada"]).one(asked.id)
    for name in ("ada", "grace", "mary"):
        why = refused(lambda name=name: written(known[name], approved, "ready", who=name, run="29400180"))
        assert "only who refreshes" in why
    assert desk(admin).ready(asked.id, "29400180").history[-1].run == "29400180"
    assert "only an approver, or who refreshes" in refused(
        lambda: written(known["ada"], store(admin).one(asked.id), "expired", who="ada")
    )


def test_an_entry_is_not_older_than_the_one_before_it(known):
    asked = desk(known["ada"]).ask(wish())
    why = refused(lambda: written(known["ada"], asked, "withdrawn", who="ada", when="2020-01-01T00:00:00Z"), 422)
    assert "not older" in why


def test_a_request_that_ended_stays_ended(known):
    asked = desk(known["ada"]).ask(wish())
    desk(known["grace"]).reject(asked.id, "no room")
    ended = store(known["grace"]).one(asked.id)
    assert "state" in refused(lambda: written(known["grace"], ended, "approved", who="grace"), 422)


def test_two_who_decide_at_the_same_moment_do_not_overwrite_each_other(known):
    asked = desk(known["ada"]).ask(wish())
    seen = store(known["grace"]).one(asked.id)
    desk(known["ada"]).withdraw(asked.id, "changed my mind")
    entry = next_entry(seen, "approved", "grace", when=datetime.now(UTC), why="")
    with pytest.raises(OperationError, match="Somebody else changed") as told:
        store(known["grace"]).append(seen, entry)
    assert told.value.code is ExitCode.LOCK_HELD


def test_of_two_classes_approved_at_the_same_moment_for_the_same_hours_not_both_stay(known):
    first, second = (desk(known[name]).ask(wish()) for name in ("ada", "bob"))

    class Late(Store):
        """Reads before the other approval, writes after it."""

        def append(self, request, entry):
            if entry.state == "approved":
                desk(known["mary"]).approve(first.id, "")
            return super().append(request, entry)

    with pytest.raises(OperationError) as told:
        Desk(Late(known["grace"], TRAINING)).approve(second.id, "")
    assert told.value.code is ExitCode.LOCK_HELD
    states = {each.id: each.state for each in store(known["ada"]).all()}
    assert states == {first.id: "approved", second.id: "requested"}


@pytest.mark.parametrize("name", ["ada", "grace", "eve"])
@pytest.mark.parametrize(
    "path",
    [
        f"/api/v1/namespaces/{TRAINING}/secrets",
        f"/api/v1/namespaces/{TRAINING}/secrets/refresh-logins",
        f"/api/v1/namespaces/{TRAINING}/configmaps",
        f"/api/v1/namespaces/{TRAINING}/configmaps/odoo-settings",
        f"/api/v1/namespaces/{TRAINING}/pods",
        f"/apis/{GROUP}/{VERSION}/{PLURAL}",
        f"/apis/{GROUP}/{VERSION}/namespaces/{DEV}/{PLURAL}",
        f"/api/v1/namespaces/{DEV}/configmaps/sandbox-rules",
        f"/api/v1/namespaces/{DEV}/secrets",
        "/api/v1/nodes",
        "/api/v1/namespaces",
    ],
)
def test_nobody_of_them_reads_anything_else(known, name, path):
    refused(lambda: known[name].get(path))


@pytest.mark.parametrize("name", ["ada", "grace", "eve"])
def test_nobody_of_them_writes_anything_else(known, name):
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "odoo-settings"}}
    for namespace in (TRAINING, DEV):
        refused(
            lambda namespace=namespace: known[name].request(
                "POST", f"/api/v1/namespaces/{namespace}/configmaps", body=settings
            )
        )
    elsewhere = REQUESTS.replace(TRAINING, DEV)
    refused(lambda: known[name].request("POST", elsewhere, body=new(name)))
    rules = f"/api/v1/namespaces/{TRAINING}/configmaps/sandbox-rules"
    refused(lambda: known[name].request("PUT", rules, body={**settings, "metadata": {"name": "sandbox-rules"}}))


def test_nobody_of_them_deletes_a_request(known):
    asked = desk(known["ada"]).ask(wish())
    for name in ("ada", "grace", "mary"):
        refused(lambda name=name: known[name].request("DELETE", f"{REQUESTS}/{asked.id}"))


def test_who_is_in_neither_group_sees_no_request(known):
    with pytest.raises(OperationError) as told:
        desk(known["eve"]).situation()
    assert told.value.code is ExitCode.NOT_ALLOWED


def test_an_approver_who_is_no_trainer_does_not_ask(known):
    with pytest.raises(OperationError) as told:
        desk(known["grace"]).ask(wish())
    assert told.value.code is ExitCode.NOT_ALLOWED


def test_the_server_lists_requests_for_people_with_plain_kubectl(known, control_plane):
    asked = desk(known["ada"]).ask(wish())
    desk(known["grace"]).approve(asked.id, "")
    header, line = control_plane.kubectl("get", PLURAL, "-n", TRAINING).splitlines()
    assert "STATE" in header
    assert "ASKED BY" in header
    assert "approved" in line
    assert "ada" in line


def test_the_server_stores_the_guard_and_the_kind_as_they_are_declared(admin, tmp_path):
    """A field the server writes differently would look changed at every comparison, and be applied for ever."""
    for resource in declared.platform(tmp_path).resources:
        if resource.kind in VERSIONS and "SandboxRequests" in resource.urn:
            before = admin.get(
                admin.path_of({"apiVersion": VERSIONS[resource.kind], "kind": resource.kind, **resource.inputs})
            )
            after = admin.apply({"apiVersion": VERSIONS[resource.kind], "kind": resource.kind, **resource.inputs})
            assert after["metadata"]["generation"] == before["metadata"]["generation"], resource.kind
            assert not (after.get("status") or {}).get("typeChecking", {}).get("expressionWarnings"), resource.kind


def test_an_entry_of_a_form_the_kind_does_not_have_is_refused(known):
    entry = Entry(number=1, state="requested", who="ada", when=datetime.now(UTC), why="x" * 501)
    body = {**new("ada"), "history": [entry.as_object()]}
    refused(lambda: known["ada"].request("POST", REQUESTS, body=body), 422)


def test_a_history_may_become_as_long_as_it_is_allowed_and_no_longer(known, admin):
    """The guard compares every entry with every other; the server limits what that may cost."""
    asked = desk(known["ada"]).ask(wish())
    current = desk(known["grace"]).approve(asked.id, "")
    while len(current.history) < LONGEST_HISTORY:
        current = desk(admin).ready(asked.id, f"run-{len(current.history)}")
    with pytest.raises(OperationError) as told:
        desk(admin).ready(asked.id, "one too many")
    assert told.value.code is ExitCode.USAGE


@pytest.mark.parametrize(
    "changes",
    [
        {"firstDay": "2027-02-30", "lastDay": "2027-02-30"},
        {"firstDay": "soon"},
        {"lastDay": "2027-05-02"},
        {"lastDay": "2999-01-01"},
        {"begins": "25:00"},
        {"ends": "09:00"},
        {"timeZone": "../../etc/passwd\n"},
        {"trainees": {}},
        {"trainees": {"sales": 51}},
        {"course": "two\nlines"},
        {"course": "\x1b[2J"},
        {"course": "turned \u202earound"},
    ],
)
def test_what_another_program_writes_cannot_stop_careops_from_reading_the_others(known, changes):
    body = new("ada")
    body["spec"] |= changes
    refused(lambda: known["ada"].request("POST", REQUESTS, body=body), 422)


def test_a_zone_that_the_server_cannot_check_is_named_by_careops(known):
    body = new("ada")
    body["spec"]["timeZone"] = "Mars/Olympus_Mons"
    made = known["ada"].request("POST", REQUESTS, body=body)["metadata"]["name"]
    situation = desk(known["grace"]).situation()
    assert list(situation.unreadable) == [made]


def test_names_in_other_letters_are_kept_as_they_are(known):
    name = "\u00dcbungskurs \u2013 Aufnahme & Verlegung, \u65e5\u672c"
    assert desk(known["ada"]).ask(wish(course=name)).asked.course == name


def test_people_use_the_command_line_with_their_own_access(known, people_files, capsys):
    typed = wish()
    options = ["--course", "Sales", "--date", typed.first_day, "--from", "09:00", "--to", "12:00", "--group", "sales=1"]
    options += ["--reason", "New people", "--json"]
    assert main(["sandbox", "request", *options, "--kubeconfig", str(people_files / "ada")]) == 0
    name = json.loads(capsys.readouterr().out)["request"]["id"]
    assert main(["sandbox", "approve", name, "--kubeconfig", str(people_files / "bob")]) == ExitCode.NOT_ALLOWED
    assert "only an approver approves" in capsys.readouterr().err
    assert main(["sandbox", "approve", name, "--kubeconfig", str(people_files / "ada")]) == ExitCode.NOT_ALLOWED
    assert main(["sandbox", "approve", name, "--kubeconfig", str(people_files / "grace")]) == 0
    assert main(["sandbox", "list", "--kubeconfig", str(people_files / "eve")]) == ExitCode.NOT_ALLOWED
    capsys.readouterr()
    assert main(["sandbox", "list", "--kubeconfig", str(people_files / "ada")]) == 0
    assert "approved" in capsys.readouterr().out
    assert store(known["ada"]).one(name).approval.who == "grace"
