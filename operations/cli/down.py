"""`careops down`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson, NoInput, PlanOnly, Yes

if TYPE_CHECKING:
    from operations.down import DownPlan


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(down)


def down(
    environments: Annotated[
        list[str] | None,
        typer.Argument(metavar="ENV", help="Environments to destroy, such as dev.", show_default=False),
    ] = None,
    everything: Annotated[
        bool,
        typer.Option("--all", help="All environments, the shared platform, and the embedded cluster with its state."),
    ] = False,
    confirm: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ENV", help="Confirm the loss of this environment's data by its name; can be given again."
        ),
    ] = None,
    keep_cache: Annotated[
        bool,
        typer.Option("--keep-cache/--drop-cache", help="Whether builds and downloads stay for the next `up`."),
    ] = True,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    no_input: NoInput = False,
    as_json: AsJson = False,
) -> None:
    """Destroy environments with their data, after asking.

    Shows the plan first. Environments whose data cannot be made again (training, prod) are asked for by name;
    scripts give --confirm NAME for each, and --yes for the others.
    To pause without losing anything, use `careops stop`.
    """
    from operations import live, teardown
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.cli.progress import reporter
    from operations.down import carry_out

    current = session()
    teardown.require_choice(environments or [], everything=everything)
    with live.platform_lock(current):
        plan = teardown.plan(current, environments or [], everything=everything, keep_cache=keep_cache)
        if as_json and plan_only:
            print_json(plan.as_json())
        else:
            _show(plan)
        if plan_only:
            return
        _require_consent(plan, confirm or [], yes=yes, no_input=no_input)
        with reporter() as shown:
            carry_out(plan, teardown.Teardown(current), shown, alive=lambda: live.cluster_answers(current))
    if as_json:
        print_json(plan.as_json() | {"destroyed": True})
    say("gone. Start again with: ./careops up")


def _require_consent(plan: DownPlan, confirmed: list[str], *, yes: bool, no_input: bool) -> None:
    """Return only when every loss is agreed to: by name where data cannot be made again, by a yes for the rest.

    Raises:
        OperationError: With `NOT_CONFIRMED`.
    """
    from operations.cli import ask
    from operations.down import all_named, names_to_confirm, refuse_unconfirmed

    asked = names_to_confirm(plan, confirmed)
    may_ask = ask.may_ask(no_input=no_input)
    refuse_unconfirmed(tuple(stack for stack in asked if not (may_ask and ask.typed_name(stack))))
    # A name agrees to the loss of that environment alone; the others of the plan need a yes.
    ask.agreed("Destroy this", yes=yes or all_named(plan, [*confirmed, *asked]), no_input=no_input)


def _show(plan: DownPlan) -> None:
    from operations.cli.output import say

    say("This would be destroyed:")
    for doomed in plan.doomed:
        resources = "no stack" if doomed.resources is None else f"{doomed.resources} resources"
        volumes = ", ".join(f"{volume.name} {volume.size}" for volume in doomed.volumes) or "none"
        state = " (half-deleted already)" if doomed.half_deleted else ""
        say(f"  {doomed.environment.stack:<14} {resources}; data volumes: {volumes}{state}")
    if plan.platform:
        say("  platform       the shared operators" + (" and the embedded cluster, whole" if plan.embedded else ""))
    say(
        "  cache          "
        + ("stays: the next up is fast" if plan.keep_cache else "removed too: the next up builds all")
    )
    for note in plan.notes:
        say(f"  note: {note}")
