"""Pods that stand for others in the packet matrix: those of jobs that have ended, and somebody who is nobody's."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from kubernetes import client

from infra.naming import ENVIRONMENTS
from tests.live.matrix import Endpoint
from tests.live.support import Platform, eventually
from toolchain.cluster.facts import read_facts

if TYPE_CHECKING:
    from collections.abc import Iterator

JOBS = ("odoo-migrate", "odoo-secrets")
LISTEN = ["python3", "-m", "http.server", "8080", "--directory", "/nonexistent"]
UNPRIVILEGED = 65534
TEST_PREFIX = "careops-test-"


def stand_in(name: str, image: str, **spec: object) -> client.V1Pod:
    """Return a pod that listens on 8080 and is otherwise there to be entered; `restricted` admits it."""
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name),
        spec=client.V1PodSpec(
            automount_service_account_token=False,
            enable_service_links=False,
            restart_policy="Never",
            termination_grace_period_seconds=0,
            security_context=client.V1PodSecurityContext(
                run_as_non_root=True,
                run_as_user=UNPRIVILEGED,
                run_as_group=UNPRIVILEGED,
                seccomp_profile=client.V1SeccompProfile(type="RuntimeDefault"),
            ),
            containers=[
                client.V1Container(
                    name="python",
                    image=image,
                    image_pull_policy="IfNotPresent",
                    command=LISTEN,
                    resources=client.V1ResourceRequirements(
                        requests={"cpu": "5m", "memory": "16Mi"}, limits={"cpu": "200m", "memory": "64Mi"}
                    ),
                    readiness_probe=client.V1Probe(
                        tcp_socket=client.V1TCPSocketAction(port=8080), period_seconds=1, failure_threshold=60
                    ),
                    security_context=client.V1SecurityContext(
                        allow_privilege_escalation=False,
                        read_only_root_filesystem=True,
                        capabilities=client.V1Capabilities(drop=["ALL"]),
                    ),
                )
            ],
            **spec,
        ),
    )


def of_job(platform: Platform, namespace: str, job: str) -> client.V1Pod:
    """Return a pod like those of a job: their labels and service account. Not their priority: prod's pushes others out.

    The labels that the job's own controller adds and finds its pods by are left out: it would take the pod for one of
    them. No policy may select by those, since they differ from run to run.
    """
    jobs = client.BatchV1Api(platform.apis).list_namespaced_job(namespace).items
    named = [each for each in jobs if each.metadata.name.startswith(f"{job}-")]
    assert named, f"{namespace} has no job {job}"
    newest = max(named, key=lambda each: each.metadata.creation_timestamp)
    template = newest.spec.template
    pod = stand_in(
        f"careops-test-{job}",
        read_facts(platform.paths.facts).images["odoo"],
        service_account_name=template.spec.service_account_name,
    )
    own = {"job-name", "controller-uid", *newest.spec.selector.match_labels}
    pod.metadata.labels = {
        key: value
        for key, value in template.metadata.labels.items()
        if key not in own and not key.startswith("batch.kubernetes.io/")
    }
    return pod


@contextmanager
def running(platform: Platform, pods: dict[tuple[str, str], client.V1Pod]) -> Iterator[list[Endpoint]]:
    """Run pods, given by namespace and role, for the duration of the block."""
    with ExitStack() as stack:
        for (namespace, _), pod in pods.items():
            platform.api.create_namespaced_pod(namespace, pod)
            stack.callback(platform.api.delete_namespaced_pod, pod.metadata.name, namespace, grace_period_seconds=0)
        yield [_ready(platform, namespace, role, pod.metadata.name) for (namespace, role), pod in pods.items()]


@contextmanager
def stranger(platform: Platform) -> Iterator[Endpoint]:
    """A pod in a namespace without any policy: free to send, so that only the targets' policies can stop it."""
    wanted = client.V1Namespace(metadata=client.V1ObjectMeta(generate_name=f"{TEST_PREFIX}stranger-"))
    namespace = platform.api.create_namespace(wanted).metadata.name
    try:
        eventually(lambda: platform.api.read_namespaced_service_account("default", namespace))
        pod = stand_in("stranger-0", read_facts(platform.paths.facts).images["odoo"])
        with running(platform, {(namespace, "stranger"): pod}) as ends:
            yield ends[0]
    finally:
        platform.api.delete_namespace(namespace)


@contextmanager
def jobs(platform: Platform) -> Iterator[list[Endpoint]]:
    """A pod like those of each job in every environment."""
    spaces = [platform.naming(environment).namespace for environment in ENVIRONMENTS]
    pods = {(namespace, job): of_job(platform, namespace, job) for namespace in spaces for job in JOBS}
    with running(platform, pods) as ends:
        yield ends


def _ready(platform: Platform, namespace: str, role: str, name: str) -> Endpoint:
    def check() -> None:
        status = platform.api.read_namespaced_pod(name, namespace).status
        conditions = {each.type: each.status for each in status.conditions or []}
        assert conditions.get("Ready") == "True", f"{namespace}/{name}: {status.phase} {status.conditions}"

    eventually(check)
    address = platform.api.read_namespaced_pod(name, namespace).status.pod_ip
    return Endpoint(namespace=namespace, role=role, pod=name, ip=address)
