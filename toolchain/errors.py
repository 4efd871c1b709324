"""The toolchain's errors: one class for each decision a caller can make about them."""

# ruff: noqa: N818  the names say what happened; all end in the root class ToolchainError
from __future__ import annotations


class ToolchainError(Exception):
    """Something a machine needs could not be had.

    Attributes:
        what: what happened, in one sentence.
        why: the cause, as far as it is known.
        action: what the reader can do about it.
    """

    def __init__(self, what: str, *, why: str, action: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.action = action

    def __str__(self) -> str:
        return f"{self.what}\n{self.why}\n{self.action}"


class DownloadRefused(ToolchainError):
    """A server refused, could not be reached, or answered with something else than was asked for."""


class ChecksumMismatch(DownloadRefused):
    """A download is complete and is not what was pinned: never used, and never a reason to try the same place again."""


class BrokenArtifact(ToolchainError):
    """A result is not what its manifest says, or cannot be described by one."""


class BuildFailed(ToolchainError):
    """A build ran and failed."""


class MissingTool(ToolchainError):
    """A program that must be there already is not, or is too old."""


class HostUnfit(ToolchainError):
    """This machine cannot carry what was asked: no root, too little disk or memory, a kernel feature is absent."""


class PackagesRefused(ToolchainError):
    """The Debian package manager could not install what was asked."""


class TaskFailed(ToolchainError):
    """One task of a graph failed; what had not started was cancelled.

    Attributes:
        task: name of the task that failed first.
    """

    def __init__(self, what: str, *, why: str, action: str, task: str) -> None:
        super().__init__(what, why=why, action=action)
        self.task = task
