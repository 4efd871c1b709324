"""`careops cache`."""

from __future__ import annotations

from typing import Annotated

import typer

from operations.cli.options import AsJson, NoInput, PlanOnly, Yes

cache = typer.Typer(
    help="Remove builds and downloads that nobody needs any more.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(cache, name="cache")


@cache.command()
def prune(
    all_unused: Annotated[
        bool,
        typer.Option(
            "--all-unused", help="Everything that no checkout and no process needs, also what was used within 30 days."
        ),
    ] = False,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    no_input: NoInput = False,
    as_json: AsJson = False,
) -> None:
    """Remove old builds and images, after asking.

    Shows the plan first. What a checkout's last `up` used, a running cluster has mounted, another process holds or
    anybody used within a day stays. `careops up` removes what nobody used for 30 days by itself.
    """
    from operations.cache import amount, lines
    from operations.cli import ask
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from toolchain import cache as files

    paths = session().paths
    found = files.survey(paths, idle_seconds=0 if all_unused else files.UNUSED_SECONDS)
    say(
        f"{paths.cache} holds {amount(found.size)}. This would be removed:" if found.removable else "Nothing to remove."
    )
    for line in lines(found):
        say(f"  {line}")
    freed = 0
    if found.removable and not plan_only:
        ask.agreed(f"Remove {amount(found.removable_size)}", yes=yes, no_input=no_input)
        freed = files.remove(paths, found)
        say(f"freed {amount(freed)}")
    if as_json:
        removable = [{"path": str(each.path), "bytes": each.size} for each in found.removable]
        print_json({"schema": 1, "bytes": found.size, "removable": removable, "freed_bytes": freed})
