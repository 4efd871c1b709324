"""Connections to the source and the target of a transfer: silent logs, one snapshot, settings for the work."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from operations.anonymise.faults import TransferError, of_database
from operations.anonymise.rules.functions import FUNCTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

_SILENT = {
    "log_min_messages": "panic",
    "log_min_error_statement": "panic",
    "log_statement": "none",
    "log_min_duration_statement": "-1",
    "log_min_duration_sample": "-1",
    "log_transaction_sample_rate": "0",
    "log_duration": "off",
    "log_statement_stats": "off",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "debug_print_parse": "off",
    "debug_print_rewritten": "off",
    "debug_print_plan": "off",
}
_SILENT_EXTENSIONS = {
    "auto_explain.log_min_duration": "-1",
    "pgaudit.log": "none",
    "pgaudit.role": "",
}
"""Settings that exist only where the library is loaded."""

_READING = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "client_encoding": "UTF8",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "row_security": "off",  # a policy that hides rows is an error, not a smaller copy
    "work_mem": "64MB",
    "jit": "off",
    "enable_memoize": "off",  # the same texts are rare, and the cache costs more than a digest
    "max_parallel_workers_per_gather": "0",  # the work is split over sessions already
    "search_path": "public, pg_catalog",
}
_WRITING = {
    "TimeZone": "UTC",
    "client_encoding": "UTF8",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    # Nothing is lost that counts: the database is not live until all is written, verified and swapped in.
    "synchronous_commit": "off",
    "maintenance_work_mem": "512MB",
}


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A database.

    Attributes:
        conninfo: How libpq reaches it, without a password.
        password: Handed over in memory or the environment of a child, never in an argument; empty for none.
        server: What messages call its server: see `faults`.
    """

    conninfo: str
    password: str = field(default="", repr=False)
    server: str = ""

    def connect(self) -> psycopg.Connection[Any]:
        """Return an autocommit connection.

        Raises:
            TransferError: It cannot be reached.
        """
        try:
            return psycopg.connect(self.conninfo, autocommit=True, password=self.password or None)
        except psycopg.Error as error:
            action = "check that the database runs and lets this role in"
            raise of_database("connect", error, action=action, server=self.server) from None

    def with_options(self, options: Mapping[str, str]) -> str:
        """Return the conninfo with session settings beside those that it has."""
        own = str(conninfo_to_dict(self.conninfo).get("options") or "")
        text = " ".join(f"-c {name}={value}" for name, value in options.items())
        return make_conninfo(self.conninfo, options=f"{own} {text}".strip())


def silence(connection: psycopg.Connection[Any]) -> None:
    """Make the server log nothing of this session, and prove it.

    A session of a superuser switches its logging off itself; another one only passes where nothing is on.

    Raises:
        TransferError: A setting would let keys or values into the server's log.
    """
    loud = []
    for name, wanted in {**_SILENT, **_SILENT_EXTENSIONS}.items():
        row = connection.execute("SELECT current_setting(%s, true)", (name,)).fetchone()
        if row is None or row[0] is None:
            continue
        try:
            connection.execute("SELECT set_config(%s, %s, false)", (name, wanted))
        except psycopg.errors.InsufficientPrivilege:
            if not _quiet(name, row[0], wanted):
                loud.append(f"{name} is {row[0]}, not {wanted}")
    if loud:
        raise TransferError("check", "; ".join(loud), "set them so on the isolated server: its log would hold values")


def _quiet(name: str, value: str, wanted: str) -> bool:
    if name == "log_statement":
        return value in {"none", "ddl"}
    if name in {"log_min_messages", "log_min_error_statement"}:
        return value in {"fatal", "panic"}
    # Parameters are only logged with the statements that the other settings keep out.
    return value == wanted or name == "log_parameter_max_length"


def configure(connection: psycopg.Connection[Any], settings: Mapping[str, str]) -> None:
    """Set session settings from bound parameters, which no statement's text holds."""
    with connection.cursor() as cursor:
        for name, value in settings.items():
            cursor.execute("SELECT set_config(%s, %s, false)", (name, value))


def reader(source: Endpoint, secrets: Mapping[str, str], snapshot: str = "") -> psycopg.Connection[Any]:
    """Return a session that masks while it reads, inside a read-only transaction.

    Args:
        source: The isolated copy.
        secrets: Settings with the run's keys: see `compile.session_settings`.
        snapshot: A snapshot that another such session exported; empty to take a new one.

    Raises:
        TransferError: The session cannot be had, or its server would log values.
    """
    connection = source.connect()
    try:
        silence(connection)
        configure(connection, {**_READING, **secrets})
        connection.execute(FUNCTIONS.encode())
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        if snapshot:
            connection.execute(f"SET TRANSACTION SNAPSHOT '{snapshot}'".encode())
    except psycopg.Error as error:
        connection.close()
        action = "give the role the right to make temporary objects"
        raise of_database("check", error, action=action, server=source.server) from None
    except BaseException:
        connection.close()
        raise
    return connection


def writer(target: Endpoint) -> psycopg.Connection[Any]:
    """Return a session for writing to a database that is not live.

    Raises:
        TransferError: The session cannot be had.
    """
    connection = target.connect()
    try:
        configure(connection, _WRITING)
    except psycopg.Error as error:
        connection.close()
        raise of_database("check", error, server=target.server) from None
    return connection
