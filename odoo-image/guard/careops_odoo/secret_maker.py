"""Make an environment's Secrets once: only missing ones, never over an existing one."""

from __future__ import annotations

import datetime
import secrets
from typing import TYPE_CHECKING, Protocol

from .certificates import edge_names, make_edge_certificate
from .errors import Refused
from .identity import Mark, check
from .kubernetes import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LOGIN_SECRET = "odoo-secrets"  # noqa: S105 - a name
TLS_SECRET = "edge-tls"  # noqa: S105 - a name
KEYS = {
    LOGIN_SECRET: ("identity", "admin_login", "admin_password", "master_password"),
    TLS_SECRET: ("tls.crt", "tls.key", "ca.crt"),
}
IDENTITY_KEY = "identity"
ADMIN_LOGIN = "admin"
PASSWORD_BYTES = 24
"""Random bytes of a password: 192 bits, 32 characters."""


class SecretStore(Protocol):
    """What is needed of the Kubernetes API."""

    def read_secret(self, name: str) -> Secret | None:
        """Return a Secret or None."""
        ...

    def create_secret(self, secret: Secret) -> bool:
        """Create a Secret; False when it exists."""
        ...


def make_missing(
    store: SecretStore,
    *,
    identity: str,
    namespace: str,
    labels: Mapping[str, str],
    say: Callable[[str], None],
    hostnames: tuple[str, ...] = (),
) -> None:
    """Make what is missing and check what is there.

    Args:
        store: The namespace's Secrets.
        identity: ``<site>/<environment>``.
        namespace: For the certificate's names.
        labels: Of new Secrets.
        say: Gets one line per Secret, without any value.
        hostnames: The names the environment's users type, for the edge's certificate.

    Raises:
        Refused: An existing Secret lacks a key or names another environment.
    """
    for name, make in ((LOGIN_SECRET, _login), (TLS_SECRET, _tls)):
        found = store.read_secret(name)
        if found is None:
            kind, values = make(identity, edge_names(namespace, hostnames))
            made = store.create_secret(Secret(name=name, values=values, labels=labels, kind=kind))
            say(f"secret {name}: {'made' if made else 'made by another job meanwhile'}")
            found = store.read_secret(name)
        else:
            say(f"secret {name}: kept")
        _check(name, found, identity)


def _check(name: str, secret: Secret | None, identity: str) -> None:
    values = secret.values if secret else {}
    missing = [key for key in KEYS[name] if not values.get(key)]
    if missing:
        raise Refused(
            f"secret {name} lacks {', '.join(missing)}",
            why="an existing Secret is never changed: the environment's data may depend on it",
            action="add what is missing, or delete the Secret of an environment that holds no data yet",
        )
    if IDENTITY_KEY in KEYS[name]:
        check(Mark(part="secret", empty=False, identity=values[IDENTITY_KEY].decode()), identity)


def _login(identity: str, _: tuple[str, ...]) -> tuple[str, dict[str, bytes]]:
    values = {
        "identity": identity,
        "admin_login": ADMIN_LOGIN,
        "admin_password": secrets.token_urlsafe(PASSWORD_BYTES),
        "master_password": secrets.token_urlsafe(PASSWORD_BYTES),
    }
    return "Opaque", {key: value.encode() for key, value in values.items()}


def _tls(identity: str, names: tuple[str, ...]) -> tuple[str, dict[str, bytes]]:
    made = make_edge_certificate(identity, names, datetime.datetime.now(datetime.UTC))
    values = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.authority}
    return "kubernetes.io/tls", values
