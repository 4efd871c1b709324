"""What finished Jobs made is looked for, and made again by running them again."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from operations import drift
from operations.session import open_session
from tests.edge_tls import NOW, edge_tls

JOBS = "/apis/batch/v1/namespaces/riverside-dev/jobs"
SECRETS = "/api/v1/namespaces/riverside-dev/secrets"
CLUSTER = "/apis/postgresql.cnpg.io/v1/namespaces/riverside-dev/clusters/postgresql"


def job(workload: str, *, condition: str | None = "Complete", ended: str = "2026-11-20T10:00:00Z") -> dict[str, Any]:
    status: dict[str, Any] = {}
    if condition:
        status["conditions"] = [{"type": condition, "status": "True"}]
    if condition == "Complete":
        status["completionTime"] = ended
    return {"metadata": {"name": f"{workload}-1", "labels": {"app.kubernetes.io/name": workload}}, "status": status}


def cluster(**changes: Any) -> dict[str, Any]:
    """Return a whole environment by API path; a change of None takes something away."""
    objects = {
        "/api/v1/namespaces/riverside-dev": {},
        JOBS: {"items": [job("odoo-secrets"), job("odoo-migrate")]},
        f"{SECRETS}/odoo-secrets": {"data": {}},
        f"{SECRETS}/edge-tls": edge_tls(),
        CLUSTER: {"metadata": {"creationTimestamp": "2026-11-20T09:00:00Z"}},
    }
    paths = {"login": f"{SECRETS}/odoo-secrets", "tls": f"{SECRETS}/edge-tls", "database": CLUSTER, "jobs": JOBS}
    return objects | {paths[name]: value for name, value in changes.items()}


@pytest.fixture
def look(make_environment, shown):
    def act(objects: dict[str, Any], *, refresh: bool = True, recorded: tuple[str, ...] = (), now=NOW):
        """Return what was found and which Jobs were removed."""
        deleted: list[str] = []
        dev = make_environment("dev")
        found = drift.find(objects.get, dev, frozenset(recorded), refresh=refresh, now=now)
        said = drift.remove(objects.get, deleted.append, dev, found, shown)
        return said, [path.removeprefix(f"{JOBS}/") for path in deleted]

    return act


def test_a_whole_environment_loses_no_job(look):
    assert look(cluster(), recorded=("odoo-secrets-1", "odoo-migrate-1")) == ((), [])


def test_an_environment_without_a_namespace_is_not_looked_at(look):
    assert look({}, recorded=("odoo-secrets-1",)) == ((), [])


@pytest.mark.parametrize("refresh", [True, False])
def test_a_lost_login_is_made_again_with_its_migration_first_and_says_that_the_password_changes(look, refresh):
    (said,), removed = look(cluster(login=None), refresh=refresh)
    assert "a new administrator's password" in said
    assert "./careops open dev" in said
    assert removed == ["odoo-migrate-1", "odoo-secrets-1"], "an interruption in between must not lose the migration"


def test_a_lost_certificate_runs_only_the_job_that_makes_it(look):
    (said,), removed = look(cluster(tls=None), refresh=False)
    assert "edge-tls" in said
    assert removed == ["odoo-secrets-1"]


@pytest.mark.parametrize(
    ("days", "removed"), [(0, []), (239, []), (241, ["odoo-secrets-1"]), (301, ["odoo-secrets-1"])]
)
def test_a_certificate_is_renewed_when_less_than_sixty_days_are_left_or_none(look, days, removed):
    said, gone = look(cluster(), refresh=False, now=NOW + timedelta(days=days))
    assert gone == removed
    assert bool(said) == bool(removed)
    assert all("new authority for browsers to trust" in one for one in said)


def test_a_certificate_of_another_authority_never_runs_the_job(look):
    assert look(cluster(tls=edge_tls(days=-1, issuer="Riverside CA"))) == ((), [])


@pytest.mark.parametrize(
    "database",
    [None, {"metadata": {"creationTimestamp": "2026-11-20T10:00:01Z"}}],
    ids=["not there", "younger than the last migration"],
)
def test_a_database_that_is_gone_is_migrated_again_only_by_who_asks_for_mending(look, database):
    assert look(cluster(database=database), refresh=False) == ((), [])
    (said,), removed = look(cluster(database=database))
    assert "the database was" in said
    assert removed == ["odoo-migrate-1"]


def test_a_database_that_no_migration_has_finished_on_is_left_to_the_migration_to_come(look):
    jobs = {"items": [job("odoo-secrets"), job("odoo-migrate", condition=None)]}
    assert look(cluster(jobs=jobs, database=None)) == ((), [])


def test_a_job_that_still_runs_is_never_removed(look):
    jobs = {"items": [job("odoo-secrets", condition=None), job("odoo-migrate", condition="Failed")]}
    said, removed = look(cluster(jobs=jobs, login=None))
    assert len(said) == 1
    assert removed == ["odoo-migrate-1"]


def test_a_job_that_only_pulumi_knows_of_is_told_so_that_an_interrupted_mending_goes_on(look):
    (said,), removed = look(
        cluster(jobs={"items": [job("odoo-secrets")]}), recorded=("odoo-secrets-1", "odoo-migrate-1")
    )
    assert "odoo-migrate-1 was not there" in said
    assert removed == []


def test_the_jobs_of_a_stack_are_read_from_pulumis_state(tmp_path):
    session = open_session([], {"HOME": str(tmp_path), "CAREOPS_STATE": str(tmp_path / "state")})
    assert drift.recorded_jobs(session, "dev") == frozenset()
    path = session.paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / "dev.json"
    path.parent.mkdir(parents=True)
    resources = [
        {"type": "kubernetes:batch/v1:Job", "id": "riverside-dev/odoo-secrets-1"},
        {"type": "kubernetes:core/v1:Namespace", "id": "riverside-dev"},
    ]
    path.write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    assert drift.recorded_jobs(session, "dev") == {"odoo-secrets-1"}
