"""An environment's own certificate authority and the edge's certificate, made once and anew before it expires."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = datetime.timedelta(minutes=5)
LIFETIME = datetime.timedelta(days=397)
"""The longest that browsers accept for a server's certificate (CA/Browser Forum ballot SC31: 398 days)."""
RENEWAL = datetime.timedelta(days=60)
"""With so little time left a certificate is made anew: two monthly maintenance windows may be missed before it ends."""
AUTHORITY = "careops {identity} CA"
"""Common name of an environment's authority; a certificate of any other issuer was put there by people."""


@dataclass(frozen=True, kw_only=True)
class EdgeCertificate:
    """PEM files of the Secret ``edge-tls``; the authority's key is not among them: it signs once and is forgotten."""

    certificate: bytes
    key: bytes
    authority: bytes


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is to be done about a certificate that is there.

    Attributes:
        own: Whether the environment's own authority signed it; another one is never replaced.
        faults: Why it does not fit; empty for one that does.
        ends: When it expires, UTC.
    """

    own: bool
    faults: tuple[str, ...]
    ends: datetime.datetime


def judge(pem: bytes, identity: str, names: tuple[str, ...], now: datetime.datetime) -> Judgement:
    """Compare an edge's certificate with what it should be.

    Args:
        pem: The certificate.
        identity: ``<site>/<environment>``.
        names: DNS names it should carry, in any order.
        now: Time of the comparison, with time zone.

    Raises:
        ValueError: It is no certificate.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    issuers = certificate.issuer.get_attributes_for_oid(NameOID.COMMON_NAME)
    faults = []
    carried, wanted = _alternatives(certificate), frozenset(names)
    if lacking := sorted(wanted - carried):
        faults.append(f"it lacks {', '.join(lacking)}")
    if unwanted := sorted(carried - wanted):
        faults.append(f"it is also for {', '.join(unwanted)}")
    ends = certificate.not_valid_after_utc
    if ends <= now:
        faults.append(f"it expired on {ends:%Y-%m-%d}")
    elif ends - now < RENEWAL:
        faults.append(f"it expires on {ends:%Y-%m-%d}, in {(ends - now).days} days")
    own = [name.value for name in issuers] == [AUTHORITY.format(identity=identity)[:64]]
    return Judgement(own=own, faults=tuple(faults), ends=ends)


def _alternatives(certificate: x509.Certificate) -> frozenset[str]:
    """Return every name a certificate is for, addresses among them."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(str(name.value) for name in found)


def make_edge_certificate(identity: str, names: tuple[str, ...], now: datetime.datetime) -> EdgeCertificate:
    """Make an authority for one environment and one certificate signed by it.

    Args:
        identity: Named in the authority's subject.
        names: DNS names of the certificate; the last becomes its common name.
        now: Time of issue, with time zone.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name(AUTHORITY.format(identity=identity))
    authority = (
        _builder(authority_name, authority_name, now)
        .public_key(authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [x509.DNSName(name) for name in names]
    certificate = (
        _builder(_name(names[-1]), authority_name, now)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return EdgeCertificate(
        certificate=certificate.public_bytes(pem),
        key=key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        authority=authority.public_bytes(pem),
    )


def _builder(subject: x509.Name, issuer: x509.Name, now: datetime.datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
