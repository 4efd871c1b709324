"""`careops config`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from operations.cli.options import AsJson, Environments, OneEnvironment

if TYPE_CHECKING:
    from collections.abc import Callable

config = typer.Typer(help="Check, show and describe the settings.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(config, name="config")


def _command(function: Callable[..., None]) -> Callable[..., None]:
    return config.command()(function)


@_command
def validate(environments: Environments = None, as_json: AsJson = False) -> None:
    """Check every stack and site file.

    Shows all problems at once, touches nothing.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.environments import choose

    chosen = choose(live.environments(session()), environments or [])
    if as_json:
        print_json({"schema": 1, "valid": True, "environments": [one.stack for one in chosen]})
    else:
        say(f"valid: {', '.join(one.stack for one in chosen)}")


@_command
def show(environment: OneEnvironment, as_json: AsJson = False) -> None:
    """Print the settings of an environment in full.

    Defaults and the site's settings are included.
    """
    import sys

    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json
    from operations.environments import choose_one

    current = session()
    chosen = choose_one(live.environments(current), environment)
    settings = live.settings_of(current, chosen.stack)
    if as_json:
        print_json(settings)
    else:
        import yaml

        sys.stdout.write(yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))


@_command
def schema() -> None:
    """Print the JSON Schema of the settings.

    For editors and portals.
    """
    from operations import live
    from operations.cli.output import print_json

    print_json(live.settings_schema())
