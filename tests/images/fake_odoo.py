#!/usr/bin/python3
"""Stands for Odoo in the migration's tests: does to the database what the test asks for, in milliseconds.

/tmp/behaviour tells how to fail: "fail", "skip" (do nothing and end well, as Odoo does with an unknown module), "stuck"
(leave a module half-way), "die" (kill the migration, then itself).
"""

import itertools
import json
import os
import signal
import sys
from pathlib import Path

import psycopg2

arguments = sys.argv[1:]
database = arguments[arguments.index("-d") + 1]
behaviour = Path("/tmp/behaviour").read_text().strip() if Path("/tmp/behaviour").exists() else ""
with Path("/tmp/calls").open("a") as calls:
    calls.write(" ".join(word for word in arguments if not word.startswith("/")) + "\n")
connection = psycopg2.connect(host=os.environ["PGHOST"], user=os.environ["PGUSER"], dbname=database)
with connection, connection.cursor() as cursor:
    cursor.execute("CREATE TABLE IF NOT EXISTS touched (by text)")
    cursor.execute("INSERT INTO touched VALUES (%s)", (arguments[0],))
if behaviour == "die":
    os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)
if behaviour == "fail":
    sys.exit(1)
store = Path("/var/lib/odoo/filestore") / database / "ee"
store.mkdir(parents=True, exist_ok=True)
(store / "ee01").write_text("written by the upgrade")
with connection, connection.cursor() as cursor:
    if arguments[0] == "shell":
        sys.stdin.read()
        wishes = json.loads(Path(os.environ["CAREOPS_WISHES"]).read_text())
        cursor.execute("INSERT INTO wishes VALUES (%s)", (json.dumps(wishes),))
        for code in wishes.get("languages", []):
            cursor.execute("INSERT INTO res_lang VALUES (%s, true) ON CONFLICT DO NOTHING", (code,))
    elif arguments[0] == "neutralize":
        if behaviour != "skip":
            cursor.execute("INSERT INTO ir_config_parameter VALUES ('database.is_neutralized', 'true')")
    elif behaviour != "skip":
        words = dict(itertools.pairwise(arguments))
        state = "to upgrade" if behaviour == "stuck" else "installed"
        for module in [*words.get("-i", "").split(","), *words.get("-u", "").split(",")]:
            if module:
                cursor.execute(
                    "INSERT INTO ir_module_module VALUES (%s, %s, '19.0.1.0') ON CONFLICT (name) DO UPDATE"
                    " SET state = excluded.state",
                    (module, state),
                )
