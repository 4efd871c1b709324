"""Failures as a person needs them: what happened, why, and what to do, with the exit code a script needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from operations.exit_codes import ExitCode


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that stands in the way.

    Attributes:
        what: What is wrong, in one sentence without a full stop.
        why: The fact or rule behind it.
        action: What to do about it: a command or an edit where there is one.
    """

    what: str
    why: str
    action: str

    def as_json(self) -> dict[str, str]:
        """Return the three fields under the names every `--json` report uses."""
        return {"what": self.what, "why": self.why, "action": self.action}


class OperationError(Exception):
    """An operation stopped for reasons that are known and can be told.

    Attributes:
        code: The exit code of the command.
        problems: Every problem found, never empty; all of them are shown at once.
    """

    def __init__(self, code: ExitCode, *problems: Problem) -> None:
        if not problems:
            msg = "an OperationError without a problem tells nobody anything"
            raise ValueError(msg)
        self.code = code
        self.problems = problems
        super().__init__("; ".join(problem.what for problem in problems))


def failure(code: ExitCode, what: str, why: str, action: str) -> OperationError:
    """Return the error for one problem."""
    return OperationError(code, Problem(what=what, why=why, action=action))
