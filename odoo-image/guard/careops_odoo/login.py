"""The administrator's password follows its Secret: one that was made anew is set in the database that holds data."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from . import database
from .configuration import hash_password
from .settings import SECRETS_FOLDER

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .settings import Pod, Secrets

PARAMETER = "careops.login"
SERIAL = "login_serial"
"""Key of the Secret: random and not secret, it tells a Secret that was made anew from the one before."""

_RECORDED = "SELECT value FROM ir_config_parameter WHERE key = %s"
# Found by its name in Odoo, not by its login, which people may have changed.
_SET = (
    "UPDATE res_users SET password = %s WHERE id ="
    " (SELECT res_id FROM ir_model_data WHERE module = 'base' AND name = 'user_admin' AND model = 'res.users')"
    " RETURNING login"
)
_RECORD = (
    "INSERT INTO ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)"
    " VALUES (%s, %s, 1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')"
    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date"
)


def read_serial(folder: Path = SECRETS_FOLDER) -> str | None:
    """Return the mounted Secret's serial, or None for one that people made, or that is older than serials."""
    try:
        return (folder / SERIAL).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        return None


def keep(pod: Pod, secrets: Secrets, serial: str | None, say: Callable[[str], None]) -> None:
    """Set the administrator's password when the Secret is not the one that the database's came from.

    A password that the administrator chose since stays as long as the Secret does. Setting it and remembering whence
    it came are one transaction.

    Args:
        pod: Where the database is.
        secrets: The mounted Secret.
        serial: From `read_serial`; without one nothing is done.
        say: Told when the password was set.

    Raises:
        Unavailable: The database does not accept connections.
    """
    if serial is None:
        return
    with closing(database.connect(pod, pod.database)) as connection:
        connection.autocommit = False
        with connection, connection.cursor() as cursor:
            cursor.execute(_RECORDED, (PARAMETER,))
            if cursor.fetchone() == (serial,):
                return
            cursor.execute(_SET, (hash_password(secrets.admin_password),))
            changed = cursor.fetchone()
            cursor.execute(_RECORD, (PARAMETER, serial))
    login = f"the administrator's, whose login is {changed[0]}" if changed else "of nobody: this database has no admin"
    say(f"the Secret's password is new here and was set: {login}")
