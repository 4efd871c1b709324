"""The baseline images with the real Odoo: first start, login, work, second start."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from odoo_image import specs
from odoo_image.postgresql_session import Postgresql
from tests.images.support import (
    ODOO_UID,
    POSTGRESQL_UID,
    SECRETS,
    SETTINGS,
    SOCKETS,
    Pod,
    paths,
    start_postgresql,
    trees,
    unpack,
)
from toolchain.images.sandbox import Inside, Session, scratch

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


@pytest.fixture(scope="module", params=specs.BASELINES)
def environment(request):
    """An environment after its first start from one of the baselines."""
    with scratch(paths().cache, "test-odoo") as folder:
        unpack(f"baseline-{request.param}", folder / "odoo")
        unpack("postgresql", folder / "postgresql")
        with Session(trees(folder)) as session:
            pod = Pod(
                session=session,
                tree=folder / "odoo",
                data=folder / "data",
                postgresql=Postgresql(str(folder / "postgresql"), POSTGRESQL_UID, specs.POSTGRESQL_MAJOR, SOCKETS),
                sandbox_postgresql=str(folder / "postgresql"),
            )
            start_postgresql(pod)
            pod.sql("postgres", "CREATE ROLE odoo LOGIN CREATEDB", "CREATE DATABASE odoo OWNER odoo")
            # As the operator does in every database: an extension that the baseline does not have.
            pod.sql("odoo", "CREATE EXTENSION pg_stat_statements")
            pod.write_settings(
                languages=["fr_FR", "en_US"], baseline=request.param, modules=list(specs.BASELINE_MODULES)
            )
            pod.write_secrets()
            first = pod.careops("migrate")
            assert first.returncode == 0, first.stderr[-4000:]
            yield request.param, pod, first


@pytest.fixture(scope="module")
def answers(environment):
    """What a user sees of the running web process."""
    _, pod, _ = environment
    inside = Inside(
        tree=str(pod.tree),
        argv=("/usr/local/bin/careops-odoo", "web"),
        uid=ODOO_UID,
        env=pod.environment(CAREOPS_WAIT_SECONDS="30"),
    )
    log = pod.tree.parent / "web.log"
    with log.open("w") as sink:
        web = subprocess.Popen(pod.session.command(inside), stdout=sink, stderr=sink)
        try:
            client = Inside(tree=str(pod.tree), argv=("/usr/bin/python3", "-c", CLIENT), uid=ODOO_UID)
            login = json.dumps([SECRETS["admin_login"], SECRETS["admin_password"]])
            done = pod.session.run(client, stdin=login + "\n", seconds=300)
            assert done.returncode == 0, done.stderr + log.read_text()[-4000:]
        finally:
            web.kill()
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
    _, pod, _ = environment
    assert answers["halfway"] == 0
    active = pod.sql("odoo", "SELECT string_agg(code, ',' ORDER BY code) FROM res_lang WHERE active")
    assert active == "en_US,fr_FR"
    translated = pod.sql("odoo", "SELECT count(*) FROM ir_ui_menu WHERE name ? 'fr_FR'")
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
    _, pod, _ = environment
    assert answers
    pod.write_settings(
        languages=["fr_FR", "en_US"], modules=list(specs.BASELINE_MODULES), banner=None, base_url="https://new.test"
    )
    password = pod.sql("odoo", "SELECT password FROM res_users WHERE id = 2")
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr[-4000:]
    assert pod.sql("odoo", "SELECT count(*) FROM res_partner WHERE name = 'Ada Lovelace'") == "1"
    assert parameter(pod, "odoo", "web.base.url") == "https://new.test"
    assert pod.sql("odoo", "SELECT active FROM ir_ui_view WHERE key = 'web.neutralize_banner'") == "f"
    assert pod.sql("odoo", "SELECT password FROM res_users WHERE id = 2") == password


def test_a_real_upgrade_of_a_changed_module_succeeds(environment, answers):
    _, pod, _ = environment
    assert answers
    place = pod.tree / "usr/share/careops/modules.json"
    checksums = json.loads(place.read_text())
    place.write_text(json.dumps({**checksums, "privacy_lookup": "changed"}))
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "update privacy_lookup" in done.stderr
    assert pod.databases() == {"odoo": True, "odoo_previous": False}
    assert pod.careops("guard").returncode == 0
