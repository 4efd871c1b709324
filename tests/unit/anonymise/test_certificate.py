"""A certificate can be checked by anybody with the public key, and any change to it is seen."""

from __future__ import annotations

import base64
import copy
import dataclasses
import inspect
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.anonymise.canaries import Planting
from operations.anonymise.certificate import (
    BEFORE,
    REQUIRED,
    Certificate,
    Outcome,
    canonical,
    fingerprint,
    sign,
    verify,
    verify_file,
)
from operations.anonymise.page import html, moment
from operations.anonymise.parts import Proof
from operations.anonymise.verify.report import CheckResult, Finding, Group, Status, Verification
from operations.anonymise.verify.run import Wanted
from operations.anonymise.verify.run import verify as run_all
from operations.cli.main import main
from operations.exit_codes import ExitCode

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()


def _certificate(*checks: CheckResult) -> Certificate:
    facts = {"rows searched": 1_234_567}
    passed = [CheckResult(name=name, status=Status.PASSED, facts=facts, seconds=12.34) for name in sorted(REQUIRED)]
    named = {check.name for check in checks}
    return Certificate(
        run="29400180",
        source="riverside/prod",
        target="riverside/training",
        source_time="2026-11-24T03:00:00+00:00",
        release={"image": "sha256:0123", "modules": {"base": "19.0.1.3"}},
        catalogue="ab" * 32,
        key="0123456789abcdef",
        key_destroyed=True,
        rows={"res_partner": 1200, "bus_bus": 0},
        columns={"direct-identifier": 120, "public": 900},
        rows_by_class={"direct-identifier": 1200, "public": 1200},
        files={"placeholder": 40, "keep": 2},
        verification=Verification(checks=(*(check for check in passed if check.name not in named), *checks)),
        requested_by="schedule",
        approved_by="J. Žižka <&>",
        started="2026-11-24T03:00:00+00:00",
        finished="2026-11-24T03:09:00+00:00",
    )


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_a_certificate_of_a_run_whose_key_was_left_is_not_good():
    verdict = verify(_bytes(sign(dataclasses.replace(_certificate(), key_destroyed=False), KEY)), PUBLIC)
    assert not verdict.good
    assert "not destroyed" in verdict.outcome


def test_a_certificate_is_genuine_however_its_json_is_laid_out():
    document = sign(_certificate(), KEY)
    for text in (_bytes(document), json.dumps(document, indent=4, sort_keys=True, ensure_ascii=False).encode()):
        verdict = verify(text, PUBLIC)
        assert verdict.good
        assert verdict.certificate["rows"] == 1200


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict) and value:
        return [found for name, each in value.items() for found in _paths(each, (*path, name))]
    if isinstance(value, list) and value:
        return [found for place, each in enumerate(value) for found in _paths(each, (*path, place))]
    return [path]


@given(data=st.data(), new=st.sampled_from([None, True, 0, "", "x", [], {}]))
@settings(max_examples=200)
def test_any_change_to_any_value_is_seen(data: st.DataObject, new: Any):
    document = sign(_certificate(), KEY)
    changed: Any = copy.deepcopy(document)
    path = data.draw(st.sampled_from(_paths(document)))
    place = changed
    for step in path[:-1]:
        place = place[step]
    if place[path[-1]] == new and type(place[path[-1]]) is type(new):
        return
    place[path[-1]] = new
    assert not verify(_bytes(changed), PUBLIC).good


@given(garbage=st.binary(max_size=200))
def test_anything_else_is_no_certificate(garbage: bytes):
    assert verify(garbage, PUBLIC).outcome is Outcome.UNREADABLE


@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)
    )
)
def test_the_canonical_form_does_not_depend_on_order_and_reads_back(value: Any):
    assert json.loads(canonical(value)) == value


def test_each_way_to_be_wrong_has_its_own_name():
    document = sign(_certificate(), KEY)
    unsigned = {name: document[name] for name in ("schema", "certificate")}
    wrong_value = {**document, "signature": {**document["signature"], "value": base64.b64encode(bytes(64)).decode()}}
    renamed = {**document, "signature": {**document["signature"], "algorithm": "none"}}
    less = dict(document["certificate"])
    del less["approved_by"]
    cases = {
        Outcome.UNSIGNED: (_bytes(unsigned), _bytes(renamed)),
        Outcome.TAMPERED: (_bytes(wrong_value), _bytes({**document, "note": "more"})),
        Outcome.OTHER_SCHEMA: (_bytes({**document, "schema": 2}), _bytes({**document, "schema": True})),
        Outcome.UNREADABLE: (b"[]", b'{"schema":1,"schema":1}', b"[" * 100_000),
    }
    for outcome, texts in cases.items():
        assert {verify(text, PUBLIC).outcome for text in texts} == {outcome}
    assert verify(_bytes(document), Ed25519PrivateKey.generate().public_key()).outcome is Outcome.OTHER_KEY


def test_a_signature_over_an_incomplete_body_is_not_enough(monkeypatch: pytest.MonkeyPatch):
    whole = _certificate().as_json()
    del whole["approved_by"]
    monkeypatch.setattr(Certificate, "as_json", lambda _: whole)
    assert verify(_bytes(sign(_certificate(), KEY)), PUBLIC).outcome is Outcome.INCOMPLETE


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_a_certificate_without_a_required_check_is_not_good_however_well_the_others_passed(name: str):
    whole = _certificate()
    checks = tuple(check for check in whole.verification.checks if check.name != name)
    document = sign(dataclasses.replace(whole, verification=Verification(checks=checks)), KEY)
    verdict = verify(_bytes(document), PUBLIC)
    assert verdict.outcome is Outcome.INCOMPLETE
    assert name in verdict.detail
    assert "NOT passed</title>" in html(document)


def test_the_required_checks_are_those_that_a_run_makes():
    nothing = SimpleNamespace(source=None, target=None, before=None, after=None, catalogue=None)
    made = run_all(nothing, Wanted(), Planting())  # ty: ignore[invalid-argument-type]  - each check fails, by its name
    judged = re.findall(r'self\._look\(results, "([^"]+)"', inspect.getsource(Proof.judge_data))
    assert {check.name for check in made.checks} | {f"{BEFORE}{name}" for name in judged} == REQUIRED


@pytest.mark.parametrize("status", [Status.FAILED, Status.COULD_NOT_RUN])
def test_a_run_that_did_not_pass_is_never_good(status: Status):
    finding = Finding(table="res_partner", column="name", what="holds a real name", count=3)
    failed = CheckResult(name="dictionary", status=status, findings=(finding,) if status is Status.FAILED else ())
    verdict = verify(_bytes(sign(_certificate(failed), KEY)), PUBLIC)
    assert verdict.outcome is Outcome.FAILED_RUN
    assert verdict.certificate, "what failed can be read"


def test_the_summary_alone_is_not_believed(monkeypatch: pytest.MonkeyPatch):
    failed = CheckResult(name="dictionary", status=Status.FAILED)
    lying = {**_certificate(failed).as_json(), "passed": True}
    monkeypatch.setattr(Certificate, "as_json", lambda _: lying)
    assert verify(_bytes(sign(_certificate(), KEY)), PUBLIC).outcome is Outcome.FAILED_RUN


def test_a_file_too_large_to_be_one_is_not_read_whole(tmp_path: Path):
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(1 << 40)
    assert verify_file(large, PUBLIC).outcome is Outcome.UNREADABLE


def test_the_page_says_all_and_loads_nothing():
    finding = Finding(table="res_partner", column="name", what="holds a real name", count=3)
    document = sign(_certificate(CheckResult(name="search", status=Status.FAILED, findings=(finding,))), KEY)
    page = html(document)
    assert "The verification did not pass" in page
    assert "res_partner.name" in page
    assert "J. Žižka &lt;&amp;&gt;" in page
    assert "default-src 'none'" in page
    assert not re.search(r"""(src|href)\s*=|@import|url\(|<script""", page)
    assert "Every check passed" in html(sign(_certificate(), KEY))


GROUP = Group(table="hr_version", columns=("job_id",), people=240, smallest=7, threshold=5, declared=False)


def test_the_page_says_who_when_by_which_rules_and_what_it_does_not_prove():
    check = CheckResult(name="k-anonymity", status=Status.PASSED, groups=(GROUP,))
    page = html(sign(_certificate(check), KEY))
    for said in (
        *("2026-11-24 03:00:00 UTC", "sha256:0123", "ab" * 32, "destroyed", "0123456789abcdef", "schedule"),
        *("direct-identifier", "120", "1\u202f200", "k-anonymity", "hr_version", "job_id", "240", "does not prove"),
        *("40 replaced by a placeholder", "2 kept as Odoo ships them"),
    ):
        assert said in page, said


def test_the_page_does_not_call_a_run_good_whose_key_is_left_or_whose_summary_lies():
    left = html(sign(dataclasses.replace(_certificate(), key_destroyed=False), KEY))
    assert "NOT destroyed" in left
    assert "Nobody may use this data" in left
    document = sign(_certificate(CheckResult(name="rows", status=Status.COULD_NOT_RUN, why="no reason")), KEY)
    document["certificate"]["passed"] = True
    for page in (left, html(document)):
        assert "Every check passed" not in page
        assert "NOT passed</title>" in page


def test_a_group_below_its_threshold_stands_out_on_the_page():
    few = dataclasses.replace(GROUP, smallest=1, declared=True)
    page = html(sign(_certificate(CheckResult(name="k-anonymity", status=Status.FAILED, groups=(few,))), KEY))
    assert re.search(r'class="right failed"[^>]*>1<', page)
    assert "(the site's own)" in page or "(the site&#39;s own)" in page


def test_a_certificate_that_was_made_before_rows_were_counted_by_class_still_has_a_page():
    document = sign(_certificate(), KEY)
    del document["certificate"]["rows_by_class"]
    assert "not counted" in html(document)


def test_a_time_that_is_none_is_shown_as_it_is():
    assert moment("2026-11-24T03:00:00+02:00") == "2026-11-24 01:00:00 UTC"
    assert moment("yesterday") == "yesterday"
    assert moment("2026-11-24T03:00:00") == "2026-11-24T03:00:00", "whose clock is not said"
    assert moment("") == "not said"


def _kept(folder: Path, document: Any) -> Path:
    (folder / "c.pub.pem").write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    (folder / "c.json").write_bytes(_bytes(document))
    return folder / "c.json"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def _pin(folder: Path, site: str = "riverside") -> Path:
    path = folder / "evidence" / f"{site}.evidence.pub.pem"
    path.parent.mkdir(parents=True)
    path.write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


def test_the_command_says_genuine_and_writes_the_page(tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]):
    file, pin = _kept(tmp_path, sign(_certificate(), KEY)), _pin(state)
    (tmp_path / "c.pub.pem").unlink()
    assert main(["refresh", "verify", str(file), "--html", str(tmp_path / "c.html")]) == ExitCode.OK
    said = capsys.readouterr().err
    assert "Genuine: run 29400180" in said
    assert f"{fingerprint(PUBLIC)}, pinned in {pin}" in said
    assert (tmp_path / "c.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


def test_the_command_shows_what_is_certified_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = _kept(tmp_path, sign(_certificate(), KEY))
    assert main(["refresh", "verify", str(file), "--key", str(tmp_path / "c.pub.pem"), "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["good"] is True
    assert shown["certificate"]["run"] == "29400180"


@pytest.mark.parametrize("pinned", [False, True], ids=["nothing is pinned", "another key is pinned"])
def test_a_certificate_that_brings_its_own_key_is_of_an_unknown_signer(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str], pinned: bool
):
    if pinned:
        _pin(state)
    made_up = Ed25519PrivateKey.generate()
    file = _kept(tmp_path, sign(_certificate(), made_up))
    public = made_up.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "c.pub.pem").write_bytes(public)
    assert main(["refresh", "verify", str(file)]) == ExitCode.TESTS_FAILED
    said = capsys.readouterr().err
    assert "its signer is unknown" in said
    assert "Genuine" not in said


def test_a_certificate_of_one_site_under_the_key_of_another_is_not_believed(
    tmp_path: Path, state: Path, capsys: pytest.CaptureFixture[str]
):
    _pin(state, "lakeside")
    file = _kept(tmp_path, sign(_certificate(), KEY))
    assert main(["refresh", "verify", str(file)]) == ExitCode.TESTS_FAILED
    assert "is of riverside/prod, but signed with the key of lakeside" in capsys.readouterr().err


def test_the_command_refuses_a_changed_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    document = sign(_certificate(), KEY)
    document["certificate"]["rows"] = 1
    file = _kept(tmp_path, document)
    assert main(["refresh", "verify", str(file), "--json"]) == ExitCode.TESTS_FAILED
    shown = capsys.readouterr()
    assert "changed after it was signed" in json.dumps(json.loads(shown.out))
    assert "29400180" not in shown.out, "what nobody signed is not shown as if it were"
    assert "changed after it was signed" in shown.err


def test_the_command_needs_a_key_it_can_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    file = _kept(tmp_path, sign(_certificate(), KEY))
    (tmp_path / "bad.pem").write_text("no key")
    assert main(["refresh", "verify", str(file), "--key", str(tmp_path / "bad.pem")]) == ExitCode.USAGE
    assert main(["refresh", "verify", str(file), "--key", str(tmp_path / "none.pem")]) == ExitCode.USAGE
    assert "cannot be used" in capsys.readouterr().err
