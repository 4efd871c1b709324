"""`careops start`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.cli.options import AsJson

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(start)


def start(as_json: AsJson = False) -> None:
    """Continue after `careops stop` or a reboot.

    Starts the embedded cluster as it was.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.cli.progress import reporter

    current = session()
    live.require_embedded(current, "start")
    live.require_platform(current)
    with live.platform_lock(current), reporter() as shown:
        live.start_cluster(current, shown)
    if as_json:
        print_json({"schema": 1, "running": True})
    say("started; the environments need a minute to answer. See: ./careops status")
