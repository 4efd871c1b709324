"""The adoption believes only what the environment's key signed of this very run."""

from __future__ import annotations

import base64
import copy
from dataclasses import dataclass
from typing import Any

import pytest
from careops_odoo import adopt_certificate
from careops_odoo.errors import Refused
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from operations.anonymise import certificate as theirs

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
BODY = {"run": "417", "target": "riverside/training", "passed": True, "key": {"destroyed": True}, "name": "Žižka"}


def pem(key: Any) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True)
class Body:
    """A certificate, as far as it is looked at."""

    changes: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return {**BODY, **self.changes}


def signed(by: Ed25519PrivateKey = KEY, **changes: Any) -> dict[str, Any]:
    return theirs.sign(Body(changes), by)  # ty: ignore[invalid-argument-type]


def check(document: dict[str, Any], key: bytes | None = None) -> None:
    adopt_certificate.check(document, key or pem(KEY), "417", "riverside/training")


def test_what_the_masking_program_signs_of_this_run_is_believed():
    check(signed())


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (signed(Ed25519PrivateKey.generate()), "signature"),
        (signed(run="416"), "it is of run 416"),
        (signed(target="riverside/dev"), "for riverside/dev"),
        (signed(passed=False), "does not say that the run passed"),
        (signed(passed="yes"), "does not say that the run passed"),
        (signed(key={"destroyed": False}), "does not say that the run passed"),
        ({**signed(), "schema": 2}, "no certificate of this release"),
        ({**signed(), "signature": None}, "signature"),
        ({**signed(), "signature": {"algorithm": "Ed25519", "value": "?"}}, "signature"),
        (
            {**signed(), "signature": {"algorithm": "Ed25519", "value": base64.b64encode(bytes(64)).decode()}},
            "signature",
        ),
        ({"run": "417"}, "no certificate of this release"),
    ],
)
def test_anything_else_swaps_nothing(document: dict[str, Any], why: str):
    with pytest.raises(Refused) as refused:
        check(document)
    assert why in refused.value.why


def test_a_body_that_was_changed_after_it_was_signed_is_refused():
    document = copy.deepcopy(signed(passed=False))
    document["certificate"]["passed"] = True
    with pytest.raises(Refused):
        check(document)


@pytest.mark.parametrize("key", [b"", b"nothing", pem(ec.generate_private_key(ec.SECP256R1()))])
def test_without_an_ed25519_key_nothing_is_believed(key: bytes):
    with pytest.raises(Refused):
        adopt_certificate.check(signed(), key, "417", "riverside/training")
