"""Masked transfer of a million partners and messages, against `pg_dump | pg_restore` of the same database.

Both make the same database: rows, indexes, constraints. They take turns on one PostgreSQL of the platform's image with
its default durability, so that a busy machine slows both; CPU time says what the clock then cannot. `ANALYZE`, which
pg_restore does not do, is in the CPU time and not in the seconds.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import report

from operations.anonymise.catalogue.loader import load
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.plain import FILES_TABLE
from operations.anonymise.schema import read_schema
from operations.anonymise.sessions import Endpoint
from operations.anonymise.transfer import Tools, transfer
from tests.anonymise.support import PROGRAMS, SOCKETS, SUPERUSER, UID, Server, serving
from toolchain.images.sandbox import Inside

if TYPE_CHECKING:
    from operations.anonymise.model import Catalogue

DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=2GB")
KIB_PER_MIB = 1024
TARGET = "target"

PARTNERS = """
    INSERT INTO res_partner (id, name, complete_name, is_company, email, email_normalized, phone, phone_sanitized,
        street, city, zip, country_id, lang, vat, ref, comment, function, type, active, company_id,
        commercial_partner_id, create_uid, write_uid, create_date, write_date, autopost_bills, group_rfq,
        group_on)
    SELECT 1000000 + i, n, n, i % 10 = 0, e, e, p, replace(p, ' ', ''), i || ' High Street',
        'Town ' || i % 997, lpad((i % 90000 + 10000)::text, 5, '0'), c.id, 'en_US',
        CASE WHEN i % 10 = 0 THEN 'DE' || 100000000 + i END, 'P' || lpad(i::text, 8, '0'),
        CASE WHEN i % 5 = 0 THEN '<p>Knows ' || n || ', call back after two in the afternoon.</p>' END,
        CASE WHEN i % 4 = 0 THEN 'Head of ward ' || i % 40 END, 'contact', true, NULL, 1000000 + i, 1, 1,
        timestamp '2026-01-01' - (i % 900000) * interval '1 minute', timestamp '2026-06-01', 'ask', 'default',
        'default'
    FROM (SELECT i, 'Given' || i % 5003 || ' Family' || i % 99991 AS n, 'given' || i || '@mail.hospital.org' AS e,
                 '+1 212 555 ' || lpad((i % 10000)::text, 4, '0') AS p FROM generate_series(1, {rows}) i) s,
         (SELECT id FROM res_country WHERE code = 'US') c
"""
MESSAGES = """
    INSERT INTO mail_message (id, model, res_id, message_type, subject, body, email_from, reply_to, message_id,
        author_id, date, create_uid, write_uid, create_date, write_date)
    SELECT 1000000 + i, 'res.partner', 1000000 + i, 'comment', CASE WHEN i % 3 = 0 THEN 'About Family' || i % 99991 END,
        CASE i % 10
            WHEN 0 THEN '<p>Dear Given' || i % 5003 || ',</p><p>' || t || '</p><p>See <a href="https://x.org/' || i
                || '">the form</a>.<br>Regards</p>'
            WHEN 1 THEN '<div>' || t || '<ul><li>one ' || i || '</li><li>two</li></ul></div>'
            WHEN 2 THEN ''
            ELSE '<p>Given' || i % 5003 || ' Family' || i % 99991 || ': ' || t || '</p>' END,
        '"Given' || i % 5003 || ' Family' || i % 99991 || '" <given' || i || '@mail.hospital.org>',
        'catchall' || i % 3 || '@hospital.org', '<' || md5(i::text) || '@odoo.hospital.org>',
        1000000 + i, d, 1, 1, d, d
    FROM (SELECT i, timestamp '2026-01-01' - (i % 900000) * interval '1 minute' AS d,
            repeat('The visit was moved, the letter follows. ', 1 + i % 7) AS t FROM generate_series(1, {rows}) i) s
"""


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="partners, and as many messages")
    parser.add_argument("--rounds", type=int, default=2, help="how often each way is taken")
    parser.add_argument("--masked", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.masked:
        print(json.dumps(masked(json.loads(arguments.masked))))
        return
    with serving(DURABLE) as server:
        server.restore("standard", "baseline")
        small = memory_of(server, arguments.rows // 10)
        build(server, "source", arguments.rows)
        result = compare(server, arguments.rounds)
    result |= {"rows": {"res_partner": arguments.rows, "mail_message": arguments.rows}}
    result["peak_mib"] = {str(arguments.rows // 10): small, str(arguments.rows): result.pop("peak")}
    options = f"--rows {arguments.rows} --rounds {arguments.rounds}"
    report.write("refresh_throughput", f"./careops python benchmarks/refresh_throughput.py {options}", result)


def build(server: Server, name: str, rows: int) -> None:
    with server.connect() as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE baseline')
    with server.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(FILES_TABLE)
        connection.execute(PARTNERS.format(rows=rows).encode())
        connection.execute(MESSAGES.format(rows=rows).encode())
        connection.execute("VACUUM ANALYZE")


def memory_of(server: Server, rows: int) -> float:
    """Return the peak memory of our process for fewer rows."""
    build(server, "small", rows)
    fresh(server)
    peak = child(server, "small")["peak_mib"]
    with server.connect() as connection:
        connection.execute("DROP DATABASE small WITH (FORCE)")
    return peak


def compare(server: Server, rounds: int) -> dict[str, Any]:
    ways = {"pg_dump | pg_restore": pipe, "pg_dump -j2, pg_restore -j2": parallel}
    seconds: dict[str, list[float]] = {name: [] for name in (*ways, "masked")}
    work: dict[str, list[float]] = {name: [] for name in seconds}
    steps, peak = [], 0.0
    for _ in range(rounds):
        for name, way in ways.items():
            fresh(server)
            used, started = cpu(server), time.monotonic()
            way(server)
            seconds[name].append(round(time.monotonic() - started, 2))
            work[name].append(round(cpu(server) - used, 2))
            fresh(server)
            used = cpu(server)
            done = child(server, "source")
            seconds["masked"].append(round(sum(done["seconds"].values()) - done["seconds"]["analyze"], 2))
            work["masked"].append(round(cpu(server) - used, 2))
            steps.append(done["seconds"])
            peak = max(peak, done["peak_mib"])
            print(seconds, work, done["seconds"], file=sys.stderr, flush=True)
    return {
        "seconds": seconds,
        "throughput_ratio": ratio(seconds),
        "cpu_seconds": work,
        "cpu_ratio": ratio(work),
        "masked_steps_seconds": {name: round(statistics.median(step[name] for step in steps), 2) for name in steps[0]},
        "peak": peak,
    }


def ratio(measured: dict[str, list[float]]) -> float:
    """Return how the best plain way compares with the masked one; 1 is as fast, less is slower."""
    median = {name: statistics.median(values) for name, values in measured.items()}
    return round(min(median[name] for name in median if name != "masked") / median["masked"], 2)


def cpu(server: Server) -> float:
    """Return the CPU seconds so far of the server's sessions that ended and of all programs that we ran.

    On a machine that others use, this says what the wall clock cannot.
    """
    time.sleep(1)  # PostgreSQL counts a session when it has seen it end
    for entry in Path("/proc").iterdir():
        try:
            argv = (entry / "cmdline").read_bytes().split(b"\0")
            ours = argv[0] == f"{PROGRAMS}/postgres".encode() and (entry / "root").readlink() == Path(server.tree)
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue  # ended while we looked, or no process
        if ours:
            of_sessions = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            return of_sessions + children.ru_utime + children.ru_stime
    raise SystemExit("the server of the benchmark is not among the processes")


def fresh(server: Server) -> None:
    with server.connect() as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {TARGET} WITH (FORCE)")
        connection.execute(f"CREATE DATABASE {TARGET} TEMPLATE template0")
        connection.execute("CHECKPOINT")


def program(server: Server, *argv: str) -> list[str]:
    environment = {"PGHOST": SOCKETS, "PGUSER": SUPERUSER}
    inside = Inside(tree=server.tree, argv=(f"{PROGRAMS}/{argv[0]}", *argv[1:]), uid=UID, env=environment)
    return server.session.command(inside)


def pipe(server: Server) -> None:
    dump = program(server, "pg_dump", "-Fc", "-Z", "none", "--exclude-schema=careops_*", "source")
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as reading:
        restore = program(server, "pg_restore", "--no-owner", "--exit-on-error", "-d", TARGET)
        subprocess.run(restore, stdin=reading.stdout, check=True)
    assert reading.returncode == 0


def parallel(server: Server) -> None:
    folder = f"{SOCKETS}/dump"
    dump = program(server, "pg_dump", "-Fd", "-Z", "none", "-j2", "--exclude-schema=careops_*", "-f", folder, "source")
    subprocess.run(dump, check=True)
    subprocess.run(
        program(server, "pg_restore", "--no-owner", "--exit-on-error", "-j2", "-d", TARGET, folder), check=True
    )
    shutil.rmtree(server.sockets / "dump")


def child(server: Server, source: str) -> dict[str, Any]:
    """Run a masked transfer in a process of its own and return what it measured."""
    task = {
        "source": server.conninfo(source),
        "target": server.conninfo(TARGET),
        "folder": str(server.sockets),
        "command": program(server, "PROGRAM"),
    }
    argv = [sys.executable, __file__, "--masked", json.dumps(task)]
    return json.loads(subprocess.run(argv, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])


RECOMPUTED = {
    "complete_name": "name(is_company)",
    "phone_sanitized": "phone",
    "commercial_company_name": "name(company)",
}
"""What Odoo computes again later is masked here, so that the transfer writes and indexes as much as pg_restore."""


def complete(catalogue: Catalogue) -> Catalogue:
    columns = {table: dict(lines) for table, lines in catalogue.columns.items()}
    for column, rule in RECOMPUTED.items():
        columns["res_partner"][column] = replace(columns["res_partner"][column], rule=rule)
    return replace(catalogue, columns=columns)


def masked(task: dict[str, Any]) -> dict[str, Any]:
    source = Endpoint(conninfo=task["source"])
    with source.connect() as connection:
        schema = read_schema(connection)
    run = Run(schema=schema, catalogue=complete(load()))

    def command(argv: Any) -> list[str]:  # noqa: ANN401 - a sequence of texts
        start = [part.replace("PROGRAM", argv[0]) for part in task["command"]]
        return [*start, *(part.replace(task["folder"], SOCKETS) for part in argv[1:])]

    tools = Tools(folder=Path(task["folder"]), seen_as=SOCKETS, command=command)
    secrets = session_settings(RunKey(), run, datetime.datetime.now(tz=datetime.UTC).date())
    target = Endpoint(conninfo=task["target"])
    plans = compile_tables(run)
    done = transfer(source, target, plans, secrets, tools)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB
    return {"seconds": done.seconds, "rows": sum(done.rows.values()), "peak_mib": round(peak, 1)}


if __name__ == "__main__":
    main()
