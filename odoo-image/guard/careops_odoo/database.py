"""What the guard and the migration ask of PostgreSQL."""

from __future__ import annotations

import importlib
import json
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import Unavailable
from .identity import PARAMETER, Mark

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from .settings import Pod

MAINTENANCE = "postgres"
MODULES_PARAMETER = "careops.modules"
PERSONAL_PARAMETER = "careops.settings"
RELEASE_PARAMETER = "careops.release"
GENERATION_PARAMETER = "careops.generation"
"""The run of the refresh that made the database; absent in one that no refresh made."""
READY = "careops: ready "
"""Beginning of the comment on a copy that is complete; what follows is the fingerprint of what it was made for."""

LOCK_KEY = 0x6361_7265_6F70_73
"""Advisory lock of a migration; any number works, this one spells "careops"."""

BUSY_SECONDS = 60.0
"""How long another session, such as the operator's metrics query, may keep a database from being copied or renamed."""

_BUSY = "55006"  # object_in_use


def driver() -> Any:  # noqa: ANN401 - a module the image has and the building machine need not have
    """Return psycopg2."""
    return importlib.import_module("psycopg2")


def connect(pod: Pod, database: str) -> Any:  # noqa: ANN401 - psycopg2's connection
    """Open a connection; password, certificate and verification come from libpq's variables.

    Raises:
        Unavailable: The server or the database does not accept it.
    """
    psycopg2 = driver()
    try:
        # Keepalives: when this pod dies, its session and with it the migration's lock end within half a minute.
        connection = psycopg2.connect(
            host=pod.host,
            port=pod.port,
            user=pod.user,
            dbname=database,
            sslmode=pod.sslmode,
            connect_timeout=10,
            application_name="careops",
            **({"options": f"-c role={pod.acts_as} -c synchronous_commit=off"} if pod.acts_as else {}),
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
        )
    except psycopg2.OperationalError as error:
        raise Unavailable(
            f"database {database} on {pod.host} does not accept a connection",
            why=str(error).strip(),
            action="see the PostgreSQL cluster's state; the pod tries again",
        ) from error
    connection.autocommit = True
    return connection


@dataclass(frozen=True, kw_only=True)
class Facts:
    """A database as the server lists it: whether it accepts connections, and the comment on it."""

    open: bool
    comment: str

    @property
    def ready_for(self) -> str | None:
        """The fingerprint it was completed for, None for any other database."""
        return self.comment.removeprefix(READY) if self.comment.startswith(READY) else None


class Server:
    """The maintenance session of one migration: creates, renames and drops databases, and holds the lock."""

    def __init__(self, pod: Pod) -> None:
        self._connection = connect(pod, MAINTENANCE)

    def close(self) -> None:
        """End the session and release the lock."""
        self._connection.close()

    def lock(self, seconds: float) -> bool:
        """Take the migration's lock, waiting at most so long; it lasts as long as this session."""
        deadline = time.monotonic() + seconds
        while not self._value("SELECT pg_try_advisory_lock(%s)", LOCK_KEY):
            if time.monotonic() >= deadline:
                return False
            time.sleep(1)
        return True

    def databases(self) -> dict[str, Facts]:
        """Return the databases by name."""
        rows = self._rows(
            "SELECT datname, datallowconn, coalesce(shobj_description(oid, 'pg_database'), '') FROM pg_database"
        )
        return {name: Facts(open=is_open, comment=comment) for name, is_open, comment in rows}

    def allow_connections(self, name: str, *, allowed: bool) -> None:
        """Open a database, or close it and end its sessions; a closed one refuses even superusers."""
        self._execute(f"ALTER DATABASE {{}} ALLOW_CONNECTIONS {'true' if allowed else 'false'}", name)
        if not allowed:
            self._terminate(name)

    def copy(self, template: str, name: str) -> None:
        """Create a database as a copy of a closed one."""
        self._patiently(lambda: self._execute("CREATE DATABASE {} TEMPLATE {}", name, template), template)

    def drop(self, name: str) -> None:
        """Drop a database and its sessions, if it exists."""
        self._patiently(lambda: self._execute("DROP DATABASE IF EXISTS {}", name), name)

    def mark_ready(self, name: str, fingerprint: str) -> None:
        """Declare a copy complete."""
        self._execute("COMMENT ON DATABASE {} IS " + f"'{READY}{fingerprint}'", name)

    def swap(self, main: str, replacement: str, previous: str) -> None:
        """Put the replacement in main's place and keep main, closed, as previous: in one transaction, or not at all."""

        def rename() -> None:
            with self._transaction():
                self._execute("ALTER DATABASE {} RENAME TO {}", main, previous)
                self._execute("ALTER DATABASE {} RENAME TO {}", replacement, main)

        self._patiently(rename, main, replacement)

    def rename(self, name: str, target: str) -> None:
        """Rename a database."""
        self._patiently(lambda: self._execute("ALTER DATABASE {} RENAME TO {}", name, target), name)

    def _patiently(self, act: Callable[[], None], *names: str) -> None:
        """Do something that fails while others are connected, ending our own sessions and waiting for the rest."""
        deadline = time.monotonic() + BUSY_SECONDS
        while True:
            for name in names:
                self._terminate(name)
            try:
                return act()
            except driver().Error as error:
                if error.pgcode != _BUSY or time.monotonic() >= deadline:
                    raise
            time.sleep(0.5)

    def _terminate(self, name: str) -> None:
        self._rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = %s AND pg_has_role(usesysid, 'USAGE') AND pid <> pg_backend_pid()",
            name,
        )

    @contextmanager
    def _transaction(self) -> Generator[None]:
        self._connection.autocommit = False
        try:
            with self._connection:
                yield
        finally:
            self._connection.autocommit = True

    def _execute(self, statement: str, *names: str) -> None:
        sql = importlib.import_module("psycopg2.sql")
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*(sql.Identifier(name) for name in names)))

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()

    def _value(self, query: str, *values: object) -> Any:  # noqa: ANN401 - whatever the query returns
        return self._rows(query, *values)[0][0]


@dataclass(frozen=True, kw_only=True)
class Content:
    """What an Odoo database holds, as far as the migration cares.

    Attributes:
        empty: No table at all.
        identity: Owner named by its mark.
        installed: Installed modules.
        unfinished: Modules that an interrupted Odoo left between two states.
        checksums: Module -> checksum recorded by the last migration.
        versions: Installed module -> version that Odoo recorded when it last installed or updated it.
        release: Version of Odoo's package that the last migration ran; None before releases were recorded.
        personal: Digest of the settings that the last migration wrote.
        generation: Run of the refresh that made the database, None where none did.
        languages: Active locale codes.
    """

    empty: bool
    identity: str | None = None
    installed: frozenset[str] = frozenset()
    unfinished: frozenset[str] = frozenset()
    checksums: Mapping[str, str]
    versions: Mapping[str, str] = field(default_factory=dict)
    release: str | None = None
    personal: str | None = None
    generation: str | None = None
    languages: frozenset[str] = frozenset()

    @property
    def mark(self) -> Mark:
        """The database's mark."""
        return Mark(part="database", empty=self.empty, identity=self.identity)


def read_content(pod: Pod, database: str) -> Content:
    """Look into a database.

    Raises:
        Unavailable: It does not accept connections.
    """
    with closing(connect(pod, database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        )
        tables = {name for (name,) in cursor.fetchall()}
        if not {"ir_config_parameter", "ir_module_module", "res_lang"} <= tables:
            return Content(empty=not tables, checksums={})
        cursor.execute("SELECT key, value FROM ir_config_parameter WHERE key LIKE 'careops.%'")
        parameters: dict[str, str] = dict(cursor.fetchall())
        cursor.execute(
            "SELECT name, state, latest_version FROM ir_module_module"
            " WHERE state NOT IN ('uninstalled', 'uninstallable')"
        )
        modules: list[tuple[str, str, str | None]] = cursor.fetchall()
        cursor.execute("SELECT code FROM res_lang WHERE active")
        languages = frozenset(code for (code,) in cursor.fetchall())
    return Content(
        empty=False,
        identity=parameters.get(PARAMETER),
        installed=frozenset(name for name, state, _ in modules if state == "installed"),
        unfinished=frozenset(name for name, state, _ in modules if state != "installed"),
        checksums=json.loads(parameters.get(MODULES_PARAMETER, "{}")),
        versions={name: version for name, _, version in modules if version},
        release=parameters.get(RELEASE_PARAMETER),
        personal=parameters.get(PERSONAL_PARAMETER),
        generation=parameters.get(GENERATION_PARAMETER),
        languages=languages,
    )


@dataclass(frozen=True, kw_only=True)
class Marks:
    """What a migration leaves in the database to say whose it is and what it was brought to; see `Content`."""

    identity: str
    modules: Mapping[str, str]
    personal: str
    release: str


def record(pod: Pod, database: str, marks: Marks) -> None:
    """Write a migration's marks, in one transaction."""
    values = {
        PARAMETER: marks.identity,
        MODULES_PARAMETER: json.dumps(dict(marks.modules), sort_keys=True, separators=(",", ":")),
        PERSONAL_PARAMETER: marks.personal,
        RELEASE_PARAMETER: marks.release,
    }
    write_parameters(pod, database, values)


def write_parameters(pod: Pod, database: str, values: Mapping[str, str]) -> None:
    """Write parameters of Odoo, all of them or none."""
    with closing(connect(pod, database)) as connection:
        connection.autocommit = False
        with connection, connection.cursor() as cursor:
            for key, value in values.items():
                # As Odoo's own rows: created by user 1 (the superuser), now.
                cursor.execute(
                    "INSERT INTO ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)"
                    " VALUES (%s, %s, 1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date",
                    (key, value),
                )


def analyse(pod: Pod, database: str) -> None:
    """Refresh the planner's statistics, which a restore does not bring along."""
    with closing(connect(pod, database)) as connection, connection.cursor() as cursor:
        cursor.execute("ANALYZE")
