"""Run inside `odoo shell`, which provides `env`: nobody's old way in works, and the training's logins do.

One transaction, committed as the last act; a repeated run does the same again.
"""
# ruff: noqa: F821  `env` is given by the shell

import json
import os
import secrets
from pathlib import Path
from typing import Any

WORD = os.environ.get("CAREOPS_WORD", "careops:")
"""What our own lines begin with: by it they are told from whatever else Odoo says, which may quote data."""
wishes = json.loads(Path(os.environ["CAREOPS_WISHES"]).read_text(encoding="utf-8"))
users = env["res.users"].with_context(active_test=False, no_reset_password=True, mail_notrack=True)  # ty: ignore[unresolved-reference]
WAYS_IN = ("res_users_apikeys", "auth_totp_device", "res_device_log", "auth_passkey_key", "mail_push_device")
"""Tables whose rows let somebody in, or tell who was; a module that is not installed has none."""


def end_old_ways_in() -> None:
    """Give every user a password that nobody knows, and remove keys, second factors and sessions."""
    env["ir.config_parameter"].sudo().init(force=True)  # a new database.uuid and database.secret  # ty: ignore[unresolved-reference]
    unknown = users._crypt_context().hash(secrets.token_urlsafe(32))  # noqa: SLF001  Odoo's own; slow on purpose
    env.cr.execute("UPDATE res_users SET password = %s", (unknown,))  # ty: ignore[unresolved-reference]
    if "totp_secret" in users._fields:
        env.cr.execute("UPDATE res_users SET totp_secret = NULL")  # ty: ignore[unresolved-reference]
    for table in WAYS_IN:
        env.cr.execute("SELECT to_regclass(%s) IS NOT NULL", (table,))  # ty: ignore[unresolved-reference]
        if env.cr.fetchone()[0]:  # ty: ignore[unresolved-reference]
            env.cr.execute(f"DELETE FROM {table}")  # noqa: S608  our own constant  # ty: ignore[unresolved-reference]
    env.invalidate_all()  # ty: ignore[unresolved-reference]


def groups_of(role: dict) -> Any:  # noqa: ANN401  records of Odoo, which has no types
    """Return a role's groups, and that of everybody who may log in."""
    found = {name: env.ref(name, raise_if_not_found=False) for name in ["base.group_user", *role["groups"]]}  # ty: ignore[unresolved-reference]
    absent = [name for name, group in found.items() if not group or group._name != "res.groups"]  # noqa: SLF001  Odoo's own
    if absent:
        raise SystemExit(f"{WORD} the role {role['name']} names groups that Odoo does not have: {', '.join(absent)}")
    return env["res.groups"].union(*found.values())  # ty: ignore[unresolved-reference]


def make(login: str, groups: Any) -> None:  # noqa: ANN401  as above
    """Make a login, or make one of that name what it should be."""
    company = env.ref("base.main_company")  # ty: ignore[unresolved-reference]
    kind, _, rest = login.partition("-")
    values = {
        "name": f"{kind.capitalize()} {rest.replace('-', ' ')}",
        "login": login,
        "email": f"{login}@training.example.com",
        "active": True,
        "company_id": company.id,
        "company_ids": [(6, 0, [company.id])],
        "group_ids": [(6, 0, groups.ids)],
        "notification_type": "inbox",
    }
    user = users.search([("login", "=", login)], limit=1)
    if user:
        user.write(values)
    else:
        user = users.create(values)
    digest = users._crypt_context().hash(wishes["passwords"][login])  # noqa: SLF001  Odoo's own
    user._set_encrypted_password(user.id, digest)  # noqa: SLF001  Odoo's own hook


end_old_ways_in()
for each in wishes["roles"]:
    wanted = groups_of(each)
    for name in each["logins"]:
        make(name, wanted)
env.cr.commit()  # ty: ignore[unresolved-reference]
print(f"{WORD} {len(wishes['passwords'])} logins for {len(wishes['roles'])} roles")
