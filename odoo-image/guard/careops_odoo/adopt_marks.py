"""How the adoption meets the masking program: marks in the next database, and a lock that lasts as long as it lives.

The other side is operations/anonymise/marks.py, which the Odoo image does not have.
"""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from .database import connect, driver
from .errors import CommandError, NotYet, Refused, StepFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from .settings import Pod

DATABASE = "odoo_refresh"
LOCK_SPACE = 0x63617265
MASK_LOCK, ADOPT_LOCK = 2, 3
STARTED, MASKED, ADOPTED, VERIFIED, FAILED = "started", "masked", "adopted", "verified", "failed"
GRACE_SECONDS = 60.0
"""How long a partner that was there may be away."""
PAUSE_SECONDS = 1.0
_TOLD_TO_GO = "57P01"  # admin_shutdown

_HAS_STATE = "SELECT to_regclass('careops_refresh.state') IS NOT NULL"
_READ = "SELECT step, detail FROM careops_refresh.state WHERE detail->>'run' = %s"
_WRITE = (
    "INSERT INTO careops_refresh.state (step, detail) VALUES (%s, %s::jsonb)"
    " ON CONFLICT (step) DO UPDATE SET at = now(), detail = excluded.detail"
)
_WHOSE = (
    "SELECT pg_get_userbyid(datdba) = session_user, coalesce(shobj_description(oid, 'pg_database'), '')"
    " FROM pg_database WHERE datname = current_database()"
)
_PRESENT = (
    "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid::bigint = %s"
    " AND objid::bigint = %s AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


def comment(run: str) -> str:
    """Return the comment that the masking program leaves on its database before it lets anybody in."""
    return f"careops: refresh {run}"


class Meeting:
    """A run's marks, seen and left from training's side.

    Args:
        pod: Where the next database is, and whose sessions may enter it.
        run: Which run's marks count.
        wait_seconds: How long a partner that was never there is waited for.
        say: Told why it waits.
    """

    def __init__(self, pod: Pod, run: str, wait_seconds: float, say: Callable[[str], None]) -> None:
        self._pod = pod
        self._run = run
        self._wait = wait_seconds
        self._say = say
        self._connection: Any = None

    def close(self) -> None:
        """Leave: the lock is free."""
        if self._connection is not None:
            with contextlib.suppress(driver().Error):
                self._connection.close()
            self._connection = None

    def wait(self, step: str) -> dict[str, Any]:
        """Wait for a mark of the masking program and return what it says.

        Raises:
            NotYet: The program never came, or has died.
            StepFailed: It has given up; its own log says why.
        """
        began, last_alive, told = time.monotonic(), None, ""
        while True:
            why, alive = "", False
            try:
                if self._enter():
                    marks = self._read()
                    alive = self._partner()
                    if FAILED in marks:
                        raise self._gave_up(marks[FAILED].get("why", "it did not say why"))
                    if step in marks:
                        return marks[step]
                else:
                    why = "this run's database is not there yet"
            except (Unavailable, driver().Error) as error:
                if self._connection is not None:
                    self.close()
                    raise self._parted(error) from error
                why = "this run's database is not there yet"
            now = time.monotonic()
            last_alive = now if alive else last_alive
            self._give_up(step, began, last_alive)
            reason = why or "the masking program is at work"
            if reason != told:
                self._say(f"waiting for the mark {step}: {reason}")
                told = reason
            time.sleep(PAUSE_SECONDS)

    def leave_mark(self, step: str, **detail: object) -> None:
        """Leave a mark; when it is on disk, so is everything before it."""
        self._connection.autocommit = False
        with self._connection, self._connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = on")
            cursor.execute(_WRITE, (step, json.dumps({**detail, "run": self._run})))
        self._connection.autocommit = True

    def fail(self, why: str) -> None:
        """Tell the masking program that there is nothing to wait for; when it cannot be told, it sees us gone."""
        if self._connection is None:
            return
        with contextlib.suppress(driver().Error):
            self.leave_mark(FAILED, why=why, by="adopt")

    def _enter(self) -> bool:
        """Be in the database and hold the lock, once it is known to be this run's.

        Raises:
            Refused: It has this run's marks, and was not made by the masking program.
        """
        if self._connection is not None:
            return True
        connection = connect(self._pod, DATABASE)
        with connection.cursor() as cursor:
            cursor.execute(_HAS_STATE)
            mine = cursor.fetchone() == (True,)
            if mine:
                cursor.execute(_READ, (self._run,))
                mine = cursor.fetchone() is not None
            if mine:
                cursor.execute(_WHOSE)
                owned, said = cursor.fetchone()
                if not owned or said != comment(self._run):
                    connection.close()
                    raise _forged("another role made it" if not owned else "its comment is not this run's")
                # As in marks.py: a node that dies must not seem to live for hours.
                for name, value in (("idle", "10"), ("interval", "5"), ("count", "3")):
                    cursor.execute("SELECT set_config(%s, %s, false)", (f"tcp_keepalives_{name}", value))
                cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_SPACE, ADOPT_LOCK))
                mine = cursor.fetchone() == (True,)
        if not mine:
            connection.close()
            return False
        self._connection = connection
        return True

    def _read(self) -> dict[str, dict[str, Any]]:
        with self._connection.cursor() as cursor:
            cursor.execute(_READ, (self._run,))
            return dict(cursor.fetchall())

    def _partner(self) -> bool:
        with self._connection.cursor() as cursor:
            cursor.execute(_PRESENT, (LOCK_SPACE, MASK_LOCK))
            return cursor.fetchone() is not None

    def _give_up(self, step: str, began: float, last_alive: float | None) -> None:
        now = time.monotonic()
        if last_alive is not None and now - last_alive > GRACE_SECONDS:
            raise NotYet(
                f"the masking program has died before the mark {step}",
                why=f"it was there, and has not been for {GRACE_SECONDS:.0f} s",
                action="see the log of the Job refresh-mask of this run; start a new run",
            )
        if last_alive is None and now - began > self._wait:
            raise NotYet(
                f"waited in vain for the mark {step}",
                why=f"the masking program of run {self._run} has not come for {self._wait:.0f} s",
                action="see whether the Job refresh-mask of this run exists and its pod runs; start a new run",
            )

    def _parted(self, error: BaseException) -> CommandError:
        """Return what the end of our session in the database means."""
        # By what PostgreSQL tells those whose database is dropped; a server that is killed tells nothing.
        if isinstance(error, Unavailable) or getattr(error, "pgcode", None) == _TOLD_TO_GO:
            return self._gave_up("its database is gone or closed")
        return Unavailable(
            "training's PostgreSQL ended, or ended the session; training is as it was",
            why=f"PostgreSQL's client reports {type(error).__name__}",
            action="see why it ended, and start a new run",
        )

    def _gave_up(self, why: str) -> StepFailed:
        return StepFailed(
            "the masking program has given up; training is as it was",
            why=why,
            action="see the log of the Job refresh-mask of this run",
        )


def _forged(why: str) -> Refused:
    return Refused(
        f"{DATABASE} has this run's marks, but the masking program did not make it",
        why=why,
        action=f"see who made it, drop it (DROP DATABASE {DATABASE}), and start a new run; training is as it was",
    )
