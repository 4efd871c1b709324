"""`careops up`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson, Environments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.environments import Environment
    from operations.phases import Record

EPILOG = """Running it again is safe at any time, also after Ctrl-C or a crash: it does only what is missing."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(epilog=EPILOG)(up)


def up(
    environments: Environments = None,
    context: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Use the cluster of this kubeconfig context instead of the embedded one. It is checked with packets "
            "first: it must enforce NetworkPolicy.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Start the platform and environments.

    From an empty machine, or only what is missing. Validates all settings and the machine before anything is touched, then gets the toolchain, builds the images,
    starts the cluster, deploys with Pulumi and the policy pack, and waits until every log-in page answers.
    """
    from operations.cli.current import session
    from operations.cli.output import print_json
    from operations.cli.progress import reporter
    from operations.live import up_parts
    from operations.up import Up

    current = session()
    with reporter() as shown:
        operation = Up(environments or [], current.command, up_parts(current, context), shown)
        record = operation.run()
    if as_json:
        print_json(report(record, operation.environments))
    else:
        _show(record, operation.environments)


def report(record: Record, environments: Sequence[Environment]) -> dict:
    """Return what `--json` prints: the record, and how to use each environment."""
    return {
        **record.as_json(),
        "environments": [
            {
                "environment": environment.stack,
                "namespace": environment.namespace,
                "open": f"./careops open {environment.stack}",
                "url": f"https://localhost:{environment.port}",
            }
            for environment in environments
        ],
    }


def _show(record: Record, environments: Sequence[Environment]) -> None:
    from operations.cli.output import say, table
    from operations.cli.progress import duration

    rows = [(phase.title, duration(phase.seconds), phase.note) for phase in record.phases]
    table("PHASE", "TIME", "", rows=[*rows, ("all", duration(record.seconds), "")])
    names = ", ".join(environment.stack for environment in environments)
    say(f"\nRunning: {names}. What to do next:")
    for environment in environments:
        say(f"  ./careops open {environment.stack:<12} then https://localhost:{environment.port} in a browser")
    say("  ./careops status            what runs, and how well")
    say("  ./careops stop              pause everything; data stays")
