"""Which environments there are, and which of them a command is about."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.naming import local_host
from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

ORDER: tuple[str, ...] = ("dev", "test", "training", "prod")
"""The direction of promotion; environments are always handled in it."""

DATA_BEARING = frozenset({"training", "prod"})
"""Environments whose data nobody can generate again: `down` asks for their name."""

FIRST_PORT = 8441
PORTS_PER_SITE = 10


@dataclass(frozen=True, kw_only=True)
class Environment:
    """One environment as the operations need to know it.

    Attributes:
        stack: Pulumi stack name and the name users type: `dev`, or `north.dev` on a further site.
        site: The site it belongs to.
        name: One of `ORDER`.
        namespace: Its Kubernetes namespace.
        port: Default port on 127.0.0.1 for `careops open`.
        memory_bytes: Memory its pods are guaranteed together.
        protected: Whether its settings keep Pulumi from deleting what holds data.
        dedicated_cron: Whether scheduled actions have a deployment of their own; else web runs them.
    """

    stack: str
    site: str
    name: str
    namespace: str
    port: int
    memory_bytes: int = 0
    protected: bool = False
    dedicated_cron: bool = False

    @property
    def holds_data(self) -> bool:
        """Whether its data cannot be generated again: by what it is for, or because its settings say so."""
        return self.protected or self.name in DATA_BEARING

    @property
    def identity(self) -> str:
        """The `<site>/<environment>` label its database, filestore and secrets carry."""
        return f"{self.site}/{self.name}"

    @property
    def host(self) -> str:
        """The name a browser opens it by: its own, so that no other environment gets its cookies."""
        return local_host(self.namespace)

    def url(self, port: int | None = None) -> str:
        """Return its address on this machine while it is open, on its own port or another."""
        return f"https://{self.host}:{port or self.port}"


def default_port(site_index: int, name: str) -> int:
    """Return the port `careops open` uses: dev 8441 … prod 8444 on the first site, ten higher for each next site."""
    return FIRST_PORT + PORTS_PER_SITE * site_index + ORDER.index(name)


def choose(known: Sequence[Environment], asked: Sequence[str]) -> tuple[Environment, ...]:
    """Return the environments asked for, in promotion order; all of them when none is named.

    Args:
        known: Every environment that has a valid stack file.
        asked: Stack names as typed.

    Raises:
        OperationError: With `USAGE`, one problem per name that is not known, each with the closest that is.
    """
    by_stack = {environment.stack: environment for environment in known}
    problems = [_unknown(name, sorted(by_stack)) for name in dict.fromkeys(asked) if name not in by_stack]
    if problems:
        raise OperationError(ExitCode.USAGE, *problems)
    wanted = set(asked) or set(by_stack)
    return tuple(environment for environment in known if environment.stack in wanted)


def choose_one(known: Sequence[Environment], asked: str) -> Environment:
    """Return the one environment of that name.

    Raises:
        OperationError: With `USAGE`, when there is none.
    """
    return choose(known, [asked])[0]


def _unknown(name: str, known: list[str]) -> Problem:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return Problem(
        what=f"There is no environment `{name}`",
        why=f"known environments: {', '.join(known) or 'none'}; each has a file Pulumi.<environment>.yaml",
        action=f"did you mean `{close[0]}`?" if close else "use one of the known names",
    )
