"""The CloudNativePG operator, from its published manifest, behind its own wall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.declaring import known_after, metadata
from infra.naming import OPERATOR_NAMESPACE, common_labels, type_token

if TYPE_CHECKING:
    from collections.abc import Callable

    from infra.plans.network import PolicyPlan
    from infra.plans.operator import Document


@dataclass(frozen=True, kw_only=True)
class PostgresOperatorArgs:
    """Arguments of `PostgresOperator`.

    Attributes:
        documents: The manifest's objects as we run them.
        policies: Network policies of its namespace, the default deny among them.
    """

    documents: tuple[Document, ...]
    policies: tuple[PolicyPlan, ...]


class PostgresOperator(pulumi.ComponentResource):
    """Run the operator that makes and mends every environment's PostgreSQL.

    Creates the manifest's objects and the NetworkPolicies of its namespace, which stand before it starts. Implements
    45 CFR 164.308(a)(7)(ii)(C), emergency mode operation.
    """

    namespace: pulumi.Output[str]
    """The operator's namespace, available once the operator runs."""

    def __init__(self, name: str, args: PostgresOperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("platform", "PostgresOperator"), name, None, opts)
        first = [document for document in args.documents if document["kind"] == "Namespace"]
        running = [document for document in args.documents if document["kind"] == "Deployment"]
        # Pulumi calls a service ready once a pod stands behind it, so it can only come after its deployment.
        serving = [document for document in args.documents if document["kind"] == "Service"]
        between = [document for document in args.documents if document not in (*first, *running, *serving)]
        standing: list[pulumi.Resource] = [self._declare(name, document, []) for document in first]
        rules: list[pulumi.Resource] = [
            kubernetes.networking.v1.NetworkPolicy(
                f"{name}-{plan.name}",
                metadata=metadata(
                    plan.name, OPERATOR_NAMESPACE, common_labels(plan.name, "operator"), plan.annotations()
                ),
                spec=plan.spec,
                opts=pulumi.ResourceOptions(parent=self, depends_on=standing),
            )
            for plan in args.policies
        ]
        objects = [self._declare(name, document, standing) for document in between]
        operators = [self._declare(name, document, [*standing, *rules, *objects]) for document in running]
        services = [self._declare(name, document, operators) for document in serving]
        self.namespace = known_after(OPERATOR_NAMESPACE, *operators, *services)
        self.register_outputs({"namespace": self.namespace})

    def _declare(self, name: str, document: Document, after: list[pulumi.Resource]) -> pulumi.Resource:
        kind = document["kind"]
        fields = {key: value for key, value in document.items() if key not in ("apiVersion", "kind")}
        logical_name = f"{name}-{document['metadata']['name']}"
        return _CLASSES[kind](logical_name, fields, pulumi.ResourceOptions(parent=self, depends_on=after))


# The manifest's keys are Kubernetes' own, and these classes take them as they are under snake_case argument names.
_CLASSES: dict[str, Callable[[str, dict[str, Any], pulumi.ResourceOptions], pulumi.Resource]] = {
    "Namespace": lambda name, fields, opts: kubernetes.core.v1.Namespace(name, opts, **fields),
    "ServiceAccount": lambda name, fields, opts: kubernetes.core.v1.ServiceAccount(name, opts, **fields),
    "ConfigMap": lambda name, fields, opts: kubernetes.core.v1.ConfigMap(name, opts, **fields),
    "Service": lambda name, fields, opts: kubernetes.core.v1.Service(name, opts, **fields),
    "Deployment": lambda name, fields, opts: kubernetes.apps.v1.Deployment(name, opts, **fields),
    "ClusterRole": lambda name, fields, opts: kubernetes.rbac.v1.ClusterRole(name, opts, **fields),
    "ClusterRoleBinding": lambda name, fields, opts: kubernetes.rbac.v1.ClusterRoleBinding(
        name, opts, metadata=fields["metadata"], role_ref=fields["roleRef"], subjects=fields["subjects"]
    ),
    "CustomResourceDefinition": lambda name, fields, opts: kubernetes.apiextensions.v1.CustomResourceDefinition(
        name, opts, metadata=fields["metadata"], spec=fields["spec"]
    ),
    "MutatingWebhookConfiguration": (
        lambda name, fields, opts: kubernetes.admissionregistration.v1.MutatingWebhookConfiguration(
            name, opts, **fields
        )
    ),
    "ValidatingWebhookConfiguration": (
        lambda name, fields, opts: kubernetes.admissionregistration.v1.ValidatingWebhookConfiguration(
            name, opts, **fields
        )
    ),
}
