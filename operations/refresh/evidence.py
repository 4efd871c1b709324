"""Certificates of refreshes, checked without the cluster."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from operations.anonymise import certificate
from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from operations.anonymise.certificate import Verdict

_DO = {
    certificate.Outcome.UNREADABLE: "name the JSON file that `careops refresh training` kept",
    certificate.Outcome.UNSIGNED: "trust nothing in it; get the file from where the refresh kept it",
    certificate.Outcome.OTHER_SCHEMA: "use the careops that made it, or a newer one",
    certificate.Outcome.OTHER_KEY: "name the key of the environment that made it: --key FILE",
    certificate.Outcome.TAMPERED: "trust nothing in it; get the file from where the refresh kept it",
    certificate.Outcome.INCOMPLETE: "use the careops that made it",
    certificate.Outcome.FAILED_RUN: "see its findings; training was not replaced by this run",
    certificate.Outcome.KEY_LEFT: "let nobody into training, who could undo the masking: ./careops refresh rollback",
}


def keep(folder: Path, site: str, run: str, signed: str, key: str) -> Path:
    """Keep a run's certificate, the key that verifies it, and a page for people; return the certificate's file.

    Args:
        folder: Where evidence is.
        site: The site.
        run: The run.
        signed: The certificate as it was printed.
        key: The site's pinned public key, PEM: not one that came with the certificate.

    Raises:
        OperationError: It is not genuine, or another run's, with `REFRESH_FAILED`; what came is kept all the same.
    """
    from operations.anonymise.page import html

    path = write(path_of(folder, site, run), f"{signed}\n")
    write(beside(path), key)
    verdict, _ = check(path, beside(path))
    if not verdict.good or verdict.certificate["run"] != run:
        other = f"it is of run {verdict.certificate.get('run')}" if verdict.good else verdict.outcome.value
        raise failure(
            ExitCode.REFRESH_FAILED,
            f"Training is refreshed (run {run}), but what came as its certificate proves nothing",
            f"{other} {verdict.detail}".strip(),
            f"do not let anybody into training before you know why: ./careops refresh rollback; the file: {path}",
        )
    write(path.with_suffix(".html"), html(json.loads(signed)))
    return path


def path_of(folder: Path, site: str, run: str) -> Path:
    """Return where the certificate of a run is kept."""
    return folder / f"refresh-{site}-training-{run}.json"


def write(path: Path, text: str) -> Path:
    """Write a file at once or not at all; return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.new")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def beside(path: Path) -> Path:
    """Return where the key of a certificate is kept: beside it, `.pub.pem` in place of `.json`."""
    return path.with_name(f"{path.name.removesuffix('.json')}.pub.pem")


def check(path: Path, key: Path) -> tuple[Verdict, str]:
    """Return what is to be thought of a certificate, and the fingerprint of the key it was checked with.

    Raises:
        OperationError: A file cannot be read, or the key is none, with `USAGE`.
    """
    public = read_key(key)
    try:
        return certificate.verify_file(path, public), certificate.fingerprint(public)
    except OSError as error:
        raise failure(
            ExitCode.USAGE, f"The certificate {path} cannot be read", error.strerror or "", "name another file"
        ) from None


def check_with(path: Path, key: str) -> Verdict:
    """Return what is to be thought of a certificate by a key (PEM) that is known to be one.

    Raises:
        OSError: The file cannot be read.
    """
    return certificate.verify_file(path, _public(key.encode()))


def fingerprint(key: str) -> str:
    """Return what a key (PEM) is called that is known to be one."""
    return certificate.fingerprint(_public(key.encode()))


def _public(pem: bytes) -> Ed25519PublicKey:
    """Return the key that a PEM text holds.

    Raises:
        ValueError: It holds none; UnsupportedAlgorithm for one of an unknown kind.
        TypeError: It is a key of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    public = load_pem_public_key(pem)
    if not isinstance(public, Ed25519PublicKey):
        msg = "it is no Ed25519 key"
        raise TypeError(msg)
    return public


def signer(path: Path) -> str:
    """Return the fingerprint of the key that a certificate says it was signed with; empty when it says none."""
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(certificate.LARGEST))["signature"]["key"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ""
    return found if isinstance(found, str) else ""


def read_key(path: Path) -> Ed25519PublicKey:
    """Return the public key in a PEM file.

    Raises:
        OperationError: It cannot be read, or is no Ed25519 key, with `USAGE`.
    """
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return _public(path.read_bytes())
    except OSError as error:
        why = error.strerror or ""
    except (ValueError, UnsupportedAlgorithm):
        why = "it holds no public key in PEM"
    except TypeError as error:
        why = str(error)
    raise failure(
        ExitCode.USAGE,
        f"The key {path} cannot be used",
        why,
        "name the public key of the environment that made the certificate: --key FILE",
    )


def action(verdict: Verdict) -> str:
    """Return what to do about a certificate that is not good."""
    return _DO[verdict.outcome]
