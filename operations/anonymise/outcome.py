"""How a program of the refresh ends: exit statuses, and errors that can be told without a value of the data."""
# ruff: noqa: N818  the names say what happened; all end in the root class RefreshError

from __future__ import annotations

import errno
import traceback
from typing import TYPE_CHECKING

import psycopg

from operations.anonymise.catalogue.loader import CatalogueError
from operations.anonymise.faults import TransferError, of_database
from operations.anonymise.rules.at import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
UNAVAILABLE = 69
"""A database cannot be reached (EX_UNAVAILABLE of sysexits.h)."""
WAITED = 75
"""A partner did not come, or another run is under way (EX_TEMPFAIL)."""
REFUSED = 78
"""Nothing is gained by another run before a person has acted (EX_CONFIG)."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_REPORT = "report this line; the message is withheld because it may quote data"


class RefreshError(Exception):
    """A program that cannot go on; the text never quotes data.

    Attributes:
        what: What happened.
        why: The cause.
        action: What to do about it.
        code: Exit status of the program.
    """

    code = FAILED

    def __init__(self, what: str, *, why: str, action: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.action = action

    def __str__(self) -> str:
        return f"{self.what}\n  why: {self.why}\n  do:  {self.action}"


class Refused(RefreshError):
    """Unclassified columns, findings, another environment's data, or settings that cannot be."""

    code = REFUSED


class Unavailable(RefreshError):
    """A database cannot be reached."""

    code = UNAVAILABLE


class NotYet(RefreshError):
    """A partner did not come in time, or another run is under way."""

    code = WAITED


class Failed(RefreshError):
    """A step failed."""


def told(error: BaseException) -> RefreshError:
    """Return what may be said of any error.

    psycopg's errors carry PostgreSQL's DETAIL and CONTEXT, and other errors whatever they were made of. What is not
    known to be free of data is told by its kind and the line of this program that it came from.
    """
    if isinstance(error, RefreshError):
        return error
    match error:
        case TransferError():
            kind = Unavailable if error.lost else Failed
            return kind(f"the step {error.step} failed", why=str(error), action="see the reason; start a new run")
        case CatalogueError() | CompileError():
            return Refused(
                "the catalogue cannot be used", why=str(error), action="correct these lines and start a new run"
            )
        case psycopg.Error():
            return _of_database(error)
        case KeyboardInterrupt() | SystemExit():
            return Failed("the program was told to stop", why=type(error).__name__, action="start a new run")
    return _unforeseen(error)


def _unforeseen(error: BaseException) -> RefreshError:
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        why = f"{error.strerror} {_place(error)}"
        return Failed("a volume of the pod is full", why=why, action="give it more room, and start a new run")
    # The name of a file may be anything; what the system says of it is not.
    said = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
    return Failed("an unforeseen error", why=f"{type(error).__name__}{said} {_place(error)}", action=_REPORT)


def _of_database(error: psycopg.Error) -> RefreshError:
    found = of_database("talking to PostgreSQL", error, action=f"it came {_place(error)}")
    if found.lost:
        action = "see the PostgreSQL servers' state, and start a new run"
        return Unavailable("a database cannot be reached", why=str(found), action=action)
    action = "see the reason; start a new run" if (error.sqlstate or "").startswith("53") else _REPORT
    return Failed("PostgreSQL did not do what was asked", why=str(found), action=action)


def _place(error: BaseException) -> str:
    """Return where an error came from, innermost last; of our own code only file, line and function."""
    frames = [frame for frame in _frames(error) if "anonymise" in frame.filename]
    where = [f"{frame.filename.rsplit('anonymise', 1)[1].lstrip('/')}:{frame.lineno} {frame.name}" for frame in frames]
    return f"at {' < '.join(reversed(where[-4:]))}" if where else "outside our code"


def _frames(error: BaseException) -> Iterator[traceback.FrameSummary]:
    yield from traceback.extract_tb(error.__traceback__)
