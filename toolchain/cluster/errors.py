# ruff: noqa: N818  the names say what happened; all end in the root class ToolchainError
"""The embedded cluster's errors: one class for each decision a caller can make about them."""

from __future__ import annotations

from toolchain.errors import ToolchainError


class ClusterBusy(ToolchainError):
    """Another program starts, stops or wipes this cluster right now."""


class PortTaken(ToolchainError):
    """The port of the API server on the host belongs to another program."""


class ImagesRefused(ToolchainError):
    """The node's containerd did not take images, or the store does not hold what was asked."""


class ApiUnreachable(ToolchainError):
    """The API server cannot be reached, or the kubeconfig does not lead to one."""


class ApiRefused(ToolchainError):
    """The API server answered with an error.

    Attributes:
        status: the HTTP status.
    """

    def __init__(self, what: str, *, why: str, action: str, status: int) -> None:
        super().__init__(what, why=why, action=action)
        self.status = status


class NodeFailed(ToolchainError):
    """The node did not start, or ended while it was needed."""


class FactsUnusable(ToolchainError):
    """The facts of a cluster cannot be read, or cannot be found out without a decision of the user's."""


class NotEnforced(ToolchainError):
    """A cluster does not enforce NetworkPolicy, or it could not be shown that it does."""
