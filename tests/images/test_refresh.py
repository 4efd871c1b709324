"""A whole refresh with the real programs: production's demo company, an isolated server, a training environment.

Training is a release ahead: one module of its image has another version, with a new field and a migration of its data.
The programs run in the Odoo image's tree as they do in their pods, all three at once, with nothing but their
variables; the two PostgreSQL servers are reached over their sockets.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from odoo_image import baseline, specs
from odoo_image.specs import ADDONS
from operations.anonymise import certificate
from tests.anonymise.support import Server, newest, serving
from tests.images.support import ODOO_UID, ROOT, SECRETS, SETTINGS, paths, unpack
from toolchain.images import sandbox
from toolchain.images.sandbox import Bind, Inside, Session, Tree, scratch

pytestmark = [pytest.mark.live, pytest.mark.timeout(2400)]

RUN = "417"
SILENT = (
    *("log_min_messages=fatal", "log_min_error_statement=panic", "log_statement=none"),
    *("log_parameter_max_length=0", "log_parameter_max_length_on_error=0"),
)
ROLES = [
    {"name": "sales", "groups": ["sales_team.group_sale_manager", "account.group_account_invoice"], "trainees": 2},
    {"name": "stock", "groups": ["stock.group_stock_user"], "trainees": 1},
]
MODULE, VERSION = "fleet", "19.0.0.2"
FIELD = """
    from odoo import api, fields, models


    class FleetVehicle(models.Model):
        _inherit = "fleet.vehicle"

        x_label = fields.Char(compute="_compute_x_label", store=True)

        @api.depends("driver_id.name", "license_plate")
        def _compute_x_label(self):
            for vehicle in self:
                vehicle.x_label = f"{vehicle.driver_id.name or 'nobody'} {vehicle.license_plate or ''}"
"""
MIGRATION = """
    def migrate(cr, version):
        cr.execute("UPDATE fleet_vehicle SET location = 'moved by the migration from ' || %s", (version,))
"""


@dataclass(frozen=True, kw_only=True)
class World:
    session: Session
    tree: Path
    folder: Path
    inside: Server
    training: Server
    key: Ed25519PublicKey

    def start(self, *argv: str, data: str, **environment: str) -> subprocess.Popen[str]:
        env = {
            "CAREOPS_SITE": "riverside",
            "CAREOPS_SOURCE_IDENTITY": "riverside/prod",
            "CAREOPS_TARGET_IDENTITY": "riverside/training",
            "CAREOPS_WAIT_SECONDS": "300",
            "CAREOPS_ISOLATED": "host=/run/inside dbname=source user=source",
            "CAREOPS_TARGET": "host=/run/postgresql dbname=postgres user=refresh sslmode=disable",
            "PSYCOPG_IMPL": "python",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        }
        tree = str(self.tree if data == "training" else self.tree.with_name("refresh"))
        inside = Inside(tree=tree, argv=argv, uid=ODOO_UID, env=env)
        log = (self.folder / f"{environment['CAREOPS_JOB']}.log").open("w")
        return subprocess.Popen(self.session.command(inside), stdout=log, stderr=subprocess.STDOUT, text=True)

    def log(self, program: str, run: str = RUN) -> str:
        return (self.folder / f"refresh-{program}-{run}.log").read_text()


def programs_of_the_refresh(tree: Path) -> None:
    """Put into a tree what the refresh image has beside Odoo: this checkout's programs, and psycopg in Python."""
    target = tree / "usr/lib/careops/operations"
    shutil.copytree(ROOT / "operations" / "anonymise", target / "anonymise", dirs_exist_ok=True)
    shutil.copy(ROOT / "operations" / "__init__.py", target / "__init__.py")
    site = next((ROOT / ".venv" / "lib").glob("python3*/site-packages"))
    shutil.copytree(site / "psycopg", tree / "usr/lib/python3/dist-packages/psycopg", dirs_exist_ok=True)
    if not (tree / "usr/lib/python3/dist-packages/typing_extensions.py").exists():
        shutil.copy(site / "typing_extensions.py", tree / "usr/lib/python3/dist-packages/typing_extensions.py")


def newer_release(tree: Path) -> None:
    """Give a tree a later version of a module: a new stored field, made of masked names, and a migration of its own."""
    module = tree / ADDONS.lstrip("/") / MODULE
    manifest = module / "__manifest__.py"
    text = manifest.read_text()
    assert "'version' : '0.1'" in text
    manifest.write_text(text.replace("'version' : '0.1'", "'version' : '0.2'"))
    with (module / "models" / "__init__.py").open("a") as names:
        names.write("\nfrom . import of_this_test\n")
    (module / "models" / "of_this_test.py").write_text(textwrap.dedent(FIELD))
    migration = module / "migrations" / VERSION / "post-of_this_test.py"
    migration.parent.mkdir(parents=True)
    migration.write_text(textwrap.dedent(MIGRATION))
    share = tree / "usr/share/careops"
    for name, key, value in (("modules.json", None, "of this test"), ("release.json", "versions", VERSION)):
        document = json.loads((share / name).read_text())
        (document[key] if key else document)[MODULE] = value
        (share / name).write_text(json.dumps(document))


def make_production(inside: Server, data: Path) -> None:
    """A demo company with production's marks and files."""
    inside.restore("demo", "odoo")
    modules = json.loads((newest(baseline.NAME) / "demo" / "modules.json").read_text())
    marks = {"careops.identity": "riverside/prod", "careops.modules": json.dumps(modules), "careops.release": "1"}
    with inside.connect("odoo") as connection:
        for key, value in marks.items():
            connection.execute("INSERT INTO ir_config_parameter (key, value) VALUES (%s, %s)", (key, value))
        connection.execute("CREATE ROLE refresh_source LOGIN IN ROLE pg_read_all_data")
        connection.execute("CREATE ROLE source LOGIN")
        connection.execute("CREATE DATABASE source OWNER source")
    store = data / "filestore" / "odoo"
    store.mkdir(parents=True)
    sandbox.extract(newest(baseline.NAME) / "demo" / "filestore.tar", store)
    (data / ".careops-identity").write_text("riverside/prod\n")


def make_training(training: Server, data: Path, tree: Path) -> None:
    """A training environment after its first migration, with the standard baseline."""
    with training.connect() as connection:
        connection.execute("CREATE ROLE odoo LOGIN")
        connection.execute("CREATE ROLE refresh LOGIN CREATEDB IN ROLE odoo")
        connection.execute("CREATE DATABASE odoo OWNER odoo")
    dump = training.sockets / "standard.dump"
    shutil.copy(newest(baseline.NAME) / "standard" / baseline.DUMP, dump)
    dump.chmod(0o644)
    training.run("pg_restore", "--no-owner", "--role=odoo", "--dbname=odoo", "/run/postgresql/standard.dump")
    dump.unlink()
    modules = json.loads((tree / "usr/share/careops/modules.json").read_text())
    with training.connect("odoo") as connection:
        for key, value in {"identity": "riverside/training", "modules": json.dumps(modules)}.items():
            connection.execute(
                "INSERT INTO ir_config_parameter (key, value) VALUES (%s, %s)", (f"careops.{key}", value)
            )
    store = data / "filestore" / "odoo"
    store.mkdir(parents=True)
    sandbox.extract(newest(baseline.NAME) / "standard" / "filestore.tar", store)
    (data / ".careops-identity").write_text("riverside/training\n")
    settings = {**SETTINGS, "modules": list(specs.BASELINE_MODULES), "languages": ["en_US", "fr_FR"]}
    (tree / "etc/careops").mkdir(parents=True, exist_ok=True)
    (tree / "etc/careops/odoo.json").write_text(json.dumps({**settings, "banner": "TRAINING"}))
    for key, value in {**SECRETS, "identity": "riverside/training"}.items():
        (tree / "secrets-of-the-test" / key).write_text(value)
    (tree / "secrets-of-the-test" / "seed").write_bytes(b"a seed of this test, long enough")


def own(folder: Path) -> None:
    for path in (folder, *folder.rglob("*")):
        shutil.chown(path, ODOO_UID, ODOO_UID)


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with (
        scratch(paths().cache, "test-refresh") as folder,
        serving((*SILENT, f"cluster_name={RUN}")) as inside,
        serving() as training,
    ):
        tree, refresh = unpack("odoo", folder / "odoo"), unpack("odoo", folder / "refresh")
        shutil.copytree(specs.GUARD, tree / "opt" / "careops", dirs_exist_ok=True)
        newer_release(tree)
        programs_of_the_refresh(refresh)
        key = Ed25519PrivateKey.generate()
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (refresh / "etc" / "evidence.pem").write_bytes(pem)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tree / "etc" / "evidence.pub.pem").write_bytes(public)
        for name in ("prod-data", "training-data", "run", "odoo/secrets-of-the-test"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        make_production(inside, folder / "prod-data")
        make_training(training, folder / "training-data", tree)
        for name in ("prod-data", "training-data", "run"):
            own(folder / name)
        sockets = Bind(source=str(training.sockets), target="/run/postgresql")
        both = (sockets, Bind(source=str(inside.sockets), target="/run/inside"))
        trees = (
            Tree(
                root=str(tree),
                binds=(
                    sockets,
                    Bind(source=str(folder / "training-data"), target="/var/lib/odoo"),
                    Bind(source=str(folder / "run"), target="/run/odoo"),
                    Bind(source=str(tree / "secrets-of-the-test"), target="/run/careops/secrets"),
                ),
            ),
            Tree(root=str(refresh), binds=(*both, Bind(source=str(folder / "prod-data"), target="/var/lib/odoo"))),
        )
        with Session(trees) as session:
            yield World(
                session=session, tree=tree, folder=folder, inside=inside, training=training, key=key.public_key()
            )


def careops_refresh(name: str) -> tuple[str, ...]:
    """The command line of the image's own program."""
    text = (ROOT / "odoo-image/refresh/careops-refresh").read_text()
    return ("/bin/sh", "-c", text, "careops-refresh", name)


def export(world: World, run: str = RUN) -> subprocess.Popen[str]:
    return world.start(
        *careops_refresh("export"),
        data="prod",
        CAREOPS_JOB=f"refresh-export-{run}",
        CAREOPS_ENVIRONMENT="prod",
        CAREOPS_SOURCE="host=/run/inside dbname=odoo user=refresh_source",
    )


def mask(world: World, run: str = RUN) -> subprocess.Popen[str]:
    return world.start(
        *careops_refresh("mask"),
        data="prod",
        CAREOPS_JOB=f"refresh-mask-{run}",
        CAREOPS_ENVIRONMENT="prod",
        CAREOPS_K_ANONYMITY="5",
        CAREOPS_EVIDENCE_KEY="/etc/evidence.pem",
        CAREOPS_REQUESTED_BY="ada",
        CAREOPS_APPROVED_BY="grace",
    )


def adopt(world: World, run: str = RUN) -> subprocess.Popen[str]:
    return world.start(
        *("/usr/local/bin/careops-odoo", "adopt"),
        data="training",
        CAREOPS_JOB=f"refresh-adopt-{run}",
        CAREOPS_ENVIRONMENT="training",
        CAREOPS_REFRESH_ROLES=json.dumps(ROLES),
        CAREOPS_LOGINS_SEED="/run/careops/secrets/seed",
        CAREOPS_EVIDENCE_KEY="/etc/evidence.pub.pem",
        PGHOST="/run/postgresql",
        PGUSER="odoo",
        PGDATABASE="odoo",
        PGSSLMODE="disable",
    )


def values(server: Server, database: str, query: str) -> list[str]:
    with server.connect(database) as connection:
        return [str(row[0]) for row in connection.execute(query.encode())]


@pytest.fixture(scope="module")
def refreshed(world: World) -> World:
    """After one whole run, with the programs started at the same time."""
    started = {"export": export(world), "mask": mask(world), "adopt": adopt(world)}
    statuses = {name: program.wait(timeout=2000) for name, program in started.items()}
    assert statuses == dict.fromkeys(started, 0), "\n".join(world.log(name)[-6000:] for name in started)
    return world


def test_training_is_the_masked_production_with_its_own_marks(refreshed: World):
    parameters = "SELECT value FROM ir_config_parameter WHERE key = 'careops.{}'"
    assert values(refreshed.training, "odoo", parameters.format("identity")) == ["riverside/training"]
    assert values(refreshed.training, "odoo", parameters.format("generation")) == [RUN]
    count = "SELECT count(*) FROM sale_order"
    assert values(refreshed.training, "odoo", count) == values(refreshed.inside, "odoo", count) != ["0"]
    emails = "SELECT email FROM res_partner WHERE email <> ''"
    both = set(values(refreshed.training, "odoo", emails)) & set(values(refreshed.inside, "odoo", emails))
    assert both == set()


def test_a_module_that_training_has_newer_is_really_updated_with_its_migration_on_masked_data(refreshed: World):
    assert f"update {MODULE}" in refreshed.log("adopt")
    version = "SELECT latest_version FROM ir_module_module WHERE name = 'fleet'"
    assert values(refreshed.inside, "odoo", version) == ["19.0.0.1"]
    assert values(refreshed.training, "odoo", version) == [VERSION]
    vehicles = values(refreshed.training, "odoo", "SELECT count(*) FROM fleet_vehicle")
    moved = "SELECT count(*) FROM fleet_vehicle WHERE location = 'moved by the migration from 19.0.0.1'"
    assert values(refreshed.training, "odoo", moved) == vehicles != ["0"]
    labels = (
        "SELECT count(*) FROM fleet_vehicle v LEFT JOIN res_partner p ON p.id = v.driver_id"
        " WHERE v.x_label = coalesce(p.name, 'nobody') || ' ' || coalesce(v.license_plate, '')"
    )
    assert values(refreshed.training, "odoo", labels) == vehicles, "the new field is made of the masked names"
    recorded = "SELECT value::jsonb ->> 'fleet' FROM ir_config_parameter WHERE key = 'careops.modules'"
    assert values(refreshed.training, "odoo", recorded) == ["of this test"]
    assert values(refreshed.inside, "odoo", recorded) != ["of this test"]


def test_no_program_wrote_a_name_or_an_address_of_production_into_its_log(refreshed: World):
    people = "SELECT name FROM res_partner WHERE NOT is_company AND length(name) > 8"
    emails = "SELECT email FROM res_partner WHERE email <> ''"
    real = {*values(refreshed.inside, "odoo", people), *values(refreshed.inside, "odoo", emails)}
    assert len(real) > 20
    for program in ("export", "mask", "adopt"):
        log = refreshed.log(program)
        assert [value for value in real if value in log] == [], program


def test_stored_computed_fields_are_whole_again(refreshed: World):
    empty = "SELECT count(*) FROM res_partner WHERE complete_name IS NULL AND name <> ''"
    assert values(refreshed.training, "odoo", empty) == ["0"]
    named = "SELECT count(*) FROM res_partner WHERE position(name in complete_name) = 0 AND name <> ''"
    assert values(refreshed.training, "odoo", named) == ["0"], "they are made of the masked names"


def test_every_file_that_a_row_names_is_there_and_is_what_its_name_says(refreshed: World):
    store = refreshed.folder / "training-data" / "filestore" / "odoo"
    names = values(refreshed.training, "odoo", "SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname <> ''")
    assert len(names) > 10
    for name in names:
        content = (store / name).read_bytes()
        assert hashlib.sha1(content, usedforsecurity=False).hexdigest() == name.rsplit("/", 1)[-1]


def test_no_password_of_production_and_none_of_the_demo_opens_training(refreshed: World):
    before = set(values(refreshed.inside, "odoo", "SELECT password FROM res_users WHERE password <> ''"))
    after = set(values(refreshed.training, "odoo", "SELECT password FROM res_users WHERE password <> ''"))
    assert before
    assert before & after == set()
    assert values(refreshed.training, "odoo", "SELECT count(*) FROM res_users_apikeys") == ["0"]
    logins = values(refreshed.training, "odoo", "SELECT login FROM res_users WHERE login ~ '^train(er|ee)-' ORDER BY 1")
    assert logins == ["trainee-sales-1", "trainee-sales-2", "trainee-stock-1", "trainer-sales", "trainer-stock"]


def test_the_certificate_is_the_last_that_the_adoption_prints(refreshed: World):
    lines = refreshed.log("adopt").strip().splitlines()
    assert lines[-3] == "-----BEGIN CAREOPS CERTIFICATE-----"
    verdict = certificate.verify(lines[-2].encode(), refreshed.key)
    assert verdict.good, (verdict.outcome, verdict.detail)
    assert verdict.certificate["run"] == RUN
    assert (verdict.certificate["requested_by"], verdict.certificate["approved_by"]) == ("ada", "grace")
    kept = values(refreshed.training, "odoo", "SELECT value FROM ir_config_parameter WHERE key = 'careops.refresh'")
    assert certificate.verify(kept[0].encode(), refreshed.key).good
