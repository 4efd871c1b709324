"""An environment's own PostgreSQL, run by the CloudNativePG operator."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra import naming as names
from infra.components.declaring import known_after, metadata
from infra.naming import type_token
from infra.plans.database import API_VERSION, KIND, DatabasePlan, cluster_spec

if TYPE_CHECKING:
    from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class PostgresClusterArgs:
    """Arguments of `PostgresCluster`.

    Attributes:
        naming: The environment's names.
        namespace: The namespace, available once its boundary stands.
        plan: Image, size and parameters.
        protected: Whether Pulumi refuses to delete it.
    """

    naming: Naming
    namespace: pulumi.Input[str]
    plan: DatabasePlan
    protected: bool


@dataclass(frozen=True, kw_only=True)
class DatabaseEndpoint:
    """How a client reaches the database, available once the database is ready.

    Attributes:
        host: Service of the primary.
        application_secret: Secret with the application role's password (key `password`).
        ca_secret: Secret with the certificate that signed the server's (key `ca.crt`); holds its key as well.
    """

    host: pulumi.Output[str]
    application_secret: pulumi.Output[str]
    ca_secret: pulumi.Output[str]


class PostgresCluster(pulumi.ComponentResource):
    """Run PostgreSQL with TLS required, statements audited, and no superuser login.

    Creates a CloudNativePG Cluster; the operator makes its pods, services, volumes, certificates and secrets.
    Implements 45 CFR 164.312(b), audit controls, and 164.312(e)(1), transmission security.
    """

    endpoint: DatabaseEndpoint
    """How a client reaches it."""

    def __init__(self, name: str, args: PostgresClusterArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("database", "PostgresCluster"), name, None, opts)
        cluster = kubernetes.apiextensions.CustomResource(
            f"{name}-cluster",
            api_version=API_VERSION,
            kind=KIND,
            metadata=metadata(
                names.POSTGRESQL,
                args.namespace,
                args.naming.labels(names.POSTGRESQL, "database"),
                {"pulumi.com/waitFor": "condition=Ready"},
            ),
            spec=cluster_spec(args.plan),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=args.protected,
                custom_timeouts=pulumi.CustomTimeouts(create="15m", update="15m", delete="10m"),
            ),
        )
        self.endpoint = DatabaseEndpoint(
            host=known_after(names.POSTGRESQL_PRIMARY_SERVICE, cluster),
            application_secret=known_after(names.POSTGRESQL_APPLICATION_SECRET, cluster),
            ca_secret=known_after(names.POSTGRESQL_CA_SECRET, cluster),
        )
        self.register_outputs(
            {
                "host": self.endpoint.host,
                "application_secret": self.endpoint.application_secret,
                "ca_secret": self.endpoint.ca_secret,
            }
        )
