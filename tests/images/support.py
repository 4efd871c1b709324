"""Image trees and a throw-away PostgreSQL for tests that need the real thing, but no cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from odoo_image import specs
from odoo_image.build import images
from odoo_image.postgresql_session import Postgresql
from toolchain.images.oci import ImageRef, OciStore
from toolchain.images.sandbox import Bind, Inside, Session, Tree, extract, scratch
from toolchain.paths import Paths

ROOT = Path(__file__).parents[2]
SOCKETS = "/run/postgresql"
ODOO_UID, POSTGRESQL_UID, EDGE_UID = specs.ODOO_USER.number, specs.POSTGRESQL_USER.number, specs.EDGE_USER.number

SETTINGS = {
    "modules": ["crm"],
    "languages": ["en_US"],
    "company": {"name": "Riverside Hospital", "country": "FR", "currency": "EUR", "time_zone": "Europe/Paris"},
    "base_url": "https://riverside-dev.careops.local:8443",
    "baseline": "standard",
    "workers": 0,
    "cron_threads": 0,
    "limits": {"memory_bytes": 0, "cpu_millicores": 0},
    "smtp": {"host": "mail-sink", "port": 1025},
    "banner": "DEVELOPMENT - not for patient data",
    "data_classification": "demo",
}
SECRETS = {
    "identity": "riverside/dev",
    "admin_login": "admin",
    "admin_password": "a-password-of-this-test",
    "master_password": "another-one",
}

CONNECT = """
    import json, os, sys
    import psycopg2
    from careops_odoo import settings
    from careops_odoo.fence import Fence, end_pod, fenced
    pod = settings.read_pod(os.environ)
    image = json.loads(os.environ["IMAGE"])
    fence = Fence(database=pod.database, identity=pod.identity, modules=image, generation=None, end=end_pod)
    kind = fenced(psycopg2.extensions.connection, fence)
    sys.stdout.write("begun\\n"); sys.stdout.flush()
    while True:
        try:
            with psycopg2.connect(host=pod.host, user=pod.user, dbname=pod.database, connection_factory=kind) as opened:
                with opened.cursor() as cursor:
                    cursor.execute(os.environ["STATEMENT"])
            opened.close()
        except (psycopg2.OperationalError, psycopg2.InterfaceError):  # the latter when the block cannot roll back
            pass
"""


def paths() -> Paths:
    return Paths.from_environment(os.environ, ROOT)


def image(name: str) -> ImageRef:
    return images(paths())[name]


def image_layers(name: str) -> list[Path]:
    store = OciStore(paths().oci)
    return [store.blob_path(layer.digest) for layer in store.layers(image(name))]


def unpack(name: str, target: Path) -> Path:
    """Unpack an image's layers, lowest first, as a container runtime would; our layers never remove files."""
    for layer in image_layers(name):
        extract(layer, target)
    return target


@dataclass
class Pod:
    """What the migration's container sees, in a sandbox beside a real PostgreSQL."""

    session: Session
    tree: Path
    data: Path
    postgresql: Postgresql
    sandbox_postgresql: str

    def environment(self, **changes: str) -> dict[str, str]:
        return {
            "CAREOPS_SITE": "riverside",
            "CAREOPS_ENVIRONMENT": "dev",
            "PGHOST": SOCKETS,
            "PGUSER": "odoo",
            "PGDATABASE": "odoo",
            "PGSSLMODE": "disable",
            "PYTHONDONTWRITEBYTECODE": "1",
            **changes,
        }

    def careops(self, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.python_or_program(("/usr/local/bin/careops-odoo", command), environment)

    def python(self, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.python_or_program(_with_guard(program), environment)

    @contextmanager
    def connecting(
        self, statement: str, modules: dict[str, str], **environment: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Keep a fenced pod connecting and running a statement for as long as its fence lets it; yield its process."""
        env = self.environment(IMAGE=json.dumps(modules), STATEMENT=statement, **environment)
        inside = Inside(tree=str(self.tree), argv=_with_guard(CONNECT), uid=ODOO_UID, env=env)
        process = subprocess.Popen(
            self.session.command(inside), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout
            begun = process.stdout.readline()
            assert begun == "begun\n", process.communicate()
            yield process
        finally:
            process.kill()

    def python_or_program(self, argv: tuple[str, ...], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return self.session.run(
            Inside(tree=str(self.tree), argv=argv, uid=ODOO_UID, env=self.environment(**environment))
        )

    def sql(self, database: str, *statements: str) -> str:
        commands = [part for statement in statements for part in ("-c", statement)]
        argv = (
            f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin/psql",
            *("-h", SOCKETS, "-U", "postgres", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, *commands),
        )
        done = self.session.run(Inside(tree=self.sandbox_postgresql, argv=argv, uid=POSTGRESQL_UID))
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def databases(self) -> dict[str, bool]:
        rows = self.sql("postgres", "SELECT datname, datallowconn FROM pg_database WHERE datname LIKE 'odoo%'")
        return {name: allowed == "t" for name, allowed in (row.split("|") for row in rows.splitlines())}

    def write_settings(self, **changes: object) -> None:
        place = self.tree / "etc" / "careops" / "odoo.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({**SETTINGS, **changes}))

    def write_secrets(self, **changes: str) -> None:
        for key, value in {**SECRETS, **changes}.items():
            (self.tree / "secrets-of-the-test" / key).write_text(value)


def _with_guard(program: str) -> tuple[str, ...]:
    """Return the command that runs a program which imports the image's guard."""
    text = "import sys; sys.path.insert(0, '/opt/careops')\n" + textwrap.dedent(program)
    return ("/usr/bin/python3", "-c", text)


@contextmanager
def pod_beside_postgresql(
    title: str, *statements: str, image: str = "odoo", prepare: Callable[[Path], None] = lambda _: None
) -> Iterator[Pod]:
    """Unpack an image into a sandbox beside a running PostgreSQL.

    Args:
        title: Names the scratch folder.
        statements: What the server runs first, in database `postgres`.
        image: The image of the pod.
        prepare: Changes the pod's tree before anything runs.
    """
    with scratch(paths().cache, title) as folder:
        unpack(image, folder / "odoo")
        unpack("postgresql", folder / "postgresql")
        prepare(folder / "odoo")
        with Session(trees(folder)) as session:
            pod = Pod(
                session=session,
                tree=folder / "odoo",
                data=folder / "data",
                postgresql=Postgresql(str(folder / "postgresql"), POSTGRESQL_UID, specs.POSTGRESQL_MAJOR, SOCKETS),
                sandbox_postgresql=str(folder / "postgresql"),
            )
            start_postgresql(pod)
            pod.sql("postgres", *statements)
            yield pod


def play_odoo(tree: Path) -> None:
    """Let `fake_odoo.py` play Odoo in a pod's tree."""
    fake = tree / "usr" / "bin" / "odoo"
    fake.unlink()
    shutil.copy(Path(__file__).with_name("fake_odoo.py"), fake)
    fake.chmod(0o755)


def trees(scratch: Path) -> tuple[Tree, Tree]:
    """Return the odoo and PostgreSQL trees; both share the socket folder, as two pods share a Service."""
    for name in ("sockets", "data", "cluster", "run", "odoo/secrets-of-the-test"):
        (scratch / name).mkdir(parents=True, exist_ok=True)
    for name, uid in (("data", ODOO_UID), ("run", ODOO_UID), ("cluster", POSTGRESQL_UID), ("sockets", POSTGRESQL_UID)):
        os.chown(scratch / name, uid, uid)
    (scratch / "sockets").chmod(0o777)
    sockets = Bind(source=str(scratch / "sockets"), target=SOCKETS)
    return (
        Tree(
            root=str(scratch / "odoo"),
            binds=(
                sockets,
                Bind(source=str(scratch / "data"), target="/var/lib/odoo"),
                Bind(source=str(scratch / "run"), target="/run/odoo"),
                Bind(source=str(scratch / "odoo/secrets-of-the-test"), target="/run/careops/secrets"),
            ),
        ),
        Tree(
            root=str(scratch / "postgresql"),
            binds=(sockets, Bind(source=str(scratch / "cluster"), target="/var/lib/postgresql")),
        ),
    )


def start_postgresql(pod: Pod, *, fresh: bool = True) -> None:
    """Start the server beside a pod; one that was killed keeps its data."""
    programs = f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin"
    data = "/var/lib/postgresql/data"
    make = (
        f"{programs}/initdb -D {data} -U postgres -A trust --no-sync -E UTF8 --locale-provider=builtin "
        f"--builtin-locale=C.UTF-8 --locale=C.UTF-8 >/dev/null && "
    )
    start = f"{programs}/pg_ctl -D {data} -l /tmp/log -w -o '-k {SOCKETS} -c listen_addresses= -c fsync=off' start"
    argv = ("/bin/sh", "-c", f"{make if fresh else ''}{start}")
    done = pod.session.run(Inside(tree=pod.sandbox_postgresql, argv=argv, uid=POSTGRESQL_UID))
    assert done.returncode == 0, done.stdout + done.stderr
