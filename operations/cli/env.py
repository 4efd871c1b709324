"""`careops env`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.cli.options import AsJson

if TYPE_CHECKING:
    import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(env)


def env(as_json: AsJson = False) -> None:
    """Print the environment for plain pulumi and kubectl.

    Use it with: eval "$(./careops env)"
    """
    import shlex
    import sys

    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json

    variables = live.platform_environment(session())
    if as_json:
        print_json(variables)
    else:
        sys.stdout.writelines(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(variables.items()))
