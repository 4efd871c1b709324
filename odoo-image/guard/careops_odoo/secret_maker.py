"""Make an environment's Secrets: the missing ones, and the edge's certificate anew when it no longer fits."""

from __future__ import annotations

import datetime
import secrets
from typing import TYPE_CHECKING, Protocol

from .certificates import judge, make_edge_certificate
from .errors import Refused
from .identity import Mark, check
from .kubernetes import Secret
from .login import SERIAL

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
SERIAL_BYTES = 8
"""Random bytes of a serial: enough that no two Secrets of an environment ever have the same."""


class SecretStore(Protocol):
    """What is needed of the Kubernetes API."""

    def read_secret(self, name: str) -> Secret | None:
        """Return a Secret or None."""
        ...

    def create_secret(self, secret: Secret) -> bool:
        """Create a Secret; False when it exists."""
        ...

    def replace_secret(self, secret: Secret) -> bool:
        """Replace a Secret; False when it was changed meanwhile."""
        ...


def make_missing(
    store: SecretStore,
    *,
    identity: str,
    names: tuple[str, ...],
    labels: Mapping[str, str],
    say: Callable[[str], None],
) -> None:
    """Make what is missing, check what is there, and renew the edge's certificate where it does not fit.

    Args:
        store: The namespace's Secrets.
        identity: ``<site>/<environment>``.
        names: Every name of the edge, for its certificate.
        labels: Of new Secrets.
        say: Gets one line per Secret, without any value.

    Raises:
        Refused: An existing Secret lacks a key or names another environment.
    """
    for name in (LOGIN_SECRET, TLS_SECRET):
        found = store.read_secret(name)
        if found is None:
            kind, values = _tls(identity, names) if name == TLS_SECRET else _login(identity)
            made = store.create_secret(Secret(name=name, values=values, labels=labels, kind=kind))
            say(f"secret {name}: {'made' if made else 'made by another job meanwhile'}")
            _check(name, store.read_secret(name), identity)
            continue
        _check(name, found, identity)
        if name == TLS_SECRET:
            _renew(store, found, identity, names, say)
        else:
            say(f"secret {name}: kept")


def _renew(
    store: SecretStore, found: Secret, identity: str, names: tuple[str, ...], say: Callable[[str], None]
) -> None:
    """Replace the edge's certificate when it no longer fits; one that people put there is theirs to replace."""
    try:
        judgement = judge(found.values["tls.crt"], identity, names, datetime.datetime.now(datetime.UTC))
    except ValueError as error:
        raise Refused(
            f"secret {TLS_SECRET} holds no certificate",
            why=f"its tls.crt cannot be read: {error}",
            action=f"put the right certificate there, or delete {TLS_SECRET}: a new one is made",
        ) from error
    why = "; ".join(judgement.faults)
    if not judgement.faults:
        say(f"secret {TLS_SECRET}: kept; the certificate is good until {judgement.ends:%Y-%m-%d}")
    elif not judgement.own:
        say(f"secret {TLS_SECRET}: kept, although {why}: another authority signed it, so replace it yourselves")
    else:
        kind, values = _tls(identity, names)
        renewed = Secret(name=TLS_SECRET, values=values, labels=found.labels, kind=kind, version=found.version)
        if store.replace_secret(renewed):
            say(
                f"secret {TLS_SECRET}: certificate and authority made anew, because {why}; "
                "browsers that were told to trust the old authority must be told the new one"
            )
        else:
            say(f"secret {TLS_SECRET}: renewed by another job meanwhile")


def _check(name: str, secret: Secret | None, identity: str) -> None:
    values = secret.values if secret else {}
    missing = [key for key in KEYS[name] if not values.get(key)]
    if missing:
        raise Refused(
            f"secret {name} lacks {', '.join(missing)}",
            why="what it lacks is not made up: the environment's data may depend on it",
            action="add what is missing, or delete the Secret and run ./careops up: it makes a new one",
        )
    if IDENTITY_KEY in KEYS[name]:
        check(Mark(part="secret", empty=False, identity=values[IDENTITY_KEY].decode()), identity)


def _login(identity: str) -> tuple[str, dict[str, bytes]]:
    values = {
        "identity": identity,
        "admin_login": ADMIN_LOGIN,
        "admin_password": secrets.token_urlsafe(PASSWORD_BYTES),
        "master_password": secrets.token_urlsafe(PASSWORD_BYTES),
        SERIAL: secrets.token_hex(SERIAL_BYTES),
    }
    return "Opaque", {key: value.encode() for key, value in values.items()}


def _tls(identity: str, names: tuple[str, ...]) -> tuple[str, dict[str, bytes]]:
    made = make_edge_certificate(identity, names, datetime.datetime.now(datetime.UTC))
    values = {"tls.crt": made.certificate, "tls.key": made.key, "ca.crt": made.authority}
    return "kubernetes.io/tls", values
