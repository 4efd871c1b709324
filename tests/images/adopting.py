"""Training beside a real PostgreSQL: what masking left, how the adoption is run on it, and what it came to."""
# ruff: noqa: S608 - the statements are made of this file's own constants

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from odoo_image import specs
from operations.anonymise.certificate import canonical
from tests.images.support import ODOO_UID, SOCKETS, Pod, play_odoo
from toolchain.images.sandbox import Inside

MODULES = {"base": "1", "crm": "1"}
VERSIONS = {"base": "19.0.1.3", "crm": "19.0.1.9"}
SCHEMA = """
    CREATE TABLE ir_config_parameter (key text PRIMARY KEY, value text, create_uid int, write_uid int,
        create_date timestamp, write_date timestamp);
    CREATE TABLE ir_module_module (name text PRIMARY KEY, state text, latest_version text);
    CREATE TABLE res_lang (code text PRIMARY KEY, active boolean);
    CREATE TABLE res_users (id int PRIMARY KEY, login text, password text);
    CREATE TABLE ir_model_data (module text, name text, model text, res_id int);
    CREATE TABLE ir_attachment (id int PRIMARY KEY, store_fname text);
    CREATE TABLE wishes (document text);
    CREATE TABLE customers (name text);
    INSERT INTO ir_module_module VALUES ('base', 'installed', '19.0.1.3'), ('crm', 'installed', '19.0.1.9');
    INSERT INTO res_lang VALUES ('en_US', true);
    INSERT INTO res_users VALUES (2, 'masked', NULL);
    INSERT INTO ir_model_data VALUES ('base', 'user_admin', 'res.users', 2);
"""
PLACEHOLDER = b"a picture of nobody"
SHA1 = hashlib.sha1(PLACEHOLDER, usedforsecurity=False).hexdigest()
STORED = f"{SHA1[:2]}/{SHA1}"
SEED = b"seed of this test, long enough"
ROLES = [{"name": "sales", "groups": ["sales_team.group_sale_manager"], "trainees": 2}]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))

STEPS = (
    *("tidy", "wait for the masked database", "compare releases", "link filestore", "files", "files written"),
    *("neutralise", "recompute", "personalise", "logins", "record", "smoke boot", "statistics", "mark adopted"),
    *("wait for the verification", "lock", "check files", "administrator", "the Secret's password", "keep files"),
    *("hand over", "swap", "swapped", "sessions", "tidy", "forget files", "done"),
)
BACK_STEPS = (
    *("lock", "tidy", "look at the previous database", "keep files", "swap", "swapped", "sessions", "tidy", "done"),
)


def certificate(run: str, key: Ed25519PrivateKey = KEY, **changes: object) -> dict[str, object]:
    """Return what the masking program signs, as far as the adoption looks at it."""
    body = {"run": run, "target": "riverside/training", "passed": True, "key": {"destroyed": True}, **changes}
    value = key.sign(b"careops refresh certificate\n1\n" + canonical(body))
    signature = {"algorithm": "Ed25519", "value": base64.b64encode(value).decode()}
    return {"schema": 1, "certificate": body, "signature": signature}


def this_checkouts_guard(tree: Path) -> None:
    """Put the guard of this checkout into a tree, whatever the last build was."""
    shutil.copytree(specs.GUARD, tree / "opt" / "careops", dirs_exist_ok=True)
    play_odoo(tree)


def start_over(world: Pod) -> Pod:
    """Make it a training environment that people have worked in."""
    for name in world.databases():
        world.sql("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true", f"DROP DATABASE {name} WITH (FORCE)")
    for path in world.data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    world.python("import pathlib; [p.unlink() for p in pathlib.Path('/tmp').iterdir() if p.is_file()]")
    image(world, MODULES)
    world.write_settings(banner="TRAINING")
    world.write_secrets(identity="riverside/training")
    (world.tree / "secrets-of-the-test" / "seed").write_bytes(SEED)
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (world.tree / "secrets-of-the-test" / "key.pub.pem").write_bytes(public)
    world.sql("postgres", "CREATE DATABASE odoo OWNER odoo")
    marks = {"careops.identity": "riverside/training", "careops.modules": json.dumps(MODULES)}
    values = ", ".join(f"('{key}', '{value}')" for key, value in marks.items())
    world.sql("odoo", "SET ROLE odoo", SCHEMA, f"INSERT INTO ir_config_parameter (key, value) VALUES {values}")
    world.sql("odoo", "SET ROLE odoo", "INSERT INTO customers VALUES ('Old training')")
    world.python(
        """
        import pathlib
        data = pathlib.Path("/var/lib/odoo")
        for name, text in {".careops-identity": "riverside/training\\n", "filestore/odoo/aa/aa01": "old",
                           "sessions/ab/session": "somebody"}.items():
            (data / name).parent.mkdir(parents=True, exist_ok=True)
            (data / name).write_text(text)
        """
    )
    return world


def image(pod: Pod, modules: dict[str, str], package: str = "19.0.0-2", **versions: str) -> None:
    share = pod.tree / "usr/share/careops"
    (share / "modules.json").write_text(json.dumps(modules))
    (share / "release.json").write_text(json.dumps({"package": package, "versions": {**VERSIONS, **versions}}))


def masked(
    pod: Pod, run: str, *marks: str, stored: str = STORED, signed: dict[str, object] | None = None, **detail: object
) -> None:
    """Make what the masking program makes, up to these marks."""
    pod.sql("postgres", "DROP DATABASE IF EXISTS odoo_refresh WITH (FORCE)")
    pod.sql(
        "postgres",
        "SET ROLE refresh",
        "CREATE DATABASE odoo_refresh TEMPLATE template0",
        "REVOKE ALL ON DATABASE odoo_refresh FROM PUBLIC",
        f"COMMENT ON DATABASE odoo_refresh IS 'careops: refresh {run}'",
        "GRANT CREATE, TEMPORARY ON DATABASE odoo_refresh TO odoo",
    )
    pod.sql("odoo_refresh", "SET ROLE refresh", "GRANT CREATE, USAGE ON SCHEMA public TO odoo")
    document = {
        "run": run,
        "identity": "riverside/prod",
        "source_time": "2026-11-24T10:00:00+00:00",
        "release": "19.0.0-2",
        "modules": MODULES,
        "recompute": [["res.partner", "complete_name"]],
        **detail,
    }
    known = {
        "started": {"run": run},
        "masked": document,
        "verified": {"run": run, "certificate": signed or certificate(run)},
        "failed": {"run": run, "why": "findings", "by": "mask"},
    }
    rows = ", ".join(f"('{mark}', '{json.dumps(known[mark])}')" for mark in ("started", *marks))
    pod.sql(
        "odoo_refresh",
        "SET ROLE odoo",
        SCHEMA,
        "CREATE SCHEMA careops_refresh",
        "CREATE TABLE careops_refresh.state (step text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(),"
        " detail jsonb NOT NULL)",
        "CREATE TABLE careops_refresh.file (sha1 text PRIMARY KEY, mimetype text NOT NULL, content bytea NOT NULL)",
        f"INSERT INTO careops_refresh.state (step, detail) VALUES {rows}",
        f"INSERT INTO careops_refresh.file VALUES ('{SHA1}', 'image/png', '\\x{PLACEHOLDER.hex()}')",
        f"INSERT INTO ir_attachment VALUES (1, '{stored}')",
        f"INSERT INTO customers VALUES ('Masked {run}')",
    )


HOLD = """
import os, sys, psycopg2
connection = psycopg2.connect(host=os.environ["PGHOST"], user="refresh", dbname="odoo_refresh")
connection.autocommit = True
connection.cursor().execute("SELECT pg_advisory_lock(%s, 2)", (0x63617265,))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def masking(training: Pod) -> Iterator[None]:
    """Hold the masking program's lock in the next database, from a session of its own."""
    argv = ("/usr/bin/python3", "-c", HOLD)
    inside = Inside(tree=str(training.tree), argv=argv, uid=ODOO_UID, env=training.environment())
    command, pipe = training.session.command(inside), subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as held:
        assert held.stdin
        assert held.stdout
        try:
            assert held.stdout.readline() == "held\n"
            yield
        finally:
            held.stdin.close()
            held.wait(timeout=60)


def environment(run: str, program: str = "adopt", **changes: str) -> dict[str, str]:
    return {
        "CAREOPS_ENVIRONMENT": "training",
        "CAREOPS_JOB": f"refresh-{program}-{run}",
        "CAREOPS_SOURCE_IDENTITY": "riverside/prod",
        "CAREOPS_TARGET_IDENTITY": "riverside/training",
        "CAREOPS_TARGET": f"host={SOCKETS} dbname=postgres user=refresh sslmode=disable",
        "CAREOPS_REFRESH_ROLES": json.dumps(ROLES),
        "CAREOPS_LOGINS_SEED": "/run/careops/secrets/seed",
        "CAREOPS_EVIDENCE_KEY": "/run/careops/secrets/key.pub.pem",
        "CAREOPS_WAIT_SECONDS": "2",
        **changes,
    }


def program(pod: Pod, run: str, *words: str, kill_at: str = "", **changes: str):
    """Run the program; killed, as with SIGKILL from outside, when it begins a step."""
    argv = ["adopt", *words]
    return pod.python(
        f"""
        import os, signal, sys
        import careops_odoo.__main__ as command
        say = command.say
        def watching(text):
            say(text)
            if {kill_at!r} and text.startswith("adopt: [") and text.split("] ", 1)[1].startswith({kill_at!r}):
                os.kill(os.getpid(), signal.SIGKILL)
        command.say = watching
        sys.exit(command.main({argv!r}))
        """,
        **environment(run, "rollback" if words else "adopt", **changes),
    )


def steps(output: str) -> list[str]:
    lines = [line.split("] ", 1)[1] for line in output.splitlines() if line.startswith("careops-odoo: adopt: [")]
    return [line.split(":")[0] for line in lines]


def at_step(step: str, found: str) -> bool:
    return found.startswith(step)


def state(pod: Pod) -> dict[str, object]:
    """What training is, as its own role sees it."""
    rows = pod.sql("odoo", "SET ROLE odoo", "SELECT key, value FROM ir_config_parameter WHERE key LIKE 'careops.%'")
    parameters = dict(row.split("|", 1) for row in rows.splitlines())
    return {
        "customer": pod.sql("odoo", "SET ROLE odoo", "SELECT name FROM customers"),
        "identity": parameters.get("careops.identity"),
        "generation": parameters.get("careops.generation"),
        "owner": pod.sql("postgres", "SELECT datdba::regrole FROM pg_database WHERE datname = 'odoo'"),
        "open": pod.databases()["odoo"],
        "public": pod.sql("postgres", "SELECT has_database_privilege('odoo', 'odoo', 'CONNECT')"),
    }


OLD = {
    "customer": "Old training",
    "identity": "riverside/training",
    "generation": None,
    "owner": "odoo",
    "open": True,
    "public": "t",
}


def new(run: str) -> dict[str, object]:
    return {**OLD, "customer": f"Masked {run}", "generation": run}
