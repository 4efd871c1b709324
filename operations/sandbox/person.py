"""Access for a person of the embedded cluster: a client certificate that Kubernetes itself checks.

On the embedded cluster everybody who can run careops is the same administrator. A certificate with the person's name
and groups, signed by the cluster's own authority through its CertificateSigningRequest API, makes them somebody that
the API server tells apart. The key is made here and never leaves the file that is written.
"""

from __future__ import annotations

import base64
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from toolchain.cluster.kubeapi import KubeApi

SIGNER = "kubernetes.io/kube-apiserver-client"
SIGN_SECONDS = 30.0
_REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
_NAME = re.compile(r"^[a-z][a-z0-9.-]{0,50}[a-z0-9]$")


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody who is to have access.

    Attributes:
        name: The user's name.
        groups: The groups of people they belong to.
        life: How long the access holds; a certificate cannot be taken back.
    """

    name: str
    groups: tuple[str, ...]
    life: timedelta


def refuse_name(name: str) -> None:
    """Raise when a name cannot be a person's.

    Raises:
        OperationError: With `USAGE`. Names with a colon are Kubernetes' own and careops' programs.
    """
    if not _NAME.match(name):
        raise failure(
            ExitCode.USAGE,
            f"{name!r} cannot be a person's name here",
            "it becomes the user's name in the cluster: 2 to 52 of a-z, 0-9, '.' and '-'",
            "write, for example, ada.lovelace",
        )


def grant(api: KubeApi, person: Person) -> tuple[bytes, bytes]:
    """Return a person's key and certificate, PEM, signed by the cluster.

    Args:
        api: The API server, with the administrator's access.
        person: Who.

    Raises:
        OperationError: With `CLUSTER`, when the cluster does not sign.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    made = api.request("POST", _REQUESTS, body=_request(person, key))
    path = f"{_REQUESTS}/{made['metadata']['name']}"
    approved = {"type": "Approved", "status": "True", "reason": "CareopsPerson", "message": "careops sandbox person"}
    made["status"] = {"conditions": [approved]}
    api.request("PUT", f"{path}/approval", body=made)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem, _signed(api, path)


def _request(person: Person, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, person.name)]
    names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in person.groups]
    signing = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hashes.SHA256())
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": f"careops-person-{person.name}-"},
        "spec": {
            "request": base64.b64encode(signing.public_bytes(serialization.Encoding.PEM)).decode(),
            "signerName": SIGNER,
            "usages": ["client auth"],
            "expirationSeconds": int(person.life.total_seconds()),
        },
    }


def _signed(api: KubeApi, path: str) -> bytes:
    deadline = time.monotonic() + SIGN_SECONDS
    while time.monotonic() < deadline:
        status = (api.get(path) or {}).get("status", {})
        if status.get("certificate"):
            return base64.b64decode(status["certificate"])
        if failed := [each for each in status.get("conditions", []) if each["type"] in ("Failed", "Denied")]:
            raise _unsigned(failed[0].get("message") or "it gives no reason")
        time.sleep(0.2)
    raise _unsigned(f"it did not answer in {SIGN_SECONDS:.0f} seconds")


def _unsigned(why: str) -> Exception:
    return failure(
        ExitCode.CLUSTER,
        "The cluster did not sign the certificate",
        why,
        "see ./careops doctor and ./careops kubectl get certificatesigningrequests",
    )


def kubeconfig(operators: Path, person: Person, pair: tuple[bytes, bytes]) -> str:
    """Return a kubeconfig with a person's access to the same cluster.

    Args:
        operators: The operator's kubeconfig, whose server and authority are taken.
        person: Who.
        pair: Key and certificate, PEM.
    """
    document = yaml.safe_load(operators.read_text(encoding="utf-8"))
    contexts = {each["name"]: each["context"] for each in document["contexts"]}
    cluster = contexts[document["current-context"]]["cluster"]
    found: Sequence[dict[str, Any]] = [each for each in document["clusters"] if each["name"] == cluster]
    key, certificate = (base64.b64encode(each).decode() for each in pair)
    user = {"client-certificate-data": certificate, "client-key-data": key}
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [_self_contained(found[0], operators.parent)],
            "users": [{"name": person.name, "user": user}],
            "contexts": [{"name": person.name, "context": {"cluster": cluster, "user": person.name}}],
            "current-context": person.name,
        },
        sort_keys=False,
    )


def _self_contained(cluster: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return a cluster's entry with the authority's certificate in it instead of a file's name."""
    entry = dict(cluster["cluster"])
    path = entry.pop("certificate-authority", None)
    if path is not None:
        entry["certificate-authority-data"] = base64.b64encode((folder / path).read_bytes()).decode()
    return {"name": cluster["name"], "cluster": entry}
