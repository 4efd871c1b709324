"""The command `careops-refresh`: what a container of the refresh image can be asked to do."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from operations.anonymise.environment import endpoint, number, read_pod
from operations.anonymise.outcome import told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from operations.anonymise.parts import Evidence
    from operations.anonymise.transfer import Tools

PROGRAMS = "/usr/lib/postgresql/17/bin"
DATA = Path("/var/lib/odoo")
SCRATCH = Path("/tmp")  # noqa: S108 - the pod's own volume


def main(argv: list[str] | None = None, environ: Mapping[str, str] | None = None) -> int:
    """Run a program of the refresh and return its exit status.

    Returns:
        0 done; 1 a step failed; 69 a database cannot be reached; 75 waited in vain for a partner; 78 refused.
    """
    parser = argparse.ArgumentParser(prog="careops-refresh", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (help_text, _) in COMMANDS.items():
        commands.add_parser(name, help=help_text)
    command = parser.parse_args(argv).command
    # A stopped pod's program ends as an exception does: its partner is told, and what it made is dropped.
    signal.signal(signal.SIGTERM, _stop)
    try:
        COMMANDS[command][1](environ if environ is not None else os.environ)
    except BaseException as error:
        # The one place where errors are told: never a traceback, whose last line may quote data.
        reported = told(error)
        say(command, str(reported))
        return reported.code
    return 0


def say(command: str, text: str) -> None:
    """Write to the container's log."""
    print(f"careops-refresh: {command}: {text}", file=sys.stderr, flush=True)


def _stop(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def _tools() -> Tools:
    from operations.anonymise.transfer import Tools

    return Tools(folder=SCRATCH, command=lambda argv: [f"{PROGRAMS}/{argv[0]}", *argv[1:]])


def _export(environ: Mapping[str, str]) -> None:
    from operations.anonymise.export import Export
    from operations.anonymise.files import inspect
    from operations.anonymise.snapshot import LiveSnapshot

    pod = read_pod(environ)
    source = LiveSnapshot(
        database=endpoint(environ, "CAREOPS_SOURCE"),
        data=DATA,
        identity=pod.source_identity,
        tools=_tools(),
    )
    Export(
        run=pod.run,
        source=source,
        isolated=endpoint(environ, "CAREOPS_ISOLATED"),
        inspect=inspect,
        wait_seconds=pod.wait_seconds,
        step=lambda text: say("export", text),
    ).go()


def mask(environ: Mapping[str, str], certify: Callable[[Evidence], Mapping[str, Any]]) -> None:
    """Run the masking program.

    Args:
        environ: The pod's variables.
        certify: Signs what was proved.

    Raises:
        RefreshError: With what to do about it.
    """
    from operations.anonymise.mask import Mask
    from operations.anonymise.parts import Proof
    from operations.anonymise.target import Target
    from operations.anonymise.verify.quasi import VARIABLE, parse_sets
    from operations.anonymise.waiting import Patience

    def step(text: str) -> None:
        say("mask", text)

    pod = read_pod(environ)
    folder = environ.get("CAREOPS_CATALOGUE", "")
    k, sets = number(environ, "CAREOPS_K_ANONYMITY"), parse_sets(environ.get(VARIABLE, ""))
    Mask(
        pod=pod,
        isolated=endpoint(environ, "CAREOPS_ISOLATED"),
        target=Target(server=endpoint(environ, "CAREOPS_TARGET"), run=pod.run),
        catalogues=sorted(Path(folder).glob("*.tsv")) if folder else (),
        parts=Proof(k=k, sets=sets, certify=certify, say=step),
        tools=_tools(),
        step=step,
        patience=Patience(never=pod.wait_seconds, say=step),
        k=k,
        sets=sets,
    ).go()


def _mask(environ: Mapping[str, str]) -> None:
    from operations.anonymise.certifying import certifier

    mask(environ, certifier(environ))


COMMANDS: dict[str, tuple[str, Callable[[Mapping[str, str]], None]]] = {
    "export": ("copy production's database into the isolated PostgreSQL, and facts about its files", _export),
    "mask": ("mask that copy into training's next database, and verify it once it is adopted", _mask),
}

if __name__ == "__main__":
    sys.exit(main())
