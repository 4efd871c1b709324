"""Certificates of edges as the secrets job makes them, for any time left."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
HOST = "riverside-dev.localhost"


def edge_tls(
    *,
    days: float = 300,
    names: tuple[str, ...] = (HOST,),
    issuer: str = "careops riverside/dev CA",
    now: datetime = NOW,
) -> dict[str, Any]:
    """Return the Secret `edge-tls` with a certificate that has so many days left."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge")]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=500))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    return {"data": {name: base64.b64encode(value).decode() for name, value in (("tls.crt", pem), ("ca.crt", b"CA"))}}
