"""The refresh of training from prod: templates of its jobs on both sides of prod's isolation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra import naming as names
from infra.components.declaring import SKIP_AWAIT, known_after, metadata
from infra.naming import type_token
from infra.plans.odoo import role_pod
from infra.plans.refresh import cron_spec, isolated_service
from infra.plans.refresh_pods import adopt_pod, export_pod, mask_pod

if TYPE_CHECKING:
    from infra.components.postgres_cluster import DatabaseEndpoint
    from infra.plans.odoo import OdooPlan
    from infra.plans.pods import Pod
    from infra.plans.refresh import RefreshPlan


@dataclass(frozen=True, kw_only=True)
class RefreshSourceArgs:
    """Arguments of `RefreshSource`.

    Attributes:
        plan: The refresh.
        namespace: Prod's namespace, available once its boundary stands.
        isolated: The namespace in which data is masked, available once its boundary stands.
        database: How to reach prod's database.
        filestore: Claim that holds prod's attachments.
        export_account: The identity the export runs as.
        mask_account: The identity the masking runs as.
    """

    plan: RefreshPlan
    namespace: pulumi.Input[str]
    isolated: pulumi.Input[str]
    database: DatabaseEndpoint
    filestore: pulumi.Input[str]
    export_account: pulumi.Input[str]
    mask_account: pulumi.Input[str]


class RefreshSource(pulumi.ComponentResource):
    """Copy prod's data into a throw-away PostgreSQL and mask it there, inside prod's isolation.

    Creates a CronJob for the export in prod's namespace, a CronJob for the masking and a Service for its throw-away
    PostgreSQL in a namespace of their own. Implements 45 CFR 164.312(e)(1), transmission security, and
    is a measure towards 164.514(b)(1): whether what comes out is de-identified is for an expert to determine, as
    moved dates are no Safe Harbor (164.514(b)(2)(i)(C)).
    """

    export: pulumi.Output[str]
    """Name of the export's template."""

    mask: pulumi.Output[str]
    """Name of the masking's template."""

    def __init__(self, name: str, args: RefreshSourceArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("refresh", "RefreshSource"), name, None, opts)
        plan, child = args.plan, pulumi.ResourceOptions(parent=self)
        labels = plan.source.labels
        kubernetes.core.v1.Service(
            f"{name}-isolated",
            # Only while a run lasts is a pod behind it.
            metadata=metadata(names.REFRESH_MASK, args.isolated, labels(names.REFRESH_MASK, "refresh"), SKIP_AWAIT),
            spec=isolated_service(),
            opts=child,
        )
        mask = kubernetes.batch.v1.CronJob(
            f"{name}-mask",
            metadata=metadata(names.REFRESH_MASK, args.isolated, labels(names.REFRESH_MASK, "refresh")),
            spec=cron_spec(plan, mask_pod(plan, service_account=args.mask_account)),
            opts=child,
        )
        export = kubernetes.batch.v1.CronJob(
            f"{name}-export",
            metadata=metadata(names.REFRESH_EXPORT, args.namespace, labels(names.REFRESH_EXPORT, "refresh")),
            spec=cron_spec(
                plan,
                export_pod(
                    plan,
                    ca_secret=args.database.ca_secret,
                    claim=args.filestore,
                    service_account=args.export_account,
                ),
            ),
            opts=child,
        )
        self.export = known_after(names.REFRESH_EXPORT, export)
        self.mask = known_after(names.REFRESH_MASK, mask)
        self.register_outputs({"export": self.export, "mask": self.mask})


@dataclass(frozen=True, kw_only=True)
class RefreshTargetArgs:
    """Arguments of `RefreshTarget`.

    Attributes:
        plan: The refresh.
        odoo: Training's Odoo workload.
        namespace: Training's namespace, available once its boundary stands.
        database: How to reach training's database.
        secrets: Secret with Odoo's identity, logins and master password.
        filestore: Claim that holds training's attachments.
        service_account: The identity both jobs run as.
    """

    plan: RefreshPlan
    odoo: OdooPlan
    namespace: pulumi.Input[str]
    database: DatabaseEndpoint
    secrets: pulumi.Input[str]
    filestore: pulumi.Input[str]
    service_account: pulumi.Input[str]


class RefreshTarget(pulumi.ComponentResource):
    """Make masked data training's own, and put the previous data back on request.

    Creates a CronJob that adopts the masked database and one, never scheduled, that undoes the last adoption.
    Implements 45 CFR 164.308(a)(7), contingency plan. What training gets is pseudonymised, not Safe Harbor: see
    `RefreshSource`.
    """

    adopt: pulumi.Output[str]
    """Name of the adoption's template."""

    rollback: pulumi.Output[str]
    """Name of the rollback's template."""

    def __init__(self, name: str, args: RefreshTargetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("refresh", "RefreshTarget"), name, None, opts)
        migration = role_pod(
            "migrate",
            args.plan.target,
            args.odoo,
            host=args.database.host,
            password_secret=args.database.application_secret,
            ca_secret=args.database.ca_secret,
            secrets=args.secrets,
            claim=args.filestore,
            service_account=args.service_account,
        )
        adopt = self._template(f"{name}-adopt", args, migration, rollback=False)
        rollback = self._template(f"{name}-rollback", args, migration, rollback=True)
        self.adopt = known_after(names.REFRESH_ADOPT, adopt)
        self.rollback = known_after(names.REFRESH_ROLLBACK, rollback)
        self.register_outputs({"adopt": self.adopt, "rollback": self.rollback})

    def _template(
        self, logical_name: str, args: RefreshTargetArgs, migration: Pod, *, rollback: bool
    ) -> kubernetes.batch.v1.CronJob:
        pod = adopt_pod(args.plan, args.odoo, migration, rollback=rollback)
        return kubernetes.batch.v1.CronJob(
            logical_name,
            metadata=metadata(pod.name, args.namespace, pod.labels),
            spec=cron_spec(args.plan, pod, scheduled=not rollback),
            opts=pulumi.ResourceOptions(parent=self),
        )
