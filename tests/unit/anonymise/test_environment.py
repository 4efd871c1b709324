"""What a pod's variables must be, and what is said of those that are not."""

from __future__ import annotations

import pytest

from operations.anonymise.environment import endpoint, number, read_pod, within
from operations.anonymise.outcome import Refused
from operations.anonymise.sessions import Endpoint

POD = {
    "CAREOPS_JOB": "refresh-mask-29400180",
    "CAREOPS_SOURCE_IDENTITY": "riverside/prod",
    "CAREOPS_TARGET_IDENTITY": "riverside/training",
    "CAREOPS_WAIT_SECONDS": "900",
}


def test_the_run_is_what_the_jobs_name_ends_in():
    assert read_pod(POD).run == "29400180"
    assert read_pod(POD).wait_seconds == 900


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"CAREOPS_JOB": ""}, "CAREOPS_JOB"),
        ({"CAREOPS_JOB": "mask"}, "CAREOPS_JOB"),
        ({"CAREOPS_JOB": "refresh-mask-"}, "CAREOPS_JOB"),
        ({"CAREOPS_JOB": "refresh-mask-1;drop"}, "CAREOPS_JOB"),
        ({"CAREOPS_WAIT_SECONDS": "soon"}, "CAREOPS_WAIT_SECONDS"),
        ({"CAREOPS_SOURCE_IDENTITY": ""}, "CAREOPS_SOURCE_IDENTITY"),
    ],
)
def test_a_variable_that_cannot_be_is_refused_by_name(changes, named):
    with pytest.raises(Refused, match=named):
        read_pod({**POD, **changes})


def test_a_database_is_its_conninfo_and_the_content_of_the_passwords_file(tmp_path):
    file = tmp_path / "password"
    file.write_text("secret\n")
    found = endpoint({"X": "host=a dbname=b", "X_PASSWORD_FILE": str(file)}, "X")
    assert found == Endpoint(conninfo="host=a dbname=b", password="secret")


@pytest.mark.parametrize("text", ["host=a password=secret", "no connection string of anybody"])
def test_a_conninfo_with_a_password_or_without_sense_is_refused_and_not_repeated(text):
    with pytest.raises(Refused) as refused:
        endpoint({"X": text}, "X")
    assert text not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_an_empty_passwords_file_is_refused(tmp_path):
    (tmp_path / "password").write_text("\n")
    with pytest.raises(Refused, match="empty"):
        endpoint({"X": "host=a", "X_PASSWORD_FILE": str(tmp_path / "password")}, "X")


def test_sessions_in_the_next_database_act_as_trainings_role_also_with_further_settings():
    target = within(Endpoint(conninfo="host=a dbname=postgres user=refresh"), "odoo_refresh", role="odoo")
    assert "dbname=odoo_refresh" in target.conninfo
    both = target.with_options({"synchronous_commit": "off"})
    assert "role=odoo" in both
    assert "synchronous_commit=off" in both


@pytest.mark.parametrize("text", ["0", "-1", "five", ""])
def test_a_number_of_people_that_is_none_is_refused(text):
    with pytest.raises(Refused, match="K"):
        number({"K": text}, "K")
