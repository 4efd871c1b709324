"""What Odoo says while it works on a database that nobody has verified yet: only what cannot quote a row is told.

Messages of Odoo and PostgreSQL quote values ("DETAIL: Key (email)=(…) already exists"), and the Job's log is read by
more people than the data. Told are which modules are loaded, and of an error its kind, the files and lines it came
from, and the constraint it broke. Every pattern is bounded and must match from a line's first character to its last.
"""

from __future__ import annotations

import builtins
import re
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST = 4096
"""Bytes of a line that are looked at; none that is told is longer."""

_WORD = r"[A-Za-z0-9_]{1,63}"
_FILE = r"(?:/[A-Za-z0-9_.-]{1,80}){1,20}"
_KNOWN = r"(?:odoo|psycopg2|werkzeug|lxml|jinja2|babel|requests|cryptography)\.[A-Za-z0-9_.]{1,80}"
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \d{1,9}"
_LOG = rf"{_TIME} (?P<level>INFO|WARNING|ERROR|CRITICAL) \S{{1,63}} (?P<logger>{_KNOWN}): "
_TOOK = r"[0-9.]{1,12}s(?:, \d{1,9} queries(?: \([+a-z0-9 ,]{1,60}\))?)?"
_PERFORMANCE = r"(?: [0-9. -]{1,60})?"

_LOADING = re.compile(
    rf"{_LOG}(?P<what>[Ll]oading module {_WORD} \(\d{{1,4}}/\d{{1,4}}\)|Module {_WORD} loaded in {_TOOK}"
    rf"|\d{{1,4}} modules loaded in {_TOOK}|Modules loaded\.|Registry loaded in {_TOOK}"
    rf"|module {_WORD}: creating or updating database tables){_PERFORMANCE}"
)
_PROBLEM = re.compile(rf"{_LOG.replace('INFO|', '')}.*")
_FRAME = re.compile(rf"  File \"(?P<file>{_FILE})\", line (?P<line>\d{{1,7}}), in (?P<function>[A-Za-z0-9_<>]{{1,80}})")
_ERROR = re.compile(rf"(?P<kind>{_KNOWN}|[A-Za-z]{{1,40}})(?::.*)?")
_PARSING = re.compile(rf"(?:{_KNOWN}\.)?ParseError: while parsing (?P<file>{_FILE}):(?P<line>\d{{1,7}})(?:,.*)?")
_BROKEN = re.compile(
    r"(?P<kind>psycopg2\.errors\.[A-Za-z]{1,60}): "
    rf"(?P<what>duplicate key value violates unique constraint \"{_WORD}\""
    rf"|new row for relation \"{_WORD}\" violates check constraint \"{_WORD}\""
    rf"|null value in column \"{_WORD}\" of relation \"{_WORD}\" violates not-null constraint"
    rf"|(?:insert or |update or )?(?:update|delete) on table \"{_WORD}\" violates foreign key constraint \"{_WORD}\""
    rf"(?: on table \"{_WORD}\")?"
    rf"|relation \"{_WORD}\" does not exist|column (?:{_WORD}\.)?\"?{_WORD}\"? does not exist)"
)
_TOLD = (
    (_LOADING, "{what}"),
    (_PROBLEM, "{level} of {logger}; its text is withheld"),
    (_FRAME, "  at {file}:{line} in {function}"),
    (_BROKEN, "{kind}: {what}"),
    (_PARSING, "ParseError: while parsing {file}:{line}"),
)
"""What is told of a line, by what it looks like; of the first that fits."""


def tell(line: str, word: str) -> str:
    """Return what may be told of a line, empty for nothing.

    Args:
        line: Without its end.
        word: What lines of our own scripts begin with, which nobody else knows.
    """
    if line.startswith(f"{word} "):
        return line.removeprefix(f"{word} ")
    for pattern, said in _TOLD:
        if found := pattern.fullmatch(line):
            return said.format(**found.groupdict())
    if (found := _ERROR.fullmatch(line)) and _is_kind(found["kind"]):
        return f"{found['kind']}; its text is withheld"
    return ""


def _is_kind(name: str) -> bool:
    """Return whether a word names a kind of error: one of a known package's, or one that Python brings itself."""
    built_in = getattr(builtins, name, None)
    return "." in name or (isinstance(built_in, type) and issubclass(built_in, BaseException))


def drain(output: BinaryIO, word: str, say: Callable[[str], None]) -> None:
    """Read a program's output to its end, and pass on what may be told of it.

    Args:
        output: Of the program; read in pieces of bounded size, however long a line is.
        word: See `tell`.
        say: Takes a line for the log.
    """
    whole = True
    while piece := output.readline(LONGEST):
        ends = piece.endswith(b"\n")
        # The rest of a line that was too long begins anywhere, also with what looks like a line of its own.
        if whole and ends and (told := tell(piece.decode("utf-8", "replace").rstrip("\r\n"), word)):
            say(told)
        whole = ends
