"""What can go wrong around the Pulumi engine, one class for each decision a caller makes."""

# ruff: noqa: N818  the names say what happened; all end in the root class ToolchainError

from __future__ import annotations

from typing import TYPE_CHECKING

from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from toolchain.pulumi.runner import Result


class DeploymentFailed(ToolchainError):
    """The engine ran and did not get where it was asked to.

    Attributes:
        result: what happened until then.
    """

    def __init__(self, what: str, *, why: str, action: str, result: Result) -> None:
        super().__init__(what, why=why, action=action)
        self.result = result


class StackBusy(ToolchainError):
    """Another update of the same stack is running."""


class MissingPassphrase(ToolchainError):
    """Pulumi's state exists and the passphrase that opens its secrets does not."""
