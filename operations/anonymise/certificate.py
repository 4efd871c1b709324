"""The certificate of a refresh: what was masked by which rules and what the verification found, signed with Ed25519.

It is one JSON document: ``{"schema": 1, "certificate": {…}, "signature": {…}}``. Signed are the bytes of the member
`certificate` in canonical form (keys sorted, no blanks, UTF-8), under a prefix that names the purpose, so that a
signature of anything else is none of a certificate. Nothing in it is personal: names of tables and columns, counts,
times, hashes, and who asked and approved as the operators call themselves.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from operations.anonymise.verify.report import Verification

SCHEMA = 1
"""Of the document. A reader refuses every other: what it does not know it cannot vouch for."""
ALGORITHM = "Ed25519"
_PURPOSE = b"careops refresh certificate\n"
LARGEST = 8 << 20
"""Bytes of a file that are read; a real one has some hundred kilobytes."""
_NEEDED = (
    *("run", "source", "target", "source_time", "release", "catalogue", "key", "rows", "tables", "columns", "files"),
    *("verification", "passed", "requested_by", "approved_by", "started", "finished"),
)

BEFORE = "before the adoption: "
"""What the names of checks begin with that judged the data before Odoo saw them."""
REQUIRED = frozenset(
    {
        *(f"{BEFORE}{name}" for name in ("canaries", "k-anonymity", "rows", "constraints", "sequences", "shapes")),
        *("canaries", "dictionary", "credentials", "keys in texts", "unchanged cells", "dates and numbers"),
        *("a site's own lines", "k-anonymity", "rows", "constraints", "sequences", "references", "shapes", "ledger"),
        "neutralised",
    }
)
"""Checks that a certificate must have: all that are listed may have passed, and the one that counts be left out."""


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """What is certified.

    Attributes:
        run: The run's id.
        source: Identity of production.
        target: Identity of training.
        source_time: When the data were as they are, ISO 8601.
        release: Image digest, Odoo version, modules: whatever the export said of the release.
        catalogue: Version (hash) of the rules.
        key: Fingerprint of the key of the run.
        key_destroyed: Whether it was overwritten before this was signed.
        rows: Rows by table.
        columns: Columns by classification.
        rows_by_class: Rows of tables with a column of a classification, by classification.
        files: Files by what became of them.
        verification: Results of all checks.
        requested_by: Who asked.
        approved_by: Who approved.
        started: ISO 8601.
        finished: ISO 8601.
    """

    run: str
    source: str
    target: str
    source_time: str
    release: Mapping[str, Any]
    catalogue: str
    key: str
    key_destroyed: bool
    rows: Mapping[str, int]
    columns: Mapping[str, int]
    rows_by_class: Mapping[str, int]
    files: Mapping[str, int]
    verification: Verification
    requested_by: str
    approved_by: str
    started: str
    finished: str

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "run": self.run,
            "source": self.source,
            "target": self.target,
            "source_time": self.source_time,
            "release": dict(self.release),
            "catalogue": self.catalogue,
            "key": {"fingerprint": self.key, "destroyed": self.key_destroyed},
            "rows": sum(self.rows.values()),
            "tables": {name: count for name, count in sorted(self.rows.items()) if count},
            "columns": dict(sorted(self.columns.items())),
            "rows_by_class": dict(sorted(self.rows_by_class.items())),
            "files": dict(sorted(self.files.items())),
            "verification": self.verification.as_json(),
            "passed": self.verification.passed,
            "requested_by": self.requested_by,
            "approved_by": self.approved_by,
            "started": self.started,
            "finished": self.finished,
        }


def canonical(value: Any) -> bytes:  # noqa: ANN401 - JSON is of any shape
    """Return the one way to write a JSON value: keys sorted, no blanks, UTF-8, no NaN.

    Raises:
        ValueError: The value is no JSON.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def fingerprint(key: Ed25519PublicKey) -> str:
    """Return what a public key is called: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()[:16]


def sign(certificate: Certificate, key: Ed25519PrivateKey) -> dict[str, Any]:
    """Return the signed document."""
    body = certificate.as_json()
    return {
        "schema": SCHEMA,
        "certificate": body,
        "signature": {
            "algorithm": ALGORITHM,
            "key": fingerprint(key.public_key()),
            "value": base64.b64encode(key.sign(_signed(SCHEMA, body))).decode(),
        },
    }


def _signed(schema: int, body: Mapping[str, Any]) -> bytes:
    return _PURPOSE + str(schema).encode() + b"\n" + canonical(body)


class Outcome(StrEnum):
    """What is to be thought of a file."""

    GENUINE = "genuine"
    FAILED_RUN = "signed, but the verification did not pass"
    KEY_LEFT = "signed, but the key of the run was not destroyed"
    UNREADABLE = "not a certificate"
    UNSIGNED = "not signed"
    OTHER_SCHEMA = "of a schema this version does not know"
    OTHER_KEY = "signed with another key"
    TAMPERED = "changed after it was signed"
    INCOMPLETE = "signed, but something is missing"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What reading a certificate gave.

    Attributes:
        outcome: What is to be thought of it.
        detail: More about it, for a person.
        certificate: What is certified; only when the signature holds.
    """

    outcome: Outcome
    detail: str = ""
    certificate: Mapping[str, Any] = field(default_factory=dict)

    @property
    def good(self) -> bool:
        """Return whether it is genuine, whole, and certifies a verification that passed."""
        return self.outcome is Outcome.GENUINE


def verify_file(path: Path, key: Ed25519PublicKey) -> Verdict:
    """Check a certificate; no network, nothing but the file and the key.

    Args:
        path: The signed JSON document.
        key: The public key of the environment that issued it.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        return Verdict(outcome=Outcome.UNREADABLE, detail=f"the file is larger than {LARGEST >> 20} MiB")
    return verify(data, key)


def verify(data: bytes, key: Ed25519PublicKey) -> Verdict:
    """Check the bytes of a certificate."""
    try:
        document = json.loads(data, object_pairs_hook=_no_twins, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        return Verdict(outcome=Outcome.UNREADABLE, detail=str(error) if isinstance(error, _TwinError) else "no JSON")
    body = document.get("certificate") if isinstance(document, dict) else None
    if not isinstance(document, dict) or not isinstance(body, dict):
        return Verdict(outcome=Outcome.UNREADABLE, detail="there is no member certificate")
    if document.get("schema") != SCHEMA or isinstance(document.get("schema"), bool):
        return Verdict(outcome=Outcome.OTHER_SCHEMA, detail=f"this version reads schema {SCHEMA}")
    if not set(document) <= {"schema", "certificate", "signature"}:
        return Verdict(outcome=Outcome.TAMPERED, detail="there are members that nothing signs")
    return _verify_signature(document, body, key)


def _verify_signature(document: Mapping[str, Any], body: Mapping[str, Any], key: Ed25519PublicKey) -> Verdict:
    signature = document.get("signature")
    if not isinstance(signature, dict) or not isinstance(signature.get("value"), str):
        return Verdict(outcome=Outcome.UNSIGNED)
    if signature.get("algorithm") != ALGORITHM:
        return Verdict(outcome=Outcome.UNSIGNED, detail=f"the signature is not {ALGORITHM}")
    if signature.get("key") != fingerprint(key):
        return Verdict(outcome=Outcome.OTHER_KEY, detail=f"the key at hand is {fingerprint(key)}")
    try:
        value = base64.b64decode(signature["value"], validate=True)
        key.verify(value, _signed(SCHEMA, body))
    except (InvalidSignature, binascii.Error, ValueError):
        return Verdict(outcome=Outcome.TAMPERED)
    return _judge(body)


def _judge(body: Mapping[str, Any]) -> Verdict:
    """Return what a body says whose signature holds."""
    missing = [name for name in _NEEDED if name not in body]
    if missing:
        return Verdict(outcome=Outcome.INCOMPLETE, detail=f"without {', '.join(missing)}", certificate=body)
    if not isinstance(body["key"], dict) or body["key"].get("destroyed") is not True:
        return Verdict(outcome=Outcome.KEY_LEFT, certificate=body)
    if not _passed(body):
        return Verdict(outcome=Outcome.FAILED_RUN, certificate=body)
    if unchecked := missing_checks(body):
        detail = f"without the checks: {', '.join(sorted(unchecked))}"
        return Verdict(outcome=Outcome.INCOMPLETE, detail=detail, certificate=body)
    return Verdict(outcome=Outcome.GENUINE, certificate=body)


def missing_checks(body: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of required checks that a body does not have."""
    return REQUIRED - {check.get("name") for check in body["verification"] if isinstance(check, dict)}


def _passed(body: Mapping[str, Any]) -> bool:
    """Return whether every single check passed: the summary alone is not believed."""
    checks = body["verification"]
    if not isinstance(checks, list) or not checks or body["passed"] is not True:
        return False
    return all(isinstance(check, dict) and check.get("status") == "passed" for check in checks)


class _TwinError(ValueError):
    pass


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of an object; two of the same name would let readers see different documents."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _TwinError("a member stands twice")
    return found


def _no_constant(name: str) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"{name} is no JSON")
