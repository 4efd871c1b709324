"""Image trees and a throw-away PostgreSQL for tests that need the real thing, but no cluster."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from dataclasses import dataclass
from pathlib import Path

from odoo_image import specs
from odoo_image.build import images
from odoo_image.postgresql_session import Postgresql
from toolchain.images.oci import ImageRef, OciStore
from toolchain.images.sandbox import Bind, Inside, Session, Tree, unpack_image
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


def paths() -> Paths:
    return Paths.from_environment(os.environ, ROOT)


def image(name: str) -> ImageRef:
    return images(paths())[name]


def image_layers(name: str) -> list[Path]:
    store = OciStore(paths().oci)
    return [store.blob_path(layer.digest) for layer in store.layers(image(name))]


def unpack(name: str, target: Path) -> Path:
    unpack_image(image_layers(name), target)
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
        text = "import sys; sys.path.insert(0, '/opt/careops')\n" + textwrap.dedent(program)
        return self.python_or_program(("/usr/bin/python3", "-c", text), environment)

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


def start_postgresql(pod: Pod) -> None:
    programs = f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin"
    data = "/var/lib/postgresql/data"
    shell = (
        f"{programs}/initdb -D {data} -U postgres -A trust --no-sync -E UTF8 --locale-provider=builtin "
        f"--builtin-locale=C.UTF-8 --locale=C.UTF-8 >/dev/null && "
        f"{programs}/pg_ctl -D {data} -l /tmp/log -w -o '-k {SOCKETS} -c listen_addresses= -c fsync=off' start"
    )
    argv = ("/bin/sh", "-c", shell)
    done = pod.session.run(Inside(tree=pod.sandbox_postgresql, argv=argv, uid=POSTGRESQL_UID))
    assert done.returncode == 0, done.stdout + done.stderr
