"""The logins that a refresh makes in training, and their passwords, derived as the program in the pod derives them."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.model import TrainingRole

PASSWORD_LENGTH = 24


@dataclass(frozen=True, kw_only=True)
class Login:
    """One login of training.

    Attributes:
        role: The role of the site's settings.
        name: What is typed.
        password: Good until the next refresh.
    """

    role: str
    name: str
    password: str


def names(role: TrainingRole) -> list[str]:
    """Return the logins of one role: its trainer, then its trainees."""
    return [f"trainer-{role.name}", *(f"trainee-{role.name}-{number}" for number in range(1, role.trainees + 1))]


def password(seed: bytes, run: str, login: str) -> str:
    """Return a login's password of one run; operations/anonymise/README.md has the rule."""
    digest = hmac.new(seed, f"{run}/{login}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode()[:PASSWORD_LENGTH]


def logins(roles: Iterable[TrainingRole], seed: bytes, run: str) -> list[Login]:
    """Return every login of a run with its password."""
    return [
        Login(role=role.name, name=name, password=password(seed, run, name)) for role in roles for name in names(role)
    ]
