"""What ends an adoption from outside is told: which server or volume, what to do, and nothing of the data."""

from __future__ import annotations

import errno
from types import SimpleNamespace

import pytest
from careops_odoo import adopt_faults
from careops_odoo.errors import EXIT_FAILED, EXIT_UNAVAILABLE, CommandError, Refused

SECRET = "Ada Lovelace"


class Error(Exception):
    """Stands for psycopg2's, which only the image has."""

    def __init__(self, code: str | None) -> None:
        super().__init__(f"Key (name)=({SECRET}) already exists.")
        self.pgcode = code


class OperationalError(Error):
    pass


class InterfaceError(Error):
    pass


@pytest.fixture(autouse=True)
def driver(monkeypatch):
    fake = SimpleNamespace(Error=Error, OperationalError=OperationalError, InterfaceError=InterfaceError)
    monkeypatch.setattr(adopt_faults, "driver", lambda: fake)


def told(error: BaseException) -> CommandError:
    with pytest.raises(CommandError) as caught, adopt_faults.told():
        raise error
    assert caught.value.__suppress_context__, "a chained error is printed whole"
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    "error",
    [
        OperationalError(None),
        InterfaceError(None),
        OperationalError("57P01"),
        OperationalError("57P02"),
        Error("08006"),
    ],
    ids=lambda error: f"{type(error).__name__} {error.pgcode}",
)
def test_a_server_that_ended_is_69_and_says_so(error):
    found = told(error)
    assert found.code == EXIT_UNAVAILABLE
    assert "training's PostgreSQL ended" in found.what
    assert "careops refresh status" in found.action


def test_a_full_database_volume_and_a_full_filestore_are_told_apart_by_their_settings():
    database, files = told(OperationalError("53100")), told(OSError(errno.ENOSPC, "No space left on device", "aa/bb"))
    assert (database.code, files.code) == (EXIT_FAILED, EXIT_FAILED)
    assert "database.storage in Pulumi.training.yaml" in database.action
    assert "filestore.size in Pulumi.training.yaml" in files.action


def test_an_error_of_the_data_is_no_fault_of_the_surroundings_and_its_text_is_withheld():
    found = told(Error("23505"))
    assert "SQLSTATE 23505" in found.why
    assert "ended" not in found.what


def test_what_is_told_already_stays_as_it_is():
    refused = Refused("what", why="why", action="action")
    with pytest.raises(Refused) as kept, adopt_faults.told():
        raise refused
    assert kept.value is refused


def test_a_mistake_of_ours_is_told_by_its_kind_and_place_and_never_by_its_text():
    found = told(ValueError(SECRET))
    assert "ValueError at test_guard_adopt_faults.py:" in found.why
    assert found.code == EXIT_FAILED


def test_the_masking_program_is_told_what_happened_and_never_the_text_of_an_error():
    assert adopt_faults.what(Refused("no logins", why="why", action="action")) == "no logins"
    assert adopt_faults.what(OperationalError(None)) == "training's PostgreSQL ended, or ended the session"
    assert adopt_faults.what(ValueError(SECRET)) == "the adoption ended with ValueError"
