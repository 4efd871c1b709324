"""The adoption's states against a real PostgreSQL; `fake_odoo.py` plays Odoo, the test the masking program."""
# ruff: noqa: S608 - the statements are made of this file's own constants

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.images.adopting import (
    BACK_STEPS,
    MODULES,
    OLD,
    PLACEHOLDER,
    SEED,
    STEPS,
    STORED,
    at_step,
    certificate,
    image,
    masked,
    masking,
    new,
    program,
    start_over,
    state,
    steps,
    this_checkouts_guard,
)
from tests.images.support import pod_beside_postgresql
from tests.sampling import sample

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def world():
    roles = ("CREATE ROLE odoo LOGIN", "CREATE ROLE refresh LOGIN CREATEDB IN ROLE odoo")
    with pod_beside_postgresql("test-adopt", *roles, prepare=this_checkouts_guard) as pod:
        yield pod


@pytest.fixture
def training(world):
    return start_over(world)


def test_a_masked_and_verified_database_becomes_training_and_the_old_one_is_kept_closed(training):
    masked(training, "7", "masked", "verified")
    done = program(training, "7")
    assert done.returncode == 0, done.stderr
    found = steps(done.stderr)
    assert [wanted for wanted, step in zip(STEPS, found, strict=True) if not at_step(wanted, step)] == []
    assert state(training) == new("7")
    assert training.databases() == {"odoo": True, "odoo_before_refresh": False}
    lines = done.stderr.strip().splitlines()
    assert lines[-3] == "-----BEGIN CAREOPS CERTIFICATE-----"
    assert json.loads(lines[-2]) == certificate("7")
    assert lines[-1] == "-----END CAREOPS CERTIFICATE-----"
    kept = training.sql("odoo", "SELECT value FROM ir_config_parameter WHERE key = 'careops.refresh'")
    assert json.loads(kept) == certificate("7")
    assert training.sql("odoo", "SELECT to_regnamespace('careops_refresh') IS NULL") == "t"
    store = training.data / "filestore"
    assert (store / "odoo" / STORED).read_bytes() == PLACEHOLDER
    assert (store / "odoo_before_refresh" / "aa" / "aa01").read_text() == "old"
    assert not (store / "odoo_refresh").is_symlink()
    assert list((training.data / "sessions").iterdir()) == [], "everybody logs in again"


def test_all_of_the_new_database_belongs_to_trainings_own_role(training):
    masked(training, "7", "masked", "verified")
    # What Odoo makes in a session that it has used before is made without the role that the session began with.
    training.sql("odoo_refresh", "SET ROLE refresh", "SET ROLE odoo", "CREATE TABLE by_odoo (a int)")
    training.sql("odoo_refresh", "GRANT CREATE ON SCHEMA public TO refresh")
    training.sql("odoo_refresh", "SET ROLE refresh", "CREATE TABLE by_refresh (a int)")
    assert program(training, "7").returncode == 0
    others = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relowner <> 'odoo'::regrole"
    assert training.sql("odoo", others) == ""
    assert training.sql("odoo", "SET ROLE odoo", "CREATE TABLE later (a int)", "SELECT 1") == "1"


def test_until_the_swap_trainings_own_role_cannot_enter_the_next_database(training):
    masked(training, "7", "masked")
    refused = training.python(
        "import psycopg2, os; psycopg2.connect(host=os.environ['PGHOST'], user='odoo', dbname='odoo_refresh')"
    )
    assert "permission denied for database" in refused.stderr


def test_the_logins_passwords_are_those_that_the_command_line_derives(training):
    masked(training, "7", "masked", "verified")
    assert program(training, "7").returncode == 0
    documents = [json.loads(row) for row in training.sql("odoo", "SELECT document FROM wishes").splitlines()]
    (passwords,) = [document["passwords"] for document in documents if "passwords" in document]
    assert sorted(passwords) == ["trainee-sales-1", "trainee-sales-2", "trainer-sales"]
    digest = hmac.new(SEED, b"7/trainer-sales", hashlib.sha256).digest()
    assert passwords["trainer-sales"] == base64.urlsafe_b64encode(digest).decode()[:24]
    (personal,) = [document for document in documents if "banner" in document]
    assert personal["banner"] == "TRAINING · data as of 2026-11, masked · release 19.0.0-2"
    assert personal["company"] is None, "the masked company stays as it is"
    assert {"fields": [["res.partner", "complete_name"]]} in documents


def test_the_administrators_way_in_is_the_secrets_and_nobody_elses(training):
    masked(training, "7", "masked", "verified")
    done = program(training, "7")
    assert training.sql("odoo", "SELECT login, password LIKE '$pbkdf2%' FROM res_users WHERE id = 2") == "admin|t"
    assert "a-password-of-this-test" not in done.stderr


@pytest.mark.parametrize("step", sample(list(dict.fromkeys(STEPS)), 6))
def test_killed_at_any_step_training_is_the_old_or_the_new_one_and_the_next_run_needs_no_cleaning(training, step):
    masked(training, "7", "masked", "verified")
    killed = program(training, "7", kill_at=step)
    assert killed.returncode in (-9, 137), killed.stderr
    assert at_step(step, steps(killed.stderr)[-1]), "the test must really have killed it there"
    assert state(training) in (OLD, new("7"))
    masked(training, "8", "masked", "verified")
    done = program(training, "8")
    assert done.returncode == 0, done.stderr
    assert state(training) == new("8")
    assert training.databases() == {"odoo": True, "odoo_before_refresh": False}
    assert not (training.data / "filestore" / "odoo_refresh").exists()


@pytest.mark.parametrize("step", sample(list(dict.fromkeys(BACK_STEPS)), 2))
def test_a_rollback_killed_at_any_step_leaves_one_of_the_two_and_another_rollback_works(training, step):
    masked(training, "7", "masked", "verified")
    assert program(training, "7").returncode == 0
    killed = program(training, "9", "--rollback", kill_at=step)
    assert killed.returncode in (-9, 137), killed.stderr
    now = state(training)
    assert now in (OLD, new("7"))
    again = program(training, "10", "--rollback")
    assert again.returncode == 0, again.stderr
    assert state(training) == (new("7") if now == OLD else OLD)
    assert training.databases() == {"odoo": True, "odoo_before_refresh": False}


def test_a_rollback_brings_back_database_and_files_and_a_second_one_goes_forward_again(training):
    masked(training, "7", "masked", "verified")
    assert program(training, "7").returncode == 0
    (training.data / "filestore" / "odoo" / "aa" / "aa01").unlink()  # as Odoo's own clearing up does
    done = program(training, "9", "--rollback")
    assert done.returncode == 0, done.stderr
    assert [step for wanted, step in zip(BACK_STEPS, steps(done.stderr), strict=True) if wanted != step] == []
    assert state(training) == OLD
    assert (training.data / "filestore" / "odoo" / "aa" / "aa01").read_text() == "old"
    assert program(training, "10", "--rollback").returncode == 0
    assert state(training) == new("7")
    assert (training.data / "filestore" / "odoo" / STORED).read_bytes() == PLACEHOLDER


def test_a_rollback_without_a_previous_database_is_refused(training):
    done = program(training, "9", "--rollback")
    assert (done.returncode, "no training database to go back to" in done.stderr) == (78, True)


def test_a_rollback_to_a_database_of_another_image_is_refused_and_it_stays_closed(training):
    masked(training, "7", "masked", "verified")
    assert program(training, "7").returncode == 0
    image(training, {**MODULES, "crm": "2"}, crm="19.0.1.10")
    done = program(training, "9", "--rollback")
    assert (done.returncode, "modules that differ from this image's: crm" in done.stderr) == (78, True)
    assert training.databases() == {"odoo": True, "odoo_before_refresh": False}


def test_modules_that_training_has_newer_are_updated_before_anything_else_is_done(training):
    image(training, {**MODULES, "crm": "2"}, crm="19.0.1.10")
    training.sql(
        "odoo",
        f"UPDATE ir_config_parameter SET value = '{json.dumps({**MODULES, 'crm': '2'})}' WHERE key = 'careops.modules'",
    )
    masked(training, "7", "masked", "verified")
    done = program(training, "7")
    assert done.returncode == 0, done.stderr
    found = steps(done.stderr)
    assert found.index("upgrade") < found.index("neutralise")
    assert "-u crm" in training.python("print(open('/tmp/calls').read())").stdout
    record = training.sql("odoo", "SELECT value FROM ir_config_parameter WHERE key = 'careops.modules'")
    assert json.loads(record) == {**MODULES, "crm": "2"}


@pytest.mark.parametrize(
    ("modules", "versions", "why"),
    [
        ({"base": "1"}, {}, "modules crm are not in this image"),
        (MODULES, {"crm": "19.0.1.8"}, "this image is older than the database"),
    ],
    ids=["a module is missing", "a module is newer in production"],
)
def test_a_release_of_production_that_training_does_not_have_yet_is_refused(training, modules, versions, why):
    training.sql("odoo", "UPDATE ir_module_module SET state = 'uninstalled' WHERE name = 'crm'")
    training.write_settings(modules=[])
    image(training, modules, **versions)
    masked(training, "7", "masked", "verified")
    with masking(training):
        done = program(training, "7")
    assert (done.returncode, why in done.stderr) == (78, True), done.stderr
    assert "deploy production's release to training first" in done.stderr
    assert state(training) == OLD
    failed = training.sql("odoo_refresh", "SELECT detail->>'by' FROM careops_refresh.state WHERE step = 'failed'")
    assert failed == "adopt", "the masking program is told, and does not wait"


@pytest.mark.parametrize("behaviour", ["fail", "skip"])
def test_an_odoo_that_fails_or_does_not_neutralise_ends_the_run_and_training_is_as_it_was(training, behaviour):
    masked(training, "7", "masked", "verified")
    training.python(f"open('/tmp/behaviour', 'w').write({behaviour!r})")
    done = program(training, "7")
    assert done.returncode == 1, done.stderr
    assert state(training) == OLD


def test_a_database_of_another_run_is_none_of_ours(training):
    masked(training, "6", "masked", "verified")
    done = program(training, "7")
    assert (done.returncode, "waited in vain for the mark masked" in done.stderr) == (75, True), done.stderr
    assert state(training) == OLD
    assert "odoo_refresh" in training.databases(), "the masking program drops it"


def test_a_masking_program_that_died_after_masking_leaves_no_unverified_database_behind(training):
    masked(training, "7", "masked")
    done = program(training, "7")
    assert (done.returncode, "waited in vain for the mark verified" in done.stderr) == (75, True), done.stderr
    assert state(training) == OLD
    assert training.databases() == {"odoo": True}
    assert "dropped the database of this run" in done.stderr
    store = training.data / "filestore" / "odoo"
    assert (store / "checklist" / STORED).exists(), "Odoo removes the placeholder when it clears its filestore up"
    masked(training, "8", "masked", "verified")
    assert program(training, "8").returncode == 0
    assert not (store / "checklist" / STORED).exists()
    assert (store / STORED).read_bytes() == PLACEHOLDER
    assert not (training.data / "filestore" / ".odoo_refresh.written").exists()


def test_a_masking_program_that_is_there_drops_its_database_itself(training):
    masked(training, "7", "masked", identity="elsewhere/prod")
    with masking(training):
        assert program(training, "7").returncode == 78
    assert "odoo_refresh" in training.databases()


@pytest.mark.parametrize(
    ("signed", "why"),
    [
        (certificate("7", Ed25519PrivateKey.generate()), "its signature is not by the key"),
        (certificate("6"), "it is of run 6 for riverside/training"),
        (certificate("7", target="elsewhere/training"), "it is of run 7 for elsewhere/training"),
        (certificate("7", passed=False), "it does not say that the run passed"),
        ({"schema": 1, "certificate": {"run": "7"}}, "its signature is not by the key"),
    ],
    ids=["another key", "another run", "another environment", "a run that failed", "no signature"],
)
def test_a_certificate_that_proves_nothing_of_this_run_swaps_nothing(training, signed, why):
    masked(training, "7", "masked", "verified", signed=signed)
    done = program(training, "7")
    assert (done.returncode, why in done.stderr) == (78, True), done.stderr
    assert state(training) == OLD
    assert training.databases() == {"odoo": True}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("ALTER DATABASE odoo_refresh OWNER TO odoo", "another role made it"),
        ("COMMENT ON DATABASE odoo_refresh IS 'careops: refresh 6'", "its comment is not this run's"),
    ],
)
def test_a_database_with_this_runs_marks_that_another_role_made_is_refused_and_left_for_a_person(training, change, why):
    masked(training, "7", "masked", "verified")
    training.sql("postgres", change, "GRANT CONNECT ON DATABASE odoo_refresh TO refresh")
    done = program(training, "7")
    assert (done.returncode, why in done.stderr) == (78, True), done.stderr
    assert state(training) == OLD


def test_a_masking_program_that_gave_up_is_not_waited_for(training):
    masked(training, "7", "masked", "failed")
    began = time.monotonic()
    done = program(training, "7", CAREOPS_WAIT_SECONDS="600")
    assert (done.returncode, "why: findings" in done.stderr.replace("  ", "")) == (1, True), done.stderr
    assert time.monotonic() - began < 60
    assert state(training) == OLD


def test_data_of_another_production_is_refused(training):
    masked(training, "7", "masked", "verified", identity="elsewhere/prod")
    done = program(training, "7")
    assert (done.returncode, "the masked database is elsewhere/prod" in done.stderr) == (78, True)
    assert state(training) == OLD


def test_a_row_whose_file_nobody_has_ends_the_run(training):
    masked(training, "7", "masked", "verified", stored="bb/" + "b" * 40)
    done = program(training, "7")
    assert (done.returncode, "1 files that rows name" in done.stderr) == (1, True)
    assert state(training) == OLD


def test_a_training_that_was_migrated_meanwhile_is_not_replaced_by_what_fits_the_old_image(training):
    masked(training, "7", "masked", "verified")
    training.sql(
        "odoo",
        f"UPDATE ir_config_parameter SET value = '{json.dumps({**MODULES, 'crm': '9'})}' WHERE key = 'careops.modules'",
    )
    done = program(training, "7")
    assert (done.returncode, "training was migrated meanwhile" in done.stderr) == (78, True)
    assert state(training)["customer"] == "Old training"


def test_a_pod_that_never_stops_connecting_does_not_hold_the_swap_up_and_ends_by_itself(training):
    masked(training, "7", "masked", "verified")
    with training.connecting("UPDATE customers SET name = name", MODULES, CAREOPS_ENVIRONMENT="training") as pod:
        done = program(training, "7")
        assert done.returncode == 0, done.stderr
        _, log = pod.communicate(timeout=20)
    assert pod.returncode == 75, log
    assert "it was replaced: refresh 7 made it, not none" in log
