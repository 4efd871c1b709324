"""The Odoo workload: a migration that ends before anything serves, then web and scheduled actions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra import naming as names
from infra.components.declaring import known_after, metadata
from infra.naming import type_token
from infra.plans.jobs import job_spec
from infra.plans.network import HTTP_PORT, WEBSOCKET_PORT
from infra.plans.odoo import STARTUP_SECONDS, WORKLOADS, OdooPlan, Role, role_pod
from infra.plans.workloads import deployment_spec, disruption_budget, service_spec

if TYPE_CHECKING:
    from infra.components.postgres_cluster import DatabaseEndpoint
    from infra.naming import Naming
    from infra.plans.pods import Pod

# Restoring a baseline takes a minute, installing a site's further modules up to 12 (measured with demo data on two
# busy cores); the rest is room for a large database's update.
MIGRATION_DEADLINE_SECONDS = 3600
MIGRATION_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class OdooArgs:
    """Arguments of `Odoo`.

    Attributes:
        naming: The environment's names.
        namespace: The namespace, available once its boundary stands.
        plan: Images, sizes, replicas and settings.
        database: How to reach the database.
        secrets: Secret with Odoo's identity, logins and master password.
        filestore: Claim that holds the attachments.
        service_account: The identity it runs as.
    """

    naming: Naming
    namespace: pulumi.Input[str]
    plan: OdooPlan
    database: DatabaseEndpoint
    secrets: pulumi.Input[str]
    filestore: pulumi.Input[str]
    service_account: pulumi.Input[str]


class Odoo(pulumi.ComponentResource):
    """Run Odoo on its database and filestore.

    Creates the settings ConfigMap, the migration Job, a Deployment and Service for web, a Deployment for scheduled
    actions where they have one, and a PodDisruptionBudget for more than one web replica. Web and scheduled actions
    start only after the migration succeeded. Implements 45 CFR 164.308(a)(7), contingency plan, by rolling updates.
    """

    http_upstream: pulumi.Output[str]
    """Host and port that serve pages."""

    websocket_upstream: pulumi.Output[str]
    """Host and port that serve the long-poll; the same as pages where Odoo is one threaded process."""

    def __init__(self, name: str, args: OdooArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("odoo", "Odoo"), name, None, opts)
        plan = args.plan
        settings = kubernetes.core.v1.ConfigMap(
            f"{name}-settings",
            metadata=self._metadata(names.ODOO_SETTINGS, args, "settings"),
            data=dict(plan.documents),
            opts=pulumi.ResourceOptions(parent=self),
        )
        migration = kubernetes.batch.v1.Job(
            f"{name}-migrate",
            metadata=self._metadata(plan.migration_name, args, "migrate"),
            spec=job_spec(
                self._pod("migrate", args),
                deadline_seconds=MIGRATION_DEADLINE_SECONDS,
                attempts=MIGRATION_ATTEMPTS,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[settings],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{MIGRATION_DEADLINE_SECONDS}s"),
            ),
        )
        web = self._deployment(f"{name}-web", "web", args, after=migration)
        if plan.dedicated_cron:
            self._deployment(f"{name}-cron", "cron", args, after=migration)
        if plan.replicas > 1:
            kubernetes.policy.v1.PodDisruptionBudget(
                f"{name}-web-budget",
                metadata=self._metadata(names.ODOO_WEB, args, "web"),
                spec=disruption_budget(names.ODOO_WEB),
                opts=pulumi.ResourceOptions(parent=self),
            )
        service = kubernetes.core.v1.Service(
            f"{name}-web-service",
            metadata=self._metadata(names.ODOO_WEB, args, "web"),
            spec=service_spec(names.ODOO_WEB, plan.web_ports),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[web]),
        )
        websocket_port = WEBSOCKET_PORT if plan.long_poll else HTTP_PORT
        self.http_upstream = known_after(f"{names.ODOO_WEB}:{HTTP_PORT}", service)
        self.websocket_upstream = known_after(f"{names.ODOO_WEB}:{websocket_port}", service)
        self.register_outputs({"http_upstream": self.http_upstream, "websocket_upstream": self.websocket_upstream})

    def _deployment(
        self, logical_name: str, role: Role, args: OdooArgs, *, after: pulumi.Resource
    ) -> kubernetes.apps.v1.Deployment:
        web = role == "web"
        return kubernetes.apps.v1.Deployment(
            logical_name,
            metadata=self._metadata(WORKLOADS[role], args, role),
            spec=deployment_spec(
                self._pod(role, args),
                replicas=args.plan.replicas if web else 1,
                rolling=web,
                progress_seconds=STARTUP_SECONDS + 120,
            ),
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=[after],
                custom_timeouts=pulumi.CustomTimeouts(create="20m", update="20m"),
            ),
        )

    @staticmethod
    def _metadata(object_name: str, args: OdooArgs, component: str) -> kubernetes.meta.v1.ObjectMetaArgs:
        workload = WORKLOADS["migrate"] if component == "migrate" else object_name
        return metadata(object_name, args.namespace, args.naming.labels(workload, component))

    @staticmethod
    def _pod(role: Role, args: OdooArgs) -> Pod:
        return role_pod(
            role,
            args.naming,
            args.plan,
            host=args.database.host,
            password_secret=args.database.application_secret,
            ca_secret=args.database.ca_secret,
            secrets=args.secrets,
            claim=args.filestore,
            service_account=args.service_account,
        )
