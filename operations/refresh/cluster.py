"""What a refresh asks of the cluster: objects, jobs, logs, and questions to a database."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from infra import naming
from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from operations.session import Session
    from toolchain.cluster.kubeapi import KubeApi

PRIMARY = f"{naming.POSTGRESQL_POD_LABEL}={naming.POSTGRESQL},cnpg.io/instanceRole=primary"
QUERY_SECONDS = 60

Object = dict[str, Any]


class Cluster(Protocol):
    """What a refresh asks of the cluster; tests give it a fake."""

    def get(self, path: str, /, **query: str) -> Object | None:
        """Return the object or list at an API path, or None when there is none."""
        ...

    def apply(self, manifest: Object, /) -> None:
        """Make one object what the manifest says."""
        ...

    def create(self, path: str, manifest: Object, /) -> None:
        """Create one object in the collection at a path."""
        ...

    def delete(self, path: str, /) -> None:
        """Delete an object with what it made; one that is not there is deleted already."""
        ...

    def log(self, namespace: str, pod: str, container: str, /, lines: int = 20) -> str:
        """Return the last lines of a container's log; empty when it has none."""
        ...

    def ask(self, namespace: str, database: str, statement: str, /) -> tuple[tuple[str, ...], ...]:
        """Return the rows of a query to the primary of a namespace's PostgreSQL."""
        ...


@dataclass(frozen=True, kw_only=True)
class LiveCluster:
    """The platform's cluster, with the operator's rights.

    Attributes:
        api: Its API.
        kubectl: The program that runs something in a pod.
        kubeconfig: Access for it.
        environ: Its environment.
    """

    api: KubeApi
    kubectl: Path
    kubeconfig: Path
    environ: Mapping[str, str]

    def get(self, path: str, /, **query: str) -> Object | None:
        """Return the object or list at an API path, or None when there is none."""
        return self.api.get(path, **query)

    def apply(self, manifest: Object, /) -> None:
        """Make one object what the manifest says, by server-side apply."""
        self.api.apply(manifest)

    def create(self, path: str, manifest: Object, /) -> None:
        """Create one object in the collection at a path.

        Raises:
            OperationError: With `USAGE`, when an admission policy refuses it, such as the one for class hours.
        """
        from toolchain.cluster.errors import ApiRefused

        try:
            self.api.request("POST", path, body=manifest)
        except ApiRefused as error:
            _, denied, why = error.why.partition("denied request: ")
            if not denied:
                raise
            raise failure(
                ExitCode.USAGE,
                f"The cluster does not let {manifest['metadata']['name']} begin",
                why,
                "see ./careops sandbox list for classes, and `freezes:` in the site's file; run it outside of both",
            ) from error

    def delete(self, path: str, /) -> None:
        """Delete an object with what it made; one that is not there is deleted already."""
        self.api.delete(path)

    def log(self, namespace: str, pod: str, container: str, /, lines: int = 20) -> str:
        """Return the last lines of a container's log; empty when it has none yet, or none any more."""
        from toolchain.cluster.errors import ApiRefused

        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        try:
            found = self.api.request("GET", path, query={"container": container, "tailLines": str(lines)})
        except ApiRefused:  # no node has taken the pod, it has not started, it is gone, its node does not answer
            return ""
        # The API's reader decodes what looks like JSON; a log of one line may.
        return found if isinstance(found, str) else json.dumps(found)

    def ask(self, namespace: str, database: str, statement: str, /) -> tuple[tuple[str, ...], ...]:
        """Return the rows of a query to the primary of a namespace's PostgreSQL.

        Raises:
            OperationError: With `UNHEALTHY`, when there is no primary or it refuses.
        """
        pods = (self.get(f"/api/v1/namespaces/{namespace}/pods", labelSelector=PRIMARY) or {}).get("items", [])
        if not pods:
            raise _no_answer(namespace, "it has no primary instance")
        program = ("psql", "-XAtq", "-F", "\t", "-v", "ON_ERROR_STOP=1", "-d", database, "-c", statement)
        done = subprocess.run(
            [*self._exec(namespace, pods[0]["metadata"]["name"]), *program],
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=QUERY_SECONDS,
        )
        if done.returncode:
            raise _no_answer(namespace, (done.stderr.strip().splitlines() or ["psql failed"])[-1])
        return tuple(tuple(line.split("\t")) for line in done.stdout.splitlines())

    def _exec(self, namespace: str, pod: str) -> Sequence[str]:
        access = (f"--kubeconfig={self.kubeconfig}", f"--namespace={namespace}")
        return (str(self.kubectl), *access, "exec", pod, "--container=postgres", "--")


def live_cluster(session: Session) -> LiveCluster:
    """Return the platform's cluster.

    Raises:
        OperationError: There is none, or it is stopped.
    """
    from operations import live
    from toolchain.cluster.kubeapi import KubeApi

    live.cluster_reader(session)
    return LiveCluster(
        api=KubeApi(session.paths.kubeconfig),
        kubectl=live.kubectl(session),
        kubeconfig=session.paths.kubeconfig,
        environ=live.child_environment(session),
    )


def _no_answer(namespace: str, why: str) -> Exception:
    return failure(
        ExitCode.UNHEALTHY,
        f"The PostgreSQL of {namespace} does not answer",
        why,
        f"see its state: ./careops status; then ./careops kubectl -n {namespace} get cluster,pods",
    )


def secret(cluster: Cluster, namespace: str, name: str) -> dict[str, bytes] | None:
    """Return what a Secret holds, or None when there is none."""
    found = cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
    if found is None:
        return None
    return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}


def namespace_uid(cluster: Cluster, name: str) -> str | None:
    """Return the UID of a namespace; None when there is none, or it is about to go."""
    found = cluster.get(f"/api/v1/namespaces/{name}")
    if found is None or (found.get("status") or {}).get("phase") == "Terminating":
        return None
    return str((found.get("metadata") or {}).get("uid", ""))
