"""The certificate of an environment's edge, out of its Secret: for which names, until when, and what to do about it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.naming import EDGE_TLS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operations.environments import Environment

RENEWAL_DAYS = 60
"""With fewer days left `up` has the certificate made anew; the secrets job in the cluster goes by the same number."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What an edge's certificate says.

    Attributes:
        names: Host names it is for.
        ends: When it expires, UTC.
        own: Whether the environment's own authority signed it; careops never replaces another one.
    """

    names: frozenset[str]
    ends: datetime
    own: bool

    def days_left(self, now: datetime) -> int:
        """Return the whole days until it expires; negative once it has."""
        return (self.ends - now).days

    def fault(self, host: str, now: datetime) -> str | None:
        """Return why it should be replaced, or None while it is good.

        Args:
            host: The name the environment is opened by.
            now: Time of the judgement, UTC.
        """
        if self.ends <= now:
            return f"expired on {self.ends:%Y-%m-%d}"
        if host not in self.names:
            return f"is not for {host}"
        if self.days_left(now) < RENEWAL_DAYS:
            return f"expires in {self.days_left(now)} days, on {self.ends:%Y-%m-%d}"
        return None


@dataclass(frozen=True, kw_only=True)
class CertificateStatus:
    """A certificate as `careops status` shows it.

    Attributes:
        ends: When it expires, UTC, ISO 8601.
        days_left: Whole days until then; negative once it has expired.
        expired: Whether it has.
        own: Whether the environment's own authority signed it.
        wording: What is wrong with it, or how long it is good.
        hint: What to do; empty while it is good.
    """

    ends: str
    days_left: int
    expired: bool
    own: bool
    wording: str
    hint: str

    def __str__(self) -> str:
        return "expired" if self.expired else f"{self.days_left} days left"


def edge_tls_path(namespace: str) -> str:
    """Return the API path of the Secret that holds the edge's certificate."""
    return f"/api/v1/namespaces/{namespace}/secrets/{EDGE_TLS}"


def certificate_authority(secret: Mapping[str, Any] | None) -> str | None:
    """Return the environment's own authority (PEM) out of its Secret `edge-tls`, or None when it is not there yet."""
    found = _value(secret, "ca.crt")
    return found.decode() if found else None


def read_certificate(secret: Mapping[str, Any] | None) -> Certificate | None:
    """Return what the certificate in a Secret `edge-tls` says, or None when there is none or it cannot be read."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    pem = _value(secret, "tls.crt")
    if pem is None:
        return None
    try:
        found = x509.load_pem_x509_certificate(pem)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return None
    issuers = [str(name.value) for name in found.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return Certificate(
        names=frozenset(names.get_values_for_type(x509.DNSName)),
        ends=found.not_valid_after_utc,
        own=len(issuers) == 1 and issuers[0].startswith("careops "),
    )


def certificate_status(
    certificate: Certificate | None, environment: Environment, now: datetime | None = None
) -> CertificateStatus | None:
    """Return what to show about an environment's certificate, or None when it has none."""
    if certificate is None:
        return None
    now = now or datetime.now(UTC)
    fault = certificate.fault(environment.host, now)
    renew = f"renew it: ./careops up {environment.stack}"
    replace = f"your own authority signed it: replace Secret {EDGE_TLS} in {environment.namespace}"
    return CertificateStatus(
        ends=certificate.ends.isoformat(timespec="seconds"),
        days_left=certificate.days_left(now),
        expired=certificate.ends <= now,
        own=certificate.own,
        wording=fault or f"is good for {certificate.days_left(now)} days",
        hint="" if fault is None else renew if certificate.own else replace,
    )


def _value(secret: Mapping[str, Any] | None, key: str) -> bytes | None:
    encoded = (secret or {}).get("data", {}).get(key)
    return base64.b64decode(encoded) if encoded else None
