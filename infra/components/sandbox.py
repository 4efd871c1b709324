"""Requests for a training sandbox: the kind and its guard for the whole cluster, the rights in each training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.declaring import metadata
from infra.naming import SANDBOX_GUARD, SANDBOX_RULES, common_labels, type_token
from infra.plans import sandbox
from infra.plans.sandbox_guard import admission_policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class SandboxRequestsArgs:
    """Arguments of `SandboxRequests`.

    Attributes:
        guard: Name of the admission policy and of its binding.
    """

    guard: str = SANDBOX_GUARD


class SandboxRequests(pulumi.ComponentResource):
    """Let the cluster keep requests for a sandbox, and have the API server judge every write of one.

    Creates a CustomResourceDefinition, a ValidatingAdmissionPolicy and its binding. Implements 45 CFR 164.312(b), audit
    controls, and 164.308(a)(4)(ii)(B), access authorization: a second person decides.
    """

    kind: pulumi.Output[str]
    """Name of the definition, available once its writes are judged."""

    def __init__(self, name: str, args: SandboxRequestsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("sandbox", "SandboxRequests"), name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        described = metadata(args.guard, None, common_labels(args.guard, "sandbox"))
        guard = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy(
            f"{name}-guard", metadata=described, spec=admission_policy(), opts=child
        )
        binding = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{name}-binding",
            metadata=described,
            spec={"policy_name": args.guard, "validation_actions": ["Deny"]},
            opts=pulumi.ResourceOptions(parent=self, depends_on=[guard]),
        )
        # The kind comes last and goes first: it is never served without its guard.
        kind = kubernetes.apiextensions.v1.CustomResourceDefinition(
            f"{name}-kind",
            metadata=metadata(sandbox.CRD_NAME, None, common_labels(sandbox.CRD_NAME, "sandbox")),
            spec=sandbox.definition(),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[binding]),
        )
        self.kind = pulumi.Output.all(kind.urn, binding.urn).apply(lambda _: sandbox.CRD_NAME)
        self.register_outputs({"kind": self.kind})


@dataclass(frozen=True, kw_only=True)
class SandboxAccessArgs:
    """Arguments of `SandboxAccess`.

    Attributes:
        naming: Training's names.
        namespace: Training's namespace, available once its boundary stands.
        groups: The groups of people that have each Role.
        rules: What requests are judged by, JSON.
    """

    naming: Naming
    namespace: pulumi.Input[str]
    groups: Mapping[str, tuple[str, ...]]
    rules: str


class SandboxAccess(pulumi.ComponentResource):
    """Let trainers ask for a sandbox in this training, and approvers decide; nothing else, and nowhere else.

    Creates a Role and a RoleBinding each, and a ConfigMap with the rules in force. Implements
    45 CFR 164.308(a)(3)(ii)(A), authorization and supervision, and 164.312(a)(1), access control.
    """

    roles: tuple[str, ...]
    """Names of the Roles."""

    def __init__(self, name: str, args: SandboxAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("sandbox", "SandboxAccess"), name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        for role, groups in args.groups.items():
            described = metadata(role, args.namespace, args.naming.labels(role, "sandbox"))
            made = kubernetes.rbac.v1.Role(
                f"{name}-{role}", metadata=described, rules=sandbox.access_rules(role), opts=child
            )
            kubernetes.rbac.v1.RoleBinding(
                f"{name}-{role}-binding",
                metadata=described,
                role_ref={"api_group": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
                subjects=sandbox.subjects(groups),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[made]),
            )
        kubernetes.core.v1.ConfigMap(
            f"{name}-rules",
            metadata=metadata(SANDBOX_RULES, args.namespace, args.naming.labels(SANDBOX_RULES, "sandbox")),
            data={sandbox.RULES_KEY: args.rules},
            opts=child,
        )
        self.roles = tuple(args.groups)
        self.register_outputs({"roles": list(self.roles)})
