"""What infra declares, the programs read: each pod's variables, given to the code that runs in it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from careops_odoo import settings
from careops_odoo.adopt_settings import parse_roles, password, read_run
from psycopg.conninfo import conninfo_to_dict

from operations.anonymise.environment import number, read_pod, required
from operations.anonymise.verify.quasi import VARIABLE, parse_sets
from operations.refresh import logins
from operations.refresh.jobs import run_name, run_parts
from tests import declared

JOB = "20261124t113000"


def environ(environment, workload):
    """Return a declared container's variables as its program sees them; what Kubernetes fills in is filled in."""
    (container,) = declared.environment(environment).pods()[workload]["spec"]["containers"]
    filled = {"CAREOPS_JOB": f"{workload}-{JOB}", "PGPASSWORD": "secret"}
    return {each["name"]: each.get("value") or filled[each["name"]] for each in container["env"]}


def odoo_pod(workload):
    """Return what the guard makes of the declared variables."""
    return settings.read_pod(environ("training", workload))


@pytest.mark.parametrize("workload", ["refresh-export", "refresh-mask"])
def test_the_programs_of_the_refresh_image_find_what_they_read(workload):
    pod = read_pod(environ("prod", workload))
    assert (pod.run, pod.source_identity, pod.target_identity) == (JOB, "riverside/prod", "riverside/training")


@pytest.mark.parametrize(
    ("environment", "workload", "names"),
    [
        ("prod", "refresh-export", ("CAREOPS_SOURCE", "CAREOPS_ISOLATED")),
        ("prod", "refresh-mask", ("CAREOPS_ISOLATED", "CAREOPS_TARGET")),
        ("training", "refresh-adopt", ("CAREOPS_TARGET",)),
        ("training", "refresh-rollback", ("CAREOPS_TARGET",)),
    ],
)
def test_every_database_is_named_as_libpq_takes_it(environment, workload, names):
    found = environ(environment, workload)
    for name in names:
        parts = conninfo_to_dict(required(found, name))
        assert {"host", "port", "dbname", "user", "sslmode", "sslrootcert"} <= set(parts)
        assert required(found, f"{name}_PASSWORD_FILE").startswith("/run/careops/")


def test_the_masking_program_finds_what_it_certifies_with():
    found = environ("prod", "refresh-mask")
    assert number(found, "CAREOPS_K_ANONYMITY") == 5
    assert parse_sets(required(found, VARIABLE)) == (), "an empty list is said, and not left out"
    for name in ("CAREOPS_EVIDENCE_KEY", "CAREOPS_REQUESTED_BY", "CAREOPS_APPROVED_BY"):
        assert required(found, name)


def test_the_adoption_finds_roles_and_seed(tmp_path):
    found = environ("training", "refresh-adopt")
    seed = tmp_path / "seed"
    seed.write_bytes(b"0" * 64)
    assert found["CAREOPS_EVIDENCE_KEY"] == "/run/careops/evidence-key/key.pub.pem"
    files = {"CAREOPS_LOGINS_SEED": str(seed), "CAREOPS_EVIDENCE_KEY": str(seed)}
    run = read_run({**found, **files}, odoo_pod("refresh-adopt"))
    assert run.number == JOB
    assert [role.name for role in run.roles] == ["sales", "stores", "personnel"]


def test_the_rollback_finds_its_run():
    assert read_run(environ("training", "refresh-rollback"), odoo_pod("refresh-rollback"), logins=False).number == JOB


def test_the_command_line_derives_the_passwords_that_the_pod_sets():
    roles = declared.settings("training").site.refresh.roles
    in_pod = parse_roles(environ("training", "refresh-adopt")["CAREOPS_REFRESH_ROLES"])
    here = {each.name: each.password for each in logins.logins(roles, b"seed", JOB)}
    assert here == {login: password(b"seed", JOB, login) for role in in_pod for login in role.logins}
    assert len(here) == 11


def test_a_run_that_somebody_asked_for_has_a_name_that_every_program_takes():
    name = run_name(datetime(2026, 11, 24, 11, 30, tzinfo=UTC))
    assert name == JOB
    part = run_parts("riverside")[0]
    assert part.job(name).rpartition("-")[2] == name
