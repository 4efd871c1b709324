"""The environment's only way in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra import naming as names
from infra.components.declaring import known_after, metadata
from infra.naming import type_token
from infra.plans.network import EDGE_PORT
from infra.plans.workloads import deployment_spec, disruption_budget, edge_pod, service_spec

if TYPE_CHECKING:
    from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class EdgeProxyArgs:
    """Arguments of `EdgeProxy`.

    Attributes:
        naming: The environment's names.
        namespace: The namespace, available once its boundary stands.
        image: The edge's image, by digest.
        replicas: How many run.
        http_upstream: Host and port that serve pages.
        websocket_upstream: Host and port that serve the long-poll.
        tls_secret: Secret with its certificate and key.
        names: Host names it answers to.
        service_account: The identity it runs as.
    """

    naming: Naming
    namespace: pulumi.Input[str]
    image: str
    replicas: int
    http_upstream: pulumi.Input[str]
    websocket_upstream: pulumi.Input[str]
    tls_secret: pulumi.Input[str]
    names: tuple[str, ...]
    service_account: pulumi.Input[str]


class EdgeProxy(pulumi.ComponentResource):
    """Terminate TLS, keep the database manager shut, and pass the rest to Odoo.

    Creates a Deployment and a Service, and a PodDisruptionBudget for more than one replica. Implements
    45 CFR 164.312(e)(1), transmission security.
    """

    host: pulumi.Output[str]
    """Name of its service."""

    def __init__(self, name: str, args: EdgeProxyArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("edge", "EdgeProxy"), name, None, opts)
        described = metadata(names.EDGE, args.namespace, args.naming.labels(names.EDGE, "edge"))
        pod = edge_pod(
            args.naming,
            args.image,
            service_account=args.service_account,
            tls_secret=args.tls_secret,
            variables={
                "UPSTREAM_HTTP": args.http_upstream,
                "UPSTREAM_WEBSOCKET": args.websocket_upstream,
                "EDGE_NAMES": " ".join(args.names),
            },
            spread=args.replicas > 1,
        )
        deployment = kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=described,
            spec=deployment_spec(pod, replicas=args.replicas, rolling=True),
            opts=pulumi.ResourceOptions(parent=self),
        )
        if args.replicas > 1:
            kubernetes.policy.v1.PodDisruptionBudget(
                f"{name}-budget",
                metadata=described,
                spec=disruption_budget(names.EDGE),
                opts=pulumi.ResourceOptions(parent=self),
            )
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=described,
            spec=service_spec(names.EDGE, {"https": EDGE_PORT}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        self.host = known_after(names.EDGE, service)
        self.register_outputs({"host": self.host})
