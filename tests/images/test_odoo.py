"""The baseline images with the real Odoo: first start, login, work, second start."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from odoo_image import specs
from tests.images.support import (
    ODOO_UID,
    SECRETS,
    SETTINGS,
    SOCKETS,
    Pod,
    pod_beside_postgresql,
)
from toolchain.images.sandbox import Inside

pytestmark = pytest.mark.live

CLIENT = """
import http.cookiejar, json, sys, time, urllib.request
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
base = "http://127.0.0.1:8069"
def get(path):
    with opener.open(base + path, timeout=60) as answer:
        return answer.read().decode()
def call(path, **params):
    body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode()
    request = urllib.request.Request(base + path, body, {"Content-Type": "application/json"})
    with opener.open(request, timeout=60) as answer:
        return json.load(answer)
def do(model, method, *args, **kwargs):
    answer = call(f"/web/dataset/call_kw/{model}/{method}", model=model, method=method, args=list(args), kwargs=kwargs)
    assert "result" in answer, answer
    return answer["result"]
login, password = json.loads(input())
for _ in range(120):
    try:
        health = get("/web/health?db_server_status=1"); break
    except OSError:
        time.sleep(0.5)
page = get("/web/login")
wrong = call("/web/session/authenticate", db="odoo", login=login, password="admin")
demo = call("/web/session/authenticate", db="odoo", login="demo", password="demo")
session = call("/web/session/authenticate", db="odoo", login=login, password=password)["result"]
contact = do("res.partner", "create", {"name": "Ada Lovelace"})
company = do("res.company", "read", [1], ["name", "country_id", "currency_id"])[0]
print(json.dumps({
    "health": json.loads(health), "page": page, "uid": session["uid"], "contact": contact, "company": company,
    "wrong": "error" in wrong, "demo": "error" in demo,
    "partners": do("res.partner", "search_count", []),
    "halfway": do("ir.module.module", "search_count", [["state", "like", "to %"]]),
}))
"""


WATCHER = """
import http.cookiejar, json, sys, threading, time, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
def ask(path, body=None):
    request = urllib.request.Request("http://127.0.0.1:8069" + path, body, {"Content-Type": "application/json"})
    try:
        with opener.open(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, json.dumps(dict(error.headers)).encode()
    except OSError:
        return 0, b""
def rpc(path, **params):
    return json.loads(ask(path, json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode())[1])
def until_ready():
    while ask("/careops/ready")[0] != 200: time.sleep(0.5)
login, password = json.loads(input())
until_ready()
assert "result" in rpc("/web/session/authenticate", db="odoo", login=login, password=password)
print("watching", flush=True)
seen, stop = [], threading.Event()
def watch():
    while not stop.is_set():
        page, headers = ask("/odoo")
        sample = [ask("/careops/live")[0], ask("/careops/ready")[0], page]
        if page == 503: assert "Retry-After" in json.loads(headers), headers
        if sample not in seen: seen.append(sample)
        time.sleep(0.1)
watching = threading.Thread(target=watch); watching.start()
input()
stop.set(); watching.join()
until_ready()
call = {"model": "res.partner", "method": "search_count", "args": [[]], "kwargs": {}}
count = rpc("/web/dataset/call_kw/res.partner/search_count", **call)
print(json.dumps({"seen": seen, "same session": "result" in count}))
"""

LANGUAGES = {"standard": ["fr_FR", "en_US"], "demo": ["nl_NL", "en_US"]}
"""One that the baselines bring, and one that the first start has to load while theirs is not wanted."""

WORKERS = {"standard": 0, "demo": 2}
"""Threads in one process, and a process for each worker and for the long-poll."""


def write_settings(pod: Pod, baseline: str, **changes: object) -> None:
    pod.write_settings(
        **{
            "languages": LANGUAGES[baseline],
            "baseline": baseline,
            "workers": WORKERS[baseline],
            "modules": list(specs.BASELINE_MODULES),
            **changes,
        }
    )


def web_command(pod: Pod) -> list[str]:
    argv = ("/usr/local/bin/careops-odoo", "web")
    return pod.session.command(
        Inside(tree=str(pod.tree), argv=argv, uid=ODOO_UID, env=pod.environment(CAREOPS_WAIT_SECONDS="30"))
    )


def end_servers(pod: Pod) -> None:
    """End what serves in the sandbox; the command that started it from outside is only its waiting parent."""
    pod.python(
        """
        import os, pathlib, signal
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if b"careops-odoo-server" in (process / "cmdline").read_bytes():
                    os.kill(int(process.name), signal.SIGKILL)
            except OSError:
                pass
        """
    )


@pytest.fixture(scope="module", params=specs.BASELINES)
def environment(request):
    """An environment after its first start from one of the baselines."""
    image, roles = f"baseline-{request.param}", ("CREATE ROLE odoo LOGIN CREATEDB", "CREATE DATABASE odoo OWNER odoo")
    with pod_beside_postgresql("test-odoo", *roles, image=image) as pod:
        # As the operator does in every database: an extension that the baseline does not have.
        pod.sql("odoo", "CREATE EXTENSION pg_stat_statements")
        write_settings(pod, request.param)
        pod.write_secrets()
        first = pod.careops("migrate")
        assert first.returncode == 0, first.stderr[-4000:]
        yield request.param, pod, first


@pytest.fixture(scope="module")
def answers(environment):
    """What a user sees of the running web process."""
    _, pod, _ = environment
    log = pod.tree.parent / "web.log"
    with log.open("w") as sink:
        web = subprocess.Popen(web_command(pod), stdout=sink, stderr=sink)
        try:
            client = Inside(tree=str(pod.tree), argv=("/usr/bin/python3", "-c", CLIENT), uid=ODOO_UID)
            login = json.dumps([SECRETS["admin_login"], SECRETS["admin_password"]])
            done = pod.session.run(client, stdin=login + "\n", seconds=300)
            assert done.returncode == 0, done.stderr + log.read_text()[-4000:]
        finally:
            end_servers(pod)
            web.wait()
    return json.loads(done.stdout)


def parameter(pod: Pod, database: str, key: str) -> str:
    return pod.sql(database, f"SELECT value FROM ir_config_parameter WHERE key = '{key}'")  # noqa: S608 - our own words


def test_the_health_check_includes_the_database(answers):
    assert answers["health"] == {"status": "pass", "db_server_status": True}


def test_the_environment_s_own_login_works_and_well_known_ones_do_not(answers):
    assert answers["uid"] == 2
    assert answers["wrong"], "admin/admin"
    assert answers["demo"], "demo/demo"


def test_a_user_creates_a_contact(answers):
    assert answers["contact"] > 0


def test_the_company_is_that_of_the_settings(answers):
    assert answers["company"]["name"] == SETTINGS["company"]["name"]
    assert answers["company"]["country_id"][1] == "France"


def test_the_demo_baseline_holds_demo_data_and_the_standard_one_none(environment, answers):
    name, _, _ = environment
    assert (answers["partners"] > 50) == (name == "demo")


def test_every_module_is_fully_installed_and_the_site_s_languages_are_loaded(environment, answers):
    name, pod, _ = environment
    assert answers["halfway"] == 0
    active = pod.sql("odoo", "SELECT string_agg(code, ',' ORDER BY code) FROM res_lang WHERE active")
    assert active == ",".join(sorted(LANGUAGES[name]))
    query = f"SELECT count(*) FROM ir_ui_menu WHERE name ? '{LANGUAGES[name][0]}'"  # noqa: S608 - this file's own constant
    translated = pod.sql("odoo", query)
    assert int(translated) > 100


def test_the_banner_is_on_the_page(answers):
    assert SETTINGS["banner"] in answers["page"]


def test_the_database_has_its_own_identity_and_not_the_baseline_s(environment):
    _, pod, _ = environment
    pod.sql("postgres", "CREATE DATABASE original")
    dump = "/baseline/database.dump"
    argv = ("/usr/lib/postgresql/17/bin/pg_restore", "-h", SOCKETS, "-U", "postgres", "-d", "original", "-O", dump)
    argv = (*argv, "-t", "ir_config_parameter")
    done = pod.session.run(Inside(tree=str(pod.tree), argv=argv, uid=ODOO_UID))
    assert done.returncode == 0, done.stderr
    for key in ("database.uuid", "database.secret"):
        ours, theirs = (parameter(pod, database, key) for database in ("odoo", "original"))
        assert ours
        assert theirs
        assert ours != theirs
    assert parameter(pod, "odoo", "web.base.url") == SETTINGS["base_url"]
    assert pod.sql("odoo", "SELECT count(*) FROM pg_extension WHERE extname = 'pg_stat_statements'") == "1"


def test_nothing_waits_to_be_mailed(environment):
    _, pod, _ = environment
    assert pod.sql("odoo", "SELECT count(*) FROM mail_mail WHERE state IN ('outgoing', 'exception')") == "0"


def test_the_files_of_every_attachment_are_there(environment):
    _, pod, _ = environment
    names = pod.sql("odoo", "SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname IS NOT NULL").split()
    missing = [name for name in names if not (pod.data / "filestore" / "odoo" / name).is_file()]
    assert names
    assert missing == []


def test_a_second_migration_takes_a_moment_and_changes_nothing(environment, answers):
    _, pod, _ = environment
    assert answers
    began = time.monotonic()
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr
    assert "plan: nothing to do" in done.stderr
    assert time.monotonic() - began < 30


def test_changed_settings_are_written_without_losing_work_or_the_login(environment, answers):
    name, pod, _ = environment
    assert answers
    write_settings(pod, name, banner=None, base_url="https://new.test")
    password = pod.sql("odoo", "SELECT password FROM res_users WHERE id = 2")
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr[-4000:]
    assert pod.sql("odoo", "SELECT count(*) FROM res_partner WHERE name = 'Ada Lovelace'") == "1"
    assert parameter(pod, "odoo", "web.base.url") == "https://new.test"
    assert pod.sql("odoo", "SELECT active FROM ir_ui_view WHERE key = 'web.neutralize_banner'") == "f"
    assert pod.sql("odoo", "SELECT password FROM res_users WHERE id = 2") == password


@pytest.fixture(scope="module")
def rollout(environment, answers):
    """A release that changes a module: migrated under a pod that serves, which the next one follows."""
    name, pod, _ = environment
    assert answers
    login = json.dumps([SECRETS["admin_login"], SECRETS["admin_password"]]) + "\n"
    watcher = Inside(tree=str(pod.tree), argv=("/usr/bin/python3", "-c", WATCHER), uid=ODOO_UID)
    log = pod.tree.parent / "old.log"
    place = pod.tree / "usr/share/careops/modules.json"
    with log.open("w") as sink, (pod.tree.parent / "new.log").open("w") as other:
        old = subprocess.Popen(web_command(pod), stdout=sink, stderr=sink)
        watching = subprocess.Popen(
            pod.session.command(watcher),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        new = None
        try:
            assert watching.stdin
            assert watching.stdout
            watching.stdin.write(login)
            watching.stdin.flush()
            assert watching.stdout.readline() == "watching\n", log.read_text()[-4000:]
            write_settings(pod, name, banner="ANOTHER BANNER")
            settings_only = pod.careops("migrate")
            time.sleep(3)  # many questions of the watcher, each of which would have ended it
            goes_on = old.poll() is None
            # What is the old image's own, the pod has read at its start.
            place.write_text(json.dumps({**json.loads(place.read_text()), "privacy_lookup": "changed"}))
            migrated = pod.careops("migrate")
            status = old.wait(timeout=60)
            new = subprocess.Popen(web_command(pod), stdout=other, stderr=other)
            output, errors = watching.communicate("\n", timeout=180)
        finally:
            end_servers(pod)
            for process in (old, watching, *([new] if new else [])):
                process.kill()
                process.wait()
    assert watching.returncode == 0, errors
    return {
        "settings only": settings_only,
        "goes on": goes_on,
        "migrated": migrated,
        "old status": status,
        "old log": log.read_text(),
        **json.loads(output),
    }


def test_a_pod_goes_on_with_a_database_whose_settings_alone_were_migrated(rollout):
    assert rollout["settings only"].returncode == 0, rollout["settings only"].stderr[-4000:]
    assert "plan: write changed settings" in rollout["settings only"].stderr
    assert rollout["goes on"], rollout["old log"][-4000:]


def test_a_real_upgrade_of_a_changed_module_succeeds(environment, rollout):
    _, pod, _ = environment
    assert rollout["migrated"].returncode == 0, rollout["migrated"].stderr[-4000:]
    assert "update privacy_lookup" in rollout["migrated"].stderr
    assert pod.databases() == {"odoo": True, "odoo_previous": False}
    assert pod.careops("guard").returncode == 0


def test_the_old_image_s_pod_ends_at_its_first_connection_to_the_migrated_database(rollout):
    assert "migrated for another image; modules that differ: privacy_lookup" in rollout["old log"]
    # With workers the one that noticed kills the master: 137 is how a shell or the kubelet calls that.
    assert rollout["old status"] in (75, 137, -9)


def test_while_the_database_is_closed_a_pod_is_alive_and_not_ready_and_pages_are_503(rollout):
    assert [200, 503, 503] in rollout["seen"], rollout["seen"]
    # 500: the request that was running when the database was closed. 0: between the old pod and the new one.
    assert all(page in (200, 503, 500, 0) for _, _, page in rollout["seen"]), rollout["seen"]
    assert [200, 200, 500] not in rollout["seen"], "a pod that is ready serves"


def test_the_new_image_s_pod_serves_and_whoever_was_logged_in_still_is(rollout):
    assert rollout["same session"]
