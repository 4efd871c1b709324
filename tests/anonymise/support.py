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
ALL_SOCKETS = "/run/servers"
DATA = "/var/lib/postgresql/data"
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
        beside: Folder of several servers' socket folders, for programs that talk to two of them.
        settings: ``name=value`` settings of the server beside the usual ones.
    """

    session: Session
    tree: str
    sockets: Path
    beside: Path | None = None
    settings: Sequence[str] = ()

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

    def seen(self, text: str) -> str:
        """Return a text with this process' names of socket folders as its programs see them."""
        own = text.replace(str(self.sockets), SOCKETS)
        return own.replace(str(self.beside), ALL_SOCKETS) if self.beside else own

    def start(self) -> None:
        """Start it, as its container is started again when it was killed."""
        fast = ("listen_addresses=", "fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_wal_size=4GB")
        words = " ".join(f"-c {each}" for each in (*fast, "shared_buffers=256MB", "jit=off", *self.settings))
        # Nobody in the sandbox takes leave of the dead, whose numbers PostgreSQL would take for a running server's.
        self.as_root(f"rm -f {self.tree}{DATA}/postmaster.pid {self.tree}{SOCKETS}/.s.PGSQL.5432*")
        self.run("pg_ctl", "-D", DATA, "-l", "/tmp/log", "-w", "-o", f"-k {SOCKETS} {words}", "start")

    def kill(self) -> None:
        """End every process of it by SIGKILL, as the end of its container or its node does."""
        self.as_root(
            f"cd {self.tree}/proc; first=$(head -n 1 {self.tree}{DATA}/postmaster.pid); "
            'all="$first $(cat $first/task/$first/children)"; kill -9 $all; for each in $all; do '
            "while [ -d $each ] && ! grep -q '^State:.Z' $each/status; do sleep 0.02; done; done"
        )

    def fill(self, leave: int) -> None:
        """Leave only so many bytes free on its own small volume: see `serving`."""
        self.as_root(
            f"cd {self.tree}/var/lib/postgresql; free=$(df --output=avail -B1 . | tail -n 1); "
            f"head -c $((free - {leave})) /dev/zero >ballast"
        )

    def empty(self) -> None:
        """Take back what `fill` did."""
        self.as_root(f"rm -f {self.tree}/var/lib/postgresql/ballast")

    def as_root(self, script: str) -> str:
        """Run a script of the machine's own shell among the mounts and processes of the server's sandbox."""
        done = self.session.run(Inside(tree="/", argv=("/bin/sh", "-ec", script), uid=0))
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
def serving(settings: Sequence[str] = (), *, beside: Path | None = None, volume: int = 0) -> Iterator[Server]:
    """Run a fresh, empty PostgreSQL until the end of the context.

    Args:
        settings: More ``name=value`` settings of the server.
        beside: Folder for its socket folder, for programs that talk to two servers; each server gets all of it.
        volume: Bytes of a volume of its own, which can be filled; 0 for the machine's disk.
    """
    cache = Paths.from_environment(os.environ, ROOT).cache
    with sandbox.scratch(cache, "anonymise") as folder:
        sandbox.extract(newest("rootfs-postgresql") / TAR, folder / "postgresql")
        sockets = (beside or folder) / f"sockets-{folder.name}"
        for place, mode in ((sockets, 0o777), (folder / "cluster", 0o700)):
            place.mkdir()
            place.chmod(mode)
            os.chown(place, UID, UID)
        binds = (
            Bind(source=str(sockets), target=SOCKETS),
            *([Bind(source=str(beside), target=ALL_SOCKETS)] if beside else []),
            Bind(source=str(folder / "cluster"), target="/var/lib/postgresql"),
        )
        tree = Tree(root=str(folder / "postgresql"), binds=binds)
        with Session([tree]) as session:
            server = Server(session=session, tree=tree.root, sockets=sockets, beside=beside, settings=settings)
            if volume:
                options = f"size={volume},uid={UID},gid={UID},mode=0700"
                server.as_root(f"mount -t tmpfs -o {options} tmpfs {tree.root}/var/lib/postgresql")
            locale = ("--locale=C.UTF-8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--encoding=UTF8")
            server.run("initdb", "-D", DATA, "-U", SUPERUSER, "--auth=trust", "--no-sync", *locale)
            server.start()
            yield server
