"""`careops kubectl`."""

from __future__ import annotations

import typer

from operations.cli.options import PASS_THROUGH, PassThrough


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(cls=PassThrough, context_settings=PASS_THROUGH)(kubectl)


def kubectl(context: typer.Context) -> None:
    """Run kubectl on this platform's cluster.

    Every argument is kubectl's own, --help too.
    """
    from operations import live
    from operations.cli.current import session

    current = session()
    live.require_platform(current)
    live.become(live.kubectl(current), context.args, live.kubectl_environment(current))
