"""Whether a certificate is this run's, and signed by the key that this environment was given.

The other side is operations/anonymise/certificate.py, which the Odoo image does not have; a test compares them.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import json
from typing import TYPE_CHECKING, Any

from .errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

SCHEMA, ALGORITHM = 1, "Ed25519"
_PURPOSE = b"careops refresh certificate\n"


def check(signed: Mapping[str, Any], key: bytes, run: str, target: str) -> None:
    """Refuse a certificate that does not say, under a signature that holds, that this run's data passed.

    Args:
        signed: As the mark `verified` holds it.
        key: The public key of the environment, PEM.
        run: This run.
        target: Identity of this environment.

    Raises:
        Refused: With what is wrong; training is as it was.
    """
    body = signed.get("certificate")
    if signed.get("schema") != SCHEMA or not isinstance(body, dict):
        raise _refused("it is no certificate of this release")
    if not _holds(signed, body, key):
        raise _refused("its signature is not by the key of ConfigMap refresh-evidence-key")
    told = (body.get("run"), body.get("target"))
    if told != (run, target):
        raise _refused(f"it is of run {told[0]} for {told[1]}")
    destroyed = isinstance(body.get("key"), dict) and body["key"].get("destroyed") is True
    if body.get("passed") is not True or not destroyed:
        raise _refused("it does not say that the run passed and its key was destroyed")


def _holds(signed: Mapping[str, Any], body: Mapping[str, Any], key: bytes) -> bool:
    exceptions = importlib.import_module("cryptography.exceptions")
    ed25519 = importlib.import_module("cryptography.hazmat.primitives.asymmetric.ed25519")
    serialization = importlib.import_module("cryptography.hazmat.primitives.serialization")
    signature = signed.get("signature")
    if not isinstance(signature, dict) or signature.get("algorithm") != ALGORITHM:
        return False
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    try:
        public = serialization.load_pem_public_key(key)
        if not isinstance(public, ed25519.Ed25519PublicKey):
            return False
        value = base64.b64decode(signature.get("value", ""), validate=True)
        public.verify(value, _PURPOSE + str(SCHEMA).encode() + b"\n" + text)
    except (exceptions.InvalidSignature, exceptions.UnsupportedAlgorithm, binascii.Error, ValueError, TypeError):
        return False
    return True


def _refused(why: str) -> Refused:
    return Refused(
        "the certificate of this run proves nothing",
        why=why,
        action="training is as it was; see who can write to odoo_refresh, run careops up, and start a new run",
    )
