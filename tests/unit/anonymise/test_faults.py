"""Errors of PostgreSQL as a person reads them: which server, what to do, and no value of a row."""

from __future__ import annotations

import errno

import psycopg
import pytest

from operations.anonymise.faults import ISOLATED, PROD, TRAINING, of_database, of_program
from operations.anonymise.outcome import FAILED, UNAVAILABLE, told

SECRET = "Ada Lovelace"


@pytest.mark.parametrize(
    ("server", "setting"),
    [
        (PROD, "database.storage in Pulumi.prod.yaml"),
        (ISOLATED, "refresh.sizes.isolated_storage"),
        (TRAINING, "database.storage in Pulumi.training.yaml"),
    ],
)
def test_a_full_volume_is_told_with_the_setting_that_gives_it_room(server, setting):
    error = psycopg.errors.DiskFull(f'could not extend file "base/1/2": {SECRET}')
    said = f"ERROR:  could not extend file: No space left on device\n{SECRET}"
    for found in (
        of_database("copy", error, table="res_partner", server=server),
        of_program("copy", "pg_restore", 1, said, server=server),
    ):
        assert server in str(found)
        assert "full" in str(found)
        assert setting in str(found)
        assert SECRET not in str(found)
        assert told(found).code == FAILED


@pytest.mark.parametrize(
    "error",
    [
        psycopg.OperationalError(f"server closed the connection unexpectedly {SECRET}"),
        psycopg.InterfaceError(f"the connection is closed {SECRET}"),
        psycopg.errors.AdminShutdown(SECRET),
        psycopg.errors.CrashShutdown(SECRET),
        psycopg.errors.CannotConnectNow(SECRET),
        psycopg.errors.ConnectionFailure(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_server_that_ended_is_69_and_blames_no_rule(error):
    found = of_database("copy", error, table="res_partner", server=TRAINING)
    assert "it ended, or ended the session" in str(found)
    assert "rule" not in str(found)
    assert SECRET not in str(found)
    assert told(found).code == told(error).code == UNAVAILABLE


def test_a_row_that_a_rule_spoils_is_not_taken_for_a_server_that_ended():
    found = of_database("copy", psycopg.errors.CheckViolation(SECRET), table="res_partner")
    assert "correct the rule of the column" in str(found)
    assert told(found).code == FAILED


@pytest.mark.parametrize(
    "output",
    [
        "pg_dump: error: query failed: server closed the connection unexpectedly",
        "pg_restore: error: could not execute query: FATAL:  terminating connection due to administrator command",
        'connection to server on socket "/run/x" failed: Connection refused',
        "FATAL:  the database system is in recovery mode",
    ],
)
def test_a_program_whose_server_ended_is_69_and_names_the_server(output):
    found = of_program("load the source", "pg_dump", 1, output, server=PROD)
    assert f"{PROD} ended, or ended the session" in str(found)
    assert told(found).code == UNAVAILABLE


@pytest.mark.parametrize(
    "typed",
    [
        f"must be able to walk again, says {SECRET}",
        f"must be superuser {SECRET}",
        f"permission denied for patient {SECRET}",
        f"server version of {SECRET}",
        f"connection to server of {SECRET} failed",
    ],
)
@pytest.mark.parametrize(
    "quoted",
    [
        'ERROR:  invalid byte sequence\nCONTEXT:  COPY res_partner, line 3, column comment: "{}"',
        'ERROR:  could not create unique index "x"\nDETAIL:  Key (name)=({}) is duplicated.',
        'ERROR:  invalid input syntax for type json: "{}"',
        "ERROR:  relation\nCommand was: COMMENT ON TABLE x IS '{}'",
    ],
)
def test_what_somebody_typed_is_never_taken_for_a_message_of_postgresql(typed, quoted):
    said = str(of_program("load the source", "pg_restore", 1, f"pg_restore: error: {quoted.format(typed)}\n"))
    assert [part for part in (*SECRET.split(), "walk") if part in said] == []


def test_the_pods_own_full_folder_is_not_taken_for_a_servers_volume():
    output = "pg_dump: error: could not write to output file: No space left on device"
    assert "the pod's /tmp is full" in str(of_program("read schema", "pg_dump", 1, output, server=ISOLATED))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_volume_of_the_pod_is_told_as_such(number):
    error = told(OSError(number, "No space left on device", f"/tmp/{SECRET}"))
    assert error.what == "a volume of the pod is full"
    assert "start a new run" in error.action
    assert SECRET not in str(error)
