"""The program `mask`: the isolated copy, masked while it is read, into training's next database; later, the proof."""

from __future__ import annotations

import datetime
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import psycopg

from operations.anonymise import marks
from operations.anonymise.catalogue.check import compare
from operations.anonymise.catalogue.loader import column_line, load, table_line
from operations.anonymise.catalogue.propose import proposals
from operations.anonymise.faults import TransferError
from operations.anonymise.marks import DATABASE, Program, Step
from operations.anonymise.model import Action
from operations.anonymise.outcome import Failed, RefreshError, Refused, Unavailable, told
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.grammar import parse
from operations.anonymise.rules.key import RunKey
from operations.anonymise.schema import read_schema
from operations.anonymise.transfer import transfer
from operations.anonymise.verify.quasi import unknown
from operations.anonymise.waiting import PAUSE_SECONDS, Patience, Seen, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from operations.anonymise.catalogue.check import Comparison
    from operations.anonymise.environment import Pod
    from operations.anonymise.model import Catalogue
    from operations.anonymise.schema import Schema
    from operations.anonymise.sessions import Endpoint
    from operations.anonymise.target import Target
    from operations.anonymise.transfer import Result, Tools
    from operations.anonymise.verify.quasi import QuasiSet

SOURCE_DATABASE = "source"
MOST_JOBS = 4
"""Tables that are copied at a time at most; each takes a session and 64 MB of sorting memory on either side."""
_MISFITS_TOLD = 50
_BACK_SECONDS = 30.0
"""How long a server that ended may take to be back for the target to be dropped at once."""


@dataclass(frozen=True, kw_only=True)
class Masked:
    """A run whose data is in the target.

    Attributes:
        pod: The run.
        export: What export said of the source.
        schema: Of the source.
        catalogue: All lines.
        transferred: Rows by table, and seconds.
        files: How many files stand in for those of the source.
        key: Fingerprint of the run's key.
        key_destroyed: Whether that key was overwritten before anything was judged or signed.
    """

    pod: Pod
    export: Mapping[str, Any]
    schema: Schema
    catalogue: Catalogue
    transferred: Result
    files: int
    key: str
    key_destroyed: bool


class Parts(Protocol):
    """What the data is judged with, and the files that stand in for real ones: `parts.Proof`."""

    def plant(self, source: psycopg.Connection[Any], schema: Schema) -> None:
        """Plant canaries in the isolated copy."""
        ...

    def place_files(self, source: psycopg.Connection[Any], target: psycopg.Connection[Any]) -> int:
        """Decide what stands in for each file of the source, and hand over those that are made.

        Reads `careops_source.files`; fills `careops_mask.file` of the source and `careops_refresh.file` of the target.

        Returns:
            For how many files there is something.
        """
        ...

    def judge_data(self, masked: Masked, source: Endpoint, target: Endpoint) -> Sequence[str]:
        """Check the data before Odoo sees them; returns findings, which name tables, columns and counts."""
        ...

    def verify(
        self, masked: Masked, source: Endpoint, target: Endpoint, adopted: Mapping[str, Any]
    ) -> tuple[Mapping[str, Any] | None, Sequence[str]]:
        """Search the adopted database for everybody of the source, judge its use, and sign what was found.

        Returns:
            The certificate, None without one; and findings.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Mask:
    """One run.

    Attributes:
        pod: The run.
        isolated: The isolated PostgreSQL's database `source`.
        target: Training's next database.
        catalogues: The site's own files.
        parts: Files and proof.
        tools: PostgreSQL's programs.
        step: Told before each step; for the log.
        patience: How partners are waited for.
        k: How many people at least share what the rule `shared` lets stay.
        sets: Sets of quasi-identifiers that the site declares.
        key: The run's key; it is overwritten when the data are in the target.
    """

    pod: Pod
    isolated: Endpoint
    target: Target
    catalogues: Sequence[Path]
    parts: Parts
    tools: Tools
    step: Callable[[str], None]
    patience: Patience
    k: int = 5
    sets: Sequence[QuasiSet] = ()
    key: RunKey = field(default_factory=RunKey, repr=False)

    def go(self) -> None:
        """Mask, wait for the adoption, verify.

        Raises:
            RefreshError: With what to do about it; the target is dropped, after adopt has been told.
        """
        self.step("target")
        marked = self.target.make()  # when this fails, the database is not ours to drop
        try:
            with marked:
                self._run(marked)
        except BaseException as error:
            reported = told(error)
            self._give_up(reported)
            raise reported from None
        self.step("done")

    def _run(self, marked: psycopg.Connection[Any]) -> None:
        self.step("wait for the export")
        export = wait_for(Program.EXPORT, "the export", self._look_for_export, self.patience)
        if export.get("identity") != self.pod.source_identity:
            raise Refused(
                f"the isolated copy holds {export.get('identity') or 'nobody knows whose'} data",
                why=f"this run masks {self.pod.source_identity}",
                action="apply the environment's settings again, and start a new run",
            )
        self.step("catalogue")
        catalogue = load(self.catalogues)
        with self.isolated.connect() as source:
            schema = read_schema(source)
            refuse_unclassified(compare(schema, catalogue), schema, unknown(self.sets, schema))
            self.step("canaries")
            self.parts.plant(source, schema)
            self.step("files")
            files = self.parts.place_files(source, marked)
            country = _country(source)
        fingerprint = self.key.fingerprint()
        try:
            transferred = self._transfer(Run(schema=schema, catalogue=catalogue, country=country, k=self.k))
        finally:
            self.key.destroy()
        masked = Masked(
            pod=self.pod,
            export=export,
            schema=schema,
            catalogue=catalogue,
            transferred=transferred,
            files=files,
            key=fingerprint,
            key_destroyed=self.key.destroyed,
        )
        self.step("judge the data")
        _refuse_findings(self.parts.judge_data(masked, self.isolated, self.target.database))
        self.step("mark masked")
        marks.write(marked, Step.MASKED, self.pod.run, _handed_over(masked))
        self.step("wait for the adoption")
        adopted = wait_for(Program.ADOPT, "the adoption", lambda: self._look_for_adoption(marked), self.patience)
        self.step("verify")
        certificate, findings = self.parts.verify(masked, self.isolated, self.target.database, adopted)
        _refuse_findings(findings)
        if certificate is None:
            raise Failed("there is no certificate", why="the verification named no finding", action="report this")
        self.step("mark verified")
        marks.write(marked, Step.VERIFIED, self.pod.run, {"certificate": certificate})
        marked.close()  # the swap needs the database free of sessions

    def _transfer(self, run: Run) -> Result:
        self.step("compile")
        plans = compile_tables(run)
        today = datetime.datetime.now(datetime.UTC).date()
        settings = session_settings(self.key, run, today)
        jobs = max(1, min(MOST_JOBS, len(os.sched_getaffinity(0))))
        return transfer(
            self.isolated,
            self.target.database,
            plans,
            settings,
            self.tools,
            jobs=jobs,
            on_step=lambda name: self.step(f"transfer: {name}"),
        )

    def _look_for_export(self) -> Seen[Mapping[str, Any]]:
        try:
            with self.isolated.connect() as source:
                if source.execute("SHOW cluster_name").fetchone() != (self.pod.run,):
                    return Seen(why="the isolated PostgreSQL is another run's")
                return Seen(
                    mark=marks.read_export(source, self.pod.run),
                    alive=Program.EXPORT in marks.present(source, SOURCE_DATABASE),
                )
        except (TransferError, psycopg.OperationalError) as error:
            return Seen(why=told(error).why)

    def _look_for_adoption(self, marked: psycopg.Connection[Any]) -> Seen[Mapping[str, Any]]:
        state = marks.read(marked).of_run(self.pod.run)
        failed = state.detail(Step.FAILED)
        if failed is not None:
            raise Failed("the adoption failed", why=str(failed.get("why", "")), action="see the log of refresh-adopt")
        return Seen(mark=state.detail(Step.ADOPTED), alive=Program.ADOPT in marks.present(marked, DATABASE))

    def _give_up(self, error: RefreshError) -> None:
        """Let adopt know why there is nothing to wait for, and drop what nobody may use."""
        self.step("give up: drop the target")
        deadline = self.patience.clock() + min(self.patience.gone, _BACK_SECONDS)
        while True:
            try:
                with self.target.database.connect() as marked:
                    marks.write(marked, Step.FAILED, self.pod.run, {"why": error.what, "by": Program.MASK})
                return self.target.drop()
            except (TransferError, psycopg.Error) as left:
                why = told(left)
            if not isinstance(why, Unavailable) or self.patience.clock() >= deadline:
                return self.step(f"the target stays until the next run drops it: {why.why}")
            # A server that was killed is back in seconds, and the room that the target takes may be all it lacks.
            self.patience.pause(PAUSE_SECONDS)


def refuse_unclassified(comparison: Comparison, schema: Schema, unknown_sets: Sequence[str] = ()) -> None:
    """Stop a run whose schema the catalogue does not cover, or whose settings name what the schema does not have.

    Args:
        comparison: Of the catalogue with the schema.
        schema: The live one.
        unknown_sets: What the site's sets of quasi-identifiers name and the schema lacks: `quasi.unknown`.

    Raises:
        Refused: With the lines to review and add, as proposed, and everything else at once.
    """
    if comparison.usable and not unknown_sets:
        return
    tables, columns = proposals(comparison, schema)
    misfits = [str(misfit) for misfit in comparison.misfits]
    parts = {
        "tables nobody has listed; proposed lines": [table_line(line) for line in tables],
        "columns nobody has classified; proposed lines": [column_line(line) for line in columns],
        "rules that cannot hold": misfits[:_MISFITS_TOLD],
        "sets of refresh.quasi_identifiers that cannot be checked": list(unknown_sets),
    }
    why = "\n".join("\n    ".join((f"{title}:", *lines)) for title, lines in parts.items() if lines)
    if comparison.usable:
        raise Refused(
            "the site's settings name columns that production does not have",
            why=why,
            action="correct refresh.quasi_identifiers in the site's file, run careops up, and start a new run",
        )
    raise Refused(
        "the catalogue does not cover production's schema",
        why=why,
        action="review these lines, put them into the site's own file, and start a new run",
    )


def recomputed(schema: Schema, catalogue: Catalogue) -> list[tuple[str, str]]:
    """Return (model, field) of every column that is emptied for Odoo to compute it again."""
    found = []
    for table in schema.tables.values():
        line = catalogue.table(table.name)
        if line is not None and line.action is Action.EMPTY:
            continue
        for column in table.columns:
            rule = catalogue.column(table.name, column.name)
            known = schema.field(table.name, column.name)
            if rule is None or known is None:
                continue
            parsed = parse(rule.rule)
            if "recompute" in {parsed.word, parsed.inner.word if parsed.inner else ""}:
                found.append((known.model, known.name))
    return sorted(found)


def _handed_over(masked: Masked) -> dict[str, Any]:
    """Return what adopt needs to know."""
    return {
        **{key: masked.export.get(key) for key in ("identity", "source_time", "release", "modules")},
        "recompute": recomputed(masked.schema, masked.catalogue),
        "catalogue": masked.catalogue.version,
        "rows": sum(masked.transferred.rows.values()),
        "files": masked.files,
    }


def _country(source: psycopg.Connection[Any]) -> str:
    row = source.execute(
        "SELECT k.code FROM public.res_company c JOIN public.res_partner p ON p.id = c.partner_id"
        " JOIN public.res_country k ON k.id = p.country_id ORDER BY c.id LIMIT 1"
    ).fetchone()
    return row[0] if row else "US"


def _refuse_findings(findings: Sequence[str]) -> None:
    if findings:
        raise Refused(
            "the verification did not pass; nothing is swapped",
            why="\n    ".join(("findings:", *findings)),
            action="correct the rules of these columns in the site's own file, and start a new run",
        )
