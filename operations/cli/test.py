"""`careops test`."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.cli.options import AsJson
from operations.exit_codes import ExitCode


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("test")(check_everything)


def check_everything(
    fast: Annotated[
        bool, typer.Option("--fast", help="Only checks and tests that need no platform: under two minutes.")
    ] = False,
    full: Annotated[
        bool,
        typer.Option("--full", help="The whole of every matrix instead of a sample; more than an hour on 2 cores."),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the test platform running, to look into it.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check and test everything, beside your platform.

    Code checks, tests without a platform, then `up` of a test platform (in .careops-test, with its own API port),
    the live tests on it, and its removal. Ends with pytest's own closing lines and the time each phase took.
    """
    import sys

    from operations.cli.current import session
    from operations.cli.output import print_json
    from operations.suite import Suite, run_suite

    report = run_suite(session(), Suite(fast=fast, full=full, keep=keep), out=sys.stderr if as_json else sys.stdout)
    if as_json:
        print_json(report.as_json())
    if not report.passed:
        raise typer.Exit(ExitCode.TESTS_FAILED)
