"""Reading from the cluster's API: plain GETs by path, so that one fake function stands for a cluster in tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from pathlib import Path


class Read(Protocol):
    """Returns the object or list at an API path, or None when there is none."""

    def __call__(self, path: str, /) -> dict[str, Any] | None:
        """Read one path."""
        ...


def reader(kubeconfig: Path, context: str | None = None) -> Read:
    """Return a function that reads from the cluster this kubeconfig names.

    Args:
        kubeconfig: Access to the cluster.
        context: The context in it; None for its current one.

    Raises:
        OperationError: With `CLUSTER`, when there is no such file.
        ApiUnreachable: There is no such context; the function itself raises it when nobody answers.
    """
    from toolchain.cluster.kubeapi import KubeApi

    if not kubeconfig.is_file():
        raise no_cluster()
    return KubeApi(kubeconfig, context).get


def no_cluster() -> Exception:
    """Return the error of a platform that was never started, or was taken down."""
    return failure(
        ExitCode.CLUSTER,
        "There is no cluster",
        "this platform was not started yet, or was taken down",
        "start it: ./careops up",
    )
