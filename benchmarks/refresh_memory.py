"""Memory of a masked refresh as messages grow: the worker process, and each PostgreSQL session, apart.

Of a session, its own (anonymous) memory is what could grow; the rest of its pages are PostgreSQL's shared buffers,
whose size is a setting.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import report
from refresh_data import (
    KIB_PER_MIB,
    SOURCE,
    TARGET,
    add_messages,
    build,
    durable,
    fresh,
    measured,
    processes,
    worker,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.anonymise.support import Server

INTERVAL = 0.25
"""Seconds between two looks at the sessions."""
_FIELD = re.compile(r"^(Pss|Pss_Anon|Pss_Shmem): +(\d+) kB$", re.MULTILINE)


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--partners", type=int, default=100_000, help="who write them")
    arguments = parser.parse_args()
    found = {}
    with durable() as server:
        build(server, SOURCE, arguments.partners, 0)
        for before, messages in grown(sorted(arguments.messages)):
            grow(server, before, messages, arguments.partners)
            found[str(messages)] = one(server)
            print(messages, found[str(messages)], file=sys.stderr, flush=True)
    result = {"partners": arguments.partners, "messages": found, "growth": growth(list(found.values()))}
    report.write("refresh_memory", report.command(), result)


def grown(sizes: Sequence[int]) -> list[tuple[int, int]]:
    """Return each size with the one before it."""
    return list(zip([0, *sizes], sizes, strict=False))


def grow(server: Server, before: int, messages: int, partners: int) -> None:
    with server.connect(SOURCE) as connection, unindexed(connection, "mail_message"):
        add_messages(connection, before + 1, messages, partners)
    with server.connect(SOURCE) as connection:
        connection.execute("VACUUM ANALYZE mail_message")


@contextmanager
def unindexed(connection: Any, table: str) -> Iterator[None]:  # noqa: ANN401 - psycopg's generic
    """Take a table's indexes away for as long as rows are added, and make the same ones again."""
    plain = (
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index i WHERE indrelid = %s::regclass "
        "AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)"
    )
    indexes = connection.execute(plain, (table,)).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    connection.execute("SET maintenance_work_mem = '1GB'")
    for _, definition in indexes:
        connection.execute(definition)


def one(server: Server) -> dict[str, Any]:
    """Mask once and return seconds and peaks in MiB."""
    fresh(server)
    with server.connect(SOURCE) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    started = time.monotonic()
    running = worker(server, "mask")
    peaks = watch(running, lambda: sessions(server))
    done = measured(running)
    return {
        "source_mib": round(row[0] / KIB_PER_MIB / KIB_PER_MIB) if row else None,
        "rows": done["rows"],
        "seconds": round(time.monotonic() - started, 1),
        "rows_per_second_copied": round(done["rows"] / done["seconds"]["copy"]),
        "peak_mib": {"worker": done["peak_mib"], **peaks},
    }


def watch(running: subprocess.Popen[bytes], look: Callable[[], dict[str, int]]) -> dict[str, float]:
    """Return the most that was seen of each figure, in MiB, until the process ends."""
    peaks: dict[str, int] = defaultdict(int)
    while running.poll() is None:
        for name, kib in look().items():
            peaks[name] = max(peaks[name], kib)
        time.sleep(INTERVAL)
    return {name: round(kib / KIB_PER_MIB, 1) for name, kib in sorted(peaks.items())}


def sessions(server: Server) -> dict[str, int]:
    """Return KiB of the sessions of each database: all of them together, and the largest one."""
    found: dict[str, int] = defaultdict(int)
    for entry, title in processes(server):
        side = next((side for side in (SOURCE, TARGET) if re.match(rf"postgres: \w+ {side} ", title)), None)
        if side is None:
            continue
        pages = memory(entry)
        name = {SOURCE: "source sessions", TARGET: "target sessions"}[side]
        found[f"{name}, own memory"] += pages.get("Pss_Anon", 0)
        found[f"{name}, share of shared buffers"] += pages.get("Pss_Shmem", 0)
        largest = f"largest of the {name}, own memory"
        found[largest] = max(found[largest], pages.get("Pss_Anon", 0))
    return found


def memory(process: Path) -> dict[str, int]:
    """Return KiB of a process by kind; nothing when it has ended."""
    try:
        return {name: int(kib) for name, kib in _FIELD.findall((process / "smaps_rollup").read_text())}
    except OSError:
        return {}


def growth(found: list[dict[str, Any]]) -> dict[str, float]:
    """Return how much more the largest run takes than the smallest, in times."""
    least, most = found[0]["peak_mib"], found[-1]["peak_mib"]
    return {name: round(most[name] / least[name], 2) for name in ("worker", "source sessions, own memory")}


if __name__ == "__main__":
    main()
