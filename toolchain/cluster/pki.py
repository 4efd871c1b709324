"""The cluster's own public key infrastructure: three authorities, EC keys, certificates and kubeconfigs.

etcd and the aggregation layer have an authority each, so that a client certificate of the cluster opens neither.
"""

from __future__ import annotations

import base64
import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from toolchain.cluster.files import private_folder, write_private
from toolchain.cluster.spec import CONTEXT

if TYPE_CHECKING:
    from pathlib import Path

    from toolchain.cluster.spec import ClusterSpec

AUTHORITY_LIFE = dt.timedelta(days=3650)
LEAF_LIFE = dt.timedelta(days=365)
RENEW_BEFORE = dt.timedelta(days=60)
"""A start renews what has less left than this, so a node may run on for two months."""

CLOCK_SKEW = dt.timedelta(minutes=5)

Authority = Literal["ca", "etcd-ca", "front-proxy-ca"]
AUTHORITIES: tuple[Authority, ...] = ("ca", "etcd-ca", "front-proxy-ca")
Usage = Literal["server", "client"]

_USAGES = {"server": ExtendedKeyUsageOID.SERVER_AUTH, "client": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """One certificate to issue.

    Attributes:
        name: file name without suffix.
        authority: who signs it.
        common_name: the user name that Kubernetes reads from a client certificate.
        usages: what it may be used for.
        organisation: the group that Kubernetes reads from a client certificate.
        dns: DNS names of a server.
        addresses: IP addresses of a server.
        kubeconfig: whether a kubeconfig with this certificate is written for a process of the node.
    """

    name: str
    authority: Authority
    common_name: str
    usages: tuple[Usage, ...]
    organisation: str | None = None
    dns: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    kubeconfig: bool = False


def certificates(spec: ClusterSpec) -> tuple[Certificate, ...]:
    """Return every certificate the cluster needs."""
    service = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    api_names = ("localhost", *service, f"kubernetes.default.svc.{spec.cluster_domain}")
    client: tuple[Usage, ...] = ("client",)
    return (
        Certificate(
            name="apiserver",
            authority="ca",
            common_name="kube-apiserver",
            usages=("server",),
            dns=api_names,
            addresses=("127.0.0.1", spec.node_address, spec.service_address),
        ),
        Certificate(
            name="kubelet-server",
            authority="ca",
            common_name=spec.node_name,
            usages=("server",),
            dns=(spec.node_name,),
            addresses=("127.0.0.1", spec.node_address),
        ),
        Certificate(
            name="admin",
            authority="ca",
            common_name="careops-admin",
            organisation="system:masters",
            usages=client,
            kubeconfig=True,
        ),
        # Bound to system:kubelet-api-admin by the add-ons; not a member of system:masters.
        Certificate(name="apiserver-kubelet", authority="ca", common_name="careops:apiserver-kubelet", usages=client),
        Certificate(
            name="kubelet",
            authority="ca",
            common_name=f"system:node:{spec.node_name}",
            organisation="system:nodes",
            usages=client,
            kubeconfig=True,
        ),
        *(
            Certificate(name=name, authority="ca", common_name=f"system:{name}", usages=client, kubeconfig=True)
            for name in ("kube-controller-manager", "kube-scheduler", "kube-proxy")
        ),
        *(
            Certificate(name=name, authority="ca", common_name=f"careops:{name}", usages=client, kubeconfig=True)
            for name in ("calico-felix", "calico-cni")
        ),
        Certificate(
            name="etcd-server",
            authority="etcd-ca",
            common_name="etcd",
            usages=("server", "client"),
            dns=("localhost",),
            addresses=("127.0.0.1",),
        ),
        Certificate(name="apiserver-etcd", authority="etcd-ca", common_name="kube-apiserver", usages=client),
        Certificate(name="front-proxy", authority="front-proxy-ca", common_name="front-proxy", usages=client),
    )


def ensure_pki(folder: Path, spec: ClusterSpec, *, now: dt.datetime | None = None) -> tuple[str, ...]:
    """Make what is missing, broken or close to its end; keep the rest byte for byte.

    Args:
        folder: the PKI folder, made with mode 0700.
        spec: the cluster.
        now: the time to judge by; the clock unless a test sets it.

    Returns:
        The names of what was issued, empty when everything was in order.
    """
    moment = now or dt.datetime.now(dt.UTC)
    private_folder(folder)
    issued: list[str] = []
    authorities: dict[Authority, tuple[x509.Certificate, ec.EllipticCurvePrivateKey]] = {}
    for authority in AUTHORITIES:
        pair = _load(folder, authority)
        if pair is None or _ends_soon(pair[0], moment):
            pair = _new_authority(authority, moment)
            _store(folder, authority, *pair)
            issued.append(authority)
        authorities[authority] = pair
    for wanted in certificates(spec):
        issuer = authorities[wanted.authority]
        pair = _load(folder, wanted.name)
        if pair is None or _ends_soon(pair[0], moment) or not _matches(pair[0], wanted, issuer[0]):
            pair = _new_leaf(wanted, *issuer, moment)
            _store(folder, wanted.name, *pair)
            issued.append(wanted.name)
    if _load_key(folder / "service-account.key") is None or not (folder / "service-account.pub").exists():
        _store_signing_key(folder)
        issued.append("service-account")
    _write_kubeconfigs(folder, spec)
    return tuple(issued)


def host_kubeconfig(folder: Path, spec: ClusterSpec) -> str:
    """Return the administrator's kubeconfig for programs on the host, which reach the API server at 127.0.0.1."""
    return kubeconfig(folder, "admin", f"https://127.0.0.1:{spec.api_port}", CONTEXT)


def kubeconfig(folder: Path, name: str, server: str, context: str) -> str:
    """Return a self-contained kubeconfig for one certificate.

    Args:
        folder: the PKI folder.
        name: the certificate's name.
        server: URL of the API server.
        context: name of the context, the cluster and the user in it.
    """

    def encoded(file: str) -> str:
        return base64.b64encode((folder / file).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": encoded("ca.crt")}
    user = {"client-certificate-data": encoded(f"{name}.crt"), "client-key-data": encoded(f"{name}.key")}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": context, "cluster": cluster}],
            "users": [{"name": context, "user": user}],
            "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
            "current-context": context,
        },
        sort_keys=False,
    )


def _write_kubeconfigs(folder: Path, spec: ClusterSpec) -> None:
    server = f"https://127.0.0.1:{spec.api_server_port}"
    for wanted in certificates(spec):
        if wanted.kubeconfig:
            path, text = folder / f"{wanted.name}.conf", kubeconfig(folder, wanted.name, server, CONTEXT)
            if not path.exists() or path.read_text() != text:
                write_private(path, text)


def _ends_soon(certificate: x509.Certificate, now: dt.datetime) -> bool:
    return now + RENEW_BEFORE >= certificate.not_valid_after_utc or now < certificate.not_valid_before_utc


def _matches(certificate: x509.Certificate, wanted: Certificate, issuer: x509.Certificate) -> bool:
    """Whether a certificate is signed by this very authority and says what is wanted today."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return certificate.subject == _subject(wanted) and _names(certificate) == _wanted_names(wanted)


def _names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return []


def _wanted_names(wanted: Certificate) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [x509.DNSName(name) for name in wanted.dns]
    return names + [x509.IPAddress(ipaddress.ip_address(address)) for address in wanted.addresses]


def _subject(wanted: Certificate) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.COMMON_NAME, wanted.common_name)]
    if wanted.organisation:
        attributes.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, wanted.organisation))
    return x509.Name(attributes)


def _builder(
    subject: x509.Name, key: ec.EllipticCurvePrivateKey, issuer: x509.Name, now: dt.datetime, life: dt.timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _new_authority(name: str, now: dt.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"careops-{name}")])
    certificate = (
        _builder(subject, key, subject, now, AUTHORITY_LIFE)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return certificate, key


def _new_leaf(
    wanted: Certificate, issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey, now: dt.datetime
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    life = min(LEAF_LIFE, issuer.not_valid_after_utc - now)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject(wanted), key, issuer.subject, now, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([_USAGES[usage] for usage in wanted.usages]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
    )
    names = _wanted_names(wanted)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()), key


def _load(folder: Path, name: str) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None:
    """Return a pair that belongs together, or None: absent, cut short or mixed up is all the same to the caller."""
    key = _load_key(folder / f"{name}.key")
    try:
        certificate = x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())
    except (OSError, ValueError):
        return None
    if key is None or certificate.public_key() != key.public_key():
        return None
    return certificate, key


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey | None:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError):
        return None
    return key if isinstance(key, ec.EllipticCurvePrivateKey) else None


def _store(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    write_private(folder / f"{name}.key", _pem(key))
    write_private(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _store_signing_key(folder: Path) -> None:
    """Write the key that signs service account tokens; the API server reads the public half by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_private(folder / "service-account.key", _pem(key))
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    write_private(folder / "service-account.pub", public)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
