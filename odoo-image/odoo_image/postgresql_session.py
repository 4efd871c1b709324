"""A throw-away PostgreSQL inside a sandbox, from the operand image's root file system."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.images.sandbox import Inside

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

DATA = "/var/lib/postgresql/data"
SUPERUSER = "postgres"

# Nothing here survives a crash, nor needs to: the caller starts again.
_UNSAFE_AND_FAST = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "1h",
    "shared_buffers": "256MB",
    "jit": "off",
}


class Postgresql:
    """Runs the programs of one PostgreSQL tree.

    Args:
        tree: The mounted root file system.
        uid: The user that owns the data.
        major: Major version, part of the programs' path.
        sockets: Socket folder inside the tree.
    """

    def __init__(self, tree: str, uid: int, major: str, sockets: str) -> None:
        self._tree = tree
        self._uid = uid
        self._programs = f"/usr/lib/postgresql/{major}/bin"
        self._sockets = sockets

    def program(self, name: str, *arguments: str) -> list[str]:
        """Return the command line of a PostgreSQL program as the data's owner."""
        return Inside(tree=self._tree, argv=(f"{self._programs}/{name}", *arguments), uid=self._uid).command()

    def run(self, name: str, *arguments: str) -> None:
        """Run a client program against the session's server."""
        subprocess.run(self.program(name, "-h", self._sockets, "-U", SUPERUSER, *arguments), check=True)

    def sql(self, database: str, *statements: str) -> str:
        """Run statements and return what they print."""
        commands = [part for statement in statements for part in ("-c", statement)]
        argv = self.program(
            "psql", "-h", self._sockets, "-U", SUPERUSER, "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, *commands
        )
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()

    @contextmanager
    def serving(self, settings: Sequence[str] = ()) -> Generator[None]:
        """Make a cluster and serve it until the end of the context.

        Args:
            settings: More ``name=value`` settings.
        """
        for folder in (Path(self._tree + DATA).parent, Path(self._tree + self._sockets)):
            os.chown(folder, self._uid, self._uid)
        Path(self._tree + self._sockets).chmod(0o777)
        locale = ("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
        initdb = self.program("initdb", "-D", DATA, "-U", SUPERUSER, "--auth=trust", "--no-sync", *locale)
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
        options = [f"{name}={value}" for name, value in _UNSAFE_AND_FAST.items()]
        flags = [part for option in (*options, *settings) for part in ("-c", option)]
        server = subprocess.Popen(self.program("postgres", "-D", DATA, "-k", self._sockets, *flags))
        try:
            self._wait(server)
            yield
        finally:
            server.send_signal(signal.SIGINT)  # "fast": ends the clients instead of waiting for them
            server.wait(timeout=60)

    def _wait(self, server: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + 60
        ready = self.program("pg_isready", "-q", "-h", self._sockets)
        while subprocess.run(ready, check=False).returncode:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("PostgreSQL did not start; its messages are above")
            time.sleep(0.2)
