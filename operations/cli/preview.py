"""`careops preview`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.cli.options import AsJson, Environments

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(preview)


def preview(environments: Environments = None, as_json: AsJson = False) -> None:
    """Show what `up` would change; changes nothing.

    Pulumi's own preview of each stack, with the policy pack.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json, say, table
    from operations.cli.progress import reporter
    from operations.environments import choose

    current = session()
    chosen = choose(live.environments(current), environments or [])
    live.require_platform(current)
    with live.platform_lock(current), reporter() as shown:
        plans = [live.preview(current, stack, shown) for stack in ("platform", *(one.stack for one in chosen))]
    if as_json:
        print_json({"schema": 1, "stacks": [plan.as_json() for plan in plans]})
        return
    table(
        "STACK",
        "CREATE",
        "UPDATE",
        "REPLACE",
        "DELETE",
        "SAME",
        rows=[
            (plan.stack, *(str(plan.count(word)) for word in ("create", "update", "replace", "delete", "same")))
            for plan in plans
        ],
    )
    say("\nThe whole tree of one stack: ./careops pulumi preview --diff --policy-pack policies --stack dev")
