"""The CloudNativePG Cluster of an environment, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.plans.pods import resource_requirements

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.model import Resources

API_VERSION = "postgresql.cnpg.io/v1"
KIND = "Cluster"
DATABASE = "odoo"
ROLE = "odoo"

# CloudNativePG's own rules also accept connections in clear; rejecting those comes before accepting encrypted ones.
AUTHENTICATION_RULES = ("hostnossl all all all reject", "hostssl all all all scram-sha-256")

# Naming a pgaudit parameter makes the operator load the library and create the extension. Statements' parameters
# stay out of the log: they hold patients' data. So do the details of errors, which quote the row that broke a rule, and
# the statements that failed, into which Odoo writes the values themselves.
CONTROL_PARAMETERS = {
    "pgaudit.log": "ddl, role",
    "pgaudit.log_catalog": "off",
    "pgaudit.log_parameter": "off",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "password_encryption": "scram-sha-256",
    "ssl_min_protocol_version": "TLSv1.3",
}


@dataclass(frozen=True, kw_only=True)
class ManagedRole:
    """A role beside the application's, kept by the operator.

    Attributes:
        name: Its name.
        password_secret: Secret with its name and password (keys `username`, `password`).
        member_of: Roles whose rights it has.
        createdb: Whether it makes databases.
    """

    name: str
    password_secret: str
    member_of: tuple[str, ...]
    createdb: bool = False


@dataclass(frozen=True, kw_only=True)
class DatabasePlan:
    """One PostgreSQL cluster.

    Attributes:
        image: PostgreSQL's image, by digest; the operator reads the major version from its tag.
        instances: 1 or 2.
        storage: Size of each volume.
        storage_class: Class of the volumes.
        resources: Size of each instance.
        parameters: PostgreSQL parameters of the environment.
        priority_class: Who is served first when the cluster is full.
        labels: Labels the operator copies to everything it makes.
        roles: Roles beside the application's.
    """

    image: str
    instances: int
    storage: str
    storage_class: str
    resources: Resources
    parameters: Mapping[str, str]
    priority_class: str
    labels: Mapping[str, str]
    roles: tuple[ManagedRole, ...] = ()


def cluster_spec(plan: DatabasePlan) -> dict[str, Any]:
    """Return the specification of the Cluster resource."""
    return {
        "instances": plan.instances,
        "imageName": plan.image,
        "imagePullPolicy": "IfNotPresent",
        "inheritedMetadata": {"labels": dict(plan.labels)},
        "bootstrap": {"initdb": _first_boot()},
        "managed": {"roles": [_application_role(), *(_further_role(role) for role in plan.roles)]},
        "enableSuperuserAccess": False,
        # A disruption budget for a single instance would block every node drain for ever.
        "enablePDB": plan.instances > 1,
        "postgresql": {
            "parameters": {**plan.parameters, **CONTROL_PARAMETERS},
            "pg_hba": list(AUTHENTICATION_RULES),
        },
        "storage": {"size": plan.storage, "storageClass": plan.storage_class},
        "resources": resource_requirements(plan.resources),
        "ephemeralVolumesSizeLimit": {"shm": "256Mi", "temporaryData": "1Gi"},
        "affinity": {
            "enablePodAntiAffinity": True,
            "podAntiAffinityType": "preferred",
            "topologyKey": "kubernetes.io/hostname",
        },
        "priorityClassName": plan.priority_class,
        "seccompProfile": {"type": "RuntimeDefault"},
        "primaryUpdateStrategy": "unsupervised",
        "primaryUpdateMethod": "switchover" if plan.instances > 1 else "restart",
        # Seconds. Odoo keeps connections open, so a smart shutdown (180 s by default) only ever runs out.
        "smartShutdownTimeout": 15,
        "stopDelay": 120,
        "switchoverDelay": 120,
        "monitoring": {"disableDefaultQueries": True},
    }


def _first_boot() -> dict[str, Any]:
    return {
        "database": DATABASE,
        "owner": ROLE,
        "encoding": "UTF8",
        # Sorting by code point does not change with the C library, so an image update cannot corrupt an index.
        "localeProvider": "builtin",
        "builtinLocale": "C.UTF-8",
        "locale": "C.UTF-8",
        "dataChecksums": True,
        # The operator manages the role only after it reports the cluster ready; the migration may be quicker.
        "postInitSQL": [f"ALTER ROLE {ROLE} CREATEDB"],
    }


def _application_role() -> dict[str, Any]:
    # The migration works on a copy of the database and swaps it in, so the role makes databases, and nothing else.
    return _role(ROLE, createdb=True)


def _further_role(role: ManagedRole) -> dict[str, Any]:
    return {
        **_role(role.name, createdb=role.createdb),
        "inRoles": list(role.member_of),
        "passwordSecret": {"name": role.password_secret},
    }


def _role(name: str, *, createdb: bool) -> dict[str, Any]:
    return {
        "name": name,
        "ensure": "present",
        "login": True,
        "createdb": createdb,
        "createrole": False,
        "superuser": False,
        "replication": False,
        "bypassrls": False,
        "inherit": True,
        "connectionLimit": -1,
    }
