"""What the masking program is made of: canaries, stand-ins for files, the checks, and the signature under them."""

from __future__ import annotations

import dataclasses
import tarfile
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operations.anonymise import canaries, chart, files
from operations.anonymise.rules.plain import FILES, FILES_TABLE
from operations.anonymise.rules.scope import K
from operations.anonymise.schema import read_schema
from operations.anonymise.verify import kanonymity, shapes, structure
from operations.anonymise.verify.quasi import QuasiSet, all_sets
from operations.anonymise.verify.report import Verification, run
from operations.anonymise.verify.run import Wanted, verify
from operations.anonymise.verify.structure import Pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    import psycopg

    from operations.anonymise.canaries import Planting
    from operations.anonymise.mask import Masked
    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema
    from operations.anonymise.sessions import Endpoint
    from operations.anonymise.verify.report import CheckResult, Looked

SHIPPED = Path("/baseline")
"""Where the image may have the files that its own modules bring, as `filestore.tar`."""
_ROWS = 500
_SOURCE_FILES = """
    SELECT f.store_fname, f.size, f.kind, f.width, f.height, f.pages,
           coalesce((SELECT min(a.mimetype) FROM public.ir_attachment a WHERE a.store_fname = f.store_fname), '')
    FROM careops_source.files f ORDER BY f.store_fname"""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What a certificate is made of.

    Attributes:
        masked: The run, its source and its catalogue.
        adopted: What the adoption said: release, modules that it updated, number of logins.
        before: Checks of the data before Odoo touched them: canaries, rows, constraints, sequences, shapes.
        after: All checks of the adopted database.
        files: Files of the source by what became of them.
    """

    masked: Masked
    adopted: Mapping[str, Any]
    before: Verification
    after: Verification
    files: Mapping[str, int]


@dataclass(kw_only=True)
class Proof:
    """The parts of one run; see `mask.Parts`.

    Attributes:
        k: Smallest group of people with the same quasi-identifiers.
        certify: Signs.
        say: Told the result of each check.
        sets: Sets of quasi-identifiers that the site declares, beyond those that every site has.
        shipped: Folder with `filestore.tar`, the files that are nobody's; without one, every file gets a stand-in.
    """

    k: int
    certify: Callable[[Evidence], Mapping[str, Any]]
    say: Callable[[str], None]
    sets: tuple[QuasiSet, ...] = ()
    shipped: Path = SHIPPED
    _planted: Planting = field(default_factory=canaries.Planting)
    _before: Verification = field(default_factory=lambda: Verification(checks=()))
    _files: Counter[str] = field(default_factory=Counter)
    _kept: frozenset[str] = frozenset()

    def plant(self, source: psycopg.Connection[Any], schema: Schema) -> None:
        """Plant canaries in the isolated copy, which masking carries like any other row."""
        self._planted = canaries.plant(source, schema)
        self.say(f"canaries planted: {len(self._planted.canaries)}")

    def place_files(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> int:
        """Decide what stands in for each file; see `mask.Parts.place_files`."""
        archive = self.shipped / "filestore.tar"
        allowed = files.shipped(archive) if archive.is_file() else frozenset[str]()
        source.execute(FILES_TABLE.encode())
        kept: set[str] = set()
        for batch in _batches(files.plan(_source_files(source), allowed)):
            self._files.update(each.decision.value for each in batch)
            stand_ins = [each for each in batch if each.decision is not files.Decision.DROP]
            kept |= {each.checksum or "" for each in stand_ins if each.decision is files.Decision.KEEP}
            _write_facts(source, stand_ins)
            _hand_over(target, ((each.checksum, each.mimetype, each.content) for each in stand_ins if each.content))
        self._kept = frozenset(kept)
        # Training may never have had what this image ships.
        _hand_over(target, _members(archive, kept) if kept else ())
        self.say(f"files: {', '.join(f'{count:,} {what}' for what, count in sorted(self._files.items())) or 'none'}")
        return self._files.total() - self._files[files.Decision.DROP.value]

    def judge_data(self, masked: Masked, source: Endpoint, target: Endpoint) -> Sequence[str]:
        """Look for the canaries and take them out, empty what too few share, and check the data before Odoo sees them.

        The canaries go first: one of them would count as a person, or be drawn as a leader.

        Returns:
            Findings; empty when all is well.
        """
        with ExitStack() as stack:
            pair, sets = self._pair(stack, masked.catalogue, source, target), all_sets(self.sets)
            placed = _placed(pair.target, self._kept)
            results: list[CheckResult] = []
            self._look(results, "canaries", lambda: canaries.check(pair.target, pair.after, self._planted, placed))
            for connection, schema in ((pair.target, pair.after), (pair.source, pair.before)):
                canaries.remove(connection, schema, self._planted)
            rare = kanonymity.suppress(pair.target, pair.after, pair.catalogue, self.k, sets)
            self.say(f"values of quasi-identifiers that too few shared, emptied: {rare:,}")
            self.say(f"departments with a made leader: {chart.make(pair.target, pair.after):,}")
            shared = partial(kanonymity.check, pair.target, pair.after, pair.catalogue, self.k, sets, adopted=False)
            self._look(results, "k-anonymity", shared)
            self._look(results, "rows", lambda: structure.rows(pair))
            self._look(results, "constraints", lambda: structure.constraints(pair))
            self._look(results, "sequences", lambda: structure.sequences(pair))
            self._look(results, "shapes", lambda: shapes.shapes(pair))
            self._before = Verification(checks=tuple(results))
        return findings_of(self._before)

    def verify(
        self, masked: Masked, source: Endpoint, target: Endpoint, adopted: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any] | None, Sequence[str]]:
        """Judge the adopted database; returns the certificate (None without one) and the findings."""
        with ExitStack() as stack:
            pair = self._pair(stack, masked.catalogue, source, target)
            pair = dataclasses.replace(pair, updated=bool(adopted.get("updated")))
            pair = dataclasses.replace(pair, added=_grown(pair))
            wanted = Wanted(k=self.k, sets=all_sets(self.sets))
            after = verify(pair, wanted, self._planted, lambda: _placed(pair.target, self._kept), self._tell)
        evidence = Evidence(masked=masked, adopted=adopted, before=self._before, after=after, files=self._files)
        if not (after.passed and self._before.passed):
            return None, findings_of(after)
        return self.certify(evidence), ()

    def _pair(self, stack: ExitStack, catalogue: Catalogue, source: Endpoint, target: Endpoint) -> Pair:
        before, after = (stack.enter_context(endpoint.connect()) for endpoint in (source, target))
        # Conditions of tables read it, as they did while the rows were copied.
        before.execute("SELECT set_config(%s, %s, false)", (K, str(self.k)))
        return Pair(
            source=before, target=after, before=read_schema(before), after=read_schema(after), catalogue=catalogue
        )

    def _look(self, results: list[CheckResult], name: str, body: Callable[[], Looked]) -> None:
        results.append(run(name, body))
        self._tell(results[-1])

    def _tell(self, result: CheckResult) -> None:
        self.say(f"check {result.name}: {result.status.value} in {result.seconds:.1f} s")


def findings_of(verification: Verification) -> list[str]:
    """Return a line for each finding and each check that could not run; none of them quotes data."""
    lines = []
    for check in verification.checks:
        lines += [f"{check.name}: {finding}" for finding in check.findings]
        if not check.passed and not check.findings:
            lines.append(f"{check.name} could not run: {check.why}")
    return lines


def _grown(pair: Pair) -> frozenset[str]:
    """Return the tables to which the adoption added rows: before it, all had exactly the source's (`judge_data`).

    That no table has lost any, the verification still checks.
    """
    new = pair.after.tables.keys() - pair.before.tables.keys()
    return frozenset({finding.table for finding in structure.rows(pair).findings} | new)


def _source_files(source: psycopg.Connection[Any]) -> Iterator[files.Source]:
    rows = source.execute(_SOURCE_FILES).fetchall()
    for name, size, kind, width, height, pages, mimetype in rows:
        facts = files.FileFacts(size=size, kind=kind, width=width, height=height, pages=pages)
        yield files.Source(store_fname=name, facts=facts, mimetype=mimetype)


def _batches(stand_ins: Iterable[files.StandIn]) -> Iterator[list[files.StandIn]]:
    batch: list[files.StandIn] = []
    for each in stand_ins:
        batch.append(each)
        if len(batch) >= _ROWS:
            yield batch
            batch = []
    yield batch


def _write_facts(source: psycopg.Connection[Any], stand_ins: Iterable[files.StandIn]) -> None:
    into = f"COPY {FILES} (source_fname, store_fname, checksum, file_size, mimetype) FROM STDIN"
    with source.cursor() as cursor, cursor.copy(into.encode()) as copy:
        for each in stand_ins:
            copy.write_row((each.source, each.store_fname, each.checksum, each.file_size, each.mimetype))


def _hand_over(
    target: psycopg.Connection[Any], contents: Iterable[tuple[str | None, str | None, bytes | None]]
) -> None:
    with target.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO careops_refresh.file (sha1, mimetype, content) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            contents,
        )


def _members(archive: Path, wanted: set[str]) -> Iterator[tuple[str, str, bytes]]:
    """Yield what a baseline's archive holds of these; `files.shipped` has found their names to be right."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            opened = tar.extractfile(member) if member.isfile() and name in wanted else None
            if opened:
                yield name, "", opened.read()


def _placed(target: psycopg.Connection[Any], kept: frozenset[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and content of every file that was handed over; training gets no other.

    Left out is what is byte for byte a file that the image itself ships: what stands in it is nobody's.
    """
    names = [name for (name,) in target.execute("SELECT sha1 FROM careops_refresh.file ORDER BY sha1").fetchall()]
    for name in names:
        if name in kept:
            continue
        row = target.execute("SELECT content FROM careops_refresh.file WHERE sha1 = %s", (name,)).fetchone()
        if row:
            yield name, bytes(row[0])
