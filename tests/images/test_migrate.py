"""The migration's states against a real PostgreSQL; Odoo is played by `fake_odoo.py`."""

from __future__ import annotations

import json
import os
import shutil
import time

import pytest

from odoo_image import specs
from tests.images.migrating import (
    CHANGE_STEPS,
    FIRST,
    FIRST_STEPS,
    MODULES,
    behave,
    calls,
    image,
    make_baseline,
    migrate_killed_at,
    state,
    steps,
)
from tests.images.support import ODOO_UID, POSTGRESQL_UID, SOCKETS, play_odoo, pod_beside_postgresql
from tests.sampling import sample
from toolchain.images.sandbox import Inside

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def world():
    """The odoo image's tree with a fake Odoo and a small baseline, and a PostgreSQL that serves all tests."""
    with pod_beside_postgresql("test-migrate", "CREATE ROLE odoo LOGIN CREATEDB", prepare=play_odoo) as pod:
        make_baseline(pod)
        yield pod


@pytest.fixture
def pod(world):
    """An environment that has never started: an empty database and an empty filestore."""
    for name in world.databases():
        world.sql("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true", f"DROP DATABASE {name} WITH (FORCE)")
    world.sql("postgres", "CREATE DATABASE odoo OWNER odoo")
    for path in world.data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    world.python("import pathlib; [p.unlink() for p in pathlib.Path('/tmp').iterdir() if p.is_file()]")
    image(world, MODULES)
    world.write_settings()
    world.write_secrets()
    return world


@pytest.fixture
def started(pod):
    """An environment after its first migration, in which somebody has worked."""
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr
    pod.sql("odoo", "INSERT INTO customers VALUES ('Ada')")
    pod.python("open('/tmp/calls', 'w').close()")
    return pod


def test_a_first_start_restores_the_baseline_and_makes_it_the_environment_s_own(pod):
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr
    assert steps(done.stderr) == list(FIRST_STEPS)
    assert state(pod) == FIRST
    assert "odoo_previous" not in pod.databases(), "an empty database is not worth keeping"
    wishes = json.loads(pod.sql("odoo", "SELECT document FROM wishes"))
    assert wishes["first"]
    assert wishes["admin"] == {"login": "admin", "password": "a-password-of-this-test"}
    assert wishes["company"]["name"] == "Riverside Hospital"
    assert "a-password-of-this-test" not in done.stderr + done.stdout + "".join(calls(pod)), (
        "no password in argv or log"
    )
    assert not (pod.tree.parent / "run" / "personalise.json").exists()


def test_a_second_run_ends_at_once_and_touches_nothing(started):
    before = started.sql("postgres", "SELECT oid FROM pg_database WHERE datname = 'odoo'")
    done = started.careops("migrate")
    assert done.returncode == 0
    assert steps(done.stderr) == ["lock", "plan: nothing to do", "done"]
    assert started.sql("postgres", "SELECT oid FROM pg_database WHERE datname = 'odoo'") == before
    assert calls(started) == ["", ""]


def test_modules_of_the_site_beyond_the_baseline_are_installed_at_the_first_start(pod):
    pod.write_settings(modules=["crm", "stock"])
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr
    assert state(pod)["installed"] == "base,crm,stock"
    assert any("-i stock" in call for call in calls(pod))


def test_changed_and_newly_listed_modules_are_brought_in_on_a_copy(started):
    image(started, {**MODULES, "crm": "2"})
    started.write_settings(modules=["crm", "stock"], banner="NEW")
    done = started.careops("migrate")
    assert done.returncode == 0, done.stderr
    assert [step.split(":")[0] for step in steps(done.stderr)] == list(CHANGE_STEPS)
    assert state(started) == {
        **FIRST,
        "installed": "base,crm,stock",
        "checksums": {"base": "1", "crm": "2", "stock": "1"},
    }
    assert started.sql("odoo", "SELECT name FROM customers") == "Ada", "people's work is in the new database"
    assert calls(started)[0].startswith("server -c -d odoo_next --no-http"), "never on the environment's own database"
    assert "-i stock -u crm" in calls(started)[0]
    previous = started.databases()
    assert previous["odoo_previous"] is False, "kept for a way back, and closed"
    second = [json.loads(row) for row in started.sql("odoo", "SELECT document FROM wishes").splitlines()][1]
    assert second["admin"] is None, "a login that people may have changed is not reset"


@pytest.mark.parametrize("behaviour", ["fail", "skip", "stuck"])
def test_a_failed_upgrade_leaves_the_database_as_it_was_and_open(started, behaviour):
    image(started, {**MODULES, "crm": "2"})
    started.write_settings(modules=["crm", "stock"])
    behave(started, behaviour)
    before = state(started)
    done = started.careops("migrate")
    assert done.returncode == 1, done.stderr
    assert "undo" in steps(done.stderr)
    after = state(started)
    assert {**after, "files": before["files"]} == before
    assert started.sql("odoo", "SELECT name FROM customers") == "Ada"
    assert started.sql("odoo", "SELECT count(*) FROM touched") == "1", "the failed run worked on the copy only"
    behave(started, "")
    assert started.careops("migrate").returncode == 0
    assert state(started)["installed"] == "base,crm,stock"


def test_a_failed_first_start_leaves_an_empty_open_database_and_the_next_one_succeeds(pod):
    behave(pod, "fail")
    assert pod.careops("migrate").returncode == 1
    assert pod.databases() == {"odoo": True}
    assert pod.sql("odoo", "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == "0"
    behave(pod, "")
    assert pod.careops("migrate").returncode == 0
    assert state(pod) == FIRST


@pytest.mark.parametrize("step", sample(FIRST_STEPS, 4))
def test_a_first_start_killed_at_any_step_is_finished_by_the_next_run(pod, step):
    killed = migrate_killed_at(pod, step)
    assert killed.returncode in (-9, 137), killed.stderr
    assert steps(killed.stderr)[-1] == step, "the test must really have killed it there"
    done = pod.careops("migrate")
    assert done.returncode == 0, done.stderr
    assert state(pod) == FIRST
    assert pod.careops("migrate").stderr.count("nothing to do") == 1


@pytest.mark.parametrize("step", sample(CHANGE_STEPS, 4))
def test_an_upgrade_killed_at_any_step_is_finished_by_the_next_run_without_losing_work(started, step):
    image(started, {**MODULES, "crm": "2"})
    started.write_settings(banner="NEW")
    killed = migrate_killed_at(started, step)
    assert killed.returncode in (-9, 137), killed.stderr
    done = started.careops("migrate")
    assert done.returncode == 0, done.stderr
    assert state(started) == {**FIRST, "checksums": {"base": "1", "crm": "2"}}
    assert started.sql("odoo", "SELECT name FROM customers") == "Ada"


def test_a_migration_killed_while_odoo_works_is_finished_by_the_next_run(started):
    image(started, {**MODULES, "crm": "2"})
    behave(started, "die")
    assert started.careops("migrate").returncode != 0
    assert started.databases()["odoo"] is False, "people stay out of a database whose copy is being upgraded"
    behave(started, "")
    assert started.careops("migrate").returncode == 0
    assert state(started)["checksums"] == {"base": "1", "crm": "2"}


def test_a_complete_copy_is_thrown_away_when_people_have_worked_on_the_database_since(started):
    image(started, {**MODULES, "crm": "2"})
    migrate_killed_at(started, "swap")
    started.sql("postgres", "ALTER DATABASE odoo ALLOW_CONNECTIONS true")
    started.sql("odoo", "INSERT INTO customers VALUES ('Grace')")
    done = started.careops("migrate")
    assert done.returncode == 0, done.stderr
    assert "recovery: discard the copy" in steps(done.stderr)
    assert started.sql("odoo", "SELECT count(*) FROM customers") == "2"


def test_a_complete_copy_is_swapped_in_without_running_odoo_again(started):
    image(started, {**MODULES, "crm": "2"})
    migrate_killed_at(started, "swap")
    before = len(calls(started))
    done = started.careops("migrate")
    assert "recovery: swap the copy in" in steps(done.stderr)
    assert len(calls(started)) == before


def test_a_missing_database_is_brought_back_from_its_copy_or_its_predecessor(started):
    image(started, {**MODULES, "crm": "2"})
    migrate_killed_at(started, "swap")
    started.sql("postgres", "ALTER DATABASE odoo RENAME TO odoo_previous")
    assert "recovery: rename the copy" in steps(started.careops("migrate").stderr)
    assert state(started)["checksums"] == {"base": "1", "crm": "2"}
    started.sql("postgres", "DROP DATABASE odoo_previous", "ALTER DATABASE odoo RENAME TO odoo_previous")
    assert "recovery: bring the previous one back" in steps(started.careops("migrate").stderr)
    assert started.sql("odoo", "SELECT name FROM customers") == "Ada"


@pytest.mark.parametrize("command", ["migrate", "guard"])
def test_another_environment_s_database_filestore_or_secret_is_refused_with_78_and_not_touched(started, command):
    before = state(started)
    other = {"CAREOPS_ENVIRONMENT": "prod"}
    started.write_secrets(identity="riverside/prod")
    done = started.careops(command, **other)
    assert (done.returncode, "the filestore belongs to riverside/dev" in done.stderr) == (78, True)
    (started.data / ".careops-identity").write_text("riverside/prod\n")
    done = started.careops(command, **other)
    assert (done.returncode, "the database belongs to riverside/dev" in done.stderr) == (78, True)
    (started.data / ".careops-identity").write_text("riverside/dev\n")
    done = started.careops(command)
    assert (done.returncode, "the secret belongs to riverside/prod" in done.stderr) == (78, True)
    assert state(started) == before


def test_a_database_with_data_of_unknown_origin_is_refused(pod):
    pod.sql("odoo", "CREATE TABLE patients (name text)")
    done = pod.careops("migrate")
    assert done.returncode == 78
    assert pod.databases() == {"odoo": True}


def test_an_environment_that_lost_its_database_is_not_started_afresh_over_the_loss(started):
    started.sql("postgres", "DROP DATABASE odoo WITH (FORCE)", "CREATE DATABASE odoo OWNER odoo")
    done = started.careops("migrate")
    assert done.returncode == 78
    assert "had one before" in done.stderr


def test_a_module_that_the_image_lacks_is_refused_before_anything_is_touched(pod):
    pod.write_settings(modules=["crm", "helpdesk"])
    done = pod.careops("migrate")
    assert (done.returncode, "helpdesk" in done.stderr) == (78, True)
    assert "close" not in steps(done.stderr)


@pytest.mark.parametrize(
    ("package", "versions", "why"),
    [
        ("19.0.0-1", {}, "Odoo 19.0.0-1 < 19.0.0-2"),
        ("19.0.0-2", {"crm": "19.0.1.8"}, "crm 19.0.1.8 < 19.0.1.9"),
    ],
    ids=["an older package", "an older module"],
)
def test_an_older_image_is_refused_before_anything_is_touched_and_a_newer_one_is_not(started, package, versions, why):
    before, oid = state(started), started.sql("postgres", "SELECT oid FROM pg_database WHERE datname = 'odoo'")
    image(started, {**MODULES, "crm": "0"}, package, **versions)
    done = started.careops("migrate")
    assert (done.returncode, why in done.stderr) == (78, True), done.stderr
    assert steps(done.stderr) == ["lock"]
    assert state(started) == before
    assert started.sql("postgres", "SELECT oid FROM pg_database WHERE datname = 'odoo'") == oid
    image(started, {**MODULES, "crm": "2"}, "19.0.0-3", crm="19.0.1.10")
    assert started.careops("migrate").returncode == 0
    recorded = "SELECT value FROM ir_config_parameter WHERE key = 'careops.release'"
    assert started.sql("odoo", recorded) == "19.0.0-3"


def test_a_pod_that_never_stops_connecting_writes_nothing_into_a_database_that_was_migrated_for_another_image(started):
    with started.connecting("INSERT INTO customers VALUES ('written')", MODULES) as writer:
        time.sleep(0.5)
        image(started, {**MODULES, "crm": "2"})
        done = started.careops("migrate")
        assert done.returncode == 0, done.stderr
        _, log = writer.communicate(timeout=20)
    assert writer.returncode == 75, log
    assert "migrated for another image; modules that differ: crm" in log
    started.sql("postgres", "ALTER DATABASE odoo_previous ALLOW_CONNECTIONS true")
    counts = [started.sql(name, "SELECT count(*) FROM customers") for name in ("odoo", "odoo_previous")]
    assert counts[0] == counts[1], "every row is from before the copy"
    assert int(counts[0]) > 1, "it must have been writing"


def test_an_image_without_a_baseline_says_which_image_to_use(pod):
    baseline = pod.tree / "baseline"
    baseline.rename(pod.tree / "elsewhere")
    try:
        done = pod.careops("migrate")
    finally:
        (pod.tree / "elsewhere").rename(baseline)
    assert (done.returncode, "odoo-baseline-" in done.stderr) == (78, True)


def test_only_one_migration_runs_at_a_time(started):
    done = started.python(
        """
        import os, sys
        import careops_odoo.__main__ as command
        import careops_odoo.migrate as migrate
        from careops_odoo.database import Server
        from careops_odoo.settings import read_pod
        other = Server(read_pod(os.environ))
        assert other.lock(0)
        migrate.LOCK_SECONDS = 1.0
        status = command.main(["migrate"])
        other.close()
        assert command.main(["migrate"]) == 0, "the lock ends with its session"
        sys.exit(status)
        """
    )
    assert done.returncode == 75, done.stderr
    assert "another migration" in done.stderr


def test_a_session_that_is_not_ours_is_waited_for(started):
    image(started, {**MODULES, "crm": "2"})
    argv = (
        "/bin/sh",
        "-c",
        f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin/psql -h {SOCKETS} -U postgres odoo -c 'SELECT pg_sleep(3)'",
    )
    command = started.session.command(Inside(tree=started.sandbox_postgresql, argv=argv, uid=POSTGRESQL_UID))
    other = os.posix_spawnp(command[0], command, os.environ)
    time.sleep(1)
    began = time.monotonic()
    done = started.careops("migrate")
    os.waitpid(other, 0)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began > 1.5, "it must have met the other session"
    assert state(started)["checksums"] == {"base": "1", "crm": "2"}


def test_web_and_cron_wait_for_the_migration_and_give_up_with_75(pod):
    for command in ("web", "cron"):
        done = pod.careops(command, CAREOPS_WAIT_SECONDS="1")
        assert (done.returncode, "the first migration has not ended" in done.stderr) == (75, True)


def test_web_does_not_start_code_that_differs_from_the_migrated_database(started):
    image(started, {**MODULES, "crm": "2"})
    done = started.careops("web", CAREOPS_WAIT_SECONDS="1")
    assert (done.returncode, "differ from this image's: crm" in done.stderr) == (75, True)


def test_the_guard_accepts_its_own_and_an_unreachable_database_is_69(started):
    assert started.careops("guard").returncode == 0
    assert started.careops("guard", PGHOST="/nonexistent").returncode == 69


def test_the_migration_runs_as_the_image_s_user(started):
    owners = {path.stat().st_uid for path in started.data.rglob("*")}
    assert owners == {ODOO_UID}
