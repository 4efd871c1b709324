"""A small baseline beside a real PostgreSQL, how the migration is run on it or killed, and what it came to."""

from __future__ import annotations

import json
import shutil
import tarfile

from odoo_image import specs
from tests.images.support import POSTGRESQL_UID, SOCKETS, Pod
from toolchain.images.sandbox import Inside

MODULES = {"base": "1", "crm": "1", "stock": "1"}
VERSIONS = {"base": "19.0.1.3", "crm": "19.0.1.9", "stock": "19.0.1.0"}
SCHEMA = """
    CREATE TABLE ir_config_parameter (key text PRIMARY KEY, value text, create_uid int, write_uid int,
        create_date timestamp, write_date timestamp);
    CREATE TABLE ir_module_module (name text PRIMARY KEY, state text, latest_version text);
    CREATE TABLE res_lang (code text PRIMARY KEY, active boolean);
    CREATE TABLE wishes (document text);
    CREATE TABLE customers (name text);
    INSERT INTO ir_module_module VALUES ('base', 'installed', '19.0.1.3'), ('crm', 'installed', '19.0.1.9'),
        ('hr', 'uninstalled', NULL);
    INSERT INTO res_lang VALUES ('en_US', true), ('fr_FR', false);
"""

FIRST_STEPS = (
    *("lock", "drop previous", "close", "copy", "restore", "filestore", "personalise", "record", "ready", "swap"),
    *("open", "drop empty", "done"),
)
CHANGE_STEPS = (
    *("lock", "plan", "drop previous", "close", "copy", "upgrade", "personalise", "record", "ready", "swap", "open"),
    "done",
)


def make_baseline(pod: Pod) -> None:
    baseline = pod.tree / "baseline"
    baseline.mkdir()
    pod.sql("postgres", "CREATE DATABASE seed OWNER odoo")
    pod.sql("seed", "SET ROLE odoo", "CREATE EXTENSION pg_trgm", SCHEMA)
    argv = (
        f"/usr/lib/postgresql/{specs.POSTGRESQL_MAJOR}/bin/pg_dump",
        *("-h", SOCKETS, "-U", "postgres", "-Fc", "-f", f"{SOCKETS}/seed.dump", "seed"),
    )
    assert pod.session.run(Inside(tree=pod.sandbox_postgresql, argv=argv, uid=POSTGRESQL_UID)).returncode == 0
    shutil.move(pod.tree.parent / "sockets" / "seed.dump", baseline / "database.dump")
    (baseline / "database.dump").chmod(0o644)
    (baseline / "modules.json").write_text(json.dumps(MODULES))
    with tarfile.open(baseline / "filestore.tar", "w") as archive:
        for name in ("aa/aa01", "bb/bb02"):
            place = baseline / name.replace("/", "-")
            place.write_text(name)
            archive.add(place, name)
            place.unlink()


def image(pod: Pod, modules: dict[str, str], package: str = "19.0.0-2", **versions: str) -> None:
    share = pod.tree / "usr/share/careops"
    (share / "modules.json").write_text(json.dumps(modules))
    (share / "release.json").write_text(json.dumps({"package": package, "versions": {**VERSIONS, **versions}}))


def behave(pod: Pod, how: str) -> None:
    pod.python(f"open('/tmp/behaviour', 'w').write({how!r})")


def calls(pod: Pod) -> list[str]:
    return pod.python("print(open('/tmp/calls').read())").stdout.split("\n")


def steps(output: str) -> list[str]:
    return [line.split("] ", 1)[1] for line in output.splitlines() if line.startswith("careops-odoo: migrate: [")]


def migrate_killed_at(pod: Pod, step: str):
    """Run the migration and kill it, as with SIGKILL from outside, when it begins the step."""
    return pod.python(
        f"""
        import os, signal, sys
        import careops_odoo.__main__ as command
        say = command.say
        def watching(text):
            say(text)
            if text.startswith("migrate: [") and text.split("] ", 1)[1].startswith({step!r}):
                os.kill(os.getpid(), signal.SIGKILL)
        command.say = watching
        sys.exit(command.main(["migrate"]))
        """
    )


def state(pod: Pod) -> dict[str, object]:
    """What a finished environment looks like, to compare however it was reached."""
    main = pod.sql("odoo", "SELECT value FROM ir_config_parameter WHERE key = 'careops.identity'")
    store = pod.data / "filestore"
    return {
        "databases": {name: is_open for name, is_open in pod.databases().items() if name != "odoo_previous"},
        "identity": main,
        "checksums": json.loads(pod.sql("odoo", "SELECT value FROM ir_config_parameter WHERE key = 'careops.modules'")),
        "installed": pod.sql(
            "odoo", "SELECT string_agg(name, ',' ORDER BY name) FROM ir_module_module WHERE state = 'installed'"
        ),
        "files": sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file()),
        "links": [path.name for path in store.iterdir() if path.is_symlink()],
        "mark": (pod.data / ".careops-identity").read_text(),
    }


FIRST = {
    "databases": {"odoo": True},
    "identity": "riverside/dev",
    "checksums": {"base": "1", "crm": "1"},
    "installed": "base,crm",
    "files": ["odoo/aa/aa01", "odoo/bb/bb02", "odoo/ee/ee01"],
    "links": [],
    "mark": "riverside/dev\n",
}
