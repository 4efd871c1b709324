"""Questions to the person at the terminal; never asked where nobody can answer."""

from __future__ import annotations

import sys

from operations.errors import failure
from operations.exit_codes import ExitCode


def may_ask(*, no_input: bool) -> bool:
    """Return whether a question makes sense: not forbidden, and a person at both ends."""
    return not no_input and sys.stdin.isatty() and sys.stderr.isatty()


def typed_name(stack: str) -> bool:
    """Ask for the exact name of an environment that is about to lose its data."""
    sys.stderr.write(f"Type the name of the environment to destroy it with its data ({stack}): ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == stack


def agreed(question: str, *, yes: bool, no_input: bool) -> None:
    """Ask a yes/no question; return only when the answer is yes.

    Args:
        question: Without its question mark.
        yes: The answer was given on the command line.
        no_input: Nothing may be asked.

    Raises:
        OperationError: With `NOT_CONFIRMED`, when the answer is no or cannot be had.
    """
    if yes:
        return
    why = "nobody can be asked here (--no-input, or no terminal)"
    if may_ask(no_input=no_input):
        sys.stderr.write(f"{question}? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in {"y", "yes"}:
            return
        why = "the answer was no"
    raise failure(
        ExitCode.NOT_CONFIRMED, "Not confirmed; nothing was changed", why, "run it again with --yes if you mean it"
    )
