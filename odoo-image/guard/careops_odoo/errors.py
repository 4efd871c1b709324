# ruff: noqa: N818  the names say what happened; all end in the root class CommandError
"""How a command of the image ends when it does not end well."""

from __future__ import annotations

EXIT_FAILED = 1
EXIT_UNAVAILABLE = 69
"""The database cannot be reached (EX_UNAVAILABLE of sysexits.h)."""
EXIT_WAITED = 75
"""What was waited for did not come; trying again is right (EX_TEMPFAIL)."""
EXIT_REFUSED = 78
"""Another environment's data, or settings that cannot be: trying again is wrong (EX_CONFIG)."""


class CommandError(Exception):
    """A command that cannot go on.

    Attributes:
        what: What happened.
        why: The cause.
        action: What to do about it.
        code: Exit status of the process.
    """

    code = EXIT_FAILED

    def __init__(self, what: str, *, why: str, action: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.action = action

    def __str__(self) -> str:
        return f"{self.what}\n  why: {self.why}\n  do:  {self.action}"


class Refused(CommandError):
    """Something belongs to another environment, or a setting cannot be."""

    code = EXIT_REFUSED


class Unavailable(CommandError):
    """The database or the Kubernetes API cannot be reached."""

    code = EXIT_UNAVAILABLE


class NotYet(CommandError):
    """What another pod has to do first has not been done in time."""

    code = EXIT_WAITED


class StepFailed(CommandError):
    """A program that a migration runs has failed; the migration has been undone."""

    code = EXIT_FAILED
