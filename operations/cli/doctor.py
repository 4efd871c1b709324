"""`careops doctor`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from operations.cli.options import AsJson
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.doctor import Finding

MARKS = {"ok": "ok", "note": "note", "blocks": "BLOCKS"}


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(doctor)


def doctor(as_json: AsJson = False) -> None:
    """Show what this machine has, lacks and would use.

    With a hint for each; changes nothing. Exits with 4 when something here would stop `careops up`.
    """
    from operations.cli.current import session
    from operations.cli.output import print_json
    from operations.doctor import blocked, examine

    findings = examine(session())
    if as_json:
        print_json({"schema": 1, "fit": not blocked(findings), "findings": [asdict(one) for one in findings]})
    else:
        _show(findings)
    if blocked(findings):
        raise typer.Exit(ExitCode.MACHINE_UNFIT)


def _show(findings: Sequence[Finding]) -> None:
    from operations.cli.output import table

    table(
        "WHAT",
        "",
        "FOUND",
        "HINT",
        rows=[(one.name, MARKS[one.verdict], one.found, one.hint) for one in findings],
    )
