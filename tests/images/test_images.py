"""What is, and what is not, in each image."""

from __future__ import annotations

import os
import re
import stat
import subprocess

import pytest
import testinfra

from odoo_image import specs
from tests.images.support import EDGE_UID, ODOO_UID, POSTGRESQL_UID, image, paths, unpack
from toolchain.images.layers import SOURCE_DATE_EPOCH
from toolchain.images.oci import OciStore
from toolchain.images.sandbox import Inside, Session, Tree, scratch

pytestmark = pytest.mark.live

USERS = {"odoo": ODOO_UID, "postgresql": POSTGRESQL_UID, "edge": EDGE_UID}
ALL = ("odoo", "postgresql", "edge", "cloudnative-pg")


@pytest.fixture(scope="module")
def trees():
    with scratch(paths().cache, "test-images") as folder:
        for name in ALL:
            unpack(name, folder / name)
        yield folder


@pytest.fixture(params=list(USERS))
def name(request):
    return request.param


@pytest.fixture
def host(trees, name):
    return testinfra.get_host(str(trees / name), connection="chroot")


def config(name):
    store = OciStore(paths().oci)
    return store.config(image(name))["config"]


def run(tree, *argv, uid):
    with Session([Tree(root=str(tree))]) as session:
        return session.run(Inside(tree=str(tree), argv=argv, uid=uid))


# -- every image -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("image_name", "uid"), [*USERS.items(), ("cloudnative-pg", specs.OPERATOR_UID)])
def test_an_image_runs_as_its_numeric_unprivileged_user(image_name, uid):
    assert config(image_name)["User"] == f"{uid}:{uid}"


def test_the_user_and_its_group_have_one_name_and_no_shell(host, name):
    user = {"odoo": "odoo", "postgresql": "postgres", "edge": "edge"}[name]
    found = host.user(user)
    assert (found.uid, found.gid, found.group) == (USERS[name], USERS[name], user)
    assert found.shell.endswith("nologin")


def test_no_file_gives_rights_to_who_runs_it(trees):
    found = [
        str(path)
        for path in trees.rglob("*")
        if not path.is_symlink() and path.is_file() and path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID)
    ]
    assert found == []


def test_no_file_capability_is_set(trees):
    files = [path for path in trees.rglob("*") if not path.is_symlink() and path.is_file()]
    assert [str(path) for path in files if "security.capability" in os.listxattr(path)] == []


def test_what_the_image_s_user_may_change_is_only_what_belongs_to_it(trees, name):
    uid, root = USERS[name], trees / name
    expected = {"odoo": {"var/lib/odoo"}, "postgresql": {"var/lib/postgresql"}, "edge": {"nonexistent"}}[name]
    allowed = {"tmp", "var/tmp", "run/lock", "var/lock", *expected}
    writable = set()
    for path in root.rglob("*"):
        if path.is_symlink():
            continue
        status = path.stat()
        if (
            status.st_uid == uid
            or status.st_mode & stat.S_IWOTH
            or (status.st_gid == uid and status.st_mode & stat.S_IWGRP)
        ):
            relative = str(path.relative_to(root))
            if not any(relative == place or relative.startswith(f"{place}/") for place in allowed):
                writable.add(relative)
    assert {
        place for place in writable if not place.startswith(("run/postgresql", "var/log/postgresql", "dev/"))
    } == set()


def test_no_package_cache_log_or_machine_id_is_left(host):
    places = (
        *("/var/cache/apt", "/var/cache/debconf", "/var/lib/apt/lists", "/var/log", "/etc/machine-id"),
        *("/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/apt/preferences.d"),
    )
    there = [place for place in places if host.file(place).exists]
    assert "/var/log" in there, "the search must have had something to look at"
    left = host.check_output(f"find {' '.join(there)} -type f -size +0").split()
    assert left == []


def test_no_image_names_the_mirror_it_was_made_from(trees):
    done = subprocess.run(
        ["grep", "-rIl", "-E", r"^(deb |URIs:)", *(str(trees / name / "etc") for name in USERS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == ""


def test_no_private_key_is_in_an_image(trees):
    folders = [str(trees / name / place) for name in USERS for place in ("etc", "var", "home", "root", "opt", "srv")]
    done = subprocess.run(
        ["grep", "-rIl", "-e", "PRIVATE KEY-----", *folders], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""


def test_no_account_has_a_password(host):
    lines = host.check_output("cat /etc/shadow").splitlines()
    assert len(lines) > 1
    for line in lines:
        assert line.split(":")[1] in ("*", "!", "!*"), line


def test_every_file_has_the_same_time_so_that_the_digest_depends_on_content_only(trees, name):
    files = [path for path in (trees / name).rglob("*") if path.is_symlink() or path.is_file()]
    assert max(int(path.lstat().st_mtime) for path in files) <= SOURCE_DATE_EPOCH


# -- odoo --------------------------------------------------------------------------------------------------------


def test_odoo_starts_as_its_user(trees):
    done = run(trees / "odoo", "/usr/bin/odoo", "--version", uid=ODOO_UID)
    assert done.stdout.strip() == "Odoo Server 19.0", done.stderr


def test_every_python_module_that_odoo_and_the_guard_need_is_there(trees):
    modules = (
        "aiosmtpd.controller cryptography gevent jinja2 ldap lxml passlib pdfminer phonenumbers psycopg2 reportlab"
    )
    done = run(trees / "odoo", "/usr/bin/python3", "-c", f"import {modules.replace(' ', ', ')}", uid=ODOO_UID)
    assert done.returncode == 0, done.stderr


def test_only_translations_of_the_platform_s_languages_are_there(trees):
    found = {path.stem.split("_")[0] for path in (trees / "odoo" / specs.ADDONS.lstrip("/")).rglob("i18n/*.po")}
    assert found == set(specs.LANGUAGES)


def test_every_module_of_the_baseline_is_in_the_image_with_a_checksum(trees):
    checksums = (trees / "odoo/usr/share/careops/modules.json").read_text()
    assert all(f'"{module}": "' in checksums for module in ("base", *specs.BASELINE_MODULES))


def test_odoo_s_own_configuration_and_data_are_not_there(trees):
    assert not (trees / "odoo/etc/odoo").exists()
    assert list((trees / "odoo/var/lib/odoo").iterdir()) == []


def test_the_guard_explains_itself_and_refuses_a_pod_that_is_not_set_up(trees):
    done = run(trees / "odoo", "/usr/local/bin/careops-odoo", "--help", uid=ODOO_UID)
    assert all(command in done.stdout for command in ("web", "cron", "migrate", "guard", "secrets", "mail-sink"))
    done = run(trees / "odoo", "/usr/local/bin/careops-odoo", "guard", uid=ODOO_UID)
    assert (done.returncode, "CAREOPS_SITE" in done.stderr) == (78, True)


def test_our_master_password_hash_satisfies_odoo_s_own_check(trees):
    program = (
        "import sys; sys.path.insert(0, '/opt/careops')\n"
        "from careops_odoo.configuration import hash_password\n"
        "from odoo.tools import config\n"
        "config.options['admin_passwd'] = hash_password('s3cret')\n"
        "print(config.verify_admin_password('s3cret'), config.verify_admin_password('admin'))\n"
    )
    done = run(trees / "odoo", "/usr/bin/python3", "-c", program, uid=ODOO_UID)
    assert done.stdout.split() == ["True", "False"], done.stderr


def test_the_mail_sink_takes_a_mail_counts_it_and_keeps_no_body(trees):
    program = """
import json, os, smtplib, subprocess, sys, time, urllib.request
sink = subprocess.Popen(["/usr/local/bin/careops-odoo", "mail-sink"])
get = lambda path: json.load(urllib.request.urlopen("http://127.0.0.1:8025" + path, timeout=5))
for _ in range(100):
    try:
        get("/health"); break
    except OSError:
        time.sleep(0.1)
with smtplib.SMTP("127.0.0.1", 1025, timeout=5) as client:
    client.sendmail("a@x.test", ["b@x.test"], "Subject: hello\\r\\nFrom: a@x.test\\r\\n\\r\\nthe-body")
sink_health, mails = get("/health"), get("/mails")
sink.terminate()
print(json.dumps([sink_health, mails, sink.wait(10)]))
"""
    done = run(trees / "odoo", "/usr/bin/python3", "-c", program, uid=ODOO_UID)
    assert '[{"status": "pass", "mails": 1}' in done.stdout, done.stderr
    assert '"Subject": "hello"' in done.stdout
    assert "the-body" not in done.stdout
    assert done.stdout.strip().endswith("0]"), "it ends well when told to stop"


# -- postgresql --------------------------------------------------------------------------------------------------


def test_postgresql_has_the_programs_and_extensions_the_operator_and_odoo_ask_for(trees):
    tree = trees / "postgresql"
    major = specs.POSTGRESQL_MAJOR
    for program in (
        "initdb",
        "postgres",
        "pg_ctl",
        "pg_basebackup",
        "pg_rewind",
        "pg_controldata",
        "pg_isready",
        "psql",
    ):
        assert (tree / f"usr/lib/postgresql/{major}/bin/{program}").exists(), program
    for extension in ("pgaudit", "pg_trgm", "unaccent", "pg_stat_statements", "amcheck"):
        assert (tree / f"usr/share/postgresql/{major}/extension/{extension}.control").exists(), extension
    for program in (
        "barman-cloud-backup",
        "barman-cloud-wal-archive",
        "barman-cloud-restore",
        "barman-cloud-check-wal-archive",
    ):
        assert (tree / "usr/bin" / program).exists(), program
    done = run(tree, "/usr/bin/barman-cloud-backup", "--version", uid=POSTGRESQL_UID)
    assert done.returncode == 0, done.stderr


def test_the_tag_tells_the_operator_the_major_version(trees):
    done = run(trees / "postgresql", f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin/postgres", "--version", uid=26)
    assert done.stdout.split()[2] == image("postgresql").tag
    assert image("postgresql").tag.startswith(f"{specs.POSTGRESQL_MAJOR}.")


def test_no_database_cluster_is_part_of_the_image(trees):
    assert not list((trees / "postgresql/var/lib/postgresql").rglob("PG_VERSION"))


# -- cloudnative-pg ----------------------------------------------------------------------------------------------


def test_the_operator_is_where_its_instances_copy_it_from(trees):
    tree = trees / "cloudnative-pg"
    assert str((tree / "manager").readlink()) == "operator/manager_amd64"
    with Session([]) as session:
        argv = ("/manager", "version")
        done = subprocess.run(
            ["chroot", f"--userspec={specs.OPERATOR_UID}:{specs.OPERATOR_UID}", str(tree), *argv],
            capture_output=True,
            check=False,
            text=True,
        )
        assert session
    assert done.returncode == 0, done.stderr
    assert re.search(r"BEGIN CERTIFICATE", (tree / "etc/ssl/certs/ca-certificates.crt").read_text())
