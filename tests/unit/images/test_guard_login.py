"""The administrator's password follows its Secret, and only when the Secret is a new one."""

from __future__ import annotations

import pytest
from careops_odoo import database, login
from careops_odoo.settings import Secrets, read_pod

SECRETS = Secrets(identity="riverside/dev", admin_login="admin", admin_password="new-one", master_password="m")


class Database:
    """A connection that knows what the statements are for; a transaction that fails leaves nothing."""

    def __init__(self, recorded=None, admin=True):
        self.kept = {"recorded": recorded, "password": "old"}
        self.changes = dict(self.kept)
        self.admin = admin
        self.fail = False
        self.autocommit = True
        self.answer = None

    def cursor(self):
        return self

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.kept = dict(self.changes)

    def close(self): ...

    def execute(self, statement, values):
        if statement.startswith("SELECT value"):
            self.answer = (self.kept["recorded"],) if self.kept["recorded"] else None
        elif statement.startswith("UPDATE res_users"):
            self.answer = ("chief",) if self.admin else None
            self.changes["password"] = values[0]
        elif self.fail:
            raise RuntimeError("the connection broke")
        else:
            assert not self.autocommit
            self.changes["recorded"] = values[1]

    def fetchone(self):
        return self.answer


@pytest.fixture
def keep(monkeypatch, pod_variables):
    def act(found, serial):
        monkeypatch.setattr(database, "connect", lambda _pod, _name: found)
        said = []
        login.keep(read_pod(pod_variables), SECRETS, serial, said.append)
        return said

    return act


@pytest.mark.parametrize("recorded", [None, "before"], ids=["never recorded", "another Secret's"])
def test_a_new_secrets_password_is_set_and_the_log_names_the_login_but_not_the_password(keep, recorded):
    found = Database(recorded)
    (said,) = keep(found, "now")
    assert found.kept["recorded"] == "now"
    assert found.kept["password"].startswith("$pbkdf2-sha512$")
    assert "chief" in said
    assert "new-one" not in said


def test_a_password_that_the_administrator_chose_stays_while_the_secret_does(keep):
    found = Database("now")
    assert keep(found, "now") == []
    assert found.kept["password"] == "old"


def test_a_secret_without_a_serial_changes_nothing(keep):
    found = Database("before")
    assert keep(found, None) == []
    assert found.kept == {"recorded": "before", "password": "old"}


def test_a_failure_in_between_sets_no_password_without_remembering_it(keep):
    found = Database("before")
    found.fail = True
    with pytest.raises(RuntimeError):
        keep(found, "now")
    assert found.kept == {"recorded": "before", "password": "old"}


def test_a_database_without_the_administrator_is_told(keep):
    (said,) = keep(Database(admin=False), "now")
    assert "no admin" in said


def test_the_serial_is_read_from_the_mounted_secret_and_may_be_absent(tmp_path):
    assert login.read_serial(tmp_path) is None
    (tmp_path / "login_serial").write_text("\n")
    assert login.read_serial(tmp_path) is None
    (tmp_path / "login_serial").write_text("ab12\n")
    assert login.read_serial(tmp_path) == "ab12"
