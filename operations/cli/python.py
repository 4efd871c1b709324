"""`careops python`."""

from __future__ import annotations

import typer

from operations.cli.options import PASS_THROUGH, PassThrough


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(cls=PassThrough, context_settings=PASS_THROUGH)(python)


def python(context: typer.Context) -> None:
    """Run Python with this platform's environment.

    For the scripts of the checkout: ./careops python benchmarks/up.py
    """
    import sys
    from pathlib import Path

    from operations import live
    from operations.cli.current import session

    live.become(Path(sys.executable), context.args, live.tool_environment(session()))
