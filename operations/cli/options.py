"""Options and arguments that several commands share, described once."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperArgument, TyperCommand

Environments = Annotated[
    list[str] | None,
    typer.Argument(metavar="ENV", help="Environments, such as dev or north.dev. Default: all.", show_default=False),
]

OneEnvironment = Annotated[str, typer.Argument(metavar="ENV", help="The environment, such as dev.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]

NoInput = Annotated[
    bool,
    typer.Option("--no-input", help="Never ask; where a confirmation is needed and not given, exit with 10."),
]

PlanOnly = Annotated[bool, typer.Option("--plan", "--plan-only", help="Only show what would be done; change nothing.")]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to yes/no questions. Names are still asked for.")]


def without_types(command: Any) -> None:  # noqa: ANN401 - typer keeps the type of what it builds private
    """Let the help of a command and of those below it name an argument as `ENV`, not as `ENV <list[str]>`.

    typer adds the Python type to every argument and has no setting for it.
    """
    for param in command.params:
        if isinstance(param, TyperArgument):
            param.display_type_rich = lambda ctx: None  # noqa: ARG005 - typer gives it by this name
    for each in getattr(command, "commands", {}).values():
        without_types(each)


PASS_THROUGH = {"help_option_names": []}
"""Settings of commands that hand every argument, `--help` included, to another program."""


class PassThrough(TyperCommand):
    """A command that reads no argument of its own: a `--` in the middle, as kubectl exec needs, stays where it is."""

    def parse_args(  # ty: ignore[incompatible-method-override]  typer keeps the type of its own context private
        self, ctx: typer.Context, args: list[str]
    ) -> list[str]:
        """Keep every argument for the other program."""
        ctx.args = list(args)
        return ctx.args
