"""Whether this machine can carry what is asked of it: pure judgement of facts read elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from operations.errors import Problem
from toolchain.host import HostFacts, Requirements, problems

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.environments import Environment

GIB = 1024**3

CACHE_BYTES = Requirements().cache_bytes
"""Go modules, Go's build cache, Debian packages and artefacts of a build from source."""

STATE_BYTES = 10 * GIB
"""Images unpacked by containerd, databases, filestores and logs of four new environments, with a margin of a fifth."""

LINK_MEMORY = 3 * GIB
"""What linking Kubernetes takes at its peak; nothing else runs at that moment."""

PLATFORM_MEMORY = 3 * GIB // 2
"""Control plane, node, DNS, network policy engine and operator: 0.7 GiB measured idle, twice that while it deploys."""


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The facts of a machine that decide.

    Attributes:
        host: What the machine is.
        built: Whether everything that is built from source is in the cache already.
        running: Whether this platform's own cluster runs already.
        deployed: Stacks that were deployed before.
        port_problem: What keeps the API server from its port, or None.
    """

    host: HostFacts
    built: bool = False
    running: bool = False
    deployed: frozenset[str] = field(default_factory=frozenset)
    port_problem: Problem | None = None


def requirements(machine: Machine, environments: Sequence[Environment]) -> Requirements:
    """Return what is still needed for these environments, given what is there already."""
    present = machine.deployed if machine.running else frozenset()
    fresh = [environment for environment in environments if environment.stack not in present]
    platform = 0 if machine.running else PLATFORM_MEMORY
    run = platform + sum(environment.memory_bytes for environment in fresh)
    return Requirements(
        memory_bytes=max(run, 0 if machine.built else LINK_MEMORY),
        state_bytes=STATE_BYTES * len([one for one in environments if one.stack not in machine.deployed]) // 4,
        cache_bytes=0 if machine.built else CACHE_BYTES,
        cluster=True,
    )


def judge(machine: Machine, environments: Sequence[Environment]) -> tuple[Problem, ...]:
    """Return everything about this machine that keeps these environments from running on it; empty when it is fit."""
    found = tuple(
        Problem(what=one.what.removesuffix("."), why=one.why, action=one.action)
        for one in problems(machine.host, requirements(machine, environments))
    )
    port = () if machine.port_problem is None else (machine.port_problem,)
    return (*found, *port)
