"""Jobs as plain data: the one that makes secrets, and the frame every job has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra import naming
from infra.plans.odoo import PROGRAM, identity_env
from infra.plans.pods import ODOO_USER, Pod, content_hash, pod_template, temporary
from infra.plans.sizes import SECRETS_RESOURCES

if TYPE_CHECKING:
    from infra.naming import Naming
    from infra.plans.manifest import Manifest

# The image's exit status for another environment's data or settings that cannot be: trying again changes nothing.
REFUSED = 78


def job_spec(pod: Pod, *, deadline_seconds: int, attempts: int) -> Manifest:
    """Return a job that runs one pod at a time.

    It stays after it ended: one that the cluster removes would look deleted to Pulumi, and run again.
    """
    return {
        "backoffLimit": attempts - 1,
        "activeDeadlineSeconds": deadline_seconds,
        "completions": 1,
        "parallelism": 1,
        # Only a pod that has ended is replaced, so two attempts never work on the same data.
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {
                    "action": "FailJob",
                    "onExitCodes": {"containerName": pod.name, "operator": "In", "values": [REFUSED]},
                },
                # A drained node or an evicted pod says nothing about the work: it does not use an attempt up.
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            ]
        },
        "template": pod_template(pod),
    }


def secrets_job_name(image: str, edge_names: tuple[str, ...]) -> str:
    """Return the job's name; another image or other names of the edge give another, and so a new run."""
    content = content_hash(image, edge_names, SECRETS_RESOURCES.model_dump())
    return f"{naming.ODOO_SECRETS_JOB}-{content}"


def secrets_job(names: Naming, image: str, edge_names: tuple[str, ...]) -> Manifest:
    """Return the job that makes the missing secrets, and the edge's certificate anew when it no longer fits."""
    pod = Pod(
        name=naming.ODOO_SECRETS_JOB,
        labels=names.labels(naming.ODOO_SECRETS_JOB, "secrets"),
        image=image,
        user=ODOO_USER,
        command=(PROGRAM,),
        args=("secrets",),
        env={**identity_env(names), "CAREOPS_EDGE_NAMES": ",".join(edge_names)},
        resources=SECRETS_RESOURCES,
        volumes=(temporary("tmp", "/tmp", "16Mi"),),  # noqa: S108 - a path in the container
        service_account=naming.ODOO_SECRETS_JOB,
        priority_class=naming.priority_class(names.environment),
        token=True,
        restart_policy="Never",
    )
    return job_spec(pod, deadline_seconds=300, attempts=4)


def secrets_rules() -> Manifest:
    """Return what the job may do: make secrets, read those it is responsible for, and renew the edge's certificate.

    Kubernetes cannot restrict `create` by name, since the name is not known when it is authorised; a secret that
    exists is out of reach all the same, because `update` is granted on the certificate's name only and `delete` never.
    """
    return [
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create"]},
        {
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": [naming.ODOO_SECRETS, naming.EDGE_TLS],
            "verbs": ["get"],
        },
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [naming.EDGE_TLS], "verbs": ["update"]},
    ]
