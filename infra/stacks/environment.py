"""What an environment is composed of, in the order it comes up."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pulumi

from infra import naming
from infra.components.boundary import EnvironmentBoundary, EnvironmentBoundaryArgs
from infra.components.edge_proxy import EdgeProxy, EdgeProxyArgs
from infra.components.environment_secrets import EnvironmentSecrets, EnvironmentSecretsArgs
from infra.components.filestore import Filestore, FilestoreArgs
from infra.components.mail_sink import MailSink, MailSinkArgs
from infra.components.odoo import Odoo, OdooArgs
from infra.components.postgres_cluster import PostgresCluster, PostgresClusterArgs
from infra.components.refresh import RefreshSource, RefreshSourceArgs, RefreshTarget, RefreshTargetArgs
from infra.components.refresh_hours import RefreshHours, RefreshHoursArgs
from infra.components.sandbox import SandboxAccess, SandboxAccessArgs
from infra.plans import refresh as refreshing
from infra.plans import sandbox as sandboxing
from infra.plans.boundary import quota_limits
from infra.plans.database import DatabasePlan
from infra.plans.network import environment_flows, policies
from infra.plans.odoo import plan_odoo
from infra.plans.sizes import has_mail_sink

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.facts import ClusterFacts
    from infra.model import StackSettings
    from infra.plans.database import ManagedRole
    from infra.plans.network import Flow
    from infra.plans.refresh import RefreshPlan

ODOO_ACCOUNT = "odoo"


@dataclass(frozen=True, kw_only=True)
class EnvironmentStack:
    """The components of an environment.

    Attributes:
        boundary: The wall around it.
        secrets: Its secrets.
        database: Its PostgreSQL.
        filestore: Its attachments.
        mail_sink: Where its mail ends; none in prod.
        odoo: Its Odoo.
        edge: Its way in.
        refresh: Its part of the refresh of training: none in dev and test, nor where the site has none.
        sandbox: Who may ask for a refreshed training: in training only, and where the site takes requests.
        hours: What keeps refreshes out of class hours and freezes: in training only, and where the site has some.
    """

    boundary: EnvironmentBoundary
    secrets: EnvironmentSecrets
    database: PostgresCluster
    filestore: Filestore
    mail_sink: MailSink | None
    odoo: Odoo
    edge: EdgeProxy
    refresh: RefreshSource | RefreshTarget | None = None
    sandbox: SandboxAccess | None = None
    hours: RefreshHours | None = None


def declare_environment(stack: StackSettings, facts: ClusterFacts, provider: kubernetes.Provider) -> EnvironmentStack:
    """Declare one environment on a cluster."""
    names, image = stack.naming, facts.images["odoo"]
    opts = pulumi.ResourceOptions(providers=[provider])
    boundary = EnvironmentBoundary("boundary", _boundary_args(stack, facts), opts)
    secrets = EnvironmentSecrets(
        "secrets",
        EnvironmentSecretsArgs(naming=names, namespace=boundary.namespace, image=image, edge_names=stack.edge_names),
        opts,
    )
    database = PostgresCluster(
        "database",
        PostgresClusterArgs(
            naming=names,
            namespace=boundary.namespace,
            plan=_database_plan(stack, facts),
            protected=stack.protected,
        ),
        opts,
    )
    filestore = Filestore("filestore", _filestore_args(stack, facts, boundary.namespace), opts)
    mail_sink = None
    if has_mail_sink(stack.settings):
        account = boundary.service_accounts[naming.MAIL_SINK]
        mail_sink = MailSink(
            "mail-sink",
            MailSinkArgs(naming=names, namespace=boundary.namespace, image=image, service_account=account),
            opts,
        )
    odoo = Odoo(
        "odoo",
        OdooArgs(
            naming=names,
            namespace=boundary.namespace,
            plan=plan_odoo(stack, facts),
            database=database.endpoint,
            secrets=secrets.odoo,
            filestore=filestore.claim,
            service_account=boundary.service_accounts[ODOO_ACCOUNT],
        ),
        opts,
    )
    edge = EdgeProxy(
        "edge",
        EdgeProxyArgs(
            naming=names,
            namespace=boundary.namespace,
            image=facts.images["edge"],
            replicas=min(stack.settings.odoo.replicas, facts.node_count),
            http_upstream=odoo.http_upstream,
            websocket_upstream=odoo.websocket_upstream,
            tls_secret=secrets.edge_tls,
            names=stack.edge_names,
            service_account=boundary.service_accounts[naming.EDGE],
        ),
        opts,
    )
    declared = EnvironmentStack(
        boundary=boundary,
        secrets=secrets,
        database=database,
        filestore=filestore,
        mail_sink=mail_sink,
        odoo=odoo,
        edge=edge,
    )
    return dataclasses.replace(
        declared,
        refresh=_refresh(stack, facts, declared, opts),
        sandbox=_sandbox(stack, facts, declared, opts),
        hours=_hours(stack, opts),
    )


def _sandbox(
    stack: StackSettings, facts: ClusterFacts, declared: EnvironmentStack, opts: pulumi.ResourceOptions
) -> SandboxAccess | None:
    """Declare who may ask for a refreshed training."""
    settings = stack.site.sandbox
    if settings is None or stack.site.refresh is None or stack.settings.environment != "training":
        return None
    return SandboxAccess(
        "sandbox",
        SandboxAccessArgs(
            naming=stack.naming,
            namespace=declared.boundary.namespace,
            groups=sandboxing.groups_of(settings),
            rules=sandboxing.rules_document(stack, facts),
        ),
        opts,
    )


def _hours(stack: StackSettings, opts: pulumi.ResourceOptions) -> RefreshHours | None:
    """Declare when training is not to be refreshed."""
    site = stack.site
    if site.refresh is None or stack.settings.environment != "training" or not (site.sandbox or site.freezes):
        return None
    return RefreshHours(
        "refresh-hours",
        RefreshHoursArgs(
            naming=stack.naming,
            requests=stack.namespace if site.sandbox else None,
            freezes=site.freezes,
            time_zone=site.time_zone,
        ),
        opts,
    )


def _refresh(
    stack: StackSettings, facts: ClusterFacts, declared: EnvironmentStack, opts: pulumi.ResourceOptions
) -> RefreshSource | RefreshTarget | None:
    """Declare what the refresh of training needs here."""
    plan = refreshing.plan_refresh(stack, facts)
    if plan is None:
        return None
    if stack.settings.environment == "prod":
        return _refresh_source(stack, facts, declared, plan, opts)
    if stack.settings.environment != "training":
        return None
    return RefreshTarget(
        "refresh-target",
        RefreshTargetArgs(
            plan=plan,
            odoo=plan_odoo(stack, facts),
            namespace=declared.boundary.namespace,
            database=declared.database.endpoint,
            secrets=declared.secrets.odoo,
            filestore=declared.filestore.claim,
            service_account=declared.boundary.service_accounts[naming.REFRESH_ADOPT],
        ),
        opts,
    )


def _refresh_source(
    stack: StackSettings,
    facts: ClusterFacts,
    declared: EnvironmentStack,
    plan: RefreshPlan,
    opts: pulumi.ResourceOptions,
) -> RefreshSource:
    isolated = EnvironmentBoundary(
        "refresh-boundary",
        EnvironmentBoundaryArgs(
            naming=stack.naming,
            namespace=plan.namespace,
            policies=policies(refreshing.isolated_flows(plan, facts)),
            limits=refreshing.isolated_limits(plan),
            service_accounts=(naming.REFRESH_MASK,),
            # Nothing in it outlives a run.
            protected=False,
        ),
        opts,
    )
    return RefreshSource(
        "refresh-source",
        RefreshSourceArgs(
            plan=plan,
            namespace=declared.boundary.namespace,
            isolated=isolated.namespace,
            database=declared.database.endpoint,
            filestore=declared.filestore.claim,
            export_account=declared.boundary.service_accounts[naming.REFRESH_EXPORT],
            mask_account=isolated.service_accounts[naming.REFRESH_MASK],
        ),
        opts,
    )


@dataclass(frozen=True, kw_only=True)
class _RefreshShare:
    """What the refresh adds to an environment's boundary and database."""

    flows: tuple[Flow, ...] = ()
    accounts: tuple[str, ...] = ()
    roles: tuple[ManagedRole, ...] = ()


def _refresh_share(stack: StackSettings, facts: ClusterFacts) -> _RefreshShare:
    plan, environment = refreshing.plan_refresh(stack, facts), stack.settings.environment
    if plan is not None and environment == "prod":
        return _RefreshShare(
            flows=refreshing.source_flows(plan), accounts=(naming.REFRESH_EXPORT,), roles=(refreshing.source_role(),)
        )
    if plan is not None and environment == "training":
        return _RefreshShare(
            flows=refreshing.target_flows(plan), accounts=(naming.REFRESH_ADOPT,), roles=(refreshing.target_role(),)
        )
    return _RefreshShare()


def _boundary_args(stack: StackSettings, facts: ClusterFacts) -> EnvironmentBoundaryArgs:
    accounts = [ODOO_ACCOUNT, naming.EDGE]
    accounts += [naming.MAIL_SINK] if has_mail_sink(stack.settings) else []
    share = _refresh_share(stack, facts)
    return EnvironmentBoundaryArgs(
        naming=stack.naming,
        namespace=stack.namespace,
        policies=policies((*environment_flows(stack.settings, facts), *share.flows)),
        limits=quota_limits(stack.settings.quota),
        service_accounts=(*accounts, *share.accounts),
        protected=stack.protected,
    )


def _database_plan(stack: StackSettings, facts: ClusterFacts) -> DatabasePlan:
    database = stack.settings.database
    return DatabasePlan(
        image=facts.images["postgresql"],
        instances=database.instances,
        storage=database.storage,
        storage_class=facts.storage_classes.block,
        resources=database.resources,
        parameters=database.parameters,
        priority_class=naming.priority_class(stack.settings.environment),
        labels={naming.PART_OF_LABEL: naming.PROJECT, **stack.naming.scope_labels()},
        roles=_refresh_share(stack, facts).roles,
    )


def _filestore_args(stack: StackSettings, facts: ClusterFacts, namespace: pulumi.Output[str]) -> FilestoreArgs:
    shared = stack.settings.filestore.access == "shared"
    mode: Literal["ReadWriteMany", "ReadWriteOnce"] = "ReadWriteMany" if shared else "ReadWriteOnce"
    return FilestoreArgs(
        naming=stack.naming,
        namespace=namespace,
        size=stack.settings.filestore.size,
        storage_class=facts.storage_classes.shared if shared else facts.storage_classes.block,
        access_mode=mode,
        protected=stack.protected,
    )
