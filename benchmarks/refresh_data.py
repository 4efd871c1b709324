"""What the benchmarks of the refresh share: a PostgreSQL of the platform's image, generated rows, the worker process.

The rows have the shape of Odoo's: a partner in ten is a company, most columns are NULL, a message quotes its author.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from operations.anonymise.rules.plain import FILES_TABLE
from tests.anonymise.support import PROGRAMS, SOCKETS, SUPERUSER, UID, Server, serving
from toolchain.images.sandbox import Inside

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

DURABLE = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=512MB", "max_wal_size=2GB")
KIB_PER_MIB = 1024
SOURCE, TARGET = "source", "target"
WORKER = Path(__file__).with_name("refresh_worker.py")

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
                 '+1 212 664 ' || lpad((i % 10000)::text, 4, '0') AS p FROM generate_series(1, {rows}) i) s,
         (SELECT id FROM res_country WHERE code = 'US') c
"""
MESSAGES = """
    INSERT INTO mail_message (id, model, res_id, message_type, subject, body, email_from, reply_to, message_id,
        author_id, date, create_uid, write_uid, create_date, write_date)
    SELECT 1000000 + i, 'res.partner', a, 'comment', CASE WHEN i % 3 = 0 THEN 'About Family' || i % 99991 END,
        CASE i % 10
            WHEN 0 THEN '<p>Dear Given' || i % 5003 || ',</p><p>' || t || '</p><p>See <a href="https://x.org/' || i
                || '">the form</a>.<br>Regards</p>'
            WHEN 1 THEN '<div>' || t || '<ul><li>one ' || i || '</li><li>two</li></ul></div>'
            WHEN 2 THEN ''
            ELSE '<p>Given' || i % 5003 || ' Family' || i % 99991 || ': ' || t || '</p>' END,
        '"Given' || i % 5003 || ' Family' || i % 99991 || '" <given' || i || '@mail.hospital.org>',
        'catchall' || i % 3 || '@hospital.org', '<' || md5(i::text) || '@odoo.hospital.org>',
        a, d, 1, 1, d, d
    FROM (SELECT i, 1000001 + (i - 1) % {partners} AS a,
            timestamp '2026-01-01' - (i % 900000) * interval '1 minute' AS d,
            repeat('The visit was moved, the letter follows. ', 1 + i % 7) AS t
            FROM generate_series({first}, {last}) i) s
"""


@contextmanager
def durable() -> Iterator[Server]:
    """Run a PostgreSQL with its default durability, and Odoo's standard database in it as `baseline`."""
    with serving(DURABLE) as server:
        server.restore("standard", "baseline")
        yield server


def build(server: Server, name: str, partners: int, messages: int) -> None:
    """Make a source with so many rows."""
    with server.connect() as connection:
        connection.execute(f'CREATE DATABASE "{name}" TEMPLATE baseline')
    with server.connect(name) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(FILES_TABLE)
        connection.execute(PARTNERS.format(rows=partners).encode())
        connection.execute("SELECT setval('res_partner_id_seq', max(id)) FROM res_partner")
        add_messages(connection, 1, messages, partners)
        connection.execute("VACUUM ANALYZE")


def add_messages(connection: psycopg.Connection, first: int, last: int, partners: int) -> None:
    """Add messages by the first `partners` partners in turn."""
    connection.execute("SET session_replication_role = replica")
    connection.execute(MESSAGES.format(first=first, last=last, partners=partners).encode())
    connection.execute("SELECT setval('mail_message_id_seq', max(id)) FROM mail_message")


def fresh(server: Server) -> None:
    """Make the target anew, empty, and let no earlier work be left for the next measurement."""
    drop(server, TARGET)
    with server.connect() as connection:
        connection.execute(f"CREATE DATABASE {TARGET} TEMPLATE template0")
        connection.execute("CHECKPOINT")


def drop(server: Server, name: str) -> None:
    with server.connect() as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def program(server: Server, *argv: str) -> list[str]:
    """Return the command line of one of PostgreSQL's programs, run beside the server."""
    environment = {"PGHOST": SOCKETS, "PGUSER": SUPERUSER}
    inside = Inside(tree=server.tree, argv=(f"{PROGRAMS}/{argv[0]}", *argv[1:]), uid=UID, env=environment)
    return server.session.command(inside)


def worker(server: Server, work: str, source: str = SOURCE) -> subprocess.Popen[bytes]:
    """Start a process that does one thing ("mask" or "verify") and then prints what it measured."""
    task = {
        "work": work,
        "source": server.conninfo(source),
        "target": server.conninfo(TARGET),
        "folder": str(server.sockets),
        "command": program(server, "PROGRAM"),
    }
    return subprocess.Popen([sys.executable, str(WORKER), json.dumps(task)], stdout=subprocess.PIPE)


def measured(running: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Wait for a worker and return what it measured."""
    out, _ = running.communicate()
    if running.returncode:
        raise SystemExit(f"the worker ended with {running.returncode}; its own message stands above")
    return json.loads(out.splitlines()[-1])


def processes(server: Server) -> Iterator[tuple[Path, str]]:
    """Yield the folder in /proc and the title of each process of the server."""
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "root").readlink() == Path(server.tree):
                yield entry, (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
        except OSError:
            continue  # ended while we looked, or is not ours to look at


def cpu(server: Server) -> float:
    """Return the CPU seconds so far of the server's sessions that ended and of all programs that we ran.

    On a machine that others use, this says what the wall clock cannot.
    """
    time.sleep(1)  # PostgreSQL counts a session when it has seen it end
    for entry, title in processes(server):
        if title.startswith(f"{PROGRAMS}/postgres "):
            fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            of_sessions = (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
            children = resource.getrusage(resource.RUSAGE_CHILDREN)
            return of_sessions + children.ru_utime + children.ru_stime
    raise SystemExit("the server of the benchmark is not among the processes")
