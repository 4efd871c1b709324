"""Which version of careops this is: what evidence must say of the rules that judged."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

SECONDS = 30


@dataclass(frozen=True, kw_only=True)
class Checkout:
    """What git knows of the code that runs.

    Attributes:
        commit: The commit that is checked out; None when git does not tell: no git, no repository, another's.
        modified: Whether tracked files differ from it or there are new ones; None when that is not known.
    """

    commit: str | None = None
    modified: bool | None = None


def checkout_of(root: Path, environ: Mapping[str, str]) -> Checkout:
    """Return the commit of a checkout; changes nothing in it.

    Args:
        root: The checkout's folder. The commit of a repository around it is not its own and is not told.
        environ: Environment variables; those that point git elsewhere are left out.
    """
    variables = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    told = _git(root, variables, "rev-parse", "--show-toplevel", "HEAD")
    if told is None:
        return Checkout()
    top, _, commit = told.strip().partition("\n")
    if Path(top).resolve() != root.resolve():
        return Checkout()
    status = _git(root, variables, "status", "--porcelain")
    return Checkout(commit=commit, modified=None if status is None else bool(status.strip()))


def _git(root: Path, environ: Mapping[str, str], *arguments: str) -> str | None:
    """Return what git prints, or None when it fails or is not there."""
    command = ["git", "--no-optional-locks", "-C", str(root), *arguments]
    try:
        done = subprocess.run(
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None
