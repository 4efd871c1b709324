"""The program `export`: production's data into the isolated PostgreSQL, and facts about its files."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psycopg import sql

from operations.anonymise import marks
from operations.anonymise.faults import TransferError
from operations.anonymise.marks import Program
from operations.anonymise.outcome import NotYet, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable
    from pathlib import Path

    import psycopg

    from operations.anonymise.sessions import Endpoint
    from operations.anonymise.source import Source, StoredFile

RETRY_SECONDS = 2.0
_BATCH = 1_000

_SCHEMAS = (
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    " AND (nspname <> 'public' OR EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace))"
)


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What is known of a file without its bytes.

    Attributes:
        size: Bytes.
        kind: Its type by its content, or what stands for "none of the known ones".
        width: Pixels, of an image.
        height: Pixels, of an image.
        pages: Of a document that has pages.
    """

    size: int
    kind: str
    width: int | None = None
    height: int | None = None
    pages: int | None = None


@dataclass(frozen=True, kw_only=True)
class Export:
    """One run.

    Attributes:
        run: Which.
        source: Where the data comes from.
        isolated: The isolated PostgreSQL's database `source`.
        inspect: Looks at a file and returns what is known of it.
        wait_seconds: How long the isolated server is waited for.
        step: Told before each step; for the log.
    """

    run: str
    source: Source
    isolated: Endpoint
    inspect: Callable[[Path], FileFacts]
    wait_seconds: float
    step: Callable[[str], None]

    def go(self) -> None:
        """Export.

        Raises:
            RefreshError: With what to do about it.
        """
        self.step("wait for the isolated server")
        with self._isolated() as isolated:
            if marks.read_export(isolated, self.run) is not None:
                self.step("done before: this run's data is there")
                return
            self._clean(isolated)
            self.step("snapshot")
            with self.source.open() as opened:
                self.step(f"load: {opened.facts.size:,} bytes as of {opened.facts.source_time}")
                opened.load(self.isolated)
                isolated.execute(marks.SOURCE)
                self.step("files")
                files, missing = self._files(isolated, opened.files())
                self.step("statistics")
                isolated.execute("ANALYZE")
                detail = {**opened.facts.as_json(), "files": files, "files_missing": missing}
                self.step("mark")
                marks.write_export(isolated, self.run, detail)
        self.step(f"done: {files:,} files, {missing:,} that rows name and nobody has")

    @contextmanager
    def _isolated(self) -> Generator[psycopg.Connection[Any]]:
        """Yield a session to this run's isolated server that says that we are at work.

        Raises:
            Unavailable: It did not answer in time.
            NotYet: It was another run's all the time, or another pod of this run is at work.
        """
        deadline = time.monotonic() + self.wait_seconds
        told = ""
        while True:
            connection, why = self._try()
            if connection is not None:
                with connection:
                    yield connection
                return
            if time.monotonic() >= deadline:
                kind = NotYet if why.startswith("another") else Unavailable
                action = "see whether the Job refresh-mask of this run exists and its pod runs; start a new run"
                raise kind("waited in vain for the isolated PostgreSQL", why=why, action=action)
            if why != told:
                self.step(f"waiting: {why}")
                told = why
            time.sleep(RETRY_SECONDS)

    def _try(self) -> tuple[psycopg.Connection[Any] | None, str]:
        try:
            connection = self.isolated.connect()
        except TransferError as error:
            return None, str(error)
        row = connection.execute("SHOW cluster_name").fetchone()
        if row != (self.run,):
            connection.close()
            return None, "another run's server answers"
        if not marks.be_present(connection, Program.EXPORT):
            connection.close()
            return None, "another pod of this run is at work"
        return connection, ""

    def _clean(self, isolated: psycopg.Connection[Any]) -> None:
        """Remove what an export of this run left that was killed."""
        left = [name for (name,) in isolated.execute(_SCHEMAS).fetchall()]
        if not left:
            return
        self.step("remove what a killed export left")
        for name in left:
            isolated.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(name)))
        isolated.execute("CREATE SCHEMA IF NOT EXISTS public")

    def _files(self, isolated: psycopg.Connection[Any], files: Iterable[StoredFile]) -> tuple[int, int]:
        """Write the facts about files; returns how many there are, and how many rows name in vain."""
        found, missing = 0, 0
        batch: list[tuple[Any, ...]] = []
        for file in files:
            try:
                facts = self.inspect(file.place)
            except FileNotFoundError:
                missing += 1
                continue
            found += 1
            batch.append((file.store_fname, facts.size, facts.kind, facts.width, facts.height, facts.pages))
            if len(batch) >= _BATCH:
                _write_files(isolated, batch)
                batch.clear()
        _write_files(isolated, batch)
        return found, missing


def _write_files(isolated: psycopg.Connection[Any], rows: Iterable[tuple[Any, ...]]) -> None:
    with isolated.cursor() as cursor:
        into = "COPY careops_source.files (store_fname, size, kind, width, height, pages) FROM STDIN"
        with cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)
