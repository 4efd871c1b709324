"""The application: commands in order of use, and the one place where errors become text and exit codes."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import typer

from operations.cli import (
    cache,
    configuration,
    doctor,
    down,
    env,
    kubectl,
    open_,
    policies,
    preview,
    pulumi,
    python,
    refresh,
    sandbox,
    seed,
    start,
    status,
    stop,
    test,
    up,
)
from operations.cli.options import without_types
from operations.exit_codes import ExitCode, epilogue

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

ABOUT = """Four segregated Odoo environments on Kubernetes, declared with Pulumi.

Start with `careops up`; look with `careops status`; use with `careops open dev`.
`careops COMMAND --help` explains each command. Data goes to stdout, messages to stderr. NO_COLOR is respected.
"""

VARIABLES = """\b
CAREOPS_STATE     folder of this platform's state; default: .careops in the checkout
CAREOPS_CACHE     folder of builds and downloads, shared by checkouts; default: ~/.cache/careops
CAREOPS_API_PORT  port of the embedded cluster's API; default: 16443
CAREOPS_PERSON    kubeconfig of whoever acts, for `careops sandbox`
CAREOPS_DEBUG     1 shows the details of a defect in careops"""

app = typer.Typer(
    name="careops",
    help=ABOUT,
    epilog=f"Exit codes:\n\n\b\n{epilogue()}\n\nEnvironment variables:\n\n{VARIABLES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)

for module in (
    up,
    status,
    open_,
    preview,
    down,
    stop,
    start,
    doctor,
    test,
    seed,
    refresh,
    sandbox,
    env,
    kubectl,
    pulumi,
    python,
    configuration,
    policies,
    cache,
):
    module.register(app)


def run() -> NoReturn:
    """Run the command line with the process's own arguments and exit with its code."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(main(sys.argv[1:]))


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; nothing is raised.

    Args:
        arguments: The command line without the program's name.
    """
    from operations.cli.current import arguments as current

    current.set(arguments)
    try:
        command = typer.main.get_command(app)
        without_types(command)
        code = command(args=list(arguments), prog_name="careops", standalone_mode=False)
    except BaseException as error:
        from operations.cli.failures import report_failure

        return report_failure(error, arguments)
    if code == ExitCode.INTERRUPTED:  # typer turns Ctrl-C into this code, without a word
        from operations.cli.failures import say_interrupted

        say_interrupted()
    return int(code) if isinstance(code, int) else int(ExitCode.OK)


def _terminate(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Treat SIGTERM as Ctrl-C: stop cleanly, keep what is done.

    A terminal sends Ctrl-C to every process in the group; whoever sends SIGTERM sends it to this one alone, so it is
    handed on.
    """
    from operations.interrupt import interrupt_children

    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    interrupt_children()
    raise KeyboardInterrupt
