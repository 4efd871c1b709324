"""One invocation of careops: where it works, what it was asked, and how it may talk."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from operations.errors import failure
from operations.exit_codes import ExitCode
from toolchain.errors import ToolchainError
from toolchain.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent
"""The checkout this code runs from."""

API_PORT_VARIABLE = "CAREOPS_API_PORT"
DEFAULT_API_PORT = 16443
HIGHEST_PORT = 65535
UNPRIVILEGED = 1024


@dataclass(frozen=True, kw_only=True)
class Session:
    """What every command needs to know about this invocation.

    Attributes:
        paths: Checkout, state and cache.
        environ: Environment variables.
        command: What was typed, for the lock and the records: `careops up dev`.
        api_port: Port of the embedded cluster's API server on 127.0.0.1.
    """

    paths: Paths
    environ: Mapping[str, str]
    command: str
    api_port: int

    @property
    def last_up(self) -> Path:
        """The record of the last `up` that changed something."""
        return self.paths.state / "last-up.json"


def open_session(
    arguments: Sequence[str], environ: Mapping[str, str] | None = None, root: Path | None = None
) -> Session:
    """Return the session for these command-line arguments; creates nothing.

    Raises:
        OperationError: With `USAGE`, when a CAREOPS_ variable has an impossible value.
    """
    environ = dict(os.environ if environ is None else environ)
    try:
        paths = Paths.from_environment(environ, root or ROOT)
    except ToolchainError as error:
        raise failure(ExitCode.USAGE, error.what, error.why, error.action) from error
    return Session(
        paths=paths,
        environ=environ,
        command=shlex.join(["careops", *arguments]),
        api_port=parse_port(environ.get(API_PORT_VARIABLE, str(DEFAULT_API_PORT)), API_PORT_VARIABLE),
    )


def parse_port(text: str, name: str) -> int:
    """Return a port number.

    Args:
        text: As typed.
        name: What it was typed for, for the message.

    Raises:
        OperationError: With `USAGE`, when it is not a port an ordinary program may listen on.
    """
    if text.isascii() and text.isdigit() and UNPRIVILEGED <= int(text) <= HIGHEST_PORT:
        return int(text)
    raise failure(
        ExitCode.USAGE,
        f"{name} is not a port: {text!r}",
        f"a port is a whole number from {UNPRIVILEGED} to {HIGHEST_PORT}",
        f"set {name} to such a number, or leave it out",
    )
