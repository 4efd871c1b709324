"""Every name and label of the platform; nothing else builds one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Environment = Literal["dev", "test", "training", "prod"]
DataClassification = Literal["demo", "anonymised", "phi"]

ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
PROJECT = "careops"
PLATFORM_STACK = "platform"
OPERATOR_NAMESPACE = "cnpg-system"
OPERATOR_APP = "cloudnative-pg"

# Names inside an environment's namespace. They are fixed: the image, the policies and the operations rely on them.
ODOO_WEB = "odoo-web"
ODOO_CRON = "odoo-cron"
ODOO_MIGRATE = "odoo-migrate"
ODOO_SECRETS_JOB = "odoo-secrets"
ODOO_SETTINGS = "odoo-settings"
ODOO_SECRETS = "odoo-secrets"
EDGE = "edge"
EDGE_TLS = "edge-tls"
MAIL_SINK = "mail-sink"
FILESTORE = "filestore"
POSTGRESQL = "postgresql"
# The refresh of training from prod. Each of the four templates is a CronJob; a run's Jobs are named after them.
REFRESH_EXPORT = "refresh-export"
REFRESH_MASK = "refresh-mask"
REFRESH_ADOPT = "refresh-adopt"
REFRESH_ROLLBACK = "refresh-rollback"
ISOLATED_POSTGRESQL = "isolated-postgresql"
# Roles of the two PostgreSQL clusters that a refresh logs in with.
REFRESH_SOURCE_ROLE = "refresh_source"
REFRESH_TARGET_ROLE = "refresh"
# Secrets and ConfigMaps of a refresh, made by operations: no credential of it is ever in Pulumi's state.
REFRESH_SOURCE_ROLE_SECRET = "refresh-source-role"  # noqa: S105 - a name
REFRESH_SOURCE_LINK_SECRET = "refresh-source-link"  # noqa: S105 - a name
REFRESH_ISOLATED_SECRET = "refresh-isolated"  # noqa: S105 - a name
REFRESH_TARGET_SECRET = "refresh-target"  # noqa: S105 - a name
REFRESH_EVIDENCE_SECRET = "refresh-evidence"  # noqa: S105 - a name
REFRESH_EVIDENCE_KEY = "refresh-evidence-key"
REFRESH_CATALOGUE = "refresh-catalogue"
REFRESH_ROLE_SECRET = "refresh-role"  # noqa: S105 - a name
REFRESH_LOGINS_SECRET = "refresh-logins"  # noqa: S105 - a name
# Requests for a training sandbox: two Roles and the rules in force in training, one guard for the cluster.
SANDBOX_TRAINER = "careops-trainer"
SANDBOX_APPROVER = "careops-training-approver"
SANDBOX_RULES = "sandbox-rules"
SANDBOX_GUARD = "careops-sandbox-requests"
# Suffixes CloudNativePG appends to a cluster's name (its api/v1 constants).
POSTGRESQL_PRIMARY_SERVICE = f"{POSTGRESQL}-rw"
POSTGRESQL_APPLICATION_SECRET = f"{POSTGRESQL}-app"
POSTGRESQL_CA_SECRET = f"{POSTGRESQL}-ca"
# Label CloudNativePG puts on instances and on the jobs that make them.
POSTGRESQL_POD_LABEL = "cnpg.io/cluster"

NAME_LABEL = "app.kubernetes.io/name"
COMPONENT_LABEL = "app.kubernetes.io/component"
PART_OF_LABEL = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
SITE_LABEL = "careops.io/site"
ENVIRONMENT_LABEL = "careops.io/environment"
CLASSIFICATION_LABEL = "careops.io/data-classification"
SETTINGS_CHECKSUM = "careops.io/settings-checksum"
NAMESPACE_NAME_LABEL = "kubernetes.io/metadata.name"

CLASSIFICATIONS: dict[Environment, DataClassification] = {
    "dev": "demo",
    "test": "demo",
    "training": "anonymised",
    "prod": "phi",
}


def type_token(module: str, kind: str) -> str:
    """Return the Pulumi type of a component, for example `careops:database:PostgresCluster`."""
    return f"{PROJECT}:{module}:{kind}"


def priority_class(environment: Environment | Literal["platform"]) -> str:
    """Return the PriorityClass that an environment's pods, or the operator's, run with."""
    return f"{PROJECT}-{environment}"


def stack_names(site: str, environment: Environment) -> tuple[str, str]:
    """Return the two stack names that may declare one environment of a site: the first site's and any site's."""
    return environment, f"{site}.{environment}"


def refresh_namespace(site: str) -> str:
    """Return the namespace in which a site's data is masked; it belongs to prod's isolation."""
    return f"{site}-refresh"


def refresh_guard(site: str, against: Literal["classes", "freezes"]) -> str:
    """Return the name of the admission policy, and its binding, that keeps refreshes out of class hours or freezes."""
    return f"{PROJECT}-refresh-{site}-{against}"


def isolated_host(site: str) -> str:
    """Return the name that a refresh's throw-away PostgreSQL is reached by and has a certificate for."""
    return f"{REFRESH_MASK}.{refresh_namespace(site)}.svc"


def local_host(namespace: str) -> str:
    """Return the name a browser opens a forwarded port of an environment's edge by.

    One for each environment, because browsers keep cookies by host name and send them to every port of it. Names
    under `.localhost` mean this machine without any entry in a DNS (RFC 6761).
    """
    return f"{namespace}.localhost"


def common_labels(name: str, component: str) -> dict[str, str]:
    """Return the labels every object of the platform carries, environment or not."""
    return {
        NAME_LABEL: name,
        COMPONENT_LABEL: component,
        PART_OF_LABEL: PROJECT,
        MANAGED_BY_LABEL: "pulumi",
    }


@dataclass(frozen=True, kw_only=True)
class Naming:
    """Names of one environment of one site.

    Attributes:
        site: The site's name, a DNS label.
        environment: Which of the four environments.
    """

    site: str
    environment: Environment

    @property
    def identity(self) -> str:
        """What database, filestore and secrets are marked with, `<site>/<environment>`."""
        return f"{self.site}/{self.environment}"

    @property
    def namespace(self) -> str:
        """The environment's namespace, `<site>-<environment>`."""
        return f"{self.site}-{self.environment}"

    @property
    def classification(self) -> DataClassification:
        """Which data the environment may hold."""
        return CLASSIFICATIONS[self.environment]

    @property
    def internal_host(self) -> str:
        """The name in the edge's certificate that needs no DNS of the hospital."""
        return f"{self.namespace}.careops.local"

    @property
    def local_host(self) -> str:
        """The name a browser opens a forwarded port of the edge by."""
        return local_host(self.namespace)

    def edge_names(self, hostnames: tuple[str, ...]) -> tuple[str, ...]:
        """Return every name the edge answers to and has a certificate for: in the cluster, on this machine, public.

        Args:
            hostnames: The public names, from the environment's settings.
        """
        service = f"{EDGE}.{self.namespace}"
        inside = (EDGE, service, f"{service}.svc", f"{service}.svc.cluster.local")
        return tuple(dict.fromkeys((*inside, *hostnames, self.local_host, self.internal_host)))

    def scope_labels(self) -> dict[str, str]:
        """Return the labels that tie an object to this environment, whatever made it."""
        return {
            SITE_LABEL: self.site,
            ENVIRONMENT_LABEL: self.environment,
            CLASSIFICATION_LABEL: self.classification,
        }

    def labels(self, name: str, component: str) -> dict[str, str]:
        """Return every label of an object of this environment.

        Args:
            name: The workload or object, for example `odoo-web`.
            component: Its role, for example `web`.
        """
        return {**common_labels(name, component), **self.scope_labels()}
