"""`careops sandbox` as people meet it, and the access that they meet it with."""

from __future__ import annotations

import json
import stat
from datetime import datetime, timedelta

import pytest

from operations import live
from operations.cli import refreshing
from operations.cli.main import main
from operations.errors import OperationError, failure
from operations.exit_codes import ExitCode
from operations.refresh.run import Outcome
from operations.sandbox import access, desk, person
from tests.unit.operations.sandbox.conftest import NOW, FakeApi, at, stored
from toolchain.cluster import kubeapi

ASK = ["--course", "Sales basics", "--date", "2026-12-01", "--from", "09:00", "--to", "12:00", "--group", "sales=2"]
ASK += ["--reason", "New sales people"]


@pytest.fixture
def at_hand(api, monkeypatch, tmp_path):
    """The commands find the requests in memory, on the day of the tests."""

    class Then(datetime):
        @classmethod
        def now(cls, _zone=None):
            return NOW

    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(access, "api", lambda _session, kubeconfig: as_user(api, kubeconfig))
    monkeypatch.setattr(desk, "datetime", Then)
    return api


def as_user(api: FakeApi, kubeconfig):
    api.user = kubeconfig.name if kubeconfig else "administrator"
    return api


def json_of(capsys):
    return json.loads(capsys.readouterr().out)


def asked_by(user, capsys):
    assert main(["sandbox", "request", *ASK, "--kubeconfig", user, "--json"]) == 0
    return json_of(capsys)["request"]["id"]


@pytest.mark.usefixtures("at_hand")
def test_a_trainer_asks_on_the_command_line(capsys):
    assert main(["sandbox", "request", *ASK, "--kubeconfig", "ada"]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert "is requested by ada: Sales basics, 2026-12-01, 09:00-12:00 (Europe/Paris)." in said
    assert "./careops sandbox approve 261201-" in said


@pytest.mark.usefixtures("at_hand")
def test_refusals_have_their_exit_codes(capsys):
    name = asked_by("ada", capsys)
    assert main(["sandbox", "approve", name, "--kubeconfig", "ada"]) == ExitCode.NOT_ALLOWED == 14
    assert main(["sandbox", "approve", "nothing"]) == ExitCode.USAGE
    assert f"known: {name}" in capsys.readouterr().err
    assert main(["sandbox", "request", *ASK, "--release", "17.0", "--json"]) == ExitCode.USAGE
    assert "17.0" in json_of(capsys)["error"]["problems"][0]["what"]


@pytest.mark.usefixtures("at_hand")
def test_whose_access_is_used_may_come_from_the_environment(capsys, monkeypatch):
    name = asked_by("ada", capsys)
    monkeypatch.setenv("CAREOPS_PERSON", "grace")
    assert main(["sandbox", "approve", name, "--json"]) == 0
    found = json_of(capsys)["request"]
    assert (found["state"], found["requested_by"], found["approved_by"]) == ("approved", "ada", "grace")


@pytest.mark.usefixtures("at_hand")
def test_the_list_shows_what_is_open_and_all_when_asked(capsys):
    first, second = asked_by("ada", capsys), asked_by("bob", capsys)
    assert main(["sandbox", "reject", first, "--why", "no room", "--kubeconfig", "grace"]) == 0
    capsys.readouterr()
    assert main(["sandbox", "list"]) == 0
    shown = capsys.readouterr().out
    assert first not in shown
    assert f"sandbox approve {second}" in shown
    assert main(["sandbox", "list", "--all", "--json"]) == 0
    found = json_of(capsys)["requests"]
    assert [(each["id"], each["state"], each["due"]) for each in found] == [
        (first, "rejected", False),
        (second, "requested", False),
    ]


@pytest.mark.usefixtures("at_hand")
def test_an_empty_list_says_so(capsys):
    assert main(["sandbox", "list"]) == 0
    assert "No open requests" in capsys.readouterr().err


@pytest.mark.parametrize(("field", "value"), [("timeZone", "Mars/Olympus_Mons"), ("firstDay", "0001-01-01")])
def test_a_request_that_cannot_be_read_hides_no_other_one_and_is_named(at_hand, capsys, field, value):
    good, bad = asked_by("ada", capsys), asked_by("eve", capsys)
    stored(at_hand, bad)["spec"][field] = value
    assert main(["sandbox", "list"]) == 0
    said = capsys.readouterr()
    assert good in said.out
    assert bad not in said.out
    assert value in said.err
    assert f"delete sandboxrequest {bad}" in said.err
    assert main(["sandbox", "list", "--json"]) == 0
    assert list(json_of(capsys)["unreadable"]) == [bad]
    assert main(["sandbox", "approve", bad]) == ExitCode.USAGE


@pytest.mark.usefixtures("at_hand")
def test_the_history_is_shown(capsys):
    name = asked_by("ada", capsys)
    main(["sandbox", "withdraw", name, "--why", "nobody enrolled", "--kubeconfig", "ada"])
    capsys.readouterr()
    assert main(["sandbox", "show", name]) == 0
    shown = capsys.readouterr().out
    assert "New sales people" in shown
    assert "nobody enrolled" in shown


@pytest.mark.usefixtures("at_hand")
def test_a_rebuild_is_the_refresh_with_who_asked_and_who_approved(capsys, monkeypatch):
    name = asked_by("ada", capsys)
    assert main(["sandbox", "rebuild", name]) == ExitCode.USAGE, "nobody approved it"
    main(["sandbox", "approve", name, "--kubeconfig", "grace"])
    given = []

    def fill(_session, chosen, asked, **options):
        given.append((chosen.identity, asked.requested_by, asked.approved_by, options["confirm"]))
        return Outcome(run="29400180", seconds=1.0, parts={}, certificate="{}")

    monkeypatch.setattr(refreshing, "fill", fill)
    monkeypatch.setattr(refreshing, "tell", lambda *_, **__: None)
    capsys.readouterr()
    assert main(["sandbox", "rebuild", name, "--confirm", "riverside/training", "--json"]) == 0
    assert given == [("riverside/training", "ada", "grace", "riverside/training")]
    assert json_of(capsys)["request"]["history"][-1]["run"] == "29400180"


@pytest.mark.usefixtures("at_hand")
def test_a_refresh_that_fails_leaves_the_request_approved(capsys, monkeypatch):
    name = asked_by("ada", capsys)
    main(["sandbox", "approve", name, "--kubeconfig", "grace"])

    def fill(*_, **__):
        raise refreshing_failed()

    monkeypatch.setattr(refreshing, "fill", fill)
    assert main(["sandbox", "rebuild", name, "--confirm", "riverside/training"]) == ExitCode.REFRESH_FAILED
    capsys.readouterr()
    main(["sandbox", "show", name, "--json"])
    assert json_of(capsys)["request"]["state"] == "approved"


def refreshing_failed():
    return failure(ExitCode.REFRESH_FAILED, "no", "no", "no")


@pytest.mark.usefixtures("at_hand")
def test_nothing_to_expire_is_said_and_writes_nothing(capsys):
    asked_by("ada", capsys)
    assert main(["sandbox", "expire", "--json"]) == 0
    assert json_of(capsys) == {"schema": 1, "expired": []}


def test_what_expired_is_told_with_what_to_do(at_hand, capsys, monkeypatch):
    name = asked_by("ada", capsys)
    main(["sandbox", "approve", name, "--kubeconfig", "grace"])
    at(at_hand, "administrator").ready(name, "29400180")

    class Later(datetime):
        @classmethod
        def now(cls, _zone=None):
            return NOW + timedelta(days=15)

    monkeypatch.setattr(desk, "datetime", Later)
    capsys.readouterr()
    assert main(["sandbox", "expire"]) == 0
    said = capsys.readouterr().err
    assert f"{name} (Sales basics) is expired: its time is over." in said
    assert "Its logins work until the next refresh" in said


# -- people --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a", "Ada", "system:admin", "careops:felix", "a b", "../x", "x" * 60, "ada-"])
def test_names_that_mean_something_else_to_kubernetes_are_no_persons(name):
    with pytest.raises(OperationError) as told:
        person.refuse_name(name)
    assert told.value.code is ExitCode.USAGE


def test_a_persons_access_is_complete_in_one_file(tmp_path):
    (tmp_path / "ca.crt").write_text("authority")
    cluster = {"server": "https://127.0.0.1:16443", "certificate-authority": "ca.crt"}
    document = {
        "clusters": [{"name": "other", "cluster": {}}, {"name": "careops", "cluster": cluster}],
        "contexts": [{"name": "admin", "context": {"cluster": "careops", "user": "admin"}}],
        "users": [{"name": "admin", "user": {"client-key-data": "the administrator's"}}],
        "current-context": "admin",
    }
    operators = tmp_path / "kubeconfig"
    operators.write_text(json.dumps(document))
    who = person.Person(name="ada", groups=("riverside-trainers",), life=timedelta(days=1))
    text = person.kubeconfig(operators, who, (b"key", b"certificate"))
    assert "administrator" not in text
    assert "ca.crt" not in text
    assert "current-context: ada" in text


@pytest.mark.usefixtures("at_hand")
def test_a_file_that_exists_is_not_overwritten_by_somebodys_access(tmp_path, capsys):
    path = tmp_path / "ada"
    path.write_text("kept")
    assert main(["sandbox", "person", "ada", "--role", "trainer", "--output", str(path)]) == ExitCode.USAGE
    assert path.read_text() == "kept"
    assert "exists already" in capsys.readouterr().err


def test_a_persons_access_is_readable_by_its_owner_only(at_hand, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(live, "cluster_reader", lambda _session: None)
    monkeypatch.setattr(live, "is_embedded", lambda _session: True)
    monkeypatch.setattr(kubeapi, "KubeApi", lambda _path: at_hand)
    granted = []
    monkeypatch.setattr(person, "grant", lambda _api, who: granted.append(who) or (b"k", b"c"))
    monkeypatch.setattr(person, "kubeconfig", lambda *_: "access")
    path = tmp_path / "ada"
    options = ["--role", "trainer", "--role", "approver", "--output", str(path), "--days", "3"]
    assert main(["sandbox", "person", "ada", *options]) == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert granted[0].groups == ("riverside-trainers", "riverside-training-approvers")
    assert granted[0].life == timedelta(days=3)
    assert "for 3 days" in capsys.readouterr().err


@pytest.mark.usefixtures("at_hand")
def test_no_person_is_made_on_a_cluster_that_knows_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(live, "cluster_reader", lambda _session: None)
    monkeypatch.setattr(live, "is_embedded", lambda _session: False)
    options = ["--role", "trainer", "--output", str(tmp_path / "ada")]
    assert main(["sandbox", "person", "ada", *options]) == ExitCode.USAGE
    assert "knows its people itself" in capsys.readouterr().err
    assert not (tmp_path / "ada").exists()


def test_the_access_of_who_acts_is_a_file_that_exists(tmp_path):
    with pytest.raises(OperationError, match="There is no file") as told:
        access.api(None, tmp_path / "nobody")
    assert told.value.code is ExitCode.USAGE
