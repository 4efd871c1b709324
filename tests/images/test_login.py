"""A new Secret's password in a real PostgreSQL, checked with the library that Odoo checks it with."""

from __future__ import annotations

import pytest

from tests.images.support import Pod, pod_beside_postgresql

pytestmark = pytest.mark.live

SCHEMA = """
    CREATE TABLE ir_config_parameter (key text PRIMARY KEY, value text, create_uid int, write_uid int,
        create_date timestamp, write_date timestamp);
    CREATE TABLE res_users (id int PRIMARY KEY, login text, password text);
    CREATE TABLE ir_model_data (module text, name text, model text, res_id int);
    INSERT INTO res_users VALUES (1, '__system__', NULL), (2, 'chief', 'old'), (3, 'nurse', 'hers');
    INSERT INTO ir_model_data VALUES ('base', 'user_admin', 'res.users', 2), ('base', 'user_root', 'res.users', 1);
"""
KEEP = """
    import os
    from careops_odoo import login, settings
    secrets = settings.Secrets(identity="riverside/dev", admin_login="admin", admin_password="new", master_password="m")
    login.keep(settings.read_pod(os.environ), secrets, os.environ["SERIAL"], print)
"""
VERIFY = """
    import os
    from passlib.context import CryptContext
    context = CryptContext(["pbkdf2_sha512", "plaintext"], deprecated=["auto"])
    print(context.verify("new", os.environ["STORED"]))
"""


@pytest.fixture(scope="module")
def pod():
    roles = ("CREATE ROLE odoo LOGIN", "CREATE DATABASE odoo OWNER odoo")
    with pod_beside_postgresql("test-login", *roles) as made:
        yield made


def keep(pod: Pod, serial: str) -> str:
    done = pod.python(KEEP, SERIAL=serial)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_secrets_password_is_the_administrators_and_stays_until_the_next_secret(pod: Pod) -> None:
    pod.sql("odoo", f"SET ROLE odoo; {SCHEMA}")
    assert "login is chief" in keep(pod, "first")
    stored = pod.sql("odoo", "SELECT password FROM res_users WHERE id = 2")
    assert pod.python(VERIFY, STORED=stored).stdout.strip() == "True", "Odoo's own context accepts it"
    assert pod.sql("odoo", "SELECT password FROM res_users WHERE id = 3") == "hers"
    pod.sql("odoo", "UPDATE res_users SET password = 'chosen since' WHERE id = 2")
    assert keep(pod, "first") == ""
    assert pod.sql("odoo", "SELECT password FROM res_users WHERE id = 2") == "chosen since"
    assert "login is chief" in keep(pod, "second")
    assert pod.sql("odoo", "SELECT password FROM res_users WHERE id = 2") != "chosen since"
