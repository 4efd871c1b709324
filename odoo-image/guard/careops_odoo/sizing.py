"""How many Odoo processes fit into a container, and how large each may grow."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024

WORKER_BYTES = (80 * 150 + 20 * 1024) * MIB // 100
"""Memory of an average worker: Odoo's deployment guide counts 80 % light ones of 150 MB and 20 % heavy ones of 1 GB."""

SHARED_BYTES = 300 * MIB
"""Master and long-poll process: 164 + 101 MB resident, measured with 163 modules, rounded up."""

FEWEST_WORKERS = 2
"""With one, a slow request would stop the site. Two with master and long-poll take 429 MB (measured)."""

SOFT_FLOOR, SOFT_CEILING = 1024 * MIB, 2048 * MIB
"""Odoo compares it with *virtual* memory: 312 MB at rest, 183 MB of it resident (measured). 2 GiB is its default."""


@dataclass(frozen=True, kw_only=True)
class Sizing:
    """The process model: workers 0 means threads in one process, and no long-poll port of its own."""

    workers: int
    limit_memory_soft: int
    limit_memory_hard: int


def size(memory_bytes: int, cpu_millicores: int, workers: int | None) -> Sizing:
    """Decide the process model.

    Args:
        memory_bytes: The container's memory limit; 0 for none.
        cpu_millicores: The container's CPU limit; 0 for none.
        workers: A fixed number from the settings, or None to decide.

    Returns:
        With workers undecided: the smaller of what the CPU limit serves (Odoo's rule of thumb, two per core plus one)
        and what the memory limit holds, but at least two, so that the long-poll port exists unless the settings say 0.
    """
    if workers is None:
        by_cpu = 2 * max(cpu_millicores, 1000) // 1000 + 1
        by_memory = max(memory_bytes - SHARED_BYTES, 0) // WORKER_BYTES if memory_bytes else by_cpu
        workers = max(min(by_cpu, by_memory), FEWEST_WORKERS)
    soft = min(max(memory_bytes * 3 // 4, SOFT_FLOOR), SOFT_CEILING) if memory_bytes else SOFT_CEILING
    # The ratio of soft to hard limit is that of Odoo's defaults, 2048 to 2560 MiB.
    return Sizing(workers=workers, limit_memory_soft=soft, limit_memory_hard=soft * 5 // 4)
