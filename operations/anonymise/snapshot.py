"""The live database as a source: one snapshot of it, and the filestore beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC
from typing import IO, TYPE_CHECKING, Any

from psycopg.conninfo import conninfo_to_dict

from operations.anonymise.faults import STARVED, of_program
from operations.anonymise.outcome import Refused
from operations.anonymise.source import Facts, StoredFile

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    import psycopg

    from operations.anonymise.sessions import Endpoint
    from operations.anonymise.transfer import Tools

IDENTITY_FILE = ".careops-identity"
"""The filestore's mark: odoo-image/guard/careops_odoo/identity.py."""

_DUMP = (
    *("--format=custom", "--compress=none", "--no-owner", "--no-privileges", "--no-comments"),
    *("--no-security-labels", "--no-publications", "--no-subscriptions", "--no-tablespaces", "--no-large-objects"),
    *("--exclude-schema=careops_*", "--lock-wait-timeout=60s"),
    # The operator puts it into every database it runs; only a superuser may create it, and the copy audits nothing.
    "--exclude-extension=pgaudit",
)
_RESTORE = ("--no-owner", "--no-privileges", "--exit-on-error", "--transaction-size=200")
_STORED = re.compile(r"[0-9a-f]{2}/[0-9a-f]{40}", re.ASCII)
_PARAMETERS = "SELECT key, value FROM public.ir_config_parameter WHERE key IN ('{}')"
_ROWS = 5_000  # names of files that are fetched at a time


@dataclass(frozen=True, kw_only=True)
class LiveSnapshot:
    """One snapshot of a database that people go on working with.

    Attributes:
        database: How it is read; the role reads everything and writes nothing.
        data: Odoo's data folder.
        identity: Whose it must be.
        tools: PostgreSQL's programs.
    """

    database: Endpoint
    data: Path
    identity: str
    tools: Tools

    @contextmanager
    def open(self) -> Generator[OpenedSnapshot]:
        """Hold a snapshot; see `Source.open`."""
        self._check_filestore()
        # Nothing is written, so there is nothing to commit: a source that ends after the last row spoils no export.
        with closing(self.database.connect()) as connection:
            for patient in ("statement_timeout", "idle_in_transaction_session_timeout", "transaction_timeout"):
                connection.execute("SELECT set_config(%s, '0', false)", (patient,))
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            facts = self._facts(connection)
            exported = connection.execute("SELECT pg_export_snapshot()").fetchone()
            yield OpenedSnapshot(origin=self, connection=connection, facts=facts, name=exported[0] if exported else "")

    def _check_filestore(self) -> None:
        mark = self.data / IDENTITY_FILE
        found = mark.read_text(encoding="utf-8").strip() if mark.is_file() else ""
        if found != self.identity:
            raise _foreign("filestore", found, self.identity)

    def _facts(self, connection: psycopg.Connection[Any]) -> Facts:
        keys = ("careops.identity", "careops.modules", "careops.release")
        query = _PARAMETERS.format("', '".join(keys))
        values: dict[str, str] = dict(connection.execute(query.encode()).fetchall())
        if values.get(keys[0]) != self.identity:
            raise _foreign("database", values.get(keys[0], ""), self.identity)
        row = connection.execute(
            "SELECT now(), pg_database_size(current_database()), (SELECT count(*) FROM pg_largeobject_metadata)"
        ).fetchone()
        now, size, large = row or (None, 0, 0)
        if large:
            raise Refused(
                f"the source holds {large} large objects",
                why="no rule of the catalogue reaches them, so they cannot be masked",
                action="find the module that makes them, and remove them from production first",
            )
        return Facts(
            identity=self.identity,
            source_time=now.astimezone(UTC).isoformat(timespec="seconds") if now else "",
            release=values.get(keys[2], ""),
            modules=json.loads(values.get(keys[1], "{}")),
            size=size,
        )


@dataclass(frozen=True, kw_only=True)
class OpenedSnapshot:
    """A snapshot that is held; see `Opened`."""

    origin: LiveSnapshot
    connection: psycopg.Connection[Any]
    facts: Facts
    name: str

    def load(self, isolated: Endpoint) -> None:
        """Stream the database into an empty one; nothing of it is ever written to a disk on the way."""
        live = self.origin.database
        dump = ["pg_dump", *_DUMP, f"--snapshot={self.name}", f"--dbname={live.conninfo}"]
        options = {"synchronous_commit": "off", "maintenance_work_mem": "256MB"}
        restore = ["pg_restore", *_RESTORE, f"--dbname={isolated.with_options(options)}"]
        pipe(self.origin.tools, (dump, live), (restore, isolated))

    def files(self) -> Iterator[StoredFile]:
        """Yield the files that rows of the snapshot name."""
        database = str(conninfo_to_dict(self.origin.database.conninfo).get("dbname") or "")
        store = self.origin.data / "filestore" / database
        with self.connection.cursor(name="careops_files") as cursor:
            cursor.itersize = _ROWS
            cursor.execute("SELECT DISTINCT store_fname FROM public.ir_attachment WHERE store_fname IS NOT NULL")
            for (name,) in cursor:
                # Odoo makes these names itself; anything else could lead out of the filestore.
                if _STORED.fullmatch(name):
                    yield StoredFile(store_fname=name, place=store / name)


def pipe(tools: Tools, left: tuple[Sequence[str], Endpoint], right: tuple[Sequence[str], Endpoint]) -> None:
    """Run two programs, the first one's output being the other's input.

    Args:
        tools: How programs are run.
        left: Command line of the first, and the database it talks to.
        right: Those of the second.

    Raises:
        TransferError: One failed; of its messages only what names objects is told.
    """
    with tempfile.TemporaryFile("w+") as said_left, tempfile.TemporaryFile("w+") as said_right:
        first = _start(tools, left, stdout=subprocess.PIPE, stderr=said_left)
        try:
            second = _start(tools, right, stdin=first.stdout, stderr=said_right)
        except BaseException:
            _end(first)
            raise
        if first.stdout:
            first.stdout.close()  # the second one's end is then the first one's
        try:
            statuses = second.wait(), first.wait()
        except BaseException:
            _end(first)
            _end(second)
            raise
        texts = [_read(said) for said in (said_left, said_right)]
    # Whichever failed first makes the other fail too; the second's message says more when both did, unless all it
    # says is that the first one's output ended.
    told = [(right, statuses[0], texts[1]), (left, statuses[1], texts[0])]
    if statuses[1] and STARVED.search(texts[1]):
        told.reverse()
    for (argv, endpoint), status, text in told:
        if status:
            raise of_program("load the source", argv[0], status, text, server=endpoint.server)


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def _start(
    tools: Tools,
    program: tuple[Sequence[str], Endpoint],
    *,
    stderr: IO[str],
    stdin: IO[bytes] | None = None,
    stdout: int | None = None,
) -> subprocess.Popen[bytes]:
    argv, endpoint = program
    environment: Mapping[str, str] = {**os.environ, **({"PGPASSWORD": endpoint.password} if endpoint.password else {})}
    return subprocess.Popen(
        tools.command(argv),
        env=environment,
        stdin=stdin if stdin is not None else subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _foreign(part: str, found: str, wanted: str) -> Refused:
    return Refused(
        f"the {part} belongs to {found or 'nobody known'}, not to {wanted}",
        why="a refresh copies one environment's data, and its certificate names it",
        action=f"attach the {part} of {wanted}",
    )
