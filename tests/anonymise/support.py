"""A throw-away PostgreSQL with the baselines in it, reached by psycopg over the socket folder it shares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from odoo_image import baseline, specs
from toolchain.images import sandbox
from toolchain.images.rootfs import TAR
from toolchain.images.sandbox import Bind, Inside, Session, Tree
from toolchain.paths import Paths

ROOT = Path(__file__).parents[2]
SOCKETS = "/run/postgresql"
SUPERUSER = "postgres"
PROGRAMS = f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin"
UID = specs.POSTGRESQL_USER.number


def newest(name: str) -> Path:
    """Return the newest artifact of a name; a test that needs one fails without it."""
    cache = Paths.from_environment(os.environ, ROOT).cache
    manifests = sorted((cache / "artifacts").glob(f"{name}-*/manifest.json"), key=lambda path: path.stat().st_mtime)
    assert manifests, f"no artifact {name} in {cache}: run `careops up` once, which makes it"
    return manifests[-1].parent


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running PostgreSQL.

    Attributes:
        sockets: Folder of its socket, as this process sees it; also for files that its programs read.
    """

    session: Session
    tree: str
    sockets: Path

    def conninfo(self, database: str = "postgres", **more: object) -> str:
        """Return how psycopg (or another program of this machine) reaches a database."""
        return psycopg.conninfo.make_conninfo(host=str(self.sockets), user=SUPERUSER, dbname=database, **more)

    def connect(self, database: str = "postgres", **more: object) -> psycopg.Connection:
        """Return an autocommit connection as the superuser."""
        return psycopg.connect(self.conninfo(database), autocommit=True, **more)

    def run(self, program: str, *arguments: str) -> str:
        """Run a program of PostgreSQL beside the server and return its output."""
        argv = (f"{PROGRAMS}/{program}", *arguments)
        environment = {"PGHOST": SOCKETS, "PGUSER": SUPERUSER}
        done = self.session.run(Inside(tree=self.tree, argv=argv, uid=UID, env=environment))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def restore(self, name: str, database: str) -> None:
        """Make a database from a baseline ("standard" or "demo")."""
        dump = self.sockets / f"{name}.dump"
        shutil.copy(newest(baseline.NAME) / name / baseline.DUMP, dump)
        dump.chmod(0o644)
        with self.connect() as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        jobs = ("--jobs=2", "--no-owner", "--exit-on-error", f"--dbname={database}", f"{SOCKETS}/{name}.dump")
        self.run("pg_restore", *jobs)
        dump.unlink()

    @contextmanager
    def copy(self, template: str) -> Iterator[str]:
        """Yield the name of a fresh copy of a database, dropped at the end."""
        with self.connect() as connection:
            taken = connection.execute("SELECT coalesce(max(oid), 0) FROM pg_database").fetchone()
            assert taken
            name = f"{template}_{taken[0]}"
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
            try:
                yield name
            finally:
                connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@contextmanager
def serving(settings: Sequence[str] = ()) -> Iterator[Server]:
    """Run a fresh, empty PostgreSQL until the end of the context.

    Args:
        settings: More ``name=value`` settings of the server.
    """
    cache = Paths.from_environment(os.environ, ROOT).cache
    with sandbox.scratch(cache, "anonymise") as folder:
        sandbox.extract(newest("rootfs-postgresql") / TAR, folder / "postgresql")
        for name, mode in (("sockets", 0o777), ("cluster", 0o700)):
            (folder / name).mkdir()
            (folder / name).chmod(mode)
            os.chown(folder / name, UID, UID)
        binds = (
            Bind(source=str(folder / "sockets"), target=SOCKETS),
            Bind(source=str(folder / "cluster"), target="/var/lib/postgresql"),
        )
        tree = Tree(root=str(folder / "postgresql"), binds=binds)
        with Session([tree]) as session:
            server = Server(session=session, tree=tree.root, sockets=folder / "sockets")
            _start(server, settings)
            yield server


def _start(server: Server, settings: Sequence[str]) -> None:
    data = "/var/lib/postgresql/data"
    locale = ("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
    server.run("initdb", "-D", data, "-U", SUPERUSER, "--auth=trust", "--no-sync", *locale)
    fast = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=4GB")
    options = " ".join(f"-c {setting}" for setting in (*fast, "shared_buffers=256MB", "jit=off", *settings))
    server.run("pg_ctl", "-D", data, "-l", "/tmp/log", "-w", "-o", f"-k {SOCKETS} {options}", "start")
