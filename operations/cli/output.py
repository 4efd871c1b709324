"""How commands speak: data on stdout, messages on stderr, JSON when asked."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from operations.errors import OperationError, Problem


PIPE_WIDTH = 240
"""Columns of a table that no terminal limits."""


def data() -> Console:
    """Return the console for what a command is asked for (stdout)."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def messages() -> Console:
    """Return the console for everything said on the way (stderr)."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:  # noqa: ANN401 - plain values of any shape
    """Print one JSON document on stdout."""
    sys.stdout.write(json.dumps(value, indent=2) + "\n")


def table(*columns: str, rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table on stdout: aligned columns, no frame, no trailing blanks, so that it also pipes well."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(title=title, title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    console = Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=PIPE_WIDTH)
    with console.capture() as captured:
        console.print(grid, markup=False)
    sys.stdout.writelines(f"{line.rstrip()}\n" for line in captured.get().splitlines())


def say(text: str) -> None:
    """Print one message on stderr."""
    messages().print(text, markup=False)


def show_error(error: OperationError) -> None:
    """Print every problem of an error on stderr: what, why, what to do."""
    console = messages()
    for problem in error.problems:
        _show(console, problem)


def _show(console: Console, problem: Problem) -> None:
    from rich.text import Text

    console.print(Text.assemble(("error: ", "bold red"), (problem.what, "bold")))
    console.print(Text(f"  why:  {_hang(problem.why)}"))
    console.print(Text.assemble("  do:   ", (_hang(problem.action), "cyan")))


def _hang(text: str) -> str:
    """Return text whose further lines stand below its first."""
    return text.strip().replace("\n", "\n        ")
