"""The programs a migration runs: pg_restore and Odoo."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import tarfile
import threading
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from . import configuration
from .adopt_output import drain
from .errors import StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .settings import Pod

PG_RESTORE = "/usr/lib/postgresql/17/bin/pg_restore"
ODOO = "/usr/bin/odoo"
SERVER = "/usr/local/bin/careops-odoo-server"
"""Odoo's program for web and cron, whose connections are fenced; a migration's are not: it makes what they check."""
RESTORE_JOBS = 2
RESTORE_TRANSACTION = 500
"""Objects in a transaction of a restore. More would need more of PostgreSQL's lock table (6400 by default)."""
# Only on the copy, which a crash makes worthless anyway. The server's log is written in order, so that the swap's own
# commit brings everything before it to disk: what goes live is as durable as any other transaction.
ON_THE_COPY = {"PGOPTIONS": "-c synchronous_commit=off"}
# A migration sends no mail: a closed port of its own pod refuses at once, where a blocked relay costs Odoo a minute.
NO_MAIL = ("--smtp=127.0.0.1", "--smtp-port=1")


class Programs:
    """Runs programs for one migration.

    Args:
        pod: Where the database is.
        conf: The migration's odoo.conf.
        odoo: Odoo's executable.
        env: Variables that the programs get besides the pod's.
        untouched: What is as it was when a program failed, and what to do about it, for the error.
        say: Told what may be told of the programs' output, where it may quote data that nobody has verified; None where
            the output goes to the log as it is.
    """

    def __init__(
        self,
        pod: Pod,
        conf: Path,
        *,
        odoo: str = ODOO,
        env: Mapping[str, str] = ON_THE_COPY,
        untouched: str = "the database is as it was before; correct the cause and run the migration again",
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._pod = pod
        self._conf = conf
        self._odoo = odoo
        self._env = env
        self._untouched = untouched
        self._say = say

    def restore(self, dump: Path, database: str) -> None:
        """Restore a custom-format dump into an empty database, as its owner."""
        self._run(
            "restoring the baseline",
            [
                *(PG_RESTORE, "--no-owner", "--no-privileges", "--exit-on-error", f"--jobs={RESTORE_JOBS}"),
                f"--transaction-size={RESTORE_TRANSACTION}",
                *("--host", self._pod.host, "--port", str(self._pod.port), "--username", self._pod.user),
                *("--no-password", "--dbname", database, str(dump)),
            ],
        )

    def upgrade(self, database: str, install: Sequence[str], update: Sequence[str]) -> None:
        """Install and update modules, without serving anybody and without scheduled actions."""
        changes = [*(["-i", ",".join(install)] if install else []), *(["-u", ",".join(update)] if update else [])]
        self._run(
            "installing and updating modules",
            [*self._server("server", database), "--max-cron-threads=0", "--stop-after-init", *changes],
        )

    def neutralise(self, database: str) -> None:
        """Switch off what would reach the outside, as each installed module says; all of them must be on the path."""
        self._run("neutralising", [self._odoo, "neutralize", "-c", str(self._conf), "-d", database])

    def personalise(self, database: str, wishes: Mapping[str, Any]) -> None:
        """Write the environment's settings."""
        self.script("writing the environment's settings", "personalise.py", database, wishes)

    def script(self, title: str, name: str, database: str, wishes: Mapping[str, Any]) -> None:
        """Run a script of ours inside Odoo; the wishes, passwords among them, travel in a file only we can read."""
        wishes_file = self._conf.with_name("personalise.json")
        configuration.write(wishes_file, json.dumps(dict(wishes)))
        script = Path(__file__).with_name(name).read_bytes()
        try:
            self._run(
                title,
                self._server("shell", database),
                stdin=script,
                env={"CAREOPS_WISHES": str(wishes_file)},
            )
        finally:
            wishes_file.unlink(missing_ok=True)

    def _server(self, command: str, database: str) -> list[str]:
        return [self._odoo, command, "-c", str(self._conf), "-d", database, "--no-http", *NO_MAIL]

    def _run(
        self, title: str, argv: Sequence[str], *, stdin: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        # In a process group of its own, so that a migration that is told to stop stops all of it.
        word = secrets.token_hex(16)
        process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if stdin is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE if self._say else None,
            stderr=subprocess.STDOUT if self._say else None,
            env={**os.environ, **self._env, **({"CAREOPS_WORD": word} if self._say else {}), **(env or {})},
            start_new_session=True,
        )
        try:
            self._attend(process, stdin, word)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        if process.returncode:
            raise StepFailed(
                f"{title} failed",
                why=f"{Path(argv[0]).name} ended with status {process.returncode}; its output is above",
                action=self._untouched,
            )

    def _attend(self, process: subprocess.Popen[bytes], stdin: bytes | None, word: str) -> None:
        """Give a program its input and wait for its end, passing on what may be told of its output."""
        if self._say is None or process.stdout is None:
            process.communicate(stdin)
            return
        listener = threading.Thread(target=drain, args=(process.stdout, word, self._say), daemon=True)
        listener.start()
        if process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # it ended before it read; its status tells
                process.stdin.write(stdin or b"")
                process.stdin.close()
        process.wait()
        listener.join()


def extract_filestore(archive: Path, target: Path) -> int:
    """Unpack a filestore; safe to repeat and to interrupt, because a file's name is the digest of its content.

    Args:
        archive: Tar with members such as ``ab/abcdef…``.
        target: The database's filestore folder.

    Returns:
        How many files were written.
    """
    written = 0
    with tarfile.open(archive) as source:
        for member in source:
            name = PurePosixPath(member.name)
            if not member.isfile() or name.is_absolute() or ".." in name.parts:
                continue
            place = target / name
            if place.exists() and place.stat().st_size == member.size:
                continue
            content = source.extractfile(member)
            if content is None:
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            temporary = place.with_name(f".{place.name}.new")
            with temporary.open("wb") as sink:
                while chunk := content.read(1 << 20):
                    sink.write(chunk)
            temporary.rename(place)
            written += 1
    return written
