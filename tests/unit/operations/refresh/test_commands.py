"""`careops refresh` as a person meets it."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infra.model import QuasiIdentifiers
from infra.settings import AllSettings, load_platform
from operations.anonymise.certificate import REQUIRED, Certificate, sign
from operations.anonymise.verify.report import CheckResult, Status, Verification
from operations.cli.main import main
from operations.exit_codes import ExitCode
from operations.refresh import cluster as clusters
from operations.refresh import jobs, keys, logins
from operations.refresh.links import ensure, renew_seed
from operations.refresh.run import Clock
from operations.sandbox import access, closed
from tests import declared
from tests.unit.operations.refresh.conftest import with_sizes

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
REQUESTS = "/apis/careops.io/v1/namespaces/riverside-training/sandboxrequests"


@pytest.fixture
def at_hand(cluster, monkeypatch, tmp_path):
    """The commands find the cluster in memory, and keep what they keep in a folder of the test."""
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(clusters, "live_cluster", lambda _session: cluster)
    monkeypatch.setattr(access, "api", lambda _session, _kubeconfig: cluster)
    monkeypatch.setattr(closed, "this_moment", lambda: NOW)
    with_sizes(cluster, prod=1 << 30, training=1 << 30)
    return cluster


def test_the_plan_alone_starts_nothing(at_hand, capsys):
    assert main(["refresh", "training", "--plan-only"]) == 0
    said = capsys.readouterr()
    assert "riverside/prod" in said.out
    assert "1.0 GiB" in said.out
    assert "run 29400180" in said.out
    assert "unknown, there was no run before" in said.err
    assert at_hand.created == []


@pytest.mark.usefixtures("at_hand")
def test_the_plan_as_json_is_one_document(capsys):
    assert main(["refresh", "training", "--plan-only", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source"]["identity"] == "riverside/prod"


@pytest.mark.parametrize("given", [[], ["--confirm", "training"], ["--confirm", "riverside/prod"]])
def test_nothing_is_replaced_without_the_environments_identity(at_hand, capsys, given):
    assert main(["refresh", "training", "--no-input", *given]) == 10
    assert "riverside/training is as it was" in capsys.readouterr().err
    assert at_hand.created == []


def test_another_run_refuses_with_the_exit_code_of_a_held_lock(at_hand, capsys):
    path = "/apis/batch/v1/namespaces/riverside-prod/jobs/refresh-export-29400180"
    at_hand.objects[path] = {"metadata": {"name": "refresh-export-29400180"}, "status": {}}
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 9
    assert "run 29400180" in capsys.readouterr().err
    assert at_hand.created == []


def keep_class(cluster, begins, ends, name="261201-a", state="approved"):
    """Keep a class of 1 December 2026 in Paris, where it is 10:30."""
    hours = {"begins": begins, "ends": ends, "timeZone": "Europe/Paris", "trainees": {"sales": 1}}
    spec = {"course": "Sales basics", "release": "1", "firstDay": "2026-12-01", "lastDay": "2026-12-01", **hours}
    moment = {"when": "2026-11-24T11:00:00Z", "why": "because"}
    states = [("requested", "ada"), *([(state, "grace")] if state != "requested" else [])]
    history = [{"number": n, "state": each, "who": who, **moment} for n, (each, who) in enumerate(states, start=1)]
    made = {"metadata": {"name": name, "resourceVersion": "1"}, "spec": spec, "history": history}
    cluster.objects[f"{REQUESTS}/{name}"] = made


def test_a_refresh_in_the_hours_of_an_approved_class_is_refused_and_says_whose_they_are(at_hand, capsys):
    keep_class(at_hand, "09:00", "12:00")
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 2
    said = capsys.readouterr().err
    assert said.count("error:") == 1
    assert "class hours of Sales basics (261201-a), until 2026-12-01 12:00 (Europe/Paris)" in said
    assert at_hand.created == []
    assert at_hand.applied == []


def test_a_refresh_in_a_freeze_is_refused_and_says_until_when(at_hand, monkeypatch, capsys):
    monkeypatch.setattr(closed, "this_moment", lambda: datetime(2026, 12, 24, 9, 0, tzinfo=UTC))
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 2
    said = capsys.readouterr().err
    assert "release freeze 2026-12-21 to 2027-01-03, until 2027-01-04 00:00 (Europe/Paris)" in said
    assert "Year-end closing" in said
    assert at_hand.created == []


def test_a_refresh_waits_for_no_class_that_nobody_approved(at_hand):
    keep_class(at_hand, "09:00", "12:00", state="requested")
    assert main(["refresh", "training", "--plan-only"]) == 0
    assert at_hand.created == []


def test_a_class_that_was_approved_while_somebody_was_asked_for_consent_still_refuses(at_hand, monkeypatch, capsys):
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: keep_class(at_hand, "09:00", "12:00"))
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 2
    assert "class hours of Sales basics" in capsys.readouterr().err
    assert at_hand.created == []


def test_the_jobs_end_before_the_next_class_begins(at_hand, monkeypatch):
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: None)
    monkeypatch.setattr("operations.refresh.run.Clock", partial(Clock, today=lambda: NOW))
    keep_class(at_hand, "11:30", "12:00")
    ends_well(at_hand, lambda run: signed(at_hand, run))
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 0
    deadlines = {at_hand.job(name)["spec"]["activeDeadlineSeconds"] for name in at_hand.created}
    assert deadlines == {3600 - 90}


def test_the_status_says_what_stands_against_a_refresh_and_what_the_schedule_could_not_start(at_hand, capsys):
    keep_class(at_hand, "09:00", "12:00")
    with_certificate(at_hand)
    denied = "Error creating job: jobs.batch x is forbidden: ValidatingAdmissionPolicy 'x' denied request: the reason"
    for number, message in enumerate(("an older one", denied)):
        event = {
            "metadata": {"name": f"e{number}"},
            "message": message,
            "lastTimestamp": f"2026-12-01T09:0{number}:00Z",
        }
        at_hand.objects[f"/api/v1/namespaces/riverside-training/events/e{number}"] = event
    assert main(["refresh", "status"]) == 0
    said = capsys.readouterr().err
    assert "The schedule could not start one at 2026-12-01T09:01:00Z: the reason." in said
    assert "class hours of Sales basics (261201-a), until 2026-12-01 12:00 (Europe/Paris)." in said
    assert main(["refresh", "status", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["why"] for each in found["left_out"]] == ["the reason", "an older one"]
    assert found["against_now"]


def test_rules_that_cannot_be_read_start_nothing(at_hand, capsys):
    del at_hand.objects["/api/v1/namespaces/riverside-training/configmaps/sandbox-rules"]
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 8
    assert "sandbox-rules" in capsys.readouterr().err
    assert at_hand.created == []


@pytest.mark.usefixtures("at_hand")
def test_an_unknown_site_is_refused_with_the_known_ones(capsys):
    assert main(["refresh", "status", "--site", "nowhere"]) == 2
    assert "known: riverside" in capsys.readouterr().err


@pytest.mark.usefixtures("at_hand")
def test_a_site_without_a_refresh_is_told_where_to_add_it(monkeypatch, capsys):
    bare = declared.without_refresh(declared.settings("training"))
    monkeypatch.setattr("infra.settings.load_all", lambda _root: _all(bare))
    assert main(["refresh", "status"]) == 3
    assert "sites/riverside.yaml" in capsys.readouterr().err


def test_settings_that_name_columns_nobody_knows_start_nothing(at_hand, monkeypatch, capsys):
    stack = declared.settings("training")
    sets = (QuasiIdentifiers(table="hr_version", columns=("jobb_id",)),)
    refresh = stack.site.refresh.model_copy(update={"quasi_identifiers": sets})
    site = stack.site.model_copy(update={"refresh": refresh})
    monkeypatch.setattr("infra.settings.load_all", lambda _root: _all(dataclasses.replace(stack, site=site)))
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == ExitCode.SETTINGS_INVALID
    assert "quasi_identifiers[0].columns[0]" in capsys.readouterr().err
    assert at_hand.created == []


def _all(stack):
    return AllSettings(platform=load_platform(declared.ROOT), environments=(stack,))


def with_certificate(cluster, run="29400180"):
    """Let training's database hold the certificate of its data, and the cluster the key."""
    ensure(cluster, "riverside", {})
    cluster.rows["riverside-training", "certificate"] = ((signed(cluster, run),),)


def test_the_status_tells_what_training_holds_and_what_runs(at_hand, capsys):
    with_certificate(at_hand)
    path = "/apis/batch/v1/namespaces/riverside-refresh/jobs/refresh-mask-29400181"
    status = {"startTime": "2026-11-24T10:00:00Z"}
    at_hand.objects[path] = {"metadata": {"name": "refresh-mask-29400181"}, "status": status}
    assert main(["refresh", "status"]) == 0
    said = capsys.readouterr()
    assert "data of run 29400180" in said.err
    assert "nothing to roll back to" in said.err
    assert "29400181" in said.out
    assert "running" in said.out


def test_the_status_keeps_the_certificate_that_a_scheduled_run_left_in_training(at_hand, tmp_path, capsys):
    with_certificate(at_hand)
    assert main(["refresh", "status", "--json"]) == 0
    kept = json.loads(capsys.readouterr().out)["certificate"]
    assert Path(kept) == tmp_path / "state" / "evidence" / "refresh-riverside-training-29400180.json"
    assert main(["refresh", "verify", kept]) == 0
    at_hand.rows["riverside-training", "certificate"] = ()
    assert main(["refresh", "status"]) == 0, "what is kept needs no database"
    assert kept in capsys.readouterr().err


@pytest.mark.parametrize("lacks", ["certificate", "key", "its own run"])
def test_data_without_a_genuine_certificate_is_told_by_the_status(at_hand, capsys, lacks):
    with_certificate(at_hand, run="29400179" if lacks == "its own run" else "29400180")
    if lacks == "certificate":
        at_hand.rows["riverside-training", "certificate"] = ()
    if lacks == "key":
        del at_hand.objects["/api/v1/namespaces/riverside-refresh/secrets/refresh-evidence"]
    for options in ([], ["--json"]):
        assert main(["refresh", "status", *options]) == 13
    assert "certificate" in capsys.readouterr().err


def test_a_rollback_needs_something_to_put_back(at_hand, capsys):
    assert main(["refresh", "rollback", "--confirm", "riverside/training"]) == 2
    assert "nothing to put back" in capsys.readouterr().err
    with_sizes(at_hand, prod=1 << 30, training=1 << 30, previous=1 << 20)
    assert main(["refresh", "rollback", "--no-input"]) == 10
    assert at_hand.created == []


def test_an_interrupted_run_says_that_nothing_was_swapped(at_hand, monkeypatch, capsys):
    ensure(at_hand, "riverside", {})
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: None)

    def interrupt(path):
        if path.endswith("cronjobs/refresh-export") and at_hand.created:
            raise KeyboardInterrupt

    at_hand.on_look = interrupt
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 130
    said = capsys.readouterr().err
    assert "its jobs are deleted" in said
    assert "nothing was swapped: training is as it was" in said
    assert "it continues" not in said, "a refresh is never continued"
    assert at_hand.created
    assert at_hand.deleted == at_hand.created


def signed(cluster, run, pem=b""):
    """Return a certificate as the masking program signs it, with the key of the environment by default."""
    pem = pem or cluster.secret("riverside-refresh", "refresh-evidence")["key.pem"]
    passed = tuple(CheckResult(name=name, status=Status.PASSED, seconds=1.0) for name in sorted(REQUIRED))
    moment = "2026-11-24T03:00:00+00:00"
    made = Certificate(
        run=run,
        source="riverside/prod",
        target="riverside/training",
        source_time=moment,
        release={"image": "sha256:0123", "modules": {"base": "19.0.1.3"}},
        catalogue="ab" * 32,
        key="0123456789abcdef",
        key_destroyed=True,
        rows={"res_partner": 1200},
        columns={"public": 900},
        rows_by_class={"public": 1200},
        files={"keep": 2},
        verification=Verification(checks=passed),
        requested_by="ada",
        approved_by="grace",
        started=moment,
        finished=moment,
    )
    return json.dumps(sign(made, load_pem_private_key(pem, None)))


def ends_well(cluster, certificate):
    """Let every job of a run end well as soon as somebody looks, and the adoption print a certificate."""

    def end(path):
        if "/jobs/refresh-" in path and len(cluster.created) == 3:
            for name in cluster.created:
                cluster.finish(name)
                pod = cluster.pod(name, phase="Succeeded")
                text = certificate(cluster.created[0].rpartition("-")[2])
                cluster.logs[pod] = f"{jobs.CERTIFICATE_BEGIN}\n{text}\n{jobs.CERTIFICATE_END}"

    cluster.on_look = end


def test_a_run_that_ends_well_leaves_its_certificate_and_its_record(at_hand, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: None)
    ends_well(at_hand, lambda run: signed(at_hand, run))
    assert main(["refresh", "training", "--confirm", "riverside/training", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    kept = Path(told["certificate"])
    assert kept.parent == tmp_path / "state" / "evidence"
    assert told["run"] in kept.with_suffix(".html").read_text()
    assert main(["refresh", "verify", str(kept)]) == 0
    (record,) = (tmp_path / "state" / "refresh").glob("*.json")
    assert json.loads(record.read_text())["run"] == told["run"]
    assert at_hand.deleted == []


def test_a_run_that_nobody_approved_says_so_to_the_program_that_signs(at_hand, monkeypatch):
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: None)
    ends_well(at_hand, lambda run: signed(at_hand, run))
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 0
    (mask,) = [name for name in at_hand.created if name.startswith("refresh-mask")]
    (container,) = at_hand.job(mask)["spec"]["template"]["spec"]["containers"]
    values = {each["name"]: each.get("value") for each in container["env"]}
    assert values["CAREOPS_APPROVED_BY"] == "nobody: started by the operator"


def test_who_approved_cannot_be_typed(at_hand, capsys):
    assert main(["refresh", "training", "--confirm", "riverside/training", "--approved-by", "the DPO"]) == 2
    assert "approved-by" in capsys.readouterr().err
    assert at_hand.created == []


@pytest.mark.parametrize("how", ["exchanged", "lost"])
def test_a_refresh_whose_evidence_key_is_another_one_than_before_does_not_begin(at_hand, monkeypatch, capsys, how):
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: None)
    ends_well(at_hand, lambda run: signed(at_hand, run))
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 0
    created, secret = list(at_hand.created), "/api/v1/namespaces/riverside-refresh/secrets/refresh-evidence"
    if how == "exchanged":
        at_hand.objects[secret]["data"]["key.pem"] = base64.b64encode(keys.new_evidence_key()).decode()
    else:
        del at_hand.objects[secret]
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == ExitCode.UNHEALTHY
    said = capsys.readouterr().err
    assert "is not the pinned one" in said
    assert "To change the key on purpose: mv" in said
    assert at_hand.created == created
    assert (secret in at_hand.objects) is (how == "exchanged"), "no new key is made behind anybody's back"


def test_a_certificate_that_another_key_signed_is_not_taken_from_the_adoption(at_hand, monkeypatch, capsys):
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: None)
    other = keys.new_evidence_key()
    ends_well(at_hand, lambda run: signed(at_hand, run, other))
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == ExitCode.REFRESH_FAILED
    assert "proves nothing" in capsys.readouterr().err


@pytest.mark.parametrize("forged", ["another run", "another key", "no signature"])
def test_a_certificate_that_proves_nothing_is_a_failure_and_says_what_to_do(at_hand, monkeypatch, capsys, forged):
    monkeypatch.setattr("operations.refresh.run.wait_for_roles", lambda *_: None)

    def certificate(run):
        found = json.loads(signed(at_hand, "29400180" if forged == "another run" else run))
        if forged == "another key":
            found["signature"]["key"] = "SHA256:other"
        if forged == "no signature":
            found.pop("signature")
        return json.dumps(found)

    ends_well(at_hand, certificate)
    assert main(["refresh", "training", "--confirm", "riverside/training"]) == 13
    said = capsys.readouterr().err
    assert "proves nothing" in said
    assert "./careops refresh rollback" in said


def test_logins_are_those_the_program_makes(at_hand, capsys):
    ensure(at_hand, "riverside", {})
    assert main(["refresh", "logins", "--json"]) == 0
    found = {each["login"]: each["password"] for each in json.loads(capsys.readouterr().out)["logins"]}
    assert {"trainer-sales", "trainee-sales-1", "trainee-sales-3", "trainer-personnel"} <= set(found)
    assert "trainee-sales-4" not in found
    seed = at_hand.secret("riverside-training", "refresh-logins")["seed"]
    digest = hmac.new(seed, b"29400180/trainer-sales", hashlib.sha256).digest()
    assert found["trainer-sales"] == base64.urlsafe_b64encode(digest).decode()[:24]


def test_the_logins_are_those_of_the_present_data_while_another_run_is_under_way(at_hand, capsys):
    ensure(at_hand, "riverside", {})
    assert main(["refresh", "logins", "--json"]) == 0
    before = capsys.readouterr().out
    renew_seed(at_hand, "riverside", "29400180", "29400181")
    assert main(["refresh", "logins", "--json"]) == 0
    assert capsys.readouterr().out == before


def test_another_run_gives_every_login_another_password():
    assert logins.password(b"seed", "1", "trainer-sales") != logins.password(b"seed", "2", "trainer-sales")
    assert logins.password(b"seed", "1", "trainer-sales") != logins.password(b"seed", "1", "trainer-stores")


def test_without_a_refresh_there_are_no_logins(at_hand, capsys):
    at_hand.rows["riverside-training", "parameters"] = ()
    assert main(["refresh", "logins"]) == 11
    assert "no logins of a refresh" in capsys.readouterr().err


def test_a_stopped_cluster_is_told_as_such(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path))
    assert main(["refresh", "status"]) == 6
    assert "There is no cluster" in capsys.readouterr().err
