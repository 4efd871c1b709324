"""The generated hospital in the real Odoo of the standard baseline, without a cluster."""

from __future__ import annotations

import contextlib
import json
import subprocess
from typing import Any

import pytest

from odoo_image import specs
from operations.seed import guard, run
from operations.seed.hospital import generate
from operations.seed.model import Hospital
from operations.seed.odoo import RefusedError
from tests.images.support import (
    ODOO_UID,
    SECRETS,
    Pod,
    pod_beside_postgresql,
)
from toolchain.images.sandbox import Inside

pytestmark = pytest.mark.live

RELAY = """
import http.cookiejar, json, sys, time, urllib.request
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
def post(path, params):
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode()
    request = urllib.request.Request("http://127.0.0.1:8069" + path, body, {"Content-Type": "application/json"})
    with opener.open(request, timeout=240) as answer:
        return json.load(answer)
for _ in range(240):
    try:
        opener.open("http://127.0.0.1:8069/web/health", timeout=60); break
    except OSError:
        time.sleep(0.5)
for line in sys.stdin:
    print(json.dumps(post(*json.loads(line))), flush=True)
"""
"""Calls Odoo from inside the sandbox, which has no network with the outside: one line in, one line out."""


class Relayed:
    """Odoo's API through the relay."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        login = {"db": "odoo", "login": SECRETS["admin_login"], "password": SECRETS["admin_password"]}
        self.user = int(self._post("/web/session/authenticate", login)["result"]["uid"])

    def _post(self, path: str, params: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([path, params]) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def call(self, model: str, method: str, *arguments: Any, context: Any = None, **named: Any) -> Any:
        keywords = {**named, "context": dict(context)} if context else named
        params = {"model": model, "method": method, "args": arguments, "kwargs": keywords}
        answer = self._post(f"/web/dataset/call_kw/{model}/{method}", params)
        if "error" in answer:
            raise RefusedError(model, method, answer["error"]["data"]["debug"][-400:])
        return answer["result"]


class Silent:
    """A reporter that shows nothing."""

    @contextlib.contextmanager
    def step(self, _title: str):
        yield self

    def note(self, text: str) -> None: ...


@pytest.fixture(scope="module")
def odoo():
    roles = ("CREATE ROLE odoo LOGIN CREATEDB", "CREATE DATABASE odoo OWNER odoo")
    with pod_beside_postgresql("test-seed", *roles, image="baseline-standard") as pod:
        pod.write_settings(modules=list(specs.BASELINE_MODULES), languages=["en_US", "fr_FR"])
        pod.write_secrets()
        first = pod.careops("migrate")
        assert first.returncode == 0, first.stderr[-4000:]
        with served(pod) as relayed:
            yield relayed


@contextlib.contextmanager
def served(pod: Pod):
    argv = ("/usr/local/bin/careops-odoo", "web")
    web = Inside(tree=str(pod.tree), argv=argv, uid=ODOO_UID, env=pod.environment(CAREOPS_WAIT_SECONDS="30"))
    client = Inside(tree=str(pod.tree), argv=("/usr/bin/python3", "-c", RELAY), uid=ODOO_UID)
    with (pod.tree.parent / "web.log").open("w") as sink:
        server = subprocess.Popen(pod.session.command(web), stdout=sink, stderr=sink)
        relay = subprocess.Popen(
            pod.session.command(client), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=sink, text=True
        )
        try:
            yield Relayed(relay)
        finally:
            relay.kill()
            server.terminate()  # what serves inside ends with the sandbox


@pytest.fixture(scope="module")
def hospital() -> Hospital:
    return generate(40, 3)


@pytest.fixture(scope="module")
def outcome(odoo: Relayed, hospital: Hospital) -> run.Outcome:
    found = guard.look(odoo)
    wanted = guard.Origin(patients=40, seed=3)
    guard.refuse(found, wanted, "riverside/dev")
    assert found.foreign == {}, "the baseline itself looks like somebody's data"
    return run.fill(odoo, hospital, found, Silent())


def ids(odoo: Relayed, model: str, start: str = "") -> list[int]:
    domain = [["module", "=", "careops_seed"], ["model", "=", model], ["name", "=like", f"{start}%"]]
    return [one["res_id"] for one in odoo.call("ir.model.data", "search_read", domain, ["res_id"])]


def test_everything_is_created_in_an_odoo_without_demo_data(outcome: run.Outcome, hospital: Hospital):
    planned = run.plan(hospital, "riverside/dev")
    assert outcome.there == planned["total"]
    assert outcome.created == planned["rows"]
    assert outcome.missing == {}


def test_odoo_queued_no_mail(odoo: Relayed, outcome: run.Outcome):
    assert outcome.mails == 0
    assert odoo.call("mail.mail", "search_count", [["state", "=", "outgoing"]]) == 0


@pytest.mark.usefixtures("outcome")
def test_the_text_of_pdfs_is_indexed_in_any_script(odoo: Relayed, hospital: Hospital):
    files = odoo.call("ir.attachment", "read", ids(odoo, "ir.attachment"), ["name", "mimetype", "index_content"])
    indexed = "\n".join(one["index_content"] or "" for one in files if one["mimetype"] == "application/pdf")
    names = {one.person.name for one in hospital.applicants}
    assert any(not name.isascii() for name in names)
    assert {name for name in names if name not in indexed} == set()


@pytest.mark.usefixtures("outcome")
def test_staff_who_moved_have_two_versions_with_two_addresses(odoo: Relayed, hospital: Hospital):
    staff = ids(odoo, "hr.employee")
    versions = odoo.call("hr.version", "search_read", [["employee_id", "in", staff]], ["private_street", "ssnid"])
    moved = [one for one in hospital.staff if one.moved]
    assert moved
    assert len(versions) == len(staff) + len(moved)
    streets = {one["private_street"] for one in versions}
    assert {one.new_street for one in moved} | {one.person.street for one in moved} <= streets
    assert all(one["ssnid"] for one in versions)


@pytest.mark.usefixtures("outcome")
def test_tasks_and_activities_are_assigned(odoo: Relayed):
    tasks = odoo.call("project.task", "read", ids(odoo, "project.task"), ["user_ids"])
    activities = odoo.call("mail.activity", "read", ids(odoo, "mail.activity"), ["user_id"])
    users = set(ids(odoo, "res.users"))
    assert {user for task in tasks for user in task["user_ids"]} <= users
    assert all(task["user_ids"] for task in tasks)
    assert {one["user_id"][0] for one in activities} <= users


@pytest.mark.usefixtures("outcome")
def test_portraits_have_all_their_sizes(odoo: Relayed, hospital: Hospital):
    photos = [one.mrn for one in hospital.patients if one.photo]
    found = odoo.call("res.partner", "search_read", [["ref", "in", photos]], ["image_1920", "image_128"])
    assert len(found) == len(photos) > 0
    assert all(one["image_1920"] and one["image_128"] for one in found)


@pytest.mark.usefixtures("outcome")
def test_a_second_run_changes_no_count(odoo: Relayed, hospital: Hospital):
    counts = {model: odoo.call(model, "search_count", []) for model in (*guard.REAL, "mail.message", "hr.version")}
    again = run.fill(odoo, hospital, guard.look(odoo), Silent())
    assert again.created == {}
    assert {model: odoo.call(model, "search_count", []) for model in counts} == counts
