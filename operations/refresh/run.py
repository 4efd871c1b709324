"""One run of a refresh, watched to its end: every job done, or everything taken back and nothing swapped."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra import naming
from infra.naming import Naming
from operations.errors import OperationError, Problem, failure
from operations.exit_codes import ExitCode
from operations.refresh import jobs, leftover
from operations.refresh.evidence import write
from operations.refresh.jobs import Asked, JobState, Part, Phase, rollback_part, run_parts
from operations.refresh.plan import generation
from toolchain.cluster.errors import ApiRefused, ApiUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from operations.refresh.cluster import Cluster, Object
    from toolchain.progress import Step

POLL_SECONDS = 2.0
START_SECONDS = 600.0
"""How long a job's pod may take to start; images are on the nodes already, so what takes longer never comes."""

SILENCE_SECONDS = 300.0
"""How long the API server may be silent before the run is given up."""

ROLES_SECONDS = 180.0
"""How long the operator may take to give PostgreSQL a role whose Secret was just made."""

SETTLE_SECONDS = 60.0
"""How long the other jobs may take to say why they end too: a pod with a server beside it ends last."""

_SERVER_ERROR, _TOO_MANY = 500, 429
LOG_LINES = 40
ADOPT_PREFIX = "careops-odoo:"
"""What every line of Odoo's image begins with that is our own."""

FOLLOWS = "see the log of"
"""What a program tells that ended because another did."""

CERTIFICATE_LINES = 200


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run came to.

    Attributes:
        run: Its name.
        seconds: Its wall-clock time.
        parts: Seconds by job.
        certificate: What it proves, signed JSON as it was printed; empty for a rollback.
    """

    run: str
    seconds: float
    parts: Mapping[str, float]
    certificate: str = ""


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time, for tests to replace.

    Attributes:
        now: Seconds, monotonic.
        sleep: Waits.
        today: This moment, UTC.
    """

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    today: Callable[[], datetime] = lambda: datetime.now(UTC)


def wait_for_roles(cluster: Cluster, site: str, step: Step, clock: Clock | None = None) -> None:
    """Wait until the operator has made both roles with their passwords.

    Raises:
        OperationError: With `UNHEALTHY`, with what the operator says of the role.
    """
    clock = clock or Clock()
    deadline = clock.now() + ROLES_SECONDS
    wanted = (
        (
            Naming(site=site, environment="prod").namespace,
            naming.REFRESH_SOURCE_ROLE,
            naming.REFRESH_SOURCE_ROLE_SECRET,
        ),
        (Naming(site=site, environment="training").namespace, naming.REFRESH_TARGET_ROLE, naming.REFRESH_ROLE_SECRET),
    )
    while True:
        lacking = [(*each[:2], why) for each in wanted if (why := _lacking(cluster, *each))]
        if not lacking:
            return
        namespace, role, why = lacking[0]
        if clock.now() >= deadline:
            raise failure(
                ExitCode.UNHEALTHY,
                f"PostgreSQL in {namespace} has no role {role} with the password of its Secret",
                why,
                f"./careops kubectl -n {namespace} get cluster postgresql -o yaml (status.managedRolesStatus)",
            )
        step.note(f"{namespace}: {why}")
        clock.sleep(POLL_SECONDS)


def _lacking(cluster: Cluster, namespace: str, role: str, secret: str) -> str:
    """Return what a role lacks, by the operator's own account; empty when it is complete."""
    path = f"/apis/postgresql.cnpg.io/v1/namespaces/{namespace}/clusters/{naming.POSTGRESQL}"
    status = ((cluster.get(path) or {}).get("status") or {}).get("managedRolesStatus") or {}
    refused = (status.get("cannotReconcile") or {}).get(role)
    if refused:
        return "; ".join(refused)
    known = ((status.get("passwordStatus") or {}).get(role) or {}).get("resourceVersion")
    wanted = (cluster.get(f"/api/v1/namespaces/{namespace}/secrets/{secret}") or {"metadata": {}})["metadata"]
    if known and known == wanted.get("resourceVersion"):
        return ""
    return "the operator has not given it its password yet"


class Run:
    """One run, from its jobs' creation to their end.

    Args:
        cluster: Where.
        site: The site.
        parts: Its jobs.
        clock: Time.
    """

    def __init__(
        self, cluster: Cluster, site: str, parts: Sequence[Part] | None = None, clock: Clock | None = None
    ) -> None:
        self._cluster = cluster
        self._site = site
        self._parts = tuple(parts or run_parts(site))
        self._clock = clock or Clock()
        self._before: str | None = None
        self._until: datetime | None = None
        self.name = jobs.run_name(self._clock.today())

    def go(self, step: Step, asked: Asked) -> Outcome:
        """Create the jobs and watch them to their end.

        Args:
            step: Shows what they are doing.
            asked: Who wants it.

        Raises:
            OperationError: With `REFRESH_FAILED`; the other jobs are deleted then, and training is what it was.
            KeyboardInterrupt: After deleting the jobs.
        """
        begin, self._before, self._until = self._clock.now(), self._generation(), asked.until
        try:
            for part in self._parts:
                template = self._template(part)
                job = jobs.manifest(template, part, self.name, asked, self._clock.today())
                self._cluster.create(part.jobs_path(), job)
            states = self._watch(step)
        except BaseException as error:
            self._take_back()
            # A rollback makes no database, so it leaves none.
            if self._parts != (rollback_part(self._site),):
                leftover.clean_up(self._cluster, self._site, self.name, self._clock, error)
            raise
        return Outcome(
            run=self.name,
            seconds=round(self._clock.now() - begin, 1),
            parts={state.part.template: state.seconds or 0.0 for state in states},
        )

    def with_certificate(self, outcome: Outcome) -> Outcome:
        """Return the outcome with the certificate that the adoption printed.

        Raises:
            OperationError: With `REFRESH_FAILED`, when the log does not hold it; the data is swapped all the same.
        """
        part = next(part for part in self._parts if part.template == naming.REFRESH_ADOPT)
        pods = self._pods(part)
        log = self._cluster.log(part.namespace, _name(pods[-1]), part.template, CERTIFICATE_LINES) if pods else ""
        found = jobs.certificate(log)
        if not found:
            raise failure(
                ExitCode.REFRESH_FAILED,
                f"Training is refreshed (run {self.name}), but its certificate cannot be had",
                "the adoption's log does not end with it",
                "get it from training's database: ./careops refresh status; the log: "
                f"./careops kubectl -n {part.namespace} logs job/{part.job(self.name)}",
            )
        return replace(outcome, certificate=found)

    def swapped(self) -> bool | None:
        """Return whether training holds other data than before; None when its database does not say."""
        now = self._generation()
        return None if now is None or self._before is None else now != self._before

    def _generation(self) -> str | None:
        try:
            return generation(self._cluster, self._site)
        except Exception:  # whatever it is, the answer is that nobody knows
            return None

    def _template(self, part: Part) -> Object:
        found = self._cluster.get(part.template_path)
        if found is None:
            raise failure(
                ExitCode.DEPLOYMENT,
                f"The job template {part.template} is no longer in {part.namespace}",
                "it was deleted since the plan was made",
                "deploy it again: ./careops up",
            )
        return found

    def _watch(self, step: Step) -> list[JobState]:
        begin, started, answered = self._clock.now(), set[str](), self._clock.now()
        while True:
            try:
                states = self._look(begin, started, step)
                answered = self._clock.now()
            except (ApiUnreachable, ApiRefused) as error:
                # The jobs need no watching: an API server that restarts must not end a run of hours.
                if not _starting(error) or self._clock.now() - answered >= SILENCE_SECONDS:
                    raise
                step.note(str(error))
                states = None
            if states is not None:
                return states
            self._clock.sleep(POLL_SECONDS)

    def _look(self, begin: float, started: set[str], step: Step) -> list[JobState] | None:
        """Return the jobs when all are done, None while one runs.

        Args:
            begin: When the run began.
            started: Templates whose pods have been seen running; gets more.
            step: Shows what they are doing.
        """
        states = [self._state(part) for part in self._parts]
        if any(state.phase is Phase.FAILED for state in states):
            raise self._failed(self._settled(states, step))
        running = [state for state in states if state.phase is Phase.RUNNING]
        notes = []
        for state in running:
            note, waits = self._doing(state.part, started)
            if waits and self._clock.now() - begin >= START_SECONDS:
                raise self._never_started(state.part, note)
            notes.append(note)
        step.note("; ".join(notes))
        return None if running else states

    def _settled(self, states: list[JobState], step: Step) -> list[JobState]:
        """Return the jobs that failed, once the others have ended as well or had their time to."""
        begin = self._clock.now()
        while any(state.phase is Phase.RUNNING for state in states) and self._clock.now() - begin < SETTLE_SECONDS:
            step.note("a job failed; the others are ending")
            self._clock.sleep(POLL_SECONDS)
            states = [self._state(part) for part in self._parts]
        return [state for state in states if state.phase is Phase.FAILED]

    def _doing(self, part: Part, started: set[str]) -> tuple[str, bool]:
        """Return what a job is doing, and whether its pod has not started yet."""
        pods = self._pods(part)
        waits = None if part.template in started else jobs.waiting_for(pods)
        if waits is not None:
            return f"{_short(part)}: {waits}", True
        started.add(part.template)
        lines = self._log(part, pods, 1)
        said = lines[-1].rpartition(f"{_short(part)}: ")[2] if lines else "running"
        return f"{_short(part)}: {said}", False

    def _state(self, part: Part) -> JobState:
        job = self._cluster.get(part.jobs_path(part.job(self.name)))
        if job is None:
            raise failure(
                ExitCode.REFRESH_FAILED,
                f"The job {part.job(self.name)} was deleted; {self._unchanged()}",
                "somebody ended the run, or the namespace is being removed",
                "start a new one: ./careops refresh training",
            )
        return jobs.job_state(part, job)

    def _pods(self, part: Part) -> list[Object]:
        path, label = f"/api/v1/namespaces/{part.namespace}/pods", f"batch.kubernetes.io/job-name={part.job(self.name)}"
        found = (self._cluster.get(path, labelSelector=label) or {}).get("items", [])
        return sorted(found, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))

    def _failed(self, states: Sequence[JobState]) -> OperationError:
        """Return the error for the jobs that failed, those first that did not end because of another."""
        told = []
        for state in sorted(states, key=lambda state: state.ended):
            pods = self._pods(state.part)
            log = self._log(state.part, pods)
            said = [*jobs.ending(pods), *log] or [state.why or "Kubernetes gives no reason"]
            if self._until and "deadline" in state.why:
                said.append(f"it had to end before {self._until:%Y-%m-%d %H:%M} UTC: class hours or a freeze begin")
            told.append((any(FOLLOWS in line for line in log), state.part, said))
        problems = []
        for _, part, said in sorted(told, key=lambda each: each[0]):
            problems.append(
                Problem(
                    what=f"{part.title}: failed (job {part.job(self.name)}); {self._unchanged()}",
                    why="\n".join(said),
                    action="correct what it names, then start a new run; the whole log: "
                    f"./careops kubectl -n {part.namespace} logs job/{part.job(self.name)}",
                )
            )
        return OperationError(ExitCode.REFRESH_FAILED, *problems)

    def _log(self, part: Part, pods: Sequence[Object], count: int = LOG_LINES) -> list[str]:
        if not pods:
            return []
        log = self._cluster.log(part.namespace, _name(pods[-1]), part.template, count).strip().splitlines()
        if part.namespace == Naming(site=self._site, environment="training").namespace:
            # What else is in that log came from Odoo, at work on a database that nobody had verified yet.
            return [line for line in log if line.startswith(ADOPT_PREFIX)]
        return log

    def _never_started(self, part: Part, why: str) -> OperationError:
        return failure(
            ExitCode.REFRESH_FAILED,
            f"{part.title}: did not start within {START_SECONDS / 60:.0f} minutes; {self._unchanged()}",
            why,
            f"see ./careops kubectl -n {part.namespace} describe job {part.job(self.name)}; then start a new run",
        )

    def _unchanged(self) -> str:
        """Return what is true of training now, for an error."""
        match self.swapped():
            case True:
                return "training's data was swapped already"
            case False:
                return "training is as it was"
        return "training's database does not answer, `./careops refresh status` tells what it holds"

    def _take_back(self) -> None:
        """Delete those jobs of this run that have not ended; a job that failed stays, for its log."""
        for part in self._parts:
            path = part.jobs_path(part.job(self.name))
            # Whatever this meets, the other jobs are deleted and the first error is the one that is told.
            with contextlib.suppress(Exception):
                job = self._cluster.get(path)
                if job is not None and jobs.job_state(part, job).phase is Phase.RUNNING:
                    self._cluster.delete(path)


def keep(folder: Path, site: str, outcome: Outcome, started: str, size: int) -> Path:
    """Keep what a run took, for the next plan's estimate.

    Args:
        folder: Where records are.
        site: The site.
        outcome: What came of it.
        started: When, ISO 8601, UTC.
        size: Bytes of prod's database.
    """
    document = {
        "schema": 1,
        "site": site,
        "run": outcome.run,
        "started": started,
        "seconds": outcome.seconds,
        "parts": dict(outcome.parts),
        "bytes": size,
    }
    return write(folder / f"{site}-{outcome.run}.json", json.dumps(document, indent=2) + "\n")


def _starting(error: ApiUnreachable | ApiRefused) -> bool:
    """Return whether an API server may answer so that stops or starts."""
    return isinstance(error, ApiUnreachable) or error.status >= _SERVER_ERROR or error.status == _TOO_MANY


def _name(pod: Object) -> str:
    return str(pod["metadata"]["name"])


def _short(part: Part) -> str:
    return part.template.removeprefix("refresh-")
