"""What ends an adoption from outside, PostgreSQL that ends and volumes that are full, told so that a person can act."""

from __future__ import annotations

import errno
import traceback
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .database import driver
from .errors import CommandError, StepFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Generator

_FULL = "53100"
_ENDED = ("08", "57P01", "57P02", "57P03", "57P05")
"""Beginnings of the SQLSTATEs of a session that ended, or never began, because of its server."""

_HOLDS = "see what training holds: careops refresh status"


@contextmanager
def told() -> Generator[None]:
    """Raise what is known of an error in its place; the original one's text may quote data, and is left out.

    Raises:
        CommandError: With what to do about it.
    """
    try:
        yield
    except CommandError:
        raise
    except Exception as error:
        raise (_known(error) or _unforeseen(error)) from None


def what(error: BaseException) -> str:
    """Return what the masking program may be told of an error: never its text."""
    known = error if isinstance(error, CommandError) else _known(error)
    return known.what if known else f"the adoption ended with {type(error).__name__}"


def _unforeseen(error: BaseException) -> CommandError:
    """Return the kind of an error and where it came from: a traceback's last line may quote data."""
    frames = [(Path(frame.filename).name, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    where = " < ".join(f"{name}:{line}" for name, line in reversed(frames[-4:]))
    return StepFailed(
        "an unforeseen error",
        why=f"{type(error).__name__} at {where or 'an unknown place'}",
        action=f"report this line; the message is withheld because it may quote data; {_HOLDS}",
    )


def _known(error: BaseException) -> CommandError | None:
    if isinstance(error, driver().Error):
        return _of_database(error)
    if isinstance(error, OSError):
        return _of_system(error)
    return None


def _of_database(error: BaseException) -> CommandError:
    psycopg2 = driver()
    code = getattr(error, "pgcode", None)
    said = f"{type(error).__name__}" + (f" (SQLSTATE {code})" if code else "")
    if code == _FULL:
        return StepFailed(
            "the volume of training's PostgreSQL is full",
            why=f"PostgreSQL reports {said}",
            action=f"give it more room: database.storage in Pulumi.training.yaml; then start a new run; {_HOLDS}",
        )
    ended = code.startswith(_ENDED) if code else isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    if ended:
        return Unavailable(
            "training's PostgreSQL ended, or ended the session",
            why=f"PostgreSQL's client reports {said}",
            action=f"see why it ended, and start a new run; {_HOLDS}",
        )
    return StepFailed(
        "PostgreSQL did not do what was asked",
        why=f"it reports {said}; the message is withheld because it may quote data",
        action=f"report this; {_HOLDS}",
    )


def _of_system(error: OSError) -> CommandError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StepFailed(
            "training's filestore is full",
            why=f"the system reports: {error.strerror}",
            action=f"give it more room: filestore.size in Pulumi.training.yaml; then start a new run; {_HOLDS}",
        )
    # Files of the filestore are named by digests, which tell nothing.
    return StepFailed(
        "a file of training cannot be read or written",
        why=f"the system reports: {error.strerror or type(error).__name__}: {error.filename or 'no name'}",
        action=f"correct the cause, and start a new run; {_HOLDS}",
    )
