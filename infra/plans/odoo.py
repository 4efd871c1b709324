"""What the Odoo workload consists of: the settings each role reads, its sizes, and the name of its migration."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from infra import naming
from infra.plans.database import DATABASE, ROLE
from infra.plans.network import HTTP_PORT, POSTGRESQL_PORT, SMTP_PORT, WEBSOCKET_PORT
from infra.plans.pods import ODOO_USER, Pod, Volume, content_hash, secret_files, temporary
from infra.plans.sizes import has_mail_sink

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.facts import ClusterFacts
    from infra.model import Resources, StackSettings
    from infra.naming import Naming

Role = Literal["web", "cron", "migrate"]
PROGRAM = "careops-odoo"
POSTGRESQL_CA_PATH = "/run/careops/postgresql-ca"
# One file of the ConfigMap for each role: they differ in limits, workers and scheduled actions.
SETTINGS_KEYS: dict[Role, str] = {"web": "odoo.json", "cron": "odoo-cron.json", "migrate": "odoo-migrate.json"}
WORKLOADS: dict[Role, str] = {"web": naming.ODOO_WEB, "cron": naming.ODOO_CRON, "migrate": naming.ODOO_MIGRATE}
# Loading 160 modules takes 6 s on a quiet core; four environments starting at once on two cores take minutes.
STARTUP_SECONDS = 600
_PROBE_SECONDS = 5
READY_PATH, LIVE_PATH = "/careops/ready", "/careops/live"


@dataclass(frozen=True, kw_only=True)
class OdooPlan:
    """The Odoo workload of an environment.

    Attributes:
        image: Odoo's image, by digest.
        migration_image: The same with the baseline in it, by digest.
        replicas: Web replicas, no more than there are nodes.
        long_poll: Whether web serves the long-poll on a port of its own.
        dedicated_cron: Whether scheduled actions have a deployment.
        sizes: Container size of each role.
        documents: Content of the settings ConfigMap.
    """

    image: str
    migration_image: str
    replicas: int
    long_poll: bool
    dedicated_cron: bool
    sizes: Mapping[Role, Resources]
    documents: Mapping[str, str]

    @property
    def web_ports(self) -> dict[str, int]:
        """Web's ports by name."""
        ports = {"http": HTTP_PORT}
        return ports | {"websocket": WEBSOCKET_PORT} if self.long_poll else ports

    @property
    def migration_name(self) -> str:
        """The migration job's name; another image or other settings give another, and so a new run."""
        document, size = self.documents[SETTINGS_KEYS["migrate"]], self.sizes["migrate"].model_dump()
        return f"{naming.ODOO_MIGRATE}-{content_hash(self.image, self.migration_image, document, size)}"

    def settings_checksum(self, role: Role) -> str:
        """Return the hash whose change restarts a role's pods."""
        return content_hash(self.documents[SETTINGS_KEYS[role]])


def plan_odoo(stack: StackSettings, facts: ClusterFacts) -> OdooPlan:
    """Decide the Odoo workload of an environment on a cluster."""
    odoo, data = stack.settings.odoo, stack.settings.data
    sizes: dict[Role, Resources] = {
        "web": odoo.resources,
        "cron": odoo.cron.resources,
        "migrate": odoo.migration,
    }
    roles: tuple[Role, ...] = ("web", "cron", "migrate") if odoo.cron.dedicated else ("web", "migrate")
    documents = {SETTINGS_KEYS[role]: _document(stack, role, sizes[role]) for role in roles}
    return OdooPlan(
        image=facts.images["odoo"],
        migration_image=facts.images[f"baseline-{data.baseline}"],
        # A second replica on the same node costs its memory and survives nothing the first does not.
        replicas=min(odoo.replicas, facts.node_count),
        long_poll=odoo.workers != 0,
        dedicated_cron=odoo.cron.dedicated,
        sizes=sizes,
        documents=documents,
    )


def _web_probes() -> dict[str, Any]:
    """Return web's probes, both answered by the image beside Odoo (careops_odoo/serving.py).

    Only readiness asks for the database, the pod's own: while a migration has closed it nobody is sent here. Restarting
    Odoo does not open it, so liveness must not depend on it. Odoo's own /web/health asks another database.
    """
    light = {"httpGet": {"path": LIVE_PATH, "port": "http"}, "timeoutSeconds": 5}
    with_database = {"httpGet": {"path": READY_PATH, "port": "http"}, "timeoutSeconds": 5}
    return {
        "startupProbe": {
            **with_database,
            "periodSeconds": _PROBE_SECONDS,
            "failureThreshold": STARTUP_SECONDS // _PROBE_SECONDS,
        },
        "readinessProbe": {**with_database, "periodSeconds": 10, "failureThreshold": 3},
        "livenessProbe": {**light, "periodSeconds": 20, "failureThreshold": 6},
    }


def identity_env(names: Naming) -> dict[str, Any]:
    """Return the variables that tell the image which environment it is in."""
    return {"CAREOPS_SITE": names.site, "CAREOPS_ENVIRONMENT": names.environment}


def role_pod(
    role: Role,
    names: Naming,
    plan: OdooPlan,
    *,
    host: pulumi.Input[str],
    password_secret: pulumi.Input[str],
    ca_secret: pulumi.Input[str],
    secrets: pulumi.Input[str],
    claim: pulumi.Input[str],
    service_account: pulumi.Input[str],
) -> Pod:
    """Return the pod of one role of Odoo.

    Args:
        role: web, cron or migrate.
        names: The environment's names.
        plan: The workload.
        host: Host of the database's primary. This and what follows are names, known or Pulumi outputs.
        password_secret: Secret with the database role's password.
        ca_secret: Secret with the certificate that signed the database's.
        secrets: Secret with Odoo's identity, logins and master password.
        claim: Claim that holds the attachments.
        service_account: The identity the pod runs as.
    """
    workload = WORKLOADS[role]
    return Pod(
        name=workload,
        labels=names.labels(workload, role),
        annotations={naming.SETTINGS_CHECKSUM: plan.settings_checksum(role)},
        image=plan.migration_image if role == "migrate" else plan.image,
        user=ODOO_USER,
        command=(PROGRAM,),
        args=(role,),
        env={**identity_env(names), **_database_env(host, password_secret)},
        ports=plan.web_ports if role == "web" else {},
        resources=plan.sizes[role],
        volumes=_volumes(role, claim=claim, secrets=secrets, ca_secret=ca_secret),
        service_account=service_account,
        priority_class=naming.priority_class(names.environment),
        probes=_web_probes() if role == "web" else {},
        # Odoo ends its requests and scheduled actions first; a report may take most of a minute.
        grace_seconds=60,
        restart_policy="Never" if role == "migrate" else "Always",
        spread_by_host=role == "web" and plan.replicas > 1,
    )


def _database_env(host: pulumi.Input[str], password_secret: pulumi.Input[str]) -> dict[str, Any]:
    return {
        "PGHOST": host,
        "PGPORT": str(POSTGRESQL_PORT),
        "PGUSER": ROLE,
        "PGDATABASE": DATABASE,
        "PGSSLMODE": "verify-full",
        "PGSSLROOTCERT": f"{POSTGRESQL_CA_PATH}/ca.crt",
        "PGPASSWORD": {"secretKeyRef": {"name": password_secret, "key": "password"}},
    }


def _volumes(
    role: Role, *, claim: pulumi.Input[str], secrets: pulumi.Input[str], ca_secret: pulumi.Input[str]
) -> tuple[Volume, ...]:
    document = {"name": naming.ODOO_SETTINGS, "items": [{"key": SETTINGS_KEYS[role], "path": "odoo.json"}]}
    attachments = {"persistentVolumeClaim": {"claimName": claim}}
    return (
        Volume(name="settings", path="/etc/careops", source={"configMap": document}),
        secret_files("secrets", "/run/careops/secrets", secrets),
        # The secret holds the authority's private key as well: only its certificate is mounted.
        secret_files("postgresql-ca", POSTGRESQL_CA_PATH, ca_secret, keys=("ca.crt",)),
        Volume(name="filestore", path="/var/lib/odoo", source=attachments, read_only=False),
        # Reports, imports and the migration's dumps pass through /tmp.
        temporary("tmp", "/tmp", "1Gi"),  # noqa: S108 - a path in the container
        temporary("run", "/run/odoo", "16Mi"),
    )


def _document(stack: StackSettings, role: Role, size: Resources) -> str:
    odoo, site = stack.settings.odoo, stack.site
    threads = {"web": 0 if odoo.cron.dedicated else odoo.cron.threads, "cron": odoo.cron.threads, "migrate": 0}
    mail = {"host": naming.MAIL_SINK, "port": SMTP_PORT} if has_mail_sink(stack.settings) else None
    company = site.company.model_dump() | {"time_zone": site.time_zone}
    document = {
        "modules": list(site.modules),
        "languages": list(site.languages),
        "company": company,
        "base_url": stack.base_url,
        "baseline": stack.settings.data.baseline,
        "workers": odoo.workers if role == "web" else 0,
        "cron_threads": threads[role],
        "limits": {"memory_bytes": size.memory_limit_bytes, "cpu_millicores": size.cpu_limit_millicores},
        "smtp": mail,
        "banner": odoo.banner,
        "data_classification": stack.naming.classification,
    }
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
