"""`careops sandbox person`: access of one's own to the embedded cluster."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads signatures at run time
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson
from operations.cli.refresh import Site

if TYPE_CHECKING:
    from infra.model import Sandbox
    from infra.settings import StackSettings
    from operations.session import Session


class Role(StrEnum):
    """What a person may do with requests."""

    TRAINER = "trainer"
    APPROVER = "approver"


def person(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The person's name in the cluster, such as ada.")],
    role: Annotated[list[Role], typer.Option(metavar="trainer|approver", help="What they may do; can be given again.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write the access.")],
    days: Annotated[
        int, typer.Option(min=1, max=365, metavar="DAYS", help="How long it holds; it cannot be taken back earlier.")
    ] = 30,
    site: Site = None,
    as_json: AsJson = False,
) -> None:
    """Give a person access of their own to the embedded cluster.

    Writes a kubeconfig (mode 0600) with a certificate that the cluster signed for this name, in the groups that the
    site's settings name: hand it to that person alone. On a cluster of your own, people log in as that cluster says.
    """
    from datetime import timedelta

    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.sandbox import person as people
    from toolchain.cluster.files import write_private
    from toolchain.cluster.kubeapi import KubeApi

    people.refuse_name(name)
    current, settings = session(), _settings(site)
    _refuse_overwriting(output)
    live.cluster_reader(current)
    _require_own_cluster(current)
    groups = [
        *(settings.trainers if Role.TRAINER in role else ()),
        *(settings.approvers if Role.APPROVER in role else ()),
    ]
    who = people.Person(name=name, groups=tuple(dict.fromkeys(groups)), life=timedelta(days=days))
    pair = people.grant(KubeApi(current.paths.kubeconfig), who)
    write_private(output, people.kubeconfig(current.paths.kubeconfig, who, pair))
    if as_json:
        print_json({"schema": 1, "name": name, "groups": list(who.groups), "days": days, "file": str(output)})
        return
    say(f"{output}: {name}, member of {', '.join(who.groups)}, for {days} days.")
    say(f"Use it with --kubeconfig {output}, or CAREOPS_PERSON={output} in the environment.")


def chosen_training(site: str | None) -> StackSettings:
    """Return the training stack of a site that takes requests."""
    from operations.cli.current import session
    from operations.errors import failure
    from operations.exit_codes import ExitCode
    from operations.refresh.sites import training_of

    chosen = training_of(session().paths.root, site)
    if chosen.site.sandbox is None:
        raise failure(
            ExitCode.SETTINGS_INVALID,
            f"The site {chosen.site.name} takes no requests",
            f"sites/{chosen.site.name}.yaml has no `sandbox:`",
            "add it (its settings: ./careops config schema), then ./careops up",
        )
    return chosen


def _settings(site: str | None) -> Sandbox:
    found = chosen_training(site).site.sandbox
    assert found is not None, "it was chosen because it has them"  # noqa: S101 - for the type checker
    return found


def _require_own_cluster(current: Session) -> None:
    from operations import live
    from operations.errors import failure
    from operations.exit_codes import ExitCode

    if not live.is_embedded(current):
        raise failure(
            ExitCode.USAGE,
            "This platform is on an existing cluster, which knows its people itself",
            "careops makes people only for the cluster it made",
            "put people into the groups of the site's `sandbox:` there, and use their kubeconfig with --kubeconfig",
        )


def _refuse_overwriting(path: Path) -> None:
    from operations.errors import failure
    from operations.exit_codes import ExitCode

    if path.exists():
        raise failure(
            ExitCode.USAGE,
            f"{path} exists already",
            "it may be somebody's access, and would be lost",
            "choose another name, or remove it first",
        )
