"""What a run that came to nothing left on training's server: a database that nobody verified, dropped at once.

The masking program drops its own, and the adoption that of a masking program that died. Both may have been killed, with
their node; the next run, which drops it as well, may be a month away.
"""

# ruff: noqa: S608 - made of this package's own constants and the name of a run, which is letters and digits
from __future__ import annotations

from typing import TYPE_CHECKING

from infra.naming import Naming
from operations.anonymise.marks import DATABASE, LOCK_SPACE, comment
from operations.errors import OperationError, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

    from operations.refresh.cluster import Cluster
    from operations.refresh.run import Clock

DISCARDED = "odoo_discarded"
"""As in Odoo's image: what is out of the way, and dropped by whoever finds it."""

LEAVE_SECONDS = 60.0
"""How long programs may take to leave it whose Jobs were deleted: a pod gets half a minute to end."""

_SERVER = "postgres"
_PAUSE_SECONDS = 2.0


def drop(cluster: Cluster, site: str, run: str, now: Callable[[], float], sleep: Callable[[float], None]) -> str:
    """Drop the database of a run whose programs are gone; another run's is never touched.

    Args:
        cluster: Where.
        site: The site.
        run: The run.
        now: Seconds, monotonic.
        sleep: Waits.

    Returns:
        Why it is still there; empty when there is none any more.

    Raises:
        OperationError: Training's PostgreSQL does not answer.
    """
    namespace, deadline = Naming(site=site, environment="training").namespace, now() + LEAVE_SECONDS
    late = False
    while found := cluster.ask(namespace, _SERVER, _look(run)):
        busy = found[0][0] != "0"
        if late:
            return (
                f"a program of the run is still at work in {DATABASE}" if busy else f"{DATABASE} could not be dropped"
            )
        late = now() >= deadline
        if not busy:
            cluster.ask(namespace, _SERVER, _put_away(run))
            cluster.ask(namespace, _SERVER, f"DROP DATABASE IF EXISTS {DISCARDED} WITH (FORCE)")
        sleep(_PAUSE_SECONDS)
    return ""


def clean_up(cluster: Cluster, site: str, run: str, clock: Clock, error: BaseException) -> None:
    """Drop the database of a run that an error ended; whatever keeps it there is told beside that error.

    Raises:
        OperationError: As the error was, with what the run left behind; not raised when nothing is left.
    """
    try:
        left = drop(cluster, site, run, clock.now, clock.sleep)
    except Exception as own:  # the error that ended the run comes first
        left = str(own)
    if not left:
        return
    if not isinstance(error, OperationError):
        error.add_note(f"training's server may still hold this run's unverified database: {left}")
        return
    problem = Problem(
        what="Training's server may still hold this run's database, which nobody verified",
        why=left,
        action="the next run drops it: ./careops refresh training",
    )
    raise OperationError(error.code, *error.problems, problem) from error


def _whose(run: str) -> str:
    return f"d.datname = '{DATABASE}' AND shobj_description(d.oid, 'pg_database') = '{comment(run)}'"


def _held() -> str:
    locks = f"l.locktype = 'advisory' AND l.granted AND l.classid = {LOCK_SPACE}"
    return f"FROM pg_locks l WHERE l.database = d.oid AND {locks}"


def _look(run: str) -> str:
    """Return the question how many programs are at work in a run's database; no row where there is none."""
    return f"SELECT (SELECT count(*) {_held()}) FROM pg_database d WHERE {_whose(run)}"


def _put_away(run: str) -> str:
    """Return the statement that gives a run's database another name: looked at and renamed in one transaction."""
    return (
        "DO $$ DECLARE number oid; BEGIN"
        f" SELECT d.oid INTO number FROM pg_database d WHERE {_whose(run)} AND NOT EXISTS (SELECT {_held()});"
        " IF number IS NULL THEN RETURN; END IF;"
        " PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datid = number;"
        f" ALTER DATABASE {DATABASE} RENAME TO {DISCARDED};"
        f" IF NOT EXISTS (SELECT FROM pg_database WHERE oid = number AND datname = '{DISCARDED}') THEN"
        " RAISE EXCEPTION 'another run was quicker'; END IF;"
        " END $$"
    )
