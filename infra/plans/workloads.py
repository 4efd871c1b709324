"""Deployments and services as plain data, with the pods of the small workloads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from infra import naming
from infra.plans.network import EDGE_PORT, SMTP_PORT
from infra.plans.odoo import PROGRAM, identity_env
from infra.plans.pods import EDGE_USER, ODOO_USER, Pod, pod_template, secret_files, selector, temporary
from infra.plans.sizes import EDGE_RESOURCES, MAIL_SINK_RESOURCES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pulumi

    from infra.naming import Naming
    from infra.plans.manifest import Manifest

EDGE_PLAIN_PORT = 8080
MAIL_SINK_HEALTH_PORT = 8025


def deployment_spec(pod: Pod, *, replicas: int, rolling: bool, progress_seconds: int = 300) -> Manifest:
    """Return a deployment.

    Args:
        pod: Its pod.
        replicas: How many run.
        rolling: Whether a new pod is ready before an old one goes; needs room for one more pod in the quota.
        progress_seconds: After how long without progress a rollout has failed.
    """
    strategy: dict[str, Any] = {"type": "Recreate"}
    if rolling:
        strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    return {
        "replicas": replicas,
        "revisionHistoryLimit": 3,
        "progressDeadlineSeconds": progress_seconds,
        "strategy": strategy,
        "selector": selector(pod.name),
        "template": pod_template(pod),
    }


def service_spec(workload: str, ports: Mapping[str, int]) -> Manifest:
    """Return a service inside the cluster for a workload's named ports."""
    return {
        "type": "ClusterIP",
        "selector": {naming.NAME_LABEL: workload},
        "ports": [{"name": name, "port": port, "targetPort": name, "protocol": "TCP"} for name, port in ports.items()],
    }


def disruption_budget(workload: str) -> Manifest:
    """Return a budget that lets a node be drained only while another replica serves."""
    return {"maxUnavailable": 1, "selector": selector(workload)}


def mail_sink_pod(names: Naming, image: str, service_account: pulumi.Input[str]) -> Pod:
    """Return the mail sink's pod."""
    healthy = {"httpGet": {"path": "/health", "port": "health"}, "timeoutSeconds": 5}
    return Pod(
        name=naming.MAIL_SINK,
        labels=names.labels(naming.MAIL_SINK, "mail"),
        image=image,
        user=ODOO_USER,
        command=(PROGRAM,),
        args=("mail-sink",),
        env=identity_env(names),
        ports={"smtp": SMTP_PORT, "health": MAIL_SINK_HEALTH_PORT},
        resources=MAIL_SINK_RESOURCES,
        volumes=(temporary("tmp", "/tmp", "16Mi"),),  # noqa: S108 - a path in the container
        service_account=service_account,
        priority_class=naming.priority_class(names.environment),
        probes={
            "startupProbe": {**healthy, "periodSeconds": 2, "failureThreshold": 60},
            "readinessProbe": {**healthy, "periodSeconds": 10},
            "livenessProbe": {**healthy, "periodSeconds": 20},
        },
    )


def edge_pod(
    names: Naming,
    image: str,
    *,
    service_account: pulumi.Input[str],
    tls_secret: pulumi.Input[str],
    variables: Mapping[str, pulumi.Input[str]],
    spread: bool,
) -> Pod:
    """Return the edge's pod; its configuration is rendered from the variables."""
    healthy = {"httpGet": {"path": "/healthz", "port": "plain"}, "timeoutSeconds": 5}
    return Pod(
        name=naming.EDGE,
        labels=names.labels(naming.EDGE, "edge"),
        image=image,
        user=EDGE_USER,
        env=variables,
        ports={"https": EDGE_PORT, "plain": EDGE_PLAIN_PORT},
        resources=EDGE_RESOURCES,
        volumes=(
            secret_files("edge-tls", "/run/careops/edge-tls", tls_secret, keys=("tls.crt", "tls.key")),
            # The rendered configuration, and uploads larger than nginx' buffer.
            temporary("tmp", "/tmp", "1Gi"),  # noqa: S108 - a path in the container
        ),
        service_account=service_account,
        priority_class=naming.priority_class(names.environment),
        probes={
            "startupProbe": {**healthy, "periodSeconds": 2, "failureThreshold": 60},
            "readinessProbe": {**healthy, "periodSeconds": 5},
            "livenessProbe": {**healthy, "periodSeconds": 20},
        },
        spread_by_host=spread,
    )
