"""Memory, CPU and disk of the idle platform, by part.

Memory is PSS (each shared page counted once over its users), CPU is per cent of one core over the measuring time.
A process counts when it lives in the node's PID namespace or below it, whichever container it is in.
"""

from __future__ import annotations

import argparse
import collections
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import report
from kubernetes import client, config

from toolchain.cluster import EmbeddedCluster, node
from toolchain.paths import Paths

KIB_PER_MIB = 1024
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True)
class Usage:
    """One process: the part it belongs to, its CPU time so far, its share of memory."""

    part: str
    ticks: int
    pss_kib: int


def part_of(pid: str, names: dict[str, str]) -> str:
    """Return the pod a process belongs to as `namespace/workload`, or the node's own program."""
    cgroup = Path(f"/proc/{pid}/cgroup").read_text()
    for uid, name in names.items():
        if uid in cgroup or uid.replace("-", "_") in cgroup:
            return name
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0].decode(errors="replace")
    return f"node/{Path(command).name or 'kernel'}"


def descendants(root: int) -> list[str]:
    children: dict[int, list[int]] = collections.defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            children[parent].append(int(entry.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(str(pid))
        queue += children[pid]
    return found


def scan(init: int, names: dict[str, str]) -> dict[str, Usage]:
    usages = {}
    for pid in descendants(init):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            pss = Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0]
            usages[pid] = Usage(part=part_of(pid, names), ticks=int(stat[11]) + int(stat[12]), pss_kib=int(pss))
        except (OSError, IndexError):
            continue  # ended while we looked, or a kernel thread without memory
    return usages


def pod_names(kubeconfig: Path) -> dict[str, str]:
    api = client.CoreV1Api(config.new_client_from_config(config_file=str(kubeconfig)))
    names = {}
    for pod in api.list_pod_for_all_namespaces().items:
        owner = pod.metadata.owner_references[0].name if pod.metadata.owner_references else pod.metadata.name
        workload = pod.metadata.labels.get("app.kubernetes.io/name") or owner
        names[pod.metadata.uid] = f"{pod.metadata.namespace}/{workload}"
    return names


def main() -> None:
    """Measure, print and record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="how long to watch CPU")
    arguments = parser.parse_args()
    paths = Paths.from_environment(os.environ, report.ROOT)
    record = node.running(EmbeddedCluster(paths).layout)
    init = node.init_process(record) if record else None
    if init is None:
        raise SystemExit("the embedded cluster does not run: ./careops up")
    names = pod_names(paths.kubeconfig)
    before, started = scan(init.number, names), time.monotonic()
    time.sleep(arguments.seconds)
    after, elapsed = scan(init.number, names), time.monotonic() - started
    parts: dict[str, list[float]] = collections.defaultdict(lambda: [0, 0])
    for pid, usage in after.items():
        ticks = usage.ticks - (before[pid].ticks if pid in before else 0)
        parts[usage.part][0] += usage.pss_kib / KIB_PER_MIB
        parts[usage.part][1] += 100 * ticks / TICKS_PER_SECOND / elapsed
    rows = {
        part: {"pss_mib": round(pss, 1), "cpu_percent_of_a_core": round(cpu, 2)}
        for part, (pss, cpu) in sorted(parts.items(), key=lambda item: -item[1][0])
    }
    total = {key: round(sum(row[key] for row in rows.values()), 1) for key in ("pss_mib", "cpu_percent_of_a_core")}
    disk = {
        name: int(subprocess.check_output(["du", "-sxm", str(path)], text=True).split()[0])
        for name, path in {"state": paths.state, "cache": paths.cache}.items()
    }
    command = f"./careops python benchmarks/idle.py --seconds {arguments.seconds:g}"
    report.write("idle", command, {"total": total, "disk_mib": disk, "parts": rows})


if __name__ == "__main__":
    main()
