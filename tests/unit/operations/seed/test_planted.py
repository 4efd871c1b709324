"""The list of planted values is complete, and its owner's alone."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.seed.files import render
from operations.seed.hospital import generate
from operations.seed.model import FileKind, Hospital
from operations.seed.planted import SHORTEST, document, planted, write


@pytest.fixture(scope="module")
def small() -> Hospital:
    return generate(60, 4)


def values(hospital: Hospital, kind: str) -> set[str]:
    return {one.value for one in planted(hospital) if one.kind == kind}


@settings(max_examples=10, deadline=None)
@given(st.integers(10, 60), st.integers(0, 1000))
def test_every_persons_values_are_listed(size: int, seed: int) -> None:
    hospital = generate(size, seed)
    people = [one.person for group in (hospital.staff, hospital.patients, hospital.leads) for one in group]
    assert {person.name for person in people} <= values(hospital, "name")
    assert {person.email for person in people} <= values(hospital, "email")
    assert {person.street for person in people} <= values(hospital, "street")
    assert {f"{person.birthday}" for person in people} <= values(hospital, "birthday")
    assert {one.mrn for one in hospital.patients} == values(hospital, "mrn")
    assert {one.ssn for one in hospital.staff} == values(hospital, "ssn")
    assert {one.new_email for one in hospital.patients if one.new_email} <= values(hospital, "email")


def test_a_telephone_is_listed_as_typed_as_normalised_and_as_dialled(small: Hospital) -> None:
    phone = small.patients[0].person.phone
    digits = phone.replace(" ", "")
    assert {phone, digits, "0" + digits[3:]} <= values(small, "phone")


def test_no_value_is_empty_listed_twice_or_too_short_to_search_for(small: Hospital) -> None:
    found = planted(small)
    assert len(found) == len(set(found))
    assert all(one.value for one in found)
    assert min(len(one.value) for one in found if one.kind == "name-part") >= SHORTEST


def test_what_is_quoted_in_chatter_is_on_the_list(small: Hospital) -> None:
    listed = {one.value for one in planted(small)}
    quoted = [note for note in small.notes if any(value in note.html for value in listed)]
    assert len(quoted) > len(small.notes) * 0.9


def test_what_is_inside_text_files_is_on_the_list(small: Hospital) -> None:
    listed = {one.value for one in planted(small)}
    texts = [file for file in small.files if file.kind is FileKind.TXT]
    assert texts
    assert all(any(value in render(file).decode() for value in listed) for file in texts)


def test_the_file_is_readable_for_its_owner_only_even_when_it_was_there(small: Hospital, tmp_path: Path) -> None:
    path = tmp_path / "planted.json"
    path.write_text("old")
    path.chmod(0o644)
    write(path, document(small, "riverside/prod"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    read = json.loads(path.read_text())
    assert read["identity"] == "riverside/prod"
    assert {"kind", "value", "key"} == set(read["values"][0])
    assert len(read["values"]) == len(planted(small))
