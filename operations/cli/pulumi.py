"""`careops pulumi`."""

from __future__ import annotations

import typer

from operations.cli.options import PASS_THROUGH, PassThrough


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(cls=PassThrough, context_settings=PASS_THROUGH)(pulumi)


def pulumi(context: typer.Context) -> None:
    """Run pulumi on this platform's state.

    Every argument is Pulumi's own, --help too.
    """
    from operations import live
    from operations.cli.current import session

    current = session()
    live.become(live.pulumi_program(current), context.args, live.tool_environment(current), folder=current.paths.root)
