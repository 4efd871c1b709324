"""The same rows masked by `pganonymize`, a public tool for any PostgreSQL database, and by the refresh.

Both mask the same columns of the same two tables. The refresh's seconds are those of its whole transfer: it also makes
a new database, with all other tables, indexes and constraints ("rows alone" is without them). `pganonymize` replaces
values in place and makes no database; it is run with and without `--parallel`, in an environment of its own that is
thrown away.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import report
from refresh_data import SOURCE, build, drop, durable, fresh, measured, worker

from tests.anonymise.support import SUPERUSER

if TYPE_CHECKING:
    from tests.anonymise.support import Server

COPY = "masked_in_place"
VERSION = "0.13.0"
REQUIREMENTS = (
    *(f"pganonymize=={VERSION}", "pgcopy==1.6.2", "parmap==1.7.0", "faker==40.63.0"),
    # What these need, with psycopg2 as a wheel under its other name: the source needs a compiler.
    *("psycopg2-binary==2.9.13", "PyYAML==6.0.4", "tqdm==4.70.1", "pytz==2026.6", "tzdata==2026.6"),
)
COLUMNS: dict[str, dict[str, str]] = {
    "res_partner": {
        **dict.fromkeys(("name", "complete_name"), "name"),
        **dict.fromkeys(("email", "email_normalized"), "email"),
        **dict.fromkeys(("phone", "phone_sanitized"), "phone_number"),
        "street": "street_address",
        "city": "city",
        "zip": "zipcode",
        **dict.fromkeys(("vat", "ref"), "bothify"),
        "comment": "sentence",
        "function": "job",
        **dict.fromkeys(("create_date", "write_date"), "date_time"),
    },
    "mail_message": {
        "subject": "sentence",
        "body": "paragraph",
        **dict.fromkeys(("email_from", "reply_to"), "email"),
        "message_id": "uuid4",
        **dict.fromkeys(("date", "create_date", "write_date"), "date_time"),
    },
}
"""The columns that the generated rows fill and that the shipped catalogue masks, with pganonymize's word for each."""


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=75_000, help="partners, and as many messages")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, durable() as server:
        python = install(Path(folder))
        rules = Path(folder) / "rules.yml"
        rules.write_text(json.dumps(schema()))  # JSON is YAML
        build(server, SOURCE, arguments.rows, arguments.rows)
        found = {
            "pganonymize": other(server, python, rules),
            "pganonymize --parallel": other(server, python, rules, "--parallel"),
            "careops": ours(server),
        }
    rows = arguments.rows * len(COLUMNS)
    speed = {name: round(rows / seconds["all"]) for name, seconds in found.items()}
    best = max(speed[name] for name in speed if name != "careops")
    copied = {"careops, rows alone": round(rows / found["careops"]["copy"])}
    result = {
        "version": VERSION,
        "rows": rows,
        "columns": {table: sorted(columns) for table, columns in COLUMNS.items()},
        "seconds": found,
        "rows_per_second": speed | copied,
        "times_as_fast": round(speed["careops"] / best, 1),
    }
    report.write("refresh_pganonymize", report.command(), result)


def schema() -> dict[str, Any]:
    """Return pganonymize's rules."""
    return {
        "tables": [
            {table: {"fields": [{name: {"provider": {"name": f"fake.{word}"}}} for name, word in columns.items()]}}
            for table, columns in COLUMNS.items()
        ]
    }


def install(folder: Path) -> str:
    """Make an environment with pganonymize and return its Python."""
    uv = shutil.which("uv") or str(report.ROOT / ".careops" / "uv" / "bin" / "uv")
    python = f"{folder}/venv/bin/python"
    environment = {**os.environ, "UV_NO_PROGRESS": "1"}
    # uv does not ask pip which mirror the machine is set up for.
    base = Path(sys.base_prefix) / "bin" / f"python{sysconfig.get_python_version()}"
    question = [base, "-m", "pip", "config", "get", "global.index-url"]
    asked = subprocess.run(question, capture_output=True, text=True, check=False)
    if asked.returncode == 0 and asked.stdout.strip():
        environment.setdefault("UV_DEFAULT_INDEX", asked.stdout.strip())
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, f"{folder}/venv"], check=True, env=environment)
    packages = [uv, "pip", "install", "--quiet", "--python", python, "--no-deps", *REQUIREMENTS]
    subprocess.run(packages, check=True, env=environment)
    return python


def other(server: Server, python: str, rules: Path, *options: str) -> dict[str, float]:
    """Return the seconds that pganonymize takes, and prove that it masked."""
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {COPY} TEMPLATE {SOURCE}")
        connection.execute("CHECKPOINT")
    argv = [python, "-m", "pganonymize", f"--schema={rules}", f"--dbname={COPY}", f"--user={SUPERUSER}"]
    started = time.monotonic()
    subprocess.run([*argv, f"--host={server.sockets}", *options], check=True)
    seconds = time.monotonic() - started
    with server.connect(COPY) as connection:
        real = "SELECT count(*) FROM res_partner WHERE email LIKE 'given%@mail.hospital.org'"
        assert connection.execute(real).fetchone() == (0,), "pganonymize left real addresses"
    drop(server, COPY)
    print("pganonymize", *options, round(seconds, 1), file=sys.stderr, flush=True)
    return {"all": round(seconds, 2)}


def ours(server: Server) -> dict[str, float]:
    """Return the seconds of a masked transfer, all of it and of its steps."""
    fresh(server)
    steps = measured(worker(server, "mask"))["seconds"]
    return {"all": round(sum(steps.values()), 2), **{name: round(value, 2) for name, value in steps.items()}}


if __name__ == "__main__":
    main()
