"""Options and arguments that several commands share, described once."""

from __future__ import annotations

from typing import Annotated

import typer
from typer.core import TyperCommand

Environments = Annotated[
    list[str] | None,
    typer.Argument(metavar="ENV", help="Environments, such as dev or north.dev. Default: all.", show_default=False),
]

OneEnvironment = Annotated[str, typer.Argument(metavar="ENV", help="The environment, such as dev.")]

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout instead of text.")]

NoInput = Annotated[
    bool,
    typer.Option("--no-input", help="Never ask; where a confirmation is needed and not given, stop with code 10."),
]

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes to yes/no questions. Names are still asked for.")]

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
