"""Where an environment's mail ends outside prod."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra import naming as names
from infra.components.declaring import known_after, metadata
from infra.naming import type_token
from infra.plans.network import SMTP_PORT
from infra.plans.workloads import deployment_spec, mail_sink_pod, service_spec

if TYPE_CHECKING:
    from infra.naming import Naming


@dataclass(frozen=True, kw_only=True)
class MailSinkArgs:
    """Arguments of `MailSink`.

    Attributes:
        naming: The environment's names.
        namespace: The namespace, available once its boundary stands.
        image: Odoo's image, by digest; it holds the program.
        service_account: The identity it runs as.
    """

    naming: Naming
    namespace: pulumi.Input[str]
    image: str
    service_account: pulumi.Input[str]


class MailSink(pulumi.ComponentResource):
    """Accept mail and deliver none, so that no test or training ever reaches a patient.

    Creates a Deployment and a Service. Implements 45 CFR 164.502(b), minimum necessary.
    """

    host: pulumi.Output[str]
    """Name of the service that takes mail."""

    def __init__(self, name: str, args: MailSinkArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("mail", "MailSink"), name, None, opts)
        described = metadata(names.MAIL_SINK, args.namespace, args.naming.labels(names.MAIL_SINK, "mail"))
        deployment = kubernetes.apps.v1.Deployment(
            f"{name}-deployment",
            metadata=described,
            spec=deployment_spec(
                mail_sink_pod(args.naming, args.image, args.service_account), replicas=1, rolling=False
            ),
            opts=pulumi.ResourceOptions(parent=self),
        )
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            metadata=described,
            spec=service_spec(names.MAIL_SINK, {"smtp": SMTP_PORT}),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[deployment]),
        )
        self.host = known_after(names.MAIL_SINK, service)
        self.register_outputs({"host": self.host})
