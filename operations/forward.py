"""A way from 127.0.0.1 to an environment's edge, for `careops open` and for the health check."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra.naming import EDGE
from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence
    from pathlib import Path

EDGE_PORT = 8443
LISTENING = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+)")
START_SECONDS = 20.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Forward:
    """An open forward.

    Attributes:
        port: The port on 127.0.0.1.
        process: The program that forwards; it ends when the cluster goes away.
    """

    port: int
    process: subprocess.Popen[str]


def forward_command(kubectl: Path, kubeconfig: Path, namespace: str, port: int) -> list[str]:
    """Return the command that forwards a port of 127.0.0.1 to a namespace's edge; port 0 means any free one."""
    return [
        str(kubectl),
        f"--kubeconfig={kubeconfig}",
        f"--namespace={namespace}",
        "port-forward",
        "--address=127.0.0.1",
        f"service/{EDGE}",
        f"{port or ''}:{EDGE_PORT}",
    ]


def refuse_taken_port(port: int) -> None:
    """Raise when something already listens on this port of 127.0.0.1.

    Raises:
        OperationError: With `MACHINE_UNFIT`.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise failure(
                ExitCode.MACHINE_UNFIT,
                f"Port {port} on 127.0.0.1 is taken",
                f"another program listens there ({error.strerror})",
                f"choose another one: --port {port + 100}",
            ) from error


@contextlib.contextmanager
def forwarded(command: Sequence[str], environ: Mapping[str, str]) -> Generator[Forward]:
    """Keep a forward open for as long as the block runs.

    Args:
        command: From `forward_command`.
        environ: Environment of the program.

    Raises:
        OperationError: With `UNHEALTHY`, when it does not start to listen.
    """
    process = subprocess.Popen(
        command,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C is for careops, which then ends this program itself
    )
    try:
        yield Forward(port=_wait_for_port(process), process=process)
    finally:
        process.terminate()
        try:
            process.wait(timeout=STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_port(process: subprocess.Popen[str]) -> int:
    """Read the program's output until it says where it listens; keep draining it afterwards."""
    stream = process.stdout
    if stream is None:
        raise ValueError("the program's output is not a pipe")
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    said: list[str] = []
    try:
        for line in stream:
            said.append(line.strip())
            found = LISTENING.search(line)
            if found:
                threading.Thread(target=stream.read, daemon=True, name="careops-forward-output").start()
                return int(found.group(1))
    finally:
        watchdog.cancel()
    raise failure(
        ExitCode.UNHEALTHY,
        "The environment's edge cannot be reached",
        "; ".join(said[-3:]) or f"nothing happened for {START_SECONDS:.0f} s",
        "see which part is not ready: ./careops status",
    )
