"""What every benchmark shares: where results go, and which machine they were made on."""

from __future__ import annotations

import json
import os
import platform
import shlex
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
KIB_PER_GIB = 1024 * 1024


def machine() -> dict[str, Any]:
    """Return what a reader needs to compare numbers: cores, memory in GiB, kernel, load average."""
    meminfo = Path("/proc/meminfo").read_text().split("MemTotal:")[1].split()[0]
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(int(meminfo) / KIB_PER_GIB, 1),
        "kernel": platform.release().split("-")[0],
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def busy() -> float:
    """Return the CPU seconds that all programs of the machine have used since it started."""
    user, nice, system, _, _, irq, softirq, steal = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def command() -> str:
    """Return the command that is running, as a reader types it."""
    return shlex.join(["./careops", "python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])


def write(question: str, command: str, result: dict[str, Any]) -> Path:
    """Write one result to `results/<question>.json`, replacing the last one, and print it.

    Args:
        question: What was asked, a file name without its ending.
        command: The command that a reader runs to get the same.
        result: Numbers with their units in the key (`seconds`, `mib`).
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{question}.json"
    record = {"command": command, "date": time.strftime("%Y-%m-%d"), "machine": machine(), **result}
    path.write_text(json.dumps(record, indent=2) + "\n")
    print(json.dumps(record, indent=2))
    return path
