"""What an environment is composed of, in the order it comes up."""

from __future__ import annotations

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
from infra.plans.database import DatabasePlan
from infra.plans.network import environment_flows, policies
from infra.plans.odoo import plan_odoo
from infra.plans.sizes import has_mail_sink

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.facts import ClusterFacts
    from infra.model import StackSettings

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
    """

    boundary: EnvironmentBoundary
    secrets: EnvironmentSecrets
    database: PostgresCluster
    filestore: Filestore
    mail_sink: MailSink | None
    odoo: Odoo
    edge: EdgeProxy


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
    return EnvironmentStack(
        boundary=boundary,
        secrets=secrets,
        database=database,
        filestore=filestore,
        mail_sink=mail_sink,
        odoo=odoo,
        edge=edge,
    )


def _boundary_args(stack: StackSettings, facts: ClusterFacts) -> EnvironmentBoundaryArgs:
    accounts = [ODOO_ACCOUNT, naming.EDGE]
    accounts += [naming.MAIL_SINK] if has_mail_sink(stack.settings) else []
    return EnvironmentBoundaryArgs(
        naming=stack.naming,
        policies=policies(environment_flows(stack.settings, facts)),
        quota=stack.settings.quota,
        service_accounts=tuple(accounts),
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
