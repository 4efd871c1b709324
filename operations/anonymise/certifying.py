"""From what a run proved to the signed certificate."""

from __future__ import annotations

import dataclasses
import datetime
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from operations.anonymise.certificate import BEFORE, Certificate, sign
from operations.anonymise.environment import required
from operations.anonymise.outcome import Refused
from operations.anonymise.verify.report import Verification

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operations.anonymise.mask import Masked
    from operations.anonymise.parts import Evidence


def certifier(environ: Mapping[str, str]) -> Callable[[Evidence], Mapping[str, Any]]:
    """Return what signs; the key is read at once, so that a run does not learn after hours that there is none.

    Raises:
        Refused: A variable is missing, or the key is none.
    """
    key = read_key(Path(required(environ, "CAREOPS_EVIDENCE_KEY")))
    requested, approved = (required(environ, f"CAREOPS_{name}_BY") for name in ("REQUESTED", "APPROVED"))
    started = _now()

    def certify(evidence: Evidence) -> Mapping[str, Any]:
        document = certificate(evidence, requested_by=requested, approved_by=approved, started=started)
        return sign(document, key)

    return certify


def certificate(evidence: Evidence, *, requested_by: str, approved_by: str, started: str) -> Certificate:
    """Return what is certified of a run."""
    masked, before, after = evidence.masked, evidence.before.checks, evidence.after.checks
    first = tuple(dataclasses.replace(check, name=f"{BEFORE}{check.name}") for check in before)
    return Certificate(
        run=masked.pod.run,
        source=masked.pod.source_identity,
        target=masked.pod.target_identity,
        source_time=str(masked.export.get("source_time", "")),
        release={
            "source": masked.export.get("release", ""),
            "target": evidence.adopted.get("release", ""),
            "modules": dict(masked.export.get("modules") or {}),
            "updated": list(evidence.adopted.get("updated") or ()),
        },
        catalogue=masked.catalogue.version,
        key=masked.key,
        key_destroyed=masked.key_destroyed,
        rows=masked.transferred.rows,
        columns=columns(masked),
        rows_by_class=rows_by_class(masked),
        files={**evidence.files, "missing in the source": int(masked.export.get("files_missing", 0))},
        verification=Verification(checks=(*first, *after)),
        requested_by=requested_by,
        approved_by=approved_by,
        started=started,
        finished=_now(),
    )


def columns(masked: Masked) -> dict[str, int]:
    """Return the number of the schema's columns by classification."""
    lines = (
        masked.catalogue.column(table.name, column.name)
        for table in masked.schema.tables.values()
        for column in table.columns
    )
    return dict(Counter(line.classification.value for line in lines if line is not None))


def rows_by_class(masked: Masked) -> dict[str, int]:
    """Return the number of rows that were carried over in tables with a column of each classification."""
    found: Counter[str] = Counter()
    for name, count in masked.transferred.rows.items():
        table = masked.schema.tables[name]
        lines = (masked.catalogue.column(name, column.name) for column in table.columns)
        for classification in {line.classification.value for line in lines if line is not None}:
            found[classification] += count
    return dict(found)


def read_key(path: Path) -> Ed25519PrivateKey:
    """Return the key that certificates are signed with.

    Raises:
        Refused: The file cannot be read, or holds another kind of key.
    """
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _no_key(type(error).__name__) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(f"it is a {type(key).__name__}, not an Ed25519 one")
    return key


def _no_key(why: str) -> Refused:
    return Refused(
        "the key for certificates cannot be used",
        why=why,
        action="run careops up, which says what is wrong with the Secret refresh-evidence and what to do",
    )


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
