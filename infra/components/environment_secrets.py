"""An environment's secrets, made once inside the cluster: never in a file, never in Pulumi's state."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra import naming as names
from infra.components.declaring import known_after, metadata
from infra.naming import type_token
from infra.plans.jobs import secrets_job, secrets_job_name, secrets_rules

if TYPE_CHECKING:
    from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class EnvironmentSecretsArgs:
    """Arguments of `EnvironmentSecrets`.

    Attributes:
        naming: The environment's names.
        namespace: The namespace, available once its boundary stands.
        image: Odoo's image, by digest; it holds the program that makes the secrets.
        edge_names: Names the edge's certificate must carry.
    """

    naming: Naming
    namespace: pulumi.Input[str]
    image: str
    edge_names: tuple[str, ...]


class EnvironmentSecrets(pulumi.ComponentResource):
    """Make what is missing of the environment's secrets; renew the edge's certificate, overwrite nothing else.

    Creates a ServiceAccount (the only one whose pod gets a token), a Role that may create secrets, read the named
    ones and update the edge's certificate, its RoleBinding, and a Job. Implements 45 CFR 164.312(d), authentication,
    and 164.312(e)(2)(ii), encryption.
    """

    odoo: pulumi.Output[str]
    """Name of the secret with Odoo's identity, logins and master password, available once it was made."""

    edge_tls: pulumi.Output[str]
    """Name of the secret with the edge's certificate, available once it was made."""

    def __init__(self, name: str, args: EnvironmentSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("secrets", "EnvironmentSecrets"), name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = args.naming.labels(names.ODOO_SECRETS_JOB, "secrets")
        described = metadata(names.ODOO_SECRETS_JOB, args.namespace, labels)
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-account", metadata=described, automount_service_account_token=False, opts=child
        )
        role = kubernetes.rbac.v1.Role(f"{name}-role", metadata=described, rules=secrets_rules(), opts=child)
        binding = kubernetes.rbac.v1.RoleBinding(
            f"{name}-binding",
            metadata=described,
            role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": names.ODOO_SECRETS_JOB},
            subjects=[{"kind": "ServiceAccount", "name": names.ODOO_SECRETS_JOB, "namespace": args.namespace}],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[account, role]),
        )
        job = kubernetes.batch.v1.Job(
            f"{name}-job",
            metadata=metadata(secrets_job_name(args.image, args.edge_names), args.namespace, labels),
            spec=secrets_job(args.naming, args.image, args.edge_names),
            opts=pulumi.ResourceOptions(
                parent=self, depends_on=[binding], custom_timeouts=pulumi.CustomTimeouts(create="10m")
            ),
        )
        self.odoo = known_after(names.ODOO_SECRETS, job)
        self.edge_tls = known_after(names.EDGE_TLS, job)
        self.register_outputs({"odoo": self.odoo, "edge_tls": self.edge_tls})
