"""What the adoption of a refreshed database finds in its pod: operations/anonymise/README.md is the contract."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .settings import Pod

PASSWORD_CHARACTERS = 24
"""Of 64 kinds, so 144 bits: nobody guesses one."""


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role of the training and who gets a login for it.

    Attributes:
        name: Part of the logins, such as "sales".
        groups: External names of Odoo's groups.
        trainees: How many trainees get a login, besides the one trainer.
    """

    name: str
    groups: tuple[str, ...]
    trainees: int

    @property
    def logins(self) -> tuple[str, ...]:
        """Return the role's logins, the trainer's first."""
        return (f"trainer-{self.name}", *(f"trainee-{self.name}-{place}" for place in range(1, self.trainees + 1)))


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run of the refresh, as training's own pod sees it.

    Attributes:
        number: Which run.
        source_identity: Whose data it is made of.
        roles: Who gets a login; empty for a rollback.
        seed: What the logins' passwords are derived from; empty for a rollback.
        wait_seconds: How long a partner that was never there is waited for.
        evidence: The public key that certificates are checked with, PEM; empty for a rollback.
    """

    number: str
    source_identity: str
    roles: tuple[Role, ...]
    seed: bytes
    wait_seconds: float
    evidence: bytes = b""

    def passwords(self) -> dict[str, str]:
        """Return the password of each login; the command line derives the same ones."""
        return {login: password(self.seed, self.number, login) for role in self.roles for login in role.logins}


def password(seed: bytes, run: str, login: str) -> str:
    """Return the password of a login in a run."""
    digest = hmac.new(seed, f"{run}/{login}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()[:PASSWORD_CHARACTERS]


def read_run(environ: Mapping[str, str], pod: Pod, *, logins: bool = True) -> Run:
    """Read the run.

    Args:
        environ: The pod's variables.
        pod: Whose environment it is.
        logins: Whether roles, seed and the certificates' key are needed.

    Raises:
        Refused: A variable or a file is missing or malformed, or the pod is not the one that the run is for.
    """
    names = ("CAREOPS_JOB", "CAREOPS_SOURCE_IDENTITY", "CAREOPS_TARGET_IDENTITY")
    wanted = (*names, "CAREOPS_REFRESH_ROLES", "CAREOPS_LOGINS_SEED", "CAREOPS_EVIDENCE_KEY") if logins else names
    missing = [name for name in wanted if not environ.get(name)]
    if missing:
        raise _refused("the pod's environment", f"{', '.join(missing)} not set")
    number = environ["CAREOPS_JOB"].rpartition("-")[2]
    if "-" not in environ["CAREOPS_JOB"] or not number.isalnum():
        raise _refused("CAREOPS_JOB", f"{environ['CAREOPS_JOB']!r} does not end in the number of a run")
    if environ["CAREOPS_TARGET_IDENTITY"] != pod.identity:
        raise _refused("CAREOPS_TARGET_IDENTITY", f"the pod is {pod.identity}'s")
    return Run(
        number=number,
        source_identity=environ["CAREOPS_SOURCE_IDENTITY"],
        roles=parse_roles(environ["CAREOPS_REFRESH_ROLES"]) if logins else (),
        seed=_seed(environ["CAREOPS_LOGINS_SEED"]) if logins else b"",
        wait_seconds=float(environ.get("CAREOPS_WAIT_SECONDS", "3600")),
        evidence=_file("CAREOPS_EVIDENCE_KEY", environ["CAREOPS_EVIDENCE_KEY"]) if logins else b"",
    )


def parse_roles(text: str) -> tuple[Role, ...]:
    """Read the roles.

    Raises:
        Refused: They are not what the contract says.
    """
    try:
        document = json.loads(text)
        roles = tuple(
            Role(name=entry["name"], groups=tuple(entry["groups"]), trainees=int(entry["trainees"]))
            for entry in document
        )
    except (ValueError, TypeError, KeyError) as error:
        raise _refused("CAREOPS_REFRESH_ROLES", f"{type(error).__name__}: {error}") from error
    wrong = [role.name for role in roles if not re.fullmatch(r"[a-z][a-z0-9-]*", str(role.name)) or role.trainees < 0]
    if wrong or not roles:
        why = f"no name of a role: {', '.join(map(repr, wrong))}" if wrong else "nobody would get a login"
        raise _refused("CAREOPS_REFRESH_ROLES", why)
    return roles


def target(environ: Mapping[str, str], pod: Pod) -> tuple[Pod, dict[str, str]]:
    """Return the pod as the refresh's role sees it, and the variables that its programs need for that.

    Raises:
        Refused: The connection string or the password is missing or malformed.
    """
    text, file = environ.get("CAREOPS_TARGET", ""), environ.get("CAREOPS_TARGET_PASSWORD_FILE", "")
    extensions: Any = importlib.import_module("psycopg2.extensions")
    psycopg2: Any = importlib.import_module("psycopg2")
    try:
        parts: dict[str, str] = extensions.parse_dsn(text)
        secret = Path(file).read_text(encoding="utf-8").rstrip("\n") if file else ""
    except psycopg2.ProgrammingError as error:
        raise _refused("CAREOPS_TARGET", "it is no connection string of libpq") from error
    except OSError as error:
        raise _refused("CAREOPS_TARGET_PASSWORD_FILE", str(error)) from error
    missing = [key for key in ("host", "user") if not parts.get(key)]
    if missing:
        raise _refused("CAREOPS_TARGET", f"it names no {' and no '.join(missing)}")
    mine = dataclasses.replace(
        pod,
        host=parts["host"],
        port=int(parts.get("port", pod.port)),
        user=parts["user"],
        sslmode=parts.get("sslmode", pod.sslmode),
    )
    known = {"PGUSER": parts["user"], "PGPASSWORD": secret, "PGSSLROOTCERT": parts.get("sslrootcert", "")}
    return mine, {name: value for name, value in known.items() if value}


def _seed(path: str) -> bytes:
    content = _file("CAREOPS_LOGINS_SEED", path)
    if len(content) < PASSWORD_CHARACTERS:
        raise _refused("CAREOPS_LOGINS_SEED", f"its file has {len(content)} bytes; passwords would be guessed")
    return content


def _file(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise _refused(name, str(error)) from error


def _refused(what: str, why: str) -> Refused:
    return Refused(f"{what} cannot be used", why=why, action="apply training's settings again, and start a new run")
