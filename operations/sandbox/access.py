"""The API server with the access of who acts: the administrator's, or a person's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations import live
from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

    from operations.session import Session
    from toolchain.cluster.kubeapi import KubeApi


def api(session: Session, kubeconfig: Path | None) -> KubeApi:
    """Return the API server.

    Args:
        session: This invocation.
        kubeconfig: A person's access; None for this platform's administrator.

    Raises:
        OperationError: With `USAGE` for a file that is not there, with `CLUSTER` when the cluster is stopped.
    """
    from toolchain.cluster.kubeapi import KubeApi

    if kubeconfig is None:
        live.cluster_reader(session)
        return KubeApi(session.paths.kubeconfig)
    if not kubeconfig.is_file():
        raise failure(
            ExitCode.USAGE,
            f"There is no file {kubeconfig}",
            "--kubeconfig (or CAREOPS_PERSON) names the access of who acts",
            "name yours; on the embedded cluster it is made with: ./careops sandbox person",
        )
    return KubeApi(kubeconfig)
