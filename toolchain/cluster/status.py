"""How the embedded cluster is: each part with its process, memory and health."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain.cluster import cgroups as groups
from toolchain.cluster import node, processes
from toolchain.cluster.processes import Usage
from toolchain.cluster.services import services

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolchain.cluster.cgroups import Cgroups
    from toolchain.cluster.node import NodeRecord
    from toolchain.cluster.spec import ClusterSpec, Layout

HEALTH_SECONDS = 30
NO_USAGE = Usage()


@dataclass(frozen=True, kw_only=True, slots=True)
class PartStatus:
    """One part of the node.

    Attributes:
        name: `etcd`, `kubelet`, …; `pods` is everything in containers, `node` what holds the parts together.
        process: the process number on the host; None for a group, or when it does not run.
        healthy: its own answer; None when the part has none to give.
        restarts: how often it ended by itself since the start.
        usage: processes, memory and CPU time.
    """

    name: str
    process: int | None = None
    healthy: bool | None = None
    restarts: int = 0
    usage: Usage = NO_USAGE


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterStatus:
    """The whole cluster.

    Attributes:
        running: whether its node runs.
        healthy: whether every part says it is well.
        api_port: the port on 127.0.0.1.
        started_at: seconds since the epoch; None when it does not run.
        parts: every part; empty when it does not run.
    """

    running: bool
    healthy: bool
    api_port: int
    started_at: float | None = None
    parts: tuple[PartStatus, ...] = ()

    @property
    def usage(self) -> Usage:
        """The sum of all parts."""
        return sum((part.usage for part in self.parts), Usage())


def read_status(layout: Layout, spec: ClusterSpec, cgroups: Cgroups) -> ClusterStatus:
    """Look at the node's processes and ask each part how it is; changes nothing."""
    record = node.running(layout)
    if record is None:
        return ClusterStatus(running=False, healthy=False, api_port=spec.api_port)
    health = read_health(layout)
    names = [service.name for service in services(spec)]
    usages, numbers = _usages(record, cgroups, layout, names)
    parts = [
        PartStatus(
            name=name,
            process=numbers.get(name),
            healthy=health.get(name, (False, 0))[0],
            restarts=health.get(name, (False, 0))[1],
            usage=usages.get(name, Usage()),
        )
        for name in names
    ]
    parts += [PartStatus(name=name, usage=usages.get(name, Usage())) for name in ("pods", "node")]
    return ClusterStatus(
        running=True,
        healthy=all(part.healthy for part in parts if part.healthy is not None),
        api_port=record.api_port,
        started_at=record.started_at,
        parts=tuple(parts),
    )


def read_health(layout: Layout) -> dict[str, tuple[bool, int]]:
    """Return what each part answers: whether it is well, and its restarts."""
    asked = node.run_inside(layout, ["/opt/careops/node/health.sh"], timeout=HEALTH_SECONDS)
    return parse_health(asked.stdout.decode(errors="replace"))


def parse_health(text: str) -> dict[str, tuple[bool, int]]:
    """Read the lines `name ok|down restarts`."""
    rows = [line.split() for line in text.splitlines()]
    return {row[0]: (row[1] == "ok", int(row[2])) for row in rows if len(row) == 3}  # noqa: PLR2004 - as documented


def classify(command: Sequence[str], in_pod: bool, names: Sequence[str]) -> str:  # noqa: FBT001 - a fact, not a switch
    """Return the part that a process belongs to, by its command line and its control group."""
    if in_pod:
        return "pods"
    program = command[0].rpartition("/")[2] if command else ""
    if program in names:
        return program
    return "containerd" if program == "containerd-shim-runc-v2" else "node"


def _usages(
    record: NodeRecord, cgroups: Cgroups, layout: Layout, names: Sequence[str]
) -> tuple[Mapping[str, Usage], Mapping[str, int]]:
    usages: dict[str, Usage] = {}
    numbers: dict[str, int] = {}
    outside = [record.launcher.number, *processes.children(record.launcher.number)]
    for number in sorted({*groups.member_processes(cgroups, layout.name), *outside}):
        part = classify(processes.command(number), _in_pod(number), names)
        usages[part] = usages.get(part, Usage()) + processes.usage(number)
        if part in names and part not in numbers:
            numbers[part] = number
    return usages, numbers


def _in_pod(number: int) -> bool:
    try:
        return "/kubepods" in (processes.PROC / str(number) / "cgroup").read_text()
    except OSError:
        return False
