"""What finished Jobs made and is there no longer: a finished Job never runs again, so it is removed first."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.naming import EDGE_TLS, NAME_LABEL, ODOO_MIGRATE, ODOO_SECRETS, ODOO_SECRETS_JOB, POSTGRESQL
from operations.certificates import edge_tls_path, read_certificate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operations.environments import Environment
    from operations.kube_api import Read
    from operations.session import Session
    from toolchain.progress import Step

JOB_TYPE = "kubernetes:batch/v1:Job"
NEW_LOGIN = "a new administrator's password is made and set in the database; how to read it:"


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One product of a Job that has to be made again.

    Attributes:
        what: What was found, for people.
        workloads: Names of the workloads whose Jobs have to run again.
    """

    what: str
    workloads: tuple[str, ...] = ()


def find(
    read: Read, environment: Environment, recorded: frozenset[str], *, refresh: bool, now: datetime
) -> tuple[Drift, ...]:
    """Return what finished Jobs of an environment have to make again; nothing for one whose namespace is not there.

    Args:
        read: Reads from the cluster.
        environment: Which.
        recorded: Names of the Jobs that Pulumi's state holds.
        refresh: Whether to look at the database as well: one that is gone is made anew only by who asked for mending.
        now: For the certificate's time left, UTC.
    """
    namespace = environment.namespace
    if read(f"/api/v1/namespaces/{namespace}") is None:
        return ()
    jobs = _jobs(read, namespace)
    found = [*_missing_jobs(recorded, jobs), *_secrets(read, environment, now)]
    if refresh:
        found += _database(read, namespace, jobs)
    return tuple(found)


def spent(read: Read, namespace: str, drifts: Sequence[Drift]) -> tuple[str, ...]:
    """Return the API paths of the Jobs to remove; one that still runs is left to end.

    Migrations come first: were only the other Job removed before an interruption, a new Secret's password would never
    reach the database.
    """
    wanted = {workload for drift in drifts for workload in drift.workloads}
    finished = [job for job in _jobs(read, namespace) if _workload(job) in wanted and _ended(job)]
    finished.sort(key=lambda job: (_workload(job) != ODOO_MIGRATE, job["metadata"]["name"]))
    return tuple(f"{_jobs_path(namespace)}/{job['metadata']['name']}" for job in finished)


def mend(session: Session, stack: str, step: Step, *, refresh: bool) -> tuple[str, ...]:
    """Remove finished Jobs whose products are gone, so that the deployment that follows makes and runs them again.

    Args:
        session: This invocation.
        stack: Which; the platform's own stack has no such Jobs.
        step: Shows progress.
        refresh: See `find`.

    Returns:
        What was found, for people; when there is anything, the deployment must compare its state with the cluster.
    """
    from operations import live
    from toolchain.cluster.kubeapi import KubeApi

    chosen = {one.stack: one for one in live.environments(session)}.get(stack)
    if chosen is None:
        return ()
    read = live.cluster_reader(session)
    recorded = recorded_jobs(session, stack)
    return remove(
        read,
        KubeApi(session.paths.kubeconfig).delete,
        chosen,
        find(read, chosen, recorded, refresh=refresh, now=datetime.now(UTC)),
        step,
    )


def deploy(session: Session, stack: str, step: Step, *, refresh: bool) -> str:
    """Deploy a stack, together with what its finished Jobs have to make again.

    Args:
        session: This invocation.
        stack: Which.
        step: Shows progress.
        refresh: Whether its state is compared with the cluster first, so that drift is mended.

    Returns:
        A line about what was found and what changed.

    Raises:
        DeploymentFailed: The engine, the program or a policy said no.
    """
    from operations import deployment, live

    found = mend(session, stack, step, refresh=refresh)
    lost = bool(found) or live.is_lost(session, stack)
    return "; ".join([*found, deployment.deploy(session, stack, step, refresh=refresh, lost=lost)])


def remove(
    read: Read, delete: Callable[[str], None], environment: Environment, drifts: Sequence[Drift], step: Step
) -> tuple[str, ...]:
    """Remove the Jobs that made what is gone; return what was found."""
    for drift in drifts:
        step.note(drift.what)
    for path in spent(read, environment.namespace, drifts):
        delete(path)
    return tuple(drift.what for drift in drifts)


def recorded_jobs(session: Session, stack: str) -> frozenset[str]:
    """Return the names of the Jobs that Pulumi's state of a stack holds; none when there is no such stack."""
    path = session.paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / f"{stack}.json"
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError):
        return frozenset()
    latest = (state.get("checkpoint") or {}).get("latest") or {}
    # A Job's id is `<namespace>/<name>`.
    return frozenset(
        str(resource.get("id", "")).rpartition("/")[2]
        for resource in latest.get("resources") or []
        if resource.get("type") == JOB_TYPE
    )


def _missing_jobs(recorded: frozenset[str], jobs: Sequence[dict[str, Any]]) -> list[Drift]:
    """Also what an interrupted `mend` has removed and nobody has made again."""
    there = {job["metadata"]["name"] for job in jobs}
    return [Drift(what=f"the Job {name} was not there") for name in sorted(recorded - there)]


def _secrets(read: Read, environment: Environment, now: datetime) -> list[Drift]:
    namespace, found = environment.namespace, []
    if read(f"/api/v1/namespaces/{namespace}/secrets/{ODOO_SECRETS}") is None:
        found.append(
            Drift(
                what=f"the Secret {ODOO_SECRETS} was not there: {NEW_LOGIN} ./careops open {environment.stack}",
                workloads=(ODOO_SECRETS_JOB, ODOO_MIGRATE),
            )
        )
    secret = read(edge_tls_path(namespace))
    certificate = read_certificate(secret)
    if secret is None:
        found.append(Drift(what=f"the Secret {EDGE_TLS} was not there", workloads=(ODOO_SECRETS_JOB,)))
    elif certificate and certificate.own and (fault := certificate.fault(environment.host, now)):
        what = f"the edge's certificate {fault}: it is made anew, with a new authority for browsers to trust"
        found.append(Drift(what=what, workloads=(ODOO_SECRETS_JOB,)))
    return found


def _database(read: Read, namespace: str, jobs: Sequence[dict[str, Any]]) -> list[Drift]:
    """Tell whether the database is younger than the last migration that ended: then it is empty."""
    migrated = max((_completed(job) for job in jobs if _workload(job) == ODOO_MIGRATE), default="")
    if not migrated:
        return []
    cluster = read(f"/apis/postgresql.cnpg.io/v1/namespaces/{namespace}/clusters/{POSTGRESQL}")
    if cluster is None:
        return [Drift(what="the database was not there", workloads=(ODOO_MIGRATE,))]
    # Kubernetes writes both as RFC 3339 in UTC with whole seconds, which sort as texts.
    if cluster["metadata"]["creationTimestamp"] > migrated:
        return [Drift(what="the database was made after the last migration", workloads=(ODOO_MIGRATE,))]
    return []


def _jobs(read: Read, namespace: str) -> list[dict[str, Any]]:
    return (read(_jobs_path(namespace)) or {}).get("items") or []


def _jobs_path(namespace: str) -> str:
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def _workload(job: dict[str, Any]) -> str:
    return job["metadata"].get("labels", {}).get(NAME_LABEL, "")


def _ended(job: dict[str, Any]) -> bool:
    conditions = job.get("status", {}).get("conditions") or []
    return any(one["type"] in ("Complete", "Failed") and one["status"] == "True" for one in conditions)


def _completed(job: dict[str, Any]) -> str:
    """Return when a Job succeeded, RFC 3339; empty while it has not."""
    return job.get("status", {}).get("completionTime") or ""
