"""Passwords, certificates and the evidence key of a refresh: made here, written to the cluster only, never printed."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = timedelta(minutes=5)
LIFETIME = timedelta(days=397)
"""As long as the edge's certificates, so that one calendar serves both."""
RENEWAL = timedelta(days=60)
"""With less time left the certificate is made anew: two monthly maintenance windows may be missed before it ends."""
PASSWORD_BYTES = 32
SEED_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class ServerFiles:
    """PEM files of a server with an authority of its own, whose key signed once and is forgotten."""

    certificate: bytes
    key: bytes
    authority: bytes


def new_password() -> str:
    """Return a password of 256 random bits, of characters that need no quoting anywhere."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def new_seed() -> str:
    """Return a seed for the passwords of training's logins, 256 random bits in hexadecimal."""
    return secrets.token_hex(SEED_BYTES)


def server_files(host: str, now: datetime) -> ServerFiles:
    """Return a new authority and the certificate and key it signed for one host.

    Args:
        host: The only name in the certificate.
        now: Start of its life, UTC.
    """
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority_name = _name("careops refresh CA")
    authority = (
        _builder(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        _builder(_name(host[:64]), authority_name, key.public_key(), now)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return ServerFiles(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=_private(key),
        authority=authority.public_bytes(serialization.Encoding.PEM),
    )


def certificate_fits(pem: bytes, host: str, now: datetime) -> bool:
    """Return whether a certificate is for this host alone and good for a while."""
    try:
        found = x509.load_pem_x509_certificate(pem)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    return names.get_values_for_type(x509.DNSName) == [host] and found.not_valid_after_utc - now >= RENEWAL


def new_evidence_key() -> bytes:
    """Return a new Ed25519 private key, PEM (PKCS 8)."""
    return _private(ed25519.Ed25519PrivateKey.generate())


def public_key(private: bytes) -> bytes | None:
    """Return the public key (PEM) of an evidence key, or None when it is none."""
    try:
        key = serialization.load_pem_private_key(private, password=None)
    except (ValueError, TypeError):
        return None
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _private(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
