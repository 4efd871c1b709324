"""The pods of a refresh of training.

What the programs find in them is written down in operations/anonymise/README.md; both change together.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from infra import naming
from infra.plans.database import DATABASE
from infra.plans.network import POSTGRESQL_PORT
from infra.plans.odoo import POSTGRESQL_CA_PATH
from infra.plans.pods import ODOO_USER, POSTGRESQL_USER, Pod, Sidecar, Volume, secret_files, temporary

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.model import Resources
    from infra.plans.odoo import OdooPlan
    from infra.plans.refresh import RefreshPlan

PROGRAM = "careops-refresh"
ISOLATED_PROGRAM = "careops-isolated-postgresql"
ISOLATED_DATABASE = ISOLATED_ROLE = "source"
RUN_PATH = "/run/careops"
CATALOGUE_PATH = "/etc/careops/catalogue"
# Seconds a program waits for a partner that was never there: three pods that start at once on two busy cores.
WAIT_SECONDS = 900
_JOB_NAME = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['batch.kubernetes.io/job-name']"}}


def export_pod(
    plan: RefreshPlan,
    *,
    ca_secret: pulumi.Input[str],
    claim: pulumi.Input[str],
    service_account: pulumi.Input[str],
) -> Pod:
    """Return the pod that copies prod's database, under one snapshot, into the throw-away PostgreSQL."""
    attachments = {"persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    server, role = naming.POSTGRESQL_PRIMARY_SERVICE, naming.REFRESH_SOURCE_ROLE
    return _pod(
        plan,
        naming.REFRESH_EXPORT,
        args=("export",),
        resources=plan.sizes.export,
        service_account=service_account,
        env={
            **_endpoint("SOURCE", server, DATABASE, role, f"{RUN_PATH}/source", ca=f"{RUN_PATH}/source-ca"),
            **_isolated(plan),
        },
        volumes=(
            Volume(name="filestore", path="/var/lib/odoo", source=attachments),
            secret_files("source", f"{RUN_PATH}/source", naming.REFRESH_SOURCE_ROLE_SECRET, keys=("password",)),
            secret_files("source-ca", f"{RUN_PATH}/source-ca", ca_secret, keys=("ca.crt",)),
            secret_files("isolated", f"{RUN_PATH}/isolated", naming.REFRESH_SOURCE_LINK_SECRET),
            temporary("tmp", "/tmp", "256Mi"),  # noqa: S108 - a path in the container
        ),
    )


def mask_pod(plan: RefreshPlan, *, service_account: pulumi.Input[str]) -> Pod:
    """Return the pod that masks: the program, and beside it the throw-away PostgreSQL, which goes with it."""
    training = f"{naming.POSTGRESQL_PRIMARY_SERVICE}.{plan.target.namespace}.svc"
    catalogue = {"configMap": {"name": naming.REFRESH_CATALOGUE, "optional": True}}
    return _pod(
        plan,
        naming.REFRESH_MASK,
        args=("mask",),
        resources=plan.sizes.mask,
        service_account=service_account,
        sidecar=_isolated_postgresql(plan),
        env={
            **_isolated(plan, "hostaddr=127.0.0.1"),
            **_endpoint("TARGET", training, "postgres", naming.REFRESH_TARGET_ROLE, f"{RUN_PATH}/target"),
            "CAREOPS_K_ANONYMITY": str(plan.k_anonymity),
            "CAREOPS_QUASI_IDENTIFIERS": plan.quasi_identifiers,
            "CAREOPS_CATALOGUE": CATALOGUE_PATH,
            "CAREOPS_EVIDENCE_KEY": f"{RUN_PATH}/evidence/key.pem",
            "CAREOPS_REQUESTED_BY": "schedule",
            "CAREOPS_APPROVED_BY": "nobody: started by the schedule",
        },
        volumes=(
            secret_files("isolated", f"{RUN_PATH}/isolated", naming.REFRESH_ISOLATED_SECRET, ("password", "ca.crt")),
            secret_files("target", f"{RUN_PATH}/target", naming.REFRESH_TARGET_SECRET, ("password", "ca.crt")),
            secret_files("evidence", f"{RUN_PATH}/evidence", naming.REFRESH_EVIDENCE_SECRET, ("key.pem",)),
            Volume(name="catalogue", path=CATALOGUE_PATH, source=catalogue),
            temporary("tmp", "/tmp", "1Gi"),  # noqa: S108 - a path in the container
        ),
    )


def adopt_pod(plan: RefreshPlan, odoo: OdooPlan, migration: Pod, *, rollback: bool) -> Pod:
    """Return the pod that makes the masked database training's own, or puts the previous one back.

    Args:
        plan: The refresh.
        odoo: Training's Odoo workload.
        migration: Training's migration, which this is with Odoo's image and what it needs of the refresh.
        rollback: Whether it puts the previous database back.
    """
    name = naming.REFRESH_ROLLBACK if rollback else naming.REFRESH_ADOPT
    server, role = naming.POSTGRESQL_PRIMARY_SERVICE, naming.REFRESH_TARGET_ROLE
    target = _endpoint("TARGET", server, "postgres", role, f"{RUN_PATH}/target", ca=POSTGRESQL_CA_PATH)
    public_key = {"configMap": {"name": naming.REFRESH_EVIDENCE_KEY}}
    return dataclasses.replace(
        migration,
        name=name,
        labels=plan.target.labels(name, "refresh"),
        image=odoo.image,
        args=("adopt", "--rollback") if rollback else ("adopt",),
        env={
            **migration.env,
            **_run_env(plan),
            **target,
            "CAREOPS_REFRESH_ROLES": plan.roles,
            "CAREOPS_LOGINS_SEED": f"{RUN_PATH}/logins/seed",
            **({} if rollback else {"CAREOPS_EVIDENCE_KEY": f"{RUN_PATH}/evidence-key/key.pub.pem"}),
        },
        volumes=(
            *migration.volumes,
            # A rollback proves nothing, and must not wait for a key.
            *(() if rollback else (Volume(name="evidence-key", path=f"{RUN_PATH}/evidence-key", source=public_key),)),
            secret_files("target", f"{RUN_PATH}/target", naming.REFRESH_ROLE_SECRET, ("password",)),
            secret_files("logins", f"{RUN_PATH}/logins", naming.REFRESH_LOGINS_SECRET, ("seed",)),
        ),
    )


def _pod(
    plan: RefreshPlan,
    name: str,
    *,
    args: tuple[str, ...],
    resources: Resources,
    env: Mapping[str, Any],
    volumes: tuple[Volume, ...],
    service_account: pulumi.Input[str],
    sidecar: Sidecar | None = None,
) -> Pod:
    """Return a pod of the refresh image inside prod's isolation."""
    identity = {"CAREOPS_SITE": plan.site, "CAREOPS_ENVIRONMENT": plan.source.environment}
    return Pod(
        name=name,
        labels=plan.source.labels(name, "refresh"),
        image=plan.image,
        user=ODOO_USER,
        command=(PROGRAM,),
        args=args,
        env={**identity, **_run_env(plan), **env},
        resources=resources,
        volumes=volumes,
        service_account=service_account,
        # The work is training's: it must not push out other pods, as prod's own may.
        priority_class=naming.priority_class("training"),
        restart_policy="Never",
        sidecar=sidecar,
    )


def _isolated_postgresql(plan: RefreshPlan) -> Sidecar:
    ready = {"exec": {"command": [ISOLATED_PROGRAM, "ready"]}, "timeoutSeconds": 5}
    return Sidecar(
        name=naming.ISOLATED_POSTGRESQL,
        image=plan.postgresql_image,
        user=POSTGRESQL_USER,
        command=(ISOLATED_PROGRAM,),
        env={"CAREOPS_JOB": _JOB_NAME, "CAREOPS_MEMORY_BYTES": str(plan.sizes.isolated.memory_limit_bytes)},
        ports={"postgresql": POSTGRESQL_PORT},
        resources=plan.sizes.isolated,
        volumes=(
            temporary("isolated-data", "/var/lib/postgresql", plan.sizes.isolated_storage),
            secret_files(
                "isolated-tls",
                f"{RUN_PATH}/tls",
                naming.REFRESH_ISOLATED_SECRET,
                keys=("tls.crt", "tls.key", "password"),
            ),
            temporary("isolated-tmp", "/tmp", "64Mi"),  # noqa: S108 - a path in the container
        ),
        probes={
            "startupProbe": {**ready, "periodSeconds": 2, "failureThreshold": 150},
            "readinessProbe": {**ready, "periodSeconds": 5},
        },
    )


def _run_env(plan: RefreshPlan) -> dict[str, Any]:
    return {
        "CAREOPS_JOB": _JOB_NAME,
        "CAREOPS_SOURCE_IDENTITY": plan.source.identity,
        "CAREOPS_TARGET_IDENTITY": plan.target.identity,
        "CAREOPS_WAIT_SECONDS": str(WAIT_SECONDS),
    }


def _isolated(plan: RefreshPlan, *more: str) -> dict[str, str]:
    host = naming.isolated_host(plan.site)
    return _endpoint("ISOLATED", host, ISOLATED_DATABASE, ISOLATED_ROLE, f"{RUN_PATH}/isolated", *more)


def _endpoint(
    prefix: str, host: str, database: str, role: str, folder: str, *more: str, ca: str = ""
) -> dict[str, str]:
    """Return the variables for one database: how libpq reaches it, and the file with the password.

    Args:
        prefix: Middle of the variables' names.
        host: Its host, as the server's certificate names it.
        database: Its name.
        role: Who logs in.
        folder: Where the password is.
        more: Further words of the conninfo.
        ca: Where the authority's certificate is; beside the password by default.
    """
    words = (f"host={host}", *more, f"port={POSTGRESQL_PORT}", f"dbname={database}", f"user={role}")
    return {
        f"CAREOPS_{prefix}": " ".join((*words, "sslmode=verify-full", f"sslrootcert={ca or folder}/ca.crt")),
        f"CAREOPS_{prefix}_PASSWORD_FILE": f"{folder}/password",
    }
