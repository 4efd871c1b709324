"""`careops status`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson, Environments
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.environments import Environment
    from operations.status import EnvironmentStatus, PartStatus


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(status)


def status(
    environments: Environments = None,
    as_json: AsJson = False,
    check: Annotated[
        bool, typer.Option("--check", help=f"Exit with {ExitCode.UNHEALTHY} unless everything shown is ready.")
    ] = False,
) -> None:
    """Show what runs, and how well.

    Each environment's database, Odoo and edge, and the shared platform.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json
    from operations.environments import choose
    from operations.status import healthy, read_environment, read_platform

    current = session()
    chosen = choose(live.environments(current), environments or [])
    read = live.cluster_reader(current)
    platform = read_platform(read, embedded=live.is_embedded(current))
    found = [
        read_environment(read, environment, live.last_deployed(current, environment.stack)) for environment in chosen
    ]
    if as_json:
        print_json(report(chosen, found, platform))
    else:
        _show(chosen, found, platform)
    if check and not healthy(found, platform):
        raise typer.Exit(ExitCode.UNHEALTHY)


def report(
    environments: Sequence[Environment], found: Sequence[EnvironmentStatus], platform: Sequence[PartStatus]
) -> dict:
    """Return what `--json` prints."""
    from operations.status import healthy

    return {
        "schema": 1,
        "healthy": healthy(found, platform),
        "platform": [asdict(part) | {"healthy": part.healthy} for part in platform],
        "environments": [
            {"name": one.stack, "healthy": one.healthy, "url": environment.url()} | asdict(one)
            for environment, one in zip(environments, found, strict=True)
        ],
    }


def _show(
    environments: Sequence[Environment], found: Sequence[EnvironmentStatus], platform: Sequence[PartStatus]
) -> None:
    from operations.cli.output import say, table

    def cell(value: object) -> str:
        return "-" if value is None else str(value)

    table(
        "ENVIRONMENT",
        "STATE",
        "DATABASE",
        "WEB",
        "CRON",
        "EDGE",
        "CERTIFICATE",
        "URL WHEN OPEN",
        "LAST UP",
        rows=[
            (
                one.stack,
                one.state,
                cell(one.database),
                cell(one.web),
                cell(one.cron),
                cell(one.edge),
                cell(one.certificate),
                environment.url(),
                cell(one.last_up),
            )
            for environment, one in zip(environments, found, strict=True)
        ],
    )
    table("PLATFORM", "READY", "FOR", rows=[(part.name, cell(part.ready), part.what) for part in platform])
    for one in found:
        if one.state != "ready":
            say(f"{one.stack} is {one.state}: {one.hint}")
        if one.certificate and one.certificate.hint:
            say(f"{one.stack}: its certificate {one.certificate.wording}: {one.certificate.hint}")
