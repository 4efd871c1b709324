"""A TCP port of the host that leads to an address inside the cluster, for as long as it is needed."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Self

from toolchain.cluster import node
from toolchain.cluster.errors import NodeFailed

if TYPE_CHECKING:
    from pathlib import Path

    from toolchain.cluster.spec import Layout

LISTEN_SECONDS = 5.0


class Forward:
    """A running forwarding; leaving the context ends it, and so does the end of this program."""

    def __init__(self, process: subprocess.Popen[bytes], host_port: int) -> None:
        self._process = process
        self.host_port = host_port

    @classmethod
    def start(cls, layout: Layout, program: Path, *, target: str, host_port: int) -> Self:
        """Start forwarding 127.0.0.1:`host_port` to `target` (address:port) in the node's network.

        Raises:
            NodeFailed: the cluster does not run, or the forwarder ended at once.
        """
        record = node.running(layout)
        init = node.init_process(record) if record else None
        if init is None:
            raise NodeFailed(
                "Nothing can be forwarded.",
                why="The embedded cluster does not run.",
                action="Start it with `careops up`.",
            )
        process = subprocess.Popen(
            [
                *("setpriv", "--pdeathsig", "KILL", str(program)),
                *(f"127.0.0.1:{host_port}", f"/proc/{init.number}/ns/net", target),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        forward = cls(process, host_port)
        deadline = time.monotonic() + LISTEN_SECONDS
        while not _listens(host_port):
            if process.poll() is not None or time.monotonic() > deadline:
                forward.close()
                raise NodeFailed(
                    f"Port {host_port} could not be forwarded to {target}.",
                    why="The forwarder ended." if process.returncode is not None else "It does not listen.",
                    action="Try another port.",
                )
            time.sleep(0.02)
        return forward

    def close(self) -> None:
        """End the forwarding; harmless when it ended already."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
