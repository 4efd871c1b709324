"""An environment's own certificate authority and the edge's certificate, made once."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CLOCK_SKEW = datetime.timedelta(minutes=5)
LIFETIME = datetime.timedelta(days=397)
"""The longest that browsers accept for a server's certificate (CA/Browser Forum ballot SC31: 398 days)."""


@dataclass(frozen=True, kw_only=True)
class EdgeCertificate:
    """PEM files of the Secret ``edge-tls``; the authority's key is not among them: it signs once and is forgotten."""

    certificate: bytes
    key: bytes
    authority: bytes


def edge_names(namespace: str, hostnames: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the names an environment's edge is reached by: in the cluster, by its users, and on a forwarded port.

    Args:
        namespace: The environment's namespace.
        hostnames: The names its users type, from the site's settings.
    """
    inside = ("edge", f"edge.{namespace}", f"edge.{namespace}.svc", f"edge.{namespace}.svc.cluster.local")
    internal = f"{namespace}.careops.local"
    return (*inside, *(name for name in hostnames if name != internal), "localhost", internal)


def make_edge_certificate(identity: str, names: tuple[str, ...], now: datetime.datetime) -> EdgeCertificate:
    """Make an authority for one environment and one certificate signed by it.

    Args:
        identity: Named in the authority's subject.
        names: DNS names of the certificate; 127.0.0.1 is added for forwarded ports.
        now: Time of issue, with time zone.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name(f"careops {identity} CA")
    authority = (
        _builder(authority_name, authority_name, now)
        .public_key(authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [*(x509.DNSName(name) for name in names), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
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
