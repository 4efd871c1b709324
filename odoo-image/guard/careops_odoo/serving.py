"""Odoo's program with what a pod needs of it: fenced connections, honest probes, and 503 while the database is closed.

Odoo only logs an add-on that it cannot load and goes on without it. What a pod must not be without is therefore put in
place before Odoo's own program runs, and any failure here ends the process.
"""

from __future__ import annotations

import contextlib
import importlib
import os
from typing import TYPE_CHECKING, Any

from . import settings
from .fence import GENERATION, Fence, end_pod, fenced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

READY_PATH, LIVE_PATH = "/careops/ready", "/careops/live"
"""Probes of the kubelet; the edge lets nobody else reach them."""

RETRY_SECONDS = 30
"""After which a client is told to try again while the database is closed; a first guess, migrations differ."""


def main() -> None:
    """Run Odoo's command line, fenced."""
    command = importlib.import_module("odoo.cli")  # first: as the gevent process, Odoo patches what is imported later
    pod = settings.read_pod(os.environ)
    modules = settings.image_modules()
    fence = Fence(
        database=pod.database,
        identity=pod.identity,
        modules=modules,
        generation=os.environ.get(GENERATION) or None,
        end=end_pod,
    )
    sql_db, http = importlib.import_module("odoo.sql_db"), importlib.import_module("odoo.http")
    install(sql_db, http, fence, pod.database)
    command.main()


def install(sql_db: Any, http: Any, fence: Fence, database: str) -> None:  # noqa: ANN401 - Odoo's modules, untyped
    """Fence Odoo's connections and answer what Odoo itself does not.

    Args:
        sql_db: Module ``odoo.sql_db``.
        http: Module ``odoo.http``.
        fence: The check.
        database: The pod's database.
    """
    kind = sql_db.PsycoConnection = fenced(sql_db.PsycoConnection, fence)
    serve, serve_database = http.Application.__call__, http.Request._serve_db  # noqa: SLF001 - Odoo has no other hook

    def call(self: object, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO")
        if path == LIVE_PATH:
            return _answer(start_response, None)
        if path == READY_PATH:
            return _answer(start_response, unready(sql_db, http, database, kind))
        return serve(self, environ, start_response)

    def serve_db(self: object) -> object:
        try:
            return serve_database(self)
        except http.RegistryError as error:
            # Odoo would log the user out and go on without a database, to the page that lists databases.
            if isinstance(error.__cause__, http.psycopg2.OperationalError):
                closed = "The database is closed for maintenance."
                raise http.werkzeug.exceptions.ServiceUnavailable(closed, retry_after=RETRY_SECONDS) from error
            raise

    http.Application.__call__, http.Request._serve_db = call, serve_db  # noqa: SLF001 - as above


def unready(sql_db: Any, http: Any, database: str, kind: type) -> str | None:  # noqa: ANN401 - Odoo's, untyped
    """Return why this process cannot serve its database, None when it can.

    A connection of the fenced kind has passed the fence, and a migration ends it: what answers is the pod's database.
    """
    try:
        registries = http.Registry.registries
        registry = registries[database] if database in registries else http.Registry(database)
        if not registry.ready:
            return "its modules are being loaded"
        with contextlib.closing(sql_db.db_connect(database).cursor()) as cursor:
            cursor.execute("SELECT 1")
            if not isinstance(cursor.connection, kind):
                return "its database connections are not fenced"
    except http.psycopg2.Error as error:
        return " ".join(str(error).split()) or type(error).__name__
    return None


def _answer(start_response: Callable[..., Any], why_not: str | None) -> list[bytes]:
    body = f"not ready: {why_not}\n".encode() if why_not else b"ok\n"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("503 Service Unavailable" if why_not else "200 OK", [*headers, ("Cache-Control", "no-store")])
    return [body]
