"""The parts of a run on the demo company: planted, masked, judged, and the site's own sets among what is certified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from operations.anonymise import marks
from operations.anonymise.catalogue.loader import load
from operations.anonymise.environment import Pod
from operations.anonymise.mask import Masked
from operations.anonymise.parts import Evidence, Proof
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.plain import FILES_TABLE
from operations.anonymise.schema import read_schema
from operations.anonymise.sessions import Endpoint
from operations.anonymise.transfer import transfer
from operations.anonymise.verify.quasi import QuasiSet
from tests.anonymise.masking import TODAY, source, tools
from tests.anonymise.support import Server

CHIEF = (
    "UPDATE hr_version SET job_id = (SELECT min(id) FROM hr_job)",
    "UPDATE hr_version SET job_id = (SELECT max(id) FROM hr_job) WHERE employee_id = (SELECT min(id) FROM hr_employee)",
)
"""Everybody has one job, but for one person, who has another alone."""
OWN = QuasiSet(table="hr_employee", columns=("certificate",), threshold=6, declared=True)
NOT_EMPTIED = QuasiSet(table="res_partner", columns=("id",), declared=True)
"""A set that cannot be emptied, of which every person is the only one."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A masked copy of the demo company, not yet judged."""

    proof: Proof
    masked: Masked
    ends: tuple[Endpoint, Endpoint]
    said: list[str]
    evidence: list[Evidence]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.ends[1].conninfo) as target:
            return target.execute(query.encode()).fetchall()


def _made(server: Server, name: str, target: str, sets: tuple[QuasiSet, ...]) -> Made:
    said: list[str] = []
    evidence: list[Evidence] = []
    ends = (Endpoint(conninfo=server.conninfo(name)), Endpoint(conninfo=server.conninfo(target)))
    proof = Proof(k=5, certify=lambda proved: evidence.append(proved) or {}, say=said.append, sets=sets)
    with server.connect(name) as connection:
        connection.execute(FILES_TABLE.encode())
        for statement in CHIEF:
            connection.execute(statement.encode())
        schema = read_schema(connection)
        proof.plant(connection, schema)
    run = Run(schema=schema, catalogue=load(), k=5)
    transferred = transfer(*ends, compile_tables(run), session_settings(RunKey(), run, TODAY), tools(server))
    with server.connect(target) as connection:
        connection.execute(marks.STATE)
    masked = Masked(
        pod=Pod(run="417", source_identity="riverside/prod", target_identity="riverside/training", wait_seconds=1),
        export={}, schema=schema, catalogue=run.catalogue, transferred=transferred, files=0, key="0" * 16,
        key_destroyed=True,
    )  # fmt: skip
    return Made(proof=proof, masked=masked, ends=ends, said=said, evidence=evidence)


@pytest.fixture
def made(server: Server, demo: str) -> Iterator[Made]:
    with server.copy(demo) as name, source(server, "proof") as target:
        yield _made(server, name, target.database, (OWN,))


def test_the_data_pass_nobody_has_a_job_alone_and_the_sites_own_set_is_among_the_proof(made: Made):
    assert made.proof.judge_data(made.masked, *made.ends) == []
    assert made.rows("SELECT count(DISTINCT job_id) FROM hr_version") == [(1,)], "the others keep theirs"
    assert made.rows("SELECT 1 FROM hr_version WHERE job_id = (SELECT max(id) FROM hr_job)") == [], "the chief's"
    assert [text for text in made.said if "departments with a made leader" in text]
    (check,) = (each for each in made.proof._before.checks if each.name == "k-anonymity")
    (own,) = (group for group in check.groups if group.declared)
    assert (own.table, own.columns, own.threshold) == ("hr_employee", ("certificate",), 6)
    assert own.people == 0 or own.smallest >= 6


def test_a_set_that_cannot_be_emptied_fails_the_run_naming_columns_and_counts_alone(server: Server, demo: str):
    with server.copy(demo) as name, source(server, "proof_strict") as target:
        made = _made(server, name, target.database, (NOT_EMPTIED,))
        findings = made.proof.judge_data(made.masked, *made.ends)
        people = made.rows("SELECT count(*) FROM res_partner")[0][0]
    (finding,) = (text for text in findings if "res_partner" in text)
    assert finding.startswith("k-anonymity: res_partner.id: people in groups of 1, fewer than 5 (")
    assert people > 5
