"""From a run's proof to a certificate that the offline check accepts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from operations.anonymise.certificate import BEFORE, REQUIRED, Outcome, canonical, verify
from operations.anonymise.certifying import certifier, read_key
from operations.anonymise.environment import Pod
from operations.anonymise.mask import Masked
from operations.anonymise.outcome import REFUSED, Refused
from operations.anonymise.parts import Evidence, findings_of
from operations.anonymise.transfer import Result
from operations.anonymise.verify.report import CheckResult, Finding, Status, Verification
from tests.unit.anonymise.support import catalogue, column, line, schema, table

PASSED = CheckResult(name="rows", status=Status.PASSED, facts={"rows": 3})
FAILED = CheckResult(
    name="dictionary",
    status=Status.FAILED,
    findings=(Finding(table="res_partner", column="name", what="a real name", count=2),),
)
BROKEN = CheckResult(name="references", status=Status.COULD_NOT_RUN, why="UndefinedColumn 42703")


def evidence(tmp_path, *, before=(PASSED,), after=(PASSED,)) -> Evidence:
    masked = Masked(
        pod=Pod(run="417", source_identity="riverside/prod", target_identity="riverside/training", wait_seconds=1),
        export={"source_time": "2026-11-24T10:00:00+00:00", "release": "19.0.0-2", "modules": {"base": "1"}},
        schema=schema(table("res_partner", column("name"))),
        catalogue=catalogue(tmp_path, [line("res_partner.id", "keep"), line("res_partner.name", "keep")]),
        transferred=Result(rows={"res_partner": 3}, seconds={}),
        files=1,
        key="0123456789abcdef",
        key_destroyed=True,
    )
    return Evidence(
        masked=masked,
        adopted={"release": "19.0.0-3", "updated": ["crm"]},
        before=Verification(checks=before),
        after=Verification(checks=after),
        files={"keep": 1},
    )


@pytest.fixture
def environ(tmp_path):
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return {
        "CAREOPS_EVIDENCE_KEY": str(tmp_path / "key.pem"),
        "CAREOPS_REQUESTED_BY": "ada",
        "CAREOPS_APPROVED_BY": "grace",
    }


def test_a_proof_becomes_a_certificate_that_the_offline_check_accepts(environ, tmp_path):
    before = tuple(replace(PASSED, name=name.removeprefix(BEFORE)) for name in REQUIRED if name.startswith(BEFORE))
    after = tuple(replace(PASSED, name=name) for name in REQUIRED if not name.startswith(BEFORE))
    document = certifier(environ)(evidence(tmp_path, before=before, after=after))
    key = read_key(tmp_path / "key.pem").public_key()
    verdict = verify(canonical(document), key)
    assert verdict.outcome is Outcome.GENUINE, verdict.detail
    assert verdict.certificate["release"]["target"] == "19.0.0-3"
    assert verdict.certificate["columns"] == {"technical": 2}
    assert verdict.certificate["rows_by_class"] == {"technical": 3}, "a row counts once for each class it has"
    names = [check["name"] for check in verdict.certificate["verification"]]
    assert sorted(names) == sorted(REQUIRED), "both verifications are certified"


@pytest.mark.parametrize("name", ["CAREOPS_EVIDENCE_KEY", "CAREOPS_REQUESTED_BY", "CAREOPS_APPROVED_BY"])
def test_without_a_key_or_names_a_run_does_not_even_begin(environ, name):
    with pytest.raises(Refused, match=name):
        certifier({**environ, name: ""})


def test_a_key_of_another_kind_or_none_is_refused(tmp_path):
    other = generate_private_key(SECP256R1())
    (tmp_path / "other.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "none.pem").write_text("no key")
    for name in ("other.pem", "none.pem", "absent.pem"):
        with pytest.raises(Refused) as refused:
            read_key(tmp_path / name)
        assert refused.value.code == REFUSED


def test_findings_name_places_and_counts_and_a_check_that_could_not_run_is_one():
    lines = findings_of(Verification(checks=(PASSED, FAILED, BROKEN)))
    assert lines == [
        "dictionary: res_partner.name: a real name (2)",
        "references could not run: UndefinedColumn 42703",
    ]
    assert findings_of(Verification(checks=(PASSED,))) == []
