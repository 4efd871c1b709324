"""The first process of the baselines' sandbox: installs Odoo's modules and dumps what came of it."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odoo_image.postgresql_session import Postgresql
from toolchain.images.layers import SOURCE_DATE_EPOCH
from toolchain.images.sandbox import Inside, enter

if TYPE_CHECKING:
    from collections.abc import Callable

SOCKETS = "/run/postgresql"
ROLE = "odoo"

CONF = """[options]
db_host = /run/postgresql
db_user = odoo
data_dir = /var/lib/odoo
max_cron_threads = 0
workers = 0
http_interface = 127.0.0.1
limit_memory_soft = 0
limit_memory_hard = 0
log_level = warn
"""

# Demo data leaves letters in the outgoing queue; the first scheduled action would try to deliver them.
EMPTY_OUTBOX = (
    "UPDATE mail_mail SET state = 'cancel' WHERE state IN ('outgoing', 'exception')",
    "UPDATE sms_sms SET state = 'canceled' WHERE state IN ('outgoing', 'error', 'pending')",
)


# Half of a restore's statements would be Odoo's labels of tables and columns, which it keeps in ir_model_fields as well
# and never reads here. The comments on constraints and indexes stay: by them Odoo notices that a definition changed.
DROP_LABELS = """
    DELETE FROM pg_description USING pg_class
     WHERE classoid = 'pg_class'::regclass AND objoid = pg_class.oid AND relkind IN ('r', 'v')
       AND relnamespace = 'public'::regnamespace
"""


def main() -> None:
    """Make both baselines in ``<scratch>/out``."""
    arguments: dict[str, Any] = enter()
    scratch = Path(arguments["scratch"])
    postgresql = Postgresql(
        str(scratch / "postgresql"), arguments["postgresql_uid"], arguments["postgresql_major"], SOCKETS
    )
    uid = arguments["odoo_uid"]
    os.chown(scratch / "store", uid, uid)
    conf = scratch / "odoo" / "run" / "odoo.conf"
    conf.write_text(CONF, encoding="utf-8")

    def odoo(*words: str) -> None:
        argv = ("/usr/bin/odoo", *words, "-c", "/run/odoo.conf")
        subprocess.run(Inside(tree=str(scratch / "odoo"), argv=argv, uid=uid).command(), check=True)

    with postgresql.serving():
        postgresql.sql("postgres", f"CREATE ROLE {ROLE} LOGIN CREATEDB", f"CREATE DATABASE standard OWNER {ROLE}")
        say("installing modules")
        modules = ",".join(arguments["modules"])
        odoo("server", "-d", "standard", "--no-http", "--stop-after-init", "--without-demo", "-i", modules)
        check_installed(postgresql, "standard", arguments["modules"])
        load_languages(odoo, postgresql, "standard", arguments["languages"])
        say("keeping the standard baseline")
        keep(postgresql, scratch, "standard")
        say("loading demo data")
        postgresql.sql("postgres", f"CREATE DATABASE demo OWNER {ROLE} TEMPLATE standard")
        filestore = scratch / "store" / "filestore"
        subprocess.run(["cp", "-a", str(filestore / "standard"), str(filestore / "demo")], check=True)
        odoo("module", "force-demo", "-d", "demo")
        failures = postgresql.sql("demo", "SELECT count(*) FROM ir_demo_failure")
        if failures != "0":
            raise SystemExit(f"demo data of {failures} module(s) could not be loaded; see the messages above")
        postgresql.sql("demo", *EMPTY_OUTBOX)
        load_languages(odoo, postgresql, "demo", arguments["languages"])  # again, for what demo data brought
        say("keeping the demo baseline")
        keep(postgresql, scratch, "demo")


def say(phase: str) -> None:
    """Tell the building process what is done now."""
    print(f"phase: {phase}", flush=True)


def check_installed(postgresql: Postgresql, database: str, modules: list[str]) -> None:
    """Fail when a module is not installed: Odoo only warns about one it does not know."""
    rows = postgresql.sql(database, "SELECT name FROM ir_module_module WHERE state = 'installed'")
    absent = sorted(set(modules) - set(rows.splitlines()))
    if absent:
        raise SystemExit(f"Odoo did not install {', '.join(absent)}; see the messages above")


def load_languages(odoo: Callable[..., None], postgresql: Postgresql, database: str, codes: list[str]) -> None:
    """Load the languages' translations of what the database holds by now.

    A website offers the languages that are active when it is made: the default one, made with its module before this,
    stays in English. Demo data find the languages active already, so a website of theirs offers them all; their own
    texts are translated by loading the languages once more.
    """
    say(f"loading languages: {database}")
    odoo("i18n", "loadlang", "-d", database, "-l", *codes)
    active = postgresql.sql(database, "SELECT code FROM res_lang WHERE active").splitlines()
    absent = sorted(set(codes) - set(active))
    if absent:
        raise SystemExit(f"Odoo did not load the languages {', '.join(absent)}; see the messages above")


def keep(postgresql: Postgresql, scratch: Path, database: str) -> None:
    """Dump a database and its filestore."""
    out = scratch / "out" / database
    out.mkdir()
    postgresql.sql(database, DROP_LABELS)
    inside = f"{SOCKETS}/{database}.dump"
    postgresql.run("pg_dump", "--format=custom", "--compress=zstd:3", "--no-owner", f"--file={inside}", database)
    (scratch / "sockets" / f"{database}.dump").rename(out / "database.dump")
    write_filestore(scratch / "store" / "filestore" / database, out / "filestore.tar")


def write_filestore(folder: Path, target: Path) -> None:
    """Archive a filestore deterministically; its checklist of files to collect is left out."""
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(folder.rglob("*")):
            relative = path.relative_to(folder)
            if not path.is_file() or relative.parts[0] == "checklist":
                continue
            member = tarfile.TarInfo(str(relative))
            member.size, member.mode, member.mtime = path.stat().st_size, 0o640, SOURCE_DATE_EPOCH
            with path.open("rb") as source:
                archive.addfile(member, source)


if __name__ == "__main__":
    main()
