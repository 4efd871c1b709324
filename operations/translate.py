"""Errors of the other parts as operation errors: the same words, and the exit code that belongs to them."""

from __future__ import annotations

import os
import pwd
import sys
from typing import TYPE_CHECKING

from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from infra.problems import SettingsError

CODE_BY_CLASS: dict[str, ExitCode] = {
    "HostUnfit": ExitCode.MACHINE_UNFIT,
    "PortTaken": ExitCode.MACHINE_UNFIT,
    "ClusterBusy": ExitCode.LOCK_HELD,
    "StackBusy": ExitCode.LOCK_HELD,
    "MissingPassphrase": ExitCode.SETTINGS_INVALID,
}
"""By name, so that telling an error apart does not import the part that raised it."""

CODE_BY_PACKAGE: tuple[tuple[str, ExitCode], ...] = (
    ("toolchain.cluster", ExitCode.CLUSTER),
    ("toolchain.pulumi", ExitCode.DEPLOYMENT),
    ("toolchain", ExitCode.TOOLCHAIN),
)


def known(error: BaseException) -> OperationError | None:
    """Return an error as an operation error, or None when nobody foresaw it."""
    if isinstance(error, OperationError):
        return error
    if isinstance(error, ToolchainError):
        return from_toolchain(error)
    settings = sys.modules.get("infra.problems")  # who raised its error has loaded it
    if settings is not None and isinstance(error, settings.SettingsError):
        return from_settings(error)
    if isinstance(error, PermissionError) and error.filename and os.geteuid() != 0:
        return from_permission(error)
    return None


def from_toolchain(error: ToolchainError) -> OperationError:
    """Return a toolchain error with its exit code, by its class and the part it comes from."""
    return OperationError(
        _code(error), Problem(what=error.what.strip().removesuffix("."), why=error.why, action=error.action)
    )


def from_settings(error: SettingsError) -> OperationError:
    """Return every problem of settings that are not valid."""
    return OperationError(
        ExitCode.SETTINGS_INVALID,
        *(Problem(what=one.path, why=one.message, action=one.action) for one in error.problems),
    )


def from_permission(error: PermissionError) -> OperationError:
    """Return the error of a user who may not use this platform's files; for root it would be a defect."""
    try:
        name = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a number without an account
        name = str(os.geteuid())
    return OperationError(
        ExitCode.MACHINE_UNFIT,
        Problem(
            what=f"This user may not use {os.fsdecode(error.filename)}",
            why=f"this is user {name}, and it belongs to somebody else: the embedded cluster and its state are root's",
            action="run the same command as root, such as with sudo",
        ),
    )


def _code(error: ToolchainError) -> ExitCode:
    cause = error.__cause__
    if type(error).__name__ == "TaskFailed" and isinstance(cause, ToolchainError):
        return _code(cause)
    violations = getattr(getattr(error, "result", None), "violations", ())
    if any(violation.is_mandatory for violation in violations):
        return ExitCode.POLICY
    for one in type(error).__mro__:
        if one.__name__ in CODE_BY_CLASS:
            return CODE_BY_CLASS[one.__name__]
    module = type(error).__module__
    return next((code for prefix, code in CODE_BY_PACKAGE if module.startswith(prefix)), ExitCode.TOOLCHAIN)
