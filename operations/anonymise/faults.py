"""Errors of PostgreSQL without the values they quote: what a log may say of a failed transfer."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psycopg

_LINE = re.compile(r"\bCOPY [^,]*, line (\d+)")
_SAFE = re.compile(
    r"(?:"
    r"could not create unique index \"(?P<index>[^\"]+)\""
    r"|insert or update on table \"[^\"]+\" violates foreign key constraint \"(?P<key>[^\"]+)\""
    r"|check constraint \"(?P<check>[^\"]+)\" of relation \"[^\"]+\" is violated by some row"
    r"|permission denied for [a-z ]+ [^\s]+"
    r"|(?:extension|schema|role|database) \"[^\"]+\" (?:is not available|does not exist|already exists)"
    r"|must be (?:owner of|member of|able to|superuser)[^:]*"
    r"|could not extend file|No space left on device|out of (?:shared )?memory"
    r"|connection to server[^:]* failed|server closed the connection unexpectedly"
    r"|server version[^;]*|aborting because of server version mismatch"
    r")"
)
"""Messages of PostgreSQL that name objects and never quote a value; everything else is withheld."""


class TransferError(Exception):
    """The transfer stopped; the message names step, table and row, never a value.

    Attributes:
        step: What was done: "check", "read schema", "create tables", "copy", "constraints", "sequences" or "analyze".
        table: The table, or empty.
        row: The row's number in the order it was sent, or None.
    """

    def __init__(self, step: str, what: str, action: str, *, table: str = "", row: int | None = None) -> None:
        self.step, self.table, self.row = step, table, row
        where = f" of {table}" if table else ""
        line = f", row {row}" if row is not None else ""
        super().__init__(f"{step}{where}{line}: {what}; {action}")


def of_database(step: str, error: psycopg.Error, *, table: str = "", action: str = "") -> TransferError:
    """Return the error to raise for one of psycopg, without PostgreSQL's message, detail and context.

    Args:
        step: What was done.
        error: What psycopg raised; raise the result ``from None``, as a chained error is printed whole.
        table: The table at hand.
        action: What to do about it.
    """
    found = _LINE.search(error.diag.context or "")
    row = int(found.group(1)) if found else None
    name = f" on {error.diag.constraint_name}" if error.diag.constraint_name else ""
    name += f" in column {error.diag.column_name}" if error.diag.column_name else ""
    state = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
    safe = safe_part(str(error)) if not error.sqlstate else ""
    what = f"PostgreSQL reports {type(error).__name__}{name}{state}" + (f": {safe}" if safe else "")
    return TransferError(
        step, what, action or "correct the rule of the column, or the row in the source", table=table, row=row
    )


def of_program(step: str, program: str, status: int, output: str) -> TransferError:
    """Return the error for a program of PostgreSQL that failed, with only those lines that quote no value."""
    said = list(dict.fromkeys(found.group(0) for found in _SAFE.finditer(output)))
    what = f"{program} ended with {status}" + (f": {'; '.join(said[:5])}" if said else "; its messages may hold values")
    return TransferError(step, what, "correct the rule of the column that the named object is about")


def safe_part(message: str) -> str:
    """Return the part of a message that quotes no value, or the empty text."""
    found = _SAFE.search(message)
    return found.group(0) if found else ""
