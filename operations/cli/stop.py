"""`careops stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.cli.options import AsJson

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(stop)


def stop(as_json: AsJson = False) -> None:
    """Pause the embedded cluster; all data stays.

    Every process of it ends. Continue with `careops start`.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.cli.progress import reporter

    current = session()
    live.require_embedded(current, "stop")
    with live.platform_lock(current), reporter() as shown:
        live.stop_cluster(current, shown)
    if as_json:
        print_json({"schema": 1, "running": False})
    say("stopped; data stays. Continue with: ./careops start")
