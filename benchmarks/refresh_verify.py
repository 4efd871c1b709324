"""Verification time and memory against the size of the data, beside `grep -F -f` and a loop of LIKE on the same data.

`grep` gets each distinct direct identifier of the source as a pattern and a dump of the target as text. That is the
best of the plain ways, and it does less: it finds a value only as it is spelled, in text as it is stored, and neither
passages of free text nor who is whose row. LIKE is timed for a sample of the same values on one column; the whole is
that, times the values.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import report
from refresh_data import KIB_PER_MIB, SOURCE, TARGET, build, drop, durable, fresh, measured, program, worker

from operations.anonymise.catalogue.loader import load
from operations.anonymise.model import Classification
from operations.anonymise.rules.scope import quoted, relation
from operations.anonymise.rules.words import Kind
from operations.anonymise.schema import read_schema

if TYPE_CHECKING:
    from tests.anonymise.support import Server

SHORTEST = 5
"""Characters of the shortest value that the verification looks for; shorter ones stand in any text."""
SAMPLE = 50
"""Values that are looked for by LIKE."""


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, nargs="+", default=[100_000, 300_000, 1_000_000])
    parser.add_argument("--share", type=int, default=10, help="messages of each partner")
    arguments = parser.parse_args()
    found = {}
    with durable() as server:
        for messages in arguments.messages:
            build(server, SOURCE, messages // arguments.share, messages)
            found[str(messages)] = one(server)
            drop(server, SOURCE)
            print(messages, found[str(messages)], file=sys.stderr, flush=True)
    report.write("refresh_verify", report.command(), {"messages": found})


def one(server: Server) -> dict[str, Any]:
    """Mask and verify, then search the same target by the plain ways."""
    fresh(server)
    load_before = round(os.getloadavg()[0], 2)
    verified = measured(worker(server, "verify"))
    if not verified["passed"]:
        raise SystemExit(f"the verification did not pass: {verified['findings']} {verified['could_not_run']}")
    with TemporaryDirectory() as folder:
        words = values(server)
        return {
            "load_average_before": load_before,
            "verify": verified,
            "grep": grep(server, words, Path(folder)),
            "like": like(server, words),
        }


def values(server: Server) -> list[str]:
    """Return each distinct direct identifier of the source, in no order that means anything."""
    catalogue, found = load(), set[str]()
    with server.connect(SOURCE) as connection:
        for table in read_schema(connection).tables.values():
            for column in table.columns:
                line = catalogue.column(table.name, column.name)
                if line and line.classification is Classification.DIRECT and column.kind is Kind.TEXT:
                    query = f"SELECT DISTINCT {quoted(column.name)} FROM {relation(table.name)}"  # noqa: S608 - quoted
                    found.update(value for (value,) in connection.execute(query.encode()) if usable(value))
    words = sorted(found)
    random.Random(0).shuffle(words)  # noqa: S311 - a sample, no secret
    return words


def usable(value: str | None) -> bool:
    return value is not None and len(value) >= SHORTEST and "\n" not in value


def grep(server: Server, words: list[str], folder: Path) -> dict[str, Any]:
    """Search a dump of the target for all values, and prove that the same search finds one."""
    patterns = folder / "values"
    patterns.write_text("\n".join(words) + "\n")
    argv = ["grep", "--count", "--fixed-strings", f"--file={patterns}"]
    environment = {**os.environ, "LC_ALL": "C"}
    text = f"x {words[0]} y\nnobody\n".encode()
    planted = subprocess.run(argv, input=text, capture_output=True, check=False, env=environment)
    if planted.stdout.split() != [b"1"]:
        return {"values": len(words), "failed": f"grep ended with {planted.returncode}"}
    started = time.monotonic()
    with subprocess.Popen(program(server, "pg_dump", TARGET), stdout=subprocess.PIPE) as dump:
        searching = subprocess.Popen(argv, stdin=dump.stdout, stdout=subprocess.PIPE, env=environment)
        lines = int(searching.stdout.read()) if searching.stdout else None
        _, status, used = os.wait4(searching.pid, 0)
    assert dump.returncode == 0
    assert os.waitstatus_to_exitcode(status) in {0, 1}, "1 says that nothing was found"
    return {
        "values": len(words),
        "lines_found": lines,
        "seconds": round(time.monotonic() - started, 2),
        "peak_mib": round(used.ru_maxrss / KIB_PER_MIB, 1),
    }


def like(server: Server, words: list[str]) -> dict[str, Any]:
    """Search the bodies of the messages for a sample, and tell what all values would take."""
    escapes = str.maketrans({"%": r"\%", "_": r"\_", "\\": r"\\"})
    patterns = [f"%{word.translate(escapes)}%" for word in words[:SAMPLE]]
    with server.connect(TARGET) as connection:
        connection.execute("SET max_parallel_workers_per_gather = 0")
        started = time.monotonic()
        connection.execute("SELECT count(*) FROM mail_message WHERE body LIKE ANY(%s)", (patterns,)).fetchone()
        seconds = time.monotonic() - started
    return {
        "values": len(patterns),
        "seconds": round(seconds, 2),
        "all_values_hours_by_rule_of_three": round(seconds / len(patterns) * len(words) / 3600, 2),
    }


if __name__ == "__main__":
    main()
