"""Every error a command can end with, turned into text on stderr (or JSON on stdout) and an exit code."""

from __future__ import annotations

import sys
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from operations.errors import OperationError, Problem, failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer.exceptions import TyperException

ISSUE = "run it again with CAREOPS_DEBUG=1 to see the details, and report them with the log"


def report_failure(error: BaseException, arguments: Sequence[str]) -> int:
    """Show an error and return the exit code that belongs to it.

    Args:
        error: What a command raised.
        arguments: The command line, to know whether JSON was asked for and for the log.
    """
    import typer
    from typer.exceptions import TyperException

    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        say_interrupted()
        return ExitCode.INTERRUPTED
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else ExitCode.UNEXPECTED
    if isinstance(error, TyperException):
        _show_usage(error, arguments)
        return ExitCode.USAGE
    if isinstance(error, BrokenPipeError):
        sys.stderr.close()  # the reader of a pipe went away: nobody is left to tell
        return ExitCode.OK
    from operations.translate import known

    told = known(error)
    if told is None:
        told = _unexpected(error, arguments)
    _show(told, arguments)
    return told.code


def say_interrupted() -> None:
    """Say that stopping half-way is fine."""
    sys.stderr.write("\ninterrupted. What is done is kept: run the same command again and it continues.\n")


def _show_usage(error: TyperException, arguments: Sequence[str]) -> None:
    show = getattr(error, "show", None)  # only typer's own usage errors know their command
    if show is None:
        sys.stderr.write(f"error: {error.format_message()}\n")
    else:
        show(sys.stderr)
    if "--json" in arguments:
        from operations.cli.output import print_json
        from operations.phases import error_json

        told = failure(ExitCode.USAGE, error.format_message(), "careops cannot read this command line", "see --help")
        print_json(error_json(told))


def _show(error: OperationError, arguments: Sequence[str]) -> None:
    from operations.cli.output import print_json, show_error
    from operations.phases import error_json

    show_error(error)
    if "--json" in arguments:
        print_json(error_json(error))


def _unexpected(error: BaseException, arguments: Sequence[str]) -> OperationError:
    """Keep the traceback in a log and return what to tell about it."""
    import os

    from operations.session import open_session

    text = "".join(traceback.format_exception(error))
    if os.environ.get("CAREOPS_DEBUG"):
        sys.stderr.write(text)
    where = "the log could not be written"
    try:
        session = open_session(arguments)
        log = session.paths.logs / f"defect-{datetime.now(UTC):%Y%m%dT%H%M%S}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"$ {session.command}\n{text}")
        where = f"log: {log}"
    except (OSError, OperationError):
        pass
    return OperationError(
        ExitCode.UNEXPECTED,
        Problem(
            what=f"careops met something it does not know: {type(error).__name__}: {error}",
            why=f"this is a defect in careops; {where}",
            action=ISSUE,
        ),
    )
