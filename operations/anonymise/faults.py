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
    r"|permission denied for (?:table|relation|view|sequence|schema|database|function|type|language) [\w.$\"]{1,130}"
    r"|(?:extension|schema|role|database) \"[^\"]+\" (?:is not available|does not exist|already exists)"
    r"|must be owner of (?:table|relation|view|sequence|schema|database|function|type|extension) [\w.$\"]{1,130}"
    r"|must be (?:member of role|able to SET ROLE) \"[^\"\n]{1,63}\"|must be superuser"
    r"|collation \"[^\"]+\" for encoding \"[^\"]+\" does not exist"
    r"|could not extend file|No space left on device|out of (?:shared )?memory"
    r"|connection to server (?:at|on socket) \"[^\"\n]{1,255}\"(?: \([0-9a-f.:]{2,45}\))?(?:, port \d{1,5})? failed"
    r"|server closed the connection unexpectedly"
    r"|terminating connection due to [a-z ]{1,60}|the database system is [a-z ]{1,40}"
    r"|could not read from input file: end of file|input file is too short"
    r"|server version: [^;\n]{1,80}|aborting because of server version mismatch"
    r")"
)
"""Messages of PostgreSQL that name objects and never quote a value; everything else is withheld.

Each ends where the message does: what may follow it is what somebody typed ("must be able to walk again, says …").
"""
_OWN = re.compile(r"^(?:pg_\w+: |(?:ERROR|FATAL|PANIC): |connection to server )[^\n]*", re.MULTILINE)
"""Lines of a program about itself or the server; those behind them (DETAIL, CONTEXT, Command was) quote rows."""

PROD, ISOLATED, TRAINING = "prod's PostgreSQL", "the isolated PostgreSQL", "training's PostgreSQL"
"""The servers of a run, as messages call them."""

_ROOM = {
    PROD: "give prod more room: database.storage in Pulumi.prod.yaml",
    ISOLATED: "give the isolated copy more room: refresh.sizes.isolated_storage in the site's file",
    TRAINING: "give training more room: database.storage in Pulumi.training.yaml",
}
_FULL, _NO_MEMORY = "53100", "53200"
_LOST = ("08", "57P01", "57P02", "57P03", "57P05")
"""Beginnings of the SQLSTATEs of a session that ended, or never began, because of its server."""

_SERVER_FULL = re.compile(r"(?:ERROR|FATAL|PANIC): [^\n]*No space left on device")
_PROGRAM_FULL = "No space left on device"
_PROGRAM_LOST = re.compile(
    r"server closed the connection unexpectedly|terminating connection due to|connection to server[^:]* failed"
    r"|the database system is |no connection to the server|connection not open"
)
_LACKING = re.compile(
    r"(?:collation|extension) \"[^\"]+\" (?:for encoding \"[^\"]+\" )?(?:does not exist|is not available)"
)
STARVED = re.compile(r"could not read from input file: end of file|input file is too short")
"""What pg_restore says when the program that feeds it ended too early."""


class TransferError(Exception):
    """The transfer stopped; the message names step, table and row, never a value.

    Attributes:
        step: What was done: "check", "read schema", "create tables", "copy", "constraints", "sequences" or "analyze".
        table: The table, or empty.
        row: The row's number in the order it was sent, or None.
        lost: A server ended, or could not be reached.
    """

    def __init__(
        self, step: str, what: str, action: str, *, table: str = "", row: int | None = None, lost: bool = False
    ) -> None:
        self.step, self.table, self.row, self.lost = step, table, row, lost
        where = f" of {table}" if table else ""
        line = f", row {row}" if row is not None else ""
        super().__init__(f"{step}{where}{line}: {what}; {action}")


def of_database(
    step: str, error: psycopg.Error, *, table: str = "", action: str = "", server: str = ""
) -> TransferError:
    """Return the error to raise for one of psycopg, without PostgreSQL's message, detail and context.

    Args:
        step: What was done.
        error: What psycopg raised; raise the result ``from None``, as a chained error is printed whole.
        table: The table at hand.
        action: What to do about it, where the error itself does not tell.
        server: Which server it came from: `PROD`, `ISOLATED` or `TRAINING`; empty when that is not known.
    """
    found = _LINE.search(error.diag.context or "")
    row = int(found.group(1)) if found else None
    name = f" on {error.diag.constraint_name}" if error.diag.constraint_name else ""
    name += f" in column {error.diag.column_name}" if error.diag.column_name else ""
    state = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
    safe = safe_part(str(error)) if not error.sqlstate else ""
    what = f"{server or 'PostgreSQL'} reports {type(error).__name__}{name}{state}" + (f": {safe}" if safe else "")
    is_lost = lost(error)
    if error.sqlstate == _FULL:
        what, action = f"{what}: its volume is full", _more_room(server)
    elif error.sqlstate == _NO_MEMORY:
        what, action = f"{what}: it has not enough memory", f"give {server or 'it'} more memory, and start a new run"
    elif is_lost:
        what, action = f"{what}: it ended, or ended the session", action or _see_server(server)
    action = action or "correct the rule of the column, or the row in the source"
    return TransferError(step, what, action, table=table, row=row, lost=is_lost)


def lost(error: psycopg.Error) -> bool:
    """Return whether an error says that the server is gone, and nothing about what it was asked."""
    if error.sqlstate:
        return error.sqlstate.startswith(_LOST)
    return any(kind.__name__ in {"OperationalError", "InterfaceError"} for kind in type(error).__mro__)


def of_program(step: str, program: str, status: int, output: str, *, server: str = "") -> TransferError:
    """Return the error for a program of PostgreSQL that failed, with only those lines that quote no value.

    Args:
        step: What was done.
        program: Which program.
        status: What it ended with.
        output: What it said.
        server: Which server it talked to; see `of_database`.
    """
    output = "\n".join(_OWN.findall(output))
    said = list(dict.fromkeys(found.group(0) for found in _SAFE.finditer(output)))
    what = f"{program} ended with {status}" + (f": {'; '.join(said[:5])}" if said else "; its messages may hold values")
    if _SERVER_FULL.search(output):
        return TransferError(step, f"{what}: the volume of {server or 'PostgreSQL'} is full", _more_room(server))
    if _PROGRAM_FULL in output:
        return TransferError(step, f"{what}: the pod's /tmp is full", "report this: the schema alone is kept there")
    if _PROGRAM_LOST.search(output):
        what = f"{what}: {server or 'PostgreSQL'} ended, or ended the session"
        return TransferError(step, what, _see_server(server), lost=True)
    if _LACKING.search(output):
        return TransferError(step, what, f"give {server or 'the target'} what it lacks: the same release as its source")
    return TransferError(step, what, "correct the rule of the column that the named object is about")


def _more_room(server: str) -> str:
    return f"{_ROOM.get(server, 'give that volume more room')}; then start a new run"


def _see_server(server: str) -> str:
    return f"see why {server or 'the server'} ended, and start a new run"


def safe_part(message: str) -> str:
    """Return the part of a message that quotes no value, or the empty text."""
    found = _SAFE.search(message)
    return found.group(0) if found else ""
