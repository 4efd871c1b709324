"""`careops preview`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.cli.options import AsJson, Environments

if TYPE_CHECKING:
    import typer

    from operations.session import Session
    from toolchain.progress import Reporter
    from toolchain.pulumi.runner import Result


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
    from operations.up import PLATFORM_STACK

    current = session()
    chosen = choose(live.environments(current), environments or [])
    live.cluster_reader(current)  # says so when there is no cluster, or a stopped one
    with live.platform_lock(current), reporter() as shown:
        platform, *plans = [
            _preview(current, stack, shown) for stack in (PLATFORM_STACK, *(one.stack for one in chosen))
        ]
    if as_json:
        print_json(
            {
                "schema": 1,
                "platform": {"changes": platform.changes},
                "environments": [{"name": plan.stack, "changes": plan.changes} for plan in plans],
            }
        )
        return
    table(
        "STACK",
        "CREATE",
        "UPDATE",
        "REPLACE",
        "DELETE",
        "SAME",
        rows=[
            (
                plan.stack,
                *(str(plan.changes.get(word, 0)) for word in ("create", "update", "replace", "delete", "same")),
            )
            for plan in (platform, *plans)
        ],
    )
    whole = "./careops pulumi preview --diff --policy-pack policies --stack"
    say(f"\nThe whole tree of one stack: {whole} {plans[-1].stack}")


def _preview(current: Session, stack: str, shown: Reporter) -> Result:
    from operations import deployment

    with shown.step(f"Preview of {stack}") as step:
        plan = deployment.preview(current, stack, step)
        step.note("unchanged" if plan.is_unchanged else "would change")
        return plan
