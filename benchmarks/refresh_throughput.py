"""Masked transfer of a million partners and messages, against `pg_dump | pg_restore` of the same database.

All make the same database: rows, indexes, constraints. They take turns on one PostgreSQL of the platform's image with
its default durability, and each round starts with another way, so that a busy machine slows all. CPU time says what the
clock then cannot, and `others_cpu_seconds` what other programs took meanwhile. `ANALYZE`, which pg_restore does not do,
is in the CPU time and not in the seconds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import report
from refresh_data import SOURCE, TARGET, build, cpu, durable, fresh, measured, program, worker

from tests.anonymise.support import SOCKETS

if TYPE_CHECKING:
    from tests.anonymise.support import Server

MASKED = "masked"


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="partners, and as many messages")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way is taken")
    arguments = parser.parse_args()
    with durable() as server:
        build(server, SOURCE, arguments.rows, arguments.rows)
        result = compare(server, arguments.rounds)
    result = {"rows": {"res_partner": arguments.rows, "mail_message": arguments.rows}, **result}
    report.write("refresh_throughput", report.command(), result)


def compare(server: Server, rounds: int) -> dict[str, Any]:
    ways = {"pg_dump | pg_restore": pipe, "pg_dump -j2, pg_restore -j2": parallel, MASKED: masked}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    work: dict[str, list[float]] = {name: [] for name in ways}
    steps: list[dict[str, float]] = []
    others: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds):
        names = list(ways)[number % len(ways) :] + list(ways)[: number % len(ways)]
        for name in names:
            fresh(server)
            used, everybody, started = cpu(server), report.busy(), time.monotonic()
            taken = ways[name](server)
            elapsed, everybody = time.monotonic() - started, report.busy() - everybody
            if taken:
                steps.append(taken)
                elapsed = sum(taken.values()) - taken["analyze"]
            seconds[name].append(round(elapsed, 2))
            work[name].append(round(cpu(server) - used, 2))
            others[name].append(round(max(0.0, everybody - work[name][-1]), 2))
            print(name, seconds[name], work[name], others[name], file=sys.stderr, flush=True)
    return {
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "throughput_ratio": ratios(seconds),
        "cpu_seconds": {name: spread(values) for name, values in work.items()},
        "cpu_ratio": ratios(work),
        "masked_steps_seconds": {name: round(statistics.median(step[name] for step in steps), 2) for name in steps[0]},
        "others_cpu_seconds": others,
    }


def spread(values: list[float]) -> dict[str, Any]:
    """Return the median, the least and the most, and all of them."""
    return {"median": round(statistics.median(values), 2), "least": min(values), "most": max(values), "all": values}


def ratios(values: dict[str, list[float]]) -> dict[str, float]:
    """Return how each plain way compares with the masked one; 1 is as fast, less means that masking is slower."""
    median = {name: statistics.median(each) for name, each in values.items()}
    return {name: round(each / median[MASKED], 2) for name, each in median.items() if name != MASKED}


def pipe(server: Server) -> None:
    dump = program(server, "pg_dump", "-Fc", "-Z", "none", "--exclude-schema=careops_*", SOURCE)
    with subprocess.Popen(dump, stdout=subprocess.PIPE) as reading:
        restore = program(server, "pg_restore", "--no-owner", "--exit-on-error", "-d", TARGET)
        subprocess.run(restore, stdin=reading.stdout, check=True)
    assert reading.returncode == 0


def parallel(server: Server) -> None:
    folder = f"{SOCKETS}/dump"
    dump = program(server, "pg_dump", "-Fd", "-Z", "none", "-j2", "--exclude-schema=careops_*", "-f", folder, SOURCE)
    subprocess.run(dump, check=True)
    subprocess.run(
        program(server, "pg_restore", "--no-owner", "--exit-on-error", "-j2", "-d", TARGET, folder), check=True
    )
    shutil.rmtree(server.sockets / "dump")


def masked(server: Server) -> dict[str, float]:
    """Mask in a process of its own and return the seconds of its steps."""
    return measured(worker(server, "mask"))["seconds"]


if __name__ == "__main__":
    main()
