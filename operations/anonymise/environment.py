"""What a program of the refresh finds in its pod: see README.md, which is the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from operations.anonymise import faults
from operations.anonymise.outcome import Refused
from operations.anonymise.sessions import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

WAIT_SECONDS = 3600.0
"""How long a partner that was never there is waited for when the pod does not say."""

_SERVERS = {
    "CAREOPS_SOURCE": faults.PROD,
    "CAREOPS_ISOLATED": faults.ISOLATED,
    "CAREOPS_TARGET": faults.TRAINING,
}


@dataclass(frozen=True, kw_only=True)
class Pod:
    """The pod's variables.

    Attributes:
        run: Which run this is.
        source_identity: Whose data is copied, such as ``riverside/prod``.
        target_identity: Who gets it.
        wait_seconds: How long a partner that was never there is waited for.
    """

    run: str
    source_identity: str
    target_identity: str
    wait_seconds: float


def read_pod(environ: Mapping[str, str]) -> Pod:
    """Read what every program needs.

    Raises:
        Refused: A variable is missing or malformed.
    """
    job = required(environ, "CAREOPS_JOB")
    run = job.rpartition("-")[2]
    if not run.isalnum() or "-" not in job:
        raise _unusable("CAREOPS_JOB", f"{job!r} does not end in the number of a run")
    wait = environ.get("CAREOPS_WAIT_SECONDS", str(WAIT_SECONDS))
    try:
        seconds = float(wait)
    except ValueError:
        raise _unusable("CAREOPS_WAIT_SECONDS", f"{wait!r} is no number of seconds") from None
    return Pod(
        run=run,
        source_identity=required(environ, "CAREOPS_SOURCE_IDENTITY"),
        target_identity=required(environ, "CAREOPS_TARGET_IDENTITY"),
        wait_seconds=seconds,
    )


def endpoint(environ: Mapping[str, str], name: str) -> Endpoint:
    """Return a database from ``<name>`` (how libpq reaches it) and ``<name>_PASSWORD_FILE``.

    Raises:
        Refused: One is missing or cannot be read.
    """
    text = required(environ, name)
    try:
        parts = conninfo_to_dict(text)
    except psycopg.ProgrammingError:
        raise _unusable(name, "it is no connection string of libpq") from None
    if "password" in parts:
        raise _unusable(name, "it holds a password; the password is in a file of its own")
    file = environ.get(f"{name}_PASSWORD_FILE", "")
    password = secret_file(f"{name}_PASSWORD_FILE", Path(file)) if file else ""
    return Endpoint(conninfo=text, password=password, server=_SERVERS.get(name, ""))


def within(server: Endpoint, database: str, *, role: str = "") -> Endpoint:
    """Return a database of the same server, with sessions that act as another role from their start."""
    options = {"options": f"-c role={role}"} if role else {}
    return replace(server, conninfo=make_conninfo(server.conninfo, dbname=database, **options))


def required(environ: Mapping[str, str], name: str) -> str:
    """Return a variable.

    Raises:
        Refused: It is not set.
    """
    value = environ.get(name, "")
    if not value:
        raise _unusable(name, "it is not set")
    return value


def number(environ: Mapping[str, str], name: str) -> int:
    """Return a variable that is a whole number above 0.

    Raises:
        Refused: It is not.
    """
    text = required(environ, name)
    if not text.isdecimal() or int(text) < 1:
        raise _unusable(name, f"{text!r} is no whole number above 0")
    return int(text)


def secret_file(name: str, path: Path) -> str:
    """Return the content of a mounted Secret's file.

    Raises:
        Refused: It cannot be read or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(name, f"its file cannot be read: {type(error).__name__}") from None
    if not text:
        raise _unusable(name, "its file is empty")
    return text


def _unusable(name: str, why: str) -> Refused:
    return Refused(f"the variable {name} cannot be used", why=why, action="apply the environment's settings again")
