"""The session of the command that is running."""

from __future__ import annotations

import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.session import Session

arguments: ContextVar[Sequence[str] | None] = ContextVar("arguments", default=None)
"""The command line being run, without the program's name."""


def session() -> Session:
    """Return the session for the command line being run.

    Raises:
        OperationError: With `USAGE`, when a CAREOPS_ variable has an impossible value.
    """
    from operations.session import open_session

    given = arguments.get()
    return open_session(sys.argv[1:] if given is None else given)
