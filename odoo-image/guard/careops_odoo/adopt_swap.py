"""The swap of training's database for the next one, and back: one transaction, so there is no state in between.

The database is not closed for it, as a migration closes its own: whoever is killed would leave it closed until the
next run. The first rename locks the database against new sessions and waits for those that are there; they are ended
meanwhile, from a session of our own.
"""

from __future__ import annotations

import importlib
import threading
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from .adopt_marks import DATABASE, LOCK_SPACE, MASK_LOCK, comment
from .database import Server, connect, driver

if TYPE_CHECKING:
    from collections.abc import Generator

    from .settings import Pod

BEFORE = "odoo_before_refresh"
"""What training was before its last refresh: the way back, closed."""
DISCARDED = "odoo_discarded"
"""What a refresh or a rollback put out of the way; dropped at the end of it, or by the next."""

_END_SECONDS = 0.1
_ABANDONED = (
    "SELECT d.oid FROM pg_database d WHERE d.datname = %s AND shobj_description(d.oid, 'pg_database') = %s"
    " AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted"
    " AND l.database = d.oid AND l.classid::bigint = %s AND l.objid::bigint = %s)"
)


class RefreshServer(Server):
    """The maintenance session of an adoption, as the refresh's role.

    Args:
        pod: Where the server is, as the refresh's role.
        main: Training's database.
        owner: Whose it is.
    """

    def __init__(self, pod: Pod, main: str, owner: str) -> None:
        super().__init__(pod)
        self._pod = pod
        self._main = main
        self._owner = owner

    def swap_in(self) -> None:
        """Put the next database in training's place, open for training's role, and keep training as it was."""

        def act() -> None:
            with self._ending(self._main, DATABASE, BEFORE), self._transaction():
                if BEFORE in self.databases():
                    self._execute("ALTER DATABASE {} RENAME TO {}", BEFORE, DISCARDED)
                self._execute("ALTER DATABASE {} RENAME TO {}", self._main, BEFORE)
                self._execute("ALTER DATABASE {} ALLOW_CONNECTIONS false", BEFORE)
                self._execute("ALTER DATABASE {} RENAME TO {}", DATABASE, self._main)
                self._execute("ALTER DATABASE {} OWNER TO {}", self._main, self._owner)
                self._execute("GRANT CONNECT, TEMPORARY ON DATABASE {} TO PUBLIC", self._main)
                self._execute("COMMENT ON DATABASE {} IS NULL", self._main)

        self._patiently(act)

    def swap_back(self) -> None:
        """Exchange training and what it was before."""

        def act() -> None:
            with self._ending(self._main, BEFORE), self._transaction():
                self._execute("ALTER DATABASE {} RENAME TO {}", self._main, DISCARDED)
                self._execute("ALTER DATABASE {} RENAME TO {}", BEFORE, self._main)
                self._execute("ALTER DATABASE {} RENAME TO {}", DISCARDED, BEFORE)
                self._execute("ALTER DATABASE {} ALLOW_CONNECTIONS true", self._main)
                self._execute("ALTER DATABASE {} ALLOW_CONNECTIONS false", BEFORE)

        self._patiently(act)

    def discard(self, run: str) -> bool:
        """Drop a run's next database, once its masking program is gone: nobody has verified what is in it.

        Another run's is never touched: its sessions are ended by the number of the database that was looked at, and it
        is put out of the way under its number again before it is dropped.

        Returns:
            Whether there was one to drop.
        """
        found = self._rows(_ABANDONED, DATABASE, comment(run), LOCK_SPACE, MASK_LOCK)
        if not found:
            return False
        ((number,),) = found
        self.drop(DISCARDED)

        def act() -> None:
            self._rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datid = %s", number)
            with self._transaction():
                self._execute("ALTER DATABASE {} RENAME TO {}", DATABASE, DISCARDED)
                if self._rows("SELECT oid FROM pg_database WHERE datname = %s", DISCARDED) != [(number,)]:
                    raise _ReplacedError

        try:
            self._patiently(act)
        except (_ReplacedError, driver().errors.InvalidCatalogName):
            return False  # another run, or the masking program itself, was quicker
        self.drop(DISCARDED)
        return True

    @contextmanager
    def _ending(self, *names: str) -> Generator[None]:
        """End the sessions of these databases again and again, from another session."""
        stop = threading.Event()
        with closing(_Terminator(self._pod)) as other:

            def end() -> None:
                while not stop.wait(_END_SECONDS):
                    other.end(names)

            other.end(names)
            thread = threading.Thread(target=end, daemon=True)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join()


class _ReplacedError(Exception):
    """The database of that name is another one by now."""


class _Terminator(Server):
    """A session that ends others."""

    def end(self, names: tuple[str, ...]) -> None:
        for name in names:
            self._terminate(name)


def reassign(pod: Pod, owner: str) -> None:
    """Give training's role all that the refresh's role owns in the next database, and take the run's marks away.

    Odoo returns a session to its start between two uses, which ends the role that it acted as.
    """
    sql = importlib.import_module("psycopg2.sql")
    with closing(connect(pod, DATABASE)) as connection:
        connection.autocommit = False
        with connection, connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA IF EXISTS careops_refresh CASCADE")
            names = sql.Identifier(pod.user), sql.Identifier(owner)
            cursor.execute(sql.SQL("REVOKE ALL ON SCHEMA public FROM {}").format(names[1]))
            cursor.execute(sql.SQL("REASSIGN OWNED BY {} TO {}").format(*names))
