"""What a refresh would do, read from the databases before anything is started; and what stands in its way."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from infra.naming import Naming
from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode
from operations.refresh.jobs import Phase, of_part, rollback_part, run_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from infra.settings import StackSettings
    from operations.refresh.cluster import Cluster
    from operations.refresh.jobs import JobState, Part

DATABASE = "odoo"
PREVIOUS = "odoo_before_refresh"
GENERATION = "careops.generation"
COPY_FACTOR = 1.5
"""What the isolated copy takes, in sizes of prod's database: the tables again, write-ahead log and sorting aside."""

_PARAMETERS = "SELECT key, value FROM ir_config_parameter WHERE key IN ('careops.release', 'careops.generation')"
_FILES = (
    "SELECT count(*), coalesce(sum(file_size), 0) FROM"
    " (SELECT DISTINCT store_fname, file_size FROM ir_attachment WHERE store_fname IS NOT NULL) f"
)
_SIZES = "SELECT datname, pg_database_size(datname) FROM pg_database WHERE datname LIKE 'odoo%'"


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the two environments.

    Attributes:
        identity: `<site>/<environment>`.
        release: Version of Odoo's package that its database was last migrated for; empty when unknown.
        bytes: Size of its database.
        files: How many files its attachments name.
        file_bytes: Their size.
    """

    identity: str
    release: str
    bytes: int
    files: int
    file_bytes: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a refresh would do.

    Attributes:
        site: The site.
        source: Where the data comes from.
        target: What is replaced.
        generation: The run that made training's present data; empty when it was not made by a refresh.
        previous: Size of the database that a rollback would bring back now, which the run drops; 0 for none.
        seconds: How long it may take by the last run; None when there was none.
        last: The run that says so.
    """

    site: str
    source: Side
    target: Side
    generation: str = ""
    previous: int = 0
    seconds: float | None = None
    last: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {"schema": 1, **asdict(self)}


def refuse_unless_ready(cluster: Cluster, site: str, rollback: Part | None = None) -> None:
    """Raise when the templates are not deployed, or another run is under way.

    Args:
        cluster: Where.
        site: The site.
        rollback: The rollback's part, when that is what is asked for.

    Raises:
        OperationError: With `DEPLOYMENT` for what is not deployed, with `LOCK_HELD` for another run.
    """
    wanted = [rollback] if rollback else run_parts(site)
    missing = [part for part in wanted if cluster.get(part.template_path) is None]
    if missing:
        problems = [
            Problem(
                what=f"The job template {part.template} is not in {part.namespace}",
                why="prod and training declare it, once their site's settings have `refresh:`",
                action="deploy both: ./careops up; when somebody deleted it by hand: ./careops up --refresh",
            )
            for part in missing
        ]
        raise OperationError(ExitCode.DEPLOYMENT, *problems)
    if running := unfinished(cluster, site):
        first = running[0]
        raise OperationError(
            ExitCode.LOCK_HELD,
            Problem(
                what=f"A refresh of {site}/training is under way: run {first.run}, since {first.started or 'now'}",
                why="two runs would replace each other's data",
                action=f"wait for it: ./careops refresh status; or end it: "
                f"./careops kubectl -n {first.part.namespace} delete job {first.part.job(first.run)}",
            ),
        )


def unfinished(cluster: Cluster, site: str) -> list[JobState]:
    """Return the jobs of a site's refresh or rollback that have not ended."""
    return [state for state in all_jobs(cluster, site) if state.phase is Phase.RUNNING]


def all_jobs(cluster: Cluster, site: str) -> list[JobState]:
    """Return every job of a site's refresh and rollback that the cluster still knows, the newest first of each part."""
    found = []
    for part in (*run_parts(site), rollback_part(site)):
        jobs = (cluster.get(part.jobs_path()) or {}).get("items", [])
        found += of_part(part, jobs)
    return found


@dataclass(frozen=True, kw_only=True)
class LeftOut:
    """A run of the schedule that the cluster did not let begin.

    Attributes:
        at: When, ISO 8601, UTC.
        why: Why, for people.
    """

    at: str
    why: str


def left_out(cluster: Cluster, site: str) -> list[LeftOut]:
    """Return what the schedule could not start, the newest first: what the cluster remembers, which is an hour."""
    part = run_parts(site)[-1]
    about = f"involvedObject.kind=CronJob,involvedObject.name={part.template},reason=FailedCreate"
    events = (cluster.get(f"/api/v1/namespaces/{part.namespace}/events", fieldSelector=about) or {}).get("items", [])
    found = [
        LeftOut(
            at=event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp", ""),
            why=event["message"].rpartition("denied request: ")[2],
        )
        for event in events
    ]
    return sorted(found, key=lambda each: each.at, reverse=True)


def make_plan(cluster: Cluster, site: str, records: Sequence[Mapping[str, Any]] = ()) -> Plan:
    """Read what a refresh of a site would do.

    Args:
        cluster: Where.
        site: The site.
        records: Of earlier runs, the newest first; see `record`.

    Raises:
        OperationError: With `UNHEALTHY`, when a database does not answer.
    """
    prod, training = (Naming(site=site, environment=name) for name in ("prod", "training"))
    source, _, _ = _side(cluster, prod)
    target, parameters, sizes = _side(cluster, training)
    last = next((record for record in records if record.get("site") == site and record.get("bytes")), None)
    return Plan(
        site=site,
        source=source,
        target=target,
        generation=parameters.get(GENERATION, ""),
        previous=sizes.get(PREVIOUS, 0),
        seconds=None if last is None else _estimate(last, source.bytes),
        last="" if last is None else str(last["run"]),
    )


def generation(cluster: Cluster, site: str) -> str:
    """Return the run that made training's present data; empty when it was not made by a refresh."""
    rows = cluster.ask(Naming(site=site, environment="training").namespace, DATABASE, _PARAMETERS)
    return dict(_pairs(rows)).get(GENERATION, "")


def refuse_without_room(plan: Plan, training: StackSettings) -> None:
    """Raise when the declared volumes cannot hold what the run makes, before hours are spent on it.

    Raises:
        OperationError: With `SETTINGS_INVALID`; every problem at once.
    """
    from infra.quantities import memory_bytes

    refresh = training.site.refresh
    if refresh is None:
        raise OperationError(ExitCode.SETTINGS_INVALID, no_refresh(plan.site))
    problems = []
    isolated = memory_bytes(refresh.sizes.isolated_storage)
    if plan.source.bytes * COPY_FACTOR > isolated:
        problems.append(
            Problem(
                what=f"The isolated copy of {amount(plan.source.bytes)} does not fit into {amount(isolated)}",
                why=f"it needs {COPY_FACTOR} times the database, and loses everything when it is full",
                action=f"raise refresh.sizes.isolated_storage in sites/{plan.site}.yaml, then ./careops up",
            )
        )
    volume = memory_bytes(training.settings.database.storage)
    if plan.source.bytes + plan.target.bytes > volume:
        problems.append(
            Problem(
                what=f"Training's database volume of {amount(volume)} cannot hold the present and the next database",
                why=f"{amount(plan.target.bytes)} stay for a rollback, {amount(plan.source.bytes)} come",
                action=f"raise database.storage in Pulumi.{training.stack}.yaml, then ./careops up {training.stack}",
            )
        )
    if problems:
        raise OperationError(ExitCode.SETTINGS_INVALID, *problems)


def records(folder: Path) -> list[dict[str, Any]]:
    """Return the records of earlier runs, the newest first; what cannot be read is left out."""
    found = []
    for path in sorted(folder.glob("*.json"), reverse=True):
        try:
            found.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda record: str(record.get("started", "")), reverse=True)


def amount(size: float) -> str:
    """Return bytes for people."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:  # noqa: PLR2004 - of one unit
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"


def no_refresh(site: str) -> Problem:
    """Return the problem of a site whose settings have no refresh."""
    return Problem(
        what=f"The site {site} has no refresh",
        why=f"sites/{site}.yaml has no `refresh:`",
        action="add it (its settings: ./careops config schema), then ./careops up",
    )


def _side(cluster: Cluster, names: Naming) -> tuple[Side, dict[str, str], dict[str, int]]:
    parameters = dict(_pairs(cluster.ask(names.namespace, DATABASE, _PARAMETERS)))
    sizes = {name: int(size) for name, size in _pairs(cluster.ask(names.namespace, DATABASE, _SIZES))}
    ((count, size),) = _pairs(cluster.ask(names.namespace, DATABASE, _FILES))
    side = Side(
        identity=names.identity,
        release=parameters.get("careops.release", ""),
        bytes=sizes[DATABASE],
        files=int(count),
        file_bytes=int(size),
    )
    return side, parameters, sizes


def _pairs(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(row[0], row[1]) for row in rows]


def _estimate(record: Mapping[str, Any], size: int) -> float:
    """Return seconds by the last run; a smaller database is not promised to be quicker."""
    return float(record["seconds"]) * max(1.0, size / float(record["bytes"]))
