"""`careops up`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson, Environments, NoInput, Yes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.environments import Environment
    from operations.existing import ExistingCluster
    from operations.phases import Record

EPILOG = """dev and test are deployed at the same time, then training and prod, which are not touched when dev or
test fails.

Running it again is safe at any time, also after Ctrl-C or a crash: it does only what is missing."""


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
    registry: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX",
            help="With --context: where the platform's images were pushed to, such as registry.example.org/careops. "
            "Without it the nodes must have them already.",
            show_default=False,
        ),
    ] = None,
    block_class: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="With --context: storage class for volumes of one node. Default: that cluster's default class.",
            show_default=False,
        ),
    ] = None,
    shared_class: Annotated[
        str | None,
        typer.Option(
            metavar="CLASS",
            help="With --context: storage class for volumes that several nodes share.",
            show_default=False,
        ),
    ] = None,
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Compare with what is in the cluster first, and mend what somebody changed or deleted there.",
        ),
    ] = False,
    as_json: AsJson = False,
    yes: Yes = False,  # noqa: ARG001 - up asks nothing; scripts may say so all the same
    no_input: NoInput = False,  # noqa: ARG001 - as above
) -> None:
    """Start the platform and environments.

    Does everything on an empty machine, and only what is missing after that. Validates all settings and the machine
    before anything is touched, then gets the toolchain, builds the images, starts the cluster, deploys with Pulumi and
    the policy pack, and waits until every login page answers.
    """
    from operations.cache import tidied
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.cli.progress import reporter
    from operations.live import up_parts
    from operations.up import Up

    current = session()
    chosen = _existing_cluster(context, registry, block_class, shared_class)
    with reporter() as shown:
        operation = Up(environments or [], current.command, up_parts(current, chosen, refresh=refresh), shown)
        record = operation.run()
        saved = tidied(current, embedded=chosen is None, reporter=shown)
    if as_json:
        print_json(report(record, operation.environments))
    else:
        _show(record, operation.environments, embedded=chosen is None)
    if saved:
        say(saved)


def _existing_cluster(
    context: str | None, registry: str | None, block_class: str | None, shared_class: str | None
) -> ExistingCluster | None:
    from operations.existing import ExistingCluster

    if context:
        return ExistingCluster(context=context, registry=registry, block_class=block_class, shared_class=shared_class)
    if registry or block_class or shared_class:
        raise typer.BadParameter("--registry, --block-class and --shared-class describe a cluster named by --context")
    return None


def report(record: Record, environments: Sequence[Environment]) -> dict:
    """Return what `--json` prints: the record, and how to use each environment."""
    return {
        **record.as_json(),
        "environments": [
            {
                "name": environment.stack,
                "namespace": environment.namespace,
                "open": f"./careops open {environment.stack}",
                "url": environment.url(),
            }
            for environment in environments
        ],
    }


def _show(record: Record, environments: Sequence[Environment], *, embedded: bool) -> None:
    from operations.cli.output import say, table
    from operations.cli.progress import duration

    rows = [(phase.title, duration(phase.seconds), phase.note) for phase in record.phases]
    overlap = sum(phase.seconds for phase in record.phases) > record.seconds
    told = "by the clock: some phases ran at the same time" if overlap else ""
    table("PHASE", "TIME", "", rows=[*rows, ("all", duration(record.seconds), told)])
    names = ", ".join(environment.stack for environment in environments)
    say(f"\nRunning: {names}. What to do next:")
    for environment in environments:
        say(f"  ./careops open {environment.stack:<12} then {environment.url()} in a browser")
    say("  ./careops status            what runs, and how well")
    if embedded:
        say("  ./careops stop              pause everything; data stays")
