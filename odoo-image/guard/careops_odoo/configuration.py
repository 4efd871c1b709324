"""odoo.conf: rendered at start from the image's template, the settings and the secrets."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from dataclasses import asdict
from typing import TYPE_CHECKING, Literal

import jinja2

from .sizing import size

if TYPE_CHECKING:
    from pathlib import Path

    from .settings import Pod, Settings

Role = Literal["web", "cron", "migrate"]

HASH_ROUNDS = 600_000
"""Rounds of PBKDF2-SHA512, as Odoo 19 uses for its own passwords."""

TEMPLATE = "odoo.conf.j2"


def hash_password(password: str, *, salt: bytes | None = None, rounds: int = HASH_ROUNDS) -> str:
    """Return the password in passlib's ``$pbkdf2-sha512$`` format, which Odoo accepts for its master password."""
    salt = salt if salt is not None else secrets.token_bytes(16)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, rounds)
    return f"$pbkdf2-sha512${rounds}${_ab64(salt)}${_ab64(digest)}"


def _ab64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=").replace("+", ".")


def render(template: Path, pod: Pod, settings: Settings, master_hash: str, role: Role) -> str:
    """Render odoo.conf.

    Args:
        template: Folder that holds odoo.conf.j2.
        pod: Where the database is.
        settings: The environment's settings.
        master_hash: Hash of the database manager's password.
        role: Which process it is for: only ``web`` serves HTTP; ``migrate`` runs no scheduled actions, whatever the
            settings say.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(template),
        autoescape=False,  # noqa: S701 - a configuration file is no HTML
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["conf"] = _one_line
    sizing = size(settings.limits.memory_bytes, settings.limits.cpu_millicores, settings.workers)
    values = {
        "pod": pod,
        "smtp": settings.smtp,
        "role": role,
        "workers": sizing.workers if role == "web" else 0,
        "cron_threads": settings.cron_threads if role != "migrate" else 0,
        # An upgrade serves nobody: the container's own limit is enough, a lower one would only make it fail.
        "limit_memory_soft": sizing.limit_memory_soft if role != "migrate" else 0,
        "limit_memory_hard": sizing.limit_memory_hard if role != "migrate" else 0,
        "master_hash": master_hash,
    }
    return environment.get_template(TEMPLATE).render(**values)


def write(path: Path, text: str) -> None:
    """Write a file that only the owner may read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
        handle.write(text)
    temporary.rename(path)


def summary(settings: Settings) -> str:
    """Describe the process model in one line, for the log."""
    sizing = asdict(size(settings.limits.memory_bytes, settings.limits.cpu_millicores, settings.workers))
    return ", ".join(f"{name}={value}" for name, value in sizing.items())


def _one_line(value: object) -> str:
    """Refuse a value that would start another line, or another section, of the file."""
    text = str(value)
    if "\n" in text or "\r" in text:
        raise ValueError(f"a configuration value holds a line break: {text!r}")
    return text  # Odoo reads it with RawConfigParser: nothing else has a meaning
