"""The list of everything personal that a seed planted, so that a later test can search for it where it must not be."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from operations.seed.model import Hospital, Person

ONLY_OWNER = 0o600
SHORTEST = 5
"""Shorter values stand in harmless text by chance."""


@dataclass(frozen=True, kw_only=True, order=True)
class Planted:
    """One personal value.

    Attributes:
        kind: What it is: name, email, phone, …
        value: As it stands in the database.
        key: Whose it is: the key of a record of the hospital.
    """

    kind: str
    value: str
    key: str


def planted(hospital: Hospital) -> tuple[Planted, ...]:
    """Return every personal value of a hospital, each once per owner, sorted.

    Family and given names alone are left out when shorter than `SHORTEST`; full names never are.
    """
    return tuple(sorted({one for one in _all(hospital) if one.value}))


def _all(hospital: Hospital) -> Iterator[Planted]:
    for staff in hospital.staff:
        yield from _person(staff.key, staff.person)
        yield from _values(
            staff.key,
            ("ssn", staff.ssn),
            ("passport", staff.passport),
            ("iban", staff.iban),
            ("badge", staff.badge),
            ("email", staff.work_email),
            ("name", staff.spouse or ""),
            ("street", staff.new_street if staff.moved else ""),
            ("name", staff.emergency_name),
            *_phones(staff.emergency_phone),
            *_phones(staff.work_phone),
        )
    for patient in hospital.patients:
        yield from _person(patient.key, patient.person)
        yield from _values(
            patient.key,
            ("mrn", patient.mrn),
            ("insurance", patient.insurance),
            ("iban", patient.iban or ""),
            ("email", patient.new_email or ""),
        )
    for vendor in hospital.vendors:
        yield from _person(vendor.key, vendor.contact)
        yield from _values(
            vendor.key, ("email", vendor.email), ("iban", vendor.iban), ("vat", vendor.vat), *_phones(vendor.phone)
        )
    for other in (*hospital.guarantors, *hospital.applicants, *hospital.leads):
        yield from _person(other.key, other.person)
    for file in hospital.files:
        yield from _values(file.key, ("filename", file.name))
    for device in hospital.equipment:
        yield from _values(device.key, ("serial", device.serial))


def _values(key: str, *pairs: tuple[str, str]) -> Iterator[Planted]:
    for kind, value in pairs:
        yield Planted(kind=kind, value=value, key=key)


def _phones(phone: str) -> tuple[tuple[str, str], ...]:
    """Return a number as it was typed, as Odoo normalises it, and as people dial it."""
    digits = phone.replace(" ", "")
    return (("phone", phone), ("phone", digits), ("phone", "0" + digits.removeprefix("+33")))


def _person(key: str, person: Person) -> Iterator[Planted]:
    yield from _values(key, ("name", person.name), ("email", person.email), ("street", person.street))
    yield from _values(key, *_phones(person.phone))
    for part in (person.given, person.family):
        if len(part) >= SHORTEST:
            yield Planted(kind="name-part", value=part, key=key)
    yield Planted(kind="birthday", value=f"{person.birthday}", key=key)


def document(hospital: Hospital, identity: str) -> dict[str, Any]:
    """Return the list as it is written to a file.

    Args:
        hospital: What was generated.
        identity: `<site>/<environment>` it was planted in.
    """
    return {
        "schema": 1,
        "identity": identity,
        "patients": hospital.patients_wanted,
        "seed": hospital.seed,
        "values": [{"kind": one.kind, "value": one.value, "key": one.key} for one in planted(hospital)],
    }


def write(path: Path, content: dict[str, Any]) -> None:
    """Write the list for its owner alone.

    Raises:
        OSError: When the file cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, ONLY_OWNER)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), ONLY_OWNER)  # the file may have been there, open to others
        json.dump(content, file, ensure_ascii=False, indent=0)
        file.write("\n")
