"""The wall around an environment: namespace, refused traffic, limits, identities without tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.declaring import known_after, metadata
from infra.naming import type_token
from infra.plans.boundary import limit_range
from infra.plans.operator import restricted_labels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from infra.naming import Naming
    from infra.plans.network import PolicyPlan


@dataclass(frozen=True, kw_only=True)
class EnvironmentBoundaryArgs:
    """Arguments of `EnvironmentBoundary`.

    Attributes:
        naming: The environment's names.
        namespace: The namespace's name: the environment's own, or a further one that belongs to its isolation.
        policies: Network policies, the default deny among them.
        limits: The most the namespace may take from the cluster, as a ResourceQuota lists it.
        service_accounts: Names of the workloads' identities.
        protected: Whether Pulumi refuses to delete the namespace, with which all its data would go.
    """

    naming: Naming
    namespace: str
    policies: tuple[PolicyPlan, ...]
    limits: Mapping[str, str]
    service_accounts: tuple[str, ...]
    protected: bool


class EnvironmentBoundary(pulumi.ComponentResource):
    """Keep one environment apart from every other.

    Creates a Namespace that admits only Pod Security `restricted`, its NetworkPolicies, a ResourceQuota, a LimitRange
    and a ServiceAccount without token for each workload. Implements 45 CFR 164.308(a)(4), isolation of functions, and
    164.312(a)(1), access control.
    """

    namespace: pulumi.Output[str]
    """The namespace's name, available once every rule of the boundary stands."""

    service_accounts: dict[str, pulumi.Output[str]]
    """Names of the identities, by workload."""

    def __init__(self, name: str, args: EnvironmentBoundaryArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("boundary", "EnvironmentBoundary"), name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        labels = args.naming.labels(args.namespace, "boundary")
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata=metadata(args.namespace, None, {**labels, **restricted_labels()}),
            opts=pulumi.ResourceOptions(parent=self, protect=args.protected),
        )
        inside = known_after(args.namespace, namespace)
        rules: list[pulumi.Resource] = [
            kubernetes.networking.v1.NetworkPolicy(
                f"{name}-{plan.name}",
                metadata=metadata(plan.name, inside, args.naming.labels(plan.name, "boundary"), plan.annotations()),
                spec=plan.spec,
                opts=child,
            )
            for plan in args.policies
        ]
        rules.append(
            kubernetes.core.v1.ResourceQuota(
                f"{name}-quota",
                metadata=metadata("quota", inside, args.naming.labels("quota", "boundary")),
                spec={"hard": dict(args.limits)},
                opts=child,
            )
        )
        rules.append(
            kubernetes.core.v1.LimitRange(
                f"{name}-limits",
                metadata=metadata("limits", inside, args.naming.labels("limits", "boundary")),
                spec={"limits": limit_range()},
                opts=child,
            )
        )
        accounts = {
            account: kubernetes.core.v1.ServiceAccount(
                f"{name}-{account}",
                metadata=metadata(account, inside, args.naming.labels(account, "identity")),
                automount_service_account_token=False,
                opts=child,
            )
            for account in args.service_accounts
        }
        self.namespace = known_after(args.namespace, namespace, *rules)
        self.service_accounts = {account: known_after(account, made) for account, made in accounts.items()}
        self.register_outputs({"namespace": self.namespace, "service_accounts": self.service_accounts})
