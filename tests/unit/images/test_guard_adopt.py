"""The adoption's decisions and files, without a database."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from careops_odoo import adopt_files, adopt_marks
from careops_odoo.adopt_settings import parse_roles, password, read_run
from careops_odoo.errors import Refused
from careops_odoo.settings import Pod

from operations.anonymise import marks
from operations.anonymise.marks import Program, Step

POD = Pod(identity="riverside/training", host="h", port=5432, user="odoo", database="odoo", sslmode="verify-full")
ROLES = [{"name": "sales", "groups": ["sales_team.group_sale_manager"], "trainees": 2}]


@pytest.fixture
def environ(tmp_path):
    (tmp_path / "seed").write_bytes(b"s" * 32)
    (tmp_path / "key").write_bytes(b"a key")
    return {
        "CAREOPS_JOB": "refresh-adopt-417",
        "CAREOPS_SOURCE_IDENTITY": "riverside/prod",
        "CAREOPS_TARGET_IDENTITY": "riverside/training",
        "CAREOPS_REFRESH_ROLES": json.dumps(ROLES),
        "CAREOPS_LOGINS_SEED": str(tmp_path / "seed"),
        "CAREOPS_EVIDENCE_KEY": str(tmp_path / "key"),
    }


def test_a_run_has_a_trainer_and_so_many_trainees_for_each_role(environ):
    run = read_run(environ, POD)
    assert run.number == "417"
    assert list(run.passwords()) == ["trainer-sales", "trainee-sales-1", "trainee-sales-2"]
    assert len(set(run.passwords().values())) == 3


def test_passwords_follow_the_contract_and_differ_from_run_to_run():
    digest = hmac.new(b"seed", b"417/trainer-sales", hashlib.sha256).digest()
    assert password(b"seed", "417", "trainer-sales") == base64.urlsafe_b64encode(digest).decode()[:24]
    assert password(b"seed", "418", "trainer-sales") != password(b"seed", "417", "trainer-sales")


def test_a_rollback_needs_no_roles_and_no_seed(environ):
    run = read_run({name: environ[name] for name in list(environ)[:3]}, POD, logins=False)
    assert run.passwords() == {}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"CAREOPS_JOB": "adopt"}, "does not end in the number of a run"),
        ({"CAREOPS_JOB": ""}, "CAREOPS_JOB not set"),
        ({"CAREOPS_TARGET_IDENTITY": "riverside/prod"}, "the pod is riverside/training's"),
        ({"CAREOPS_REFRESH_ROLES": "[]"}, "nobody would get a login"),
        ({"CAREOPS_REFRESH_ROLES": "{"}, "CAREOPS_REFRESH_ROLES"),
        ({"CAREOPS_LOGINS_SEED": "/nonexistent"}, "CAREOPS_LOGINS_SEED"),
        ({"CAREOPS_EVIDENCE_KEY": "/nonexistent"}, "CAREOPS_EVIDENCE_KEY"),
        ({"CAREOPS_EVIDENCE_KEY": ""}, "CAREOPS_EVIDENCE_KEY not set"),
    ],
)
def test_an_impossible_variable_is_refused(environ, changes, why):
    with pytest.raises(Refused) as refused:
        read_run({**environ, **changes}, POD)
    assert why in str(refused.value)


def test_a_seed_that_can_be_guessed_is_refused(environ, tmp_path):
    (tmp_path / "seed").write_bytes(b"short")
    with pytest.raises(Refused, match="CAREOPS_LOGINS_SEED"):
        read_run(environ, POD)


@pytest.mark.parametrize("name", ["Sales", "sales manager", "", "1st"])
def test_a_role_whose_name_is_no_part_of_a_login_is_refused(name):
    with pytest.raises(Refused, match="CAREOPS_REFRESH_ROLES"):
        parse_roles(json.dumps([{**ROLES[0], "name": name}]))


def write(folder, **files):
    for name, text in files.items():
        place = folder / name[:2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_kept_files_survive_what_odoo_removes_and_those_that_nobody_needs_are_forgotten(tmp_path):
    store, kept = tmp_path / "odoo", tmp_path / "odoo_before_refresh"
    write(store, aa01="a", bb02="b")
    write(store / "checklist", cc03="")
    assert adopt_files.keep(store, kept) == 2
    assert adopt_files.keep(store, kept) == 0
    (store / "aa" / "aa01").unlink()
    assert names(kept) == ["aa01", "bb02"], "Odoo's notes on what to remove are not files"
    adopt_files.keep(kept, store)
    assert (store / "aa" / "aa01").read_text() == "a"
    (store / "bb" / "bb02").unlink()
    assert adopt_files.forget(kept, store) == 1
    assert names(kept) == ["aa01"]


def test_the_next_databases_way_into_the_filestore_replaces_what_a_killed_run_left(tmp_path):
    store, name = tmp_path / "odoo", tmp_path / "odoo_refresh"
    write(name, aa01="left by something else")
    adopt_files.link(store, name)
    adopt_files.link(store, name)
    write(name, bb02="b")
    assert names(store) == ["bb02"]
    adopt_files.unlink(name)
    assert names(store) == ["bb02"]
    assert not name.exists()


def test_what_odoo_notes_for_the_next_database_is_not_what_training_clears_up_by(tmp_path):
    store, name = tmp_path / "odoo", tmp_path / "odoo_refresh"
    adopt_files.link(store, name)
    write(name, bb02="written by the adoption")
    write(name / "checklist", bb02="")  # Odoo does so with each file it writes
    assert not (store / "checklist").exists()
    assert (store / "bb" / "bb02").read_text() == "written by the adoption"


def test_files_of_a_run_that_came_to_nothing_are_handed_to_odoos_own_clearing_up(tmp_path):
    store, name = tmp_path / "odoo", "ab" * 20
    assert adopt_files.hand_back(store) == 0, "no run has written any"
    adopt_files.journal(store).write_text(f"{name}\n../../etc/passwd\n")
    assert adopt_files.hand_back(store) == 1
    assert [path.name for path in (store / "checklist").rglob("*") if path.is_file()] == [name]
    assert not adopt_files.journal(store).exists()


def test_all_sessions_end_and_a_missing_folder_is_no_error(tmp_path):
    adopt_files.empty_sessions(tmp_path)
    write(tmp_path / "sessions", aa01="somebody")
    (tmp_path / "sessions" / "flat").write_text("somebody")
    adopt_files.empty_sessions(tmp_path)
    assert list((tmp_path / "sessions").iterdir()) == []


def test_both_sides_of_a_run_know_the_same_marks():
    """The Odoo image does not have our package, so the adoption has constants of its own."""
    assert adopt_marks.DATABASE == marks.DATABASE
    assert adopt_marks.LOCK_SPACE == marks.LOCK_SPACE
    assert (Program.MASK.lock, Program.ADOPT.lock) == (adopt_marks.MASK_LOCK, adopt_marks.ADOPT_LOCK)
    theirs = (adopt_marks.STARTED, adopt_marks.MASKED, adopt_marks.ADOPTED, adopt_marks.VERIFIED, adopt_marks.FAILED)
    assert adopt_marks.comment("417") == marks.comment("417")
    assert theirs == (Step.STARTED, Step.MASKED, Step.ADOPTED, Step.VERIFIED, Step.FAILED)
