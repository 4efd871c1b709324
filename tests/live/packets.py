"""Sends the matrix's packets: one program in each source, which tries everything at once, and what it says."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.cluster import node
from toolchain.cluster.spec import Layout

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.live.matrix import Attempt, Endpoint
    from tests.live.support import Platform

SCRIPT = Path(__file__).with_name("packets.pl")

CONNECT_SECONDS = 3
"""Longer than the second after which a lost first packet is sent again."""

SOURCES_AT_ONCE = 6
"""Each mostly waits; more of them only make two cores slower than the packets."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one run of the probe saw: the outcome of each address and port, and each name's address if it has one."""

    outcomes: dict[tuple[str, str], str] = field(default_factory=dict)
    names: dict[str, str | None] = field(default_factory=dict)


def arguments(
    ports: Mapping[str, Iterable[str]], *, names: Iterable[str] = (), seconds: int = CONNECT_SECONDS
) -> list[str]:
    """Return the probe's command line for ports by address, and names."""
    wanted = [f"{address}={','.join(each)}" for address, each in ports.items()]
    return [
        "perl",
        "-e",
        SCRIPT.read_text(encoding="utf-8"),
        str(seconds),
        *wanted,
        *(f"name:{name}" for name in names),
    ]


def parsed(output: str) -> Seen:
    """Return what the probe said; every line has to be one of its own."""
    seen = Seen()
    for line in output.splitlines():
        words = line.split()
        if len(words) == 3 and words[0] == "name":
            seen.names[words[1]] = None if words[2] == "unknown" else words[2]
        elif len(words) == 3 and words[2] in {"open", "refused", "silent"}:
            seen.outcomes[words[0], words[1]] = words[2]
        else:
            raise AssertionError(f"not a line of the probe: {line}")
    return seen


def run_here(argv: Sequence[str]) -> str:
    """Run the probe on this machine, for its own tests."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


def observe(platform: Platform, tries: Iterable[Attempt]) -> dict[Attempt, str]:
    """Make every attempt from inside its source and return what happened."""
    by_source: dict[Endpoint, list[Attempt]] = defaultdict(list)
    for attempt in tries:
        by_source[attempt.source].append(attempt)
    seen: dict[Attempt, str] = {}
    with ThreadPoolExecutor(SOURCES_AT_ONCE) as pool:
        for result in pool.map(lambda item: _from_one(platform, *item), by_source.items()):
            seen |= result
    return seen


def see(
    platform: Platform, sources: Sequence[Endpoint], ports: Mapping[str, Iterable[str]]
) -> dict[Endpoint, dict[tuple[str, str], str]]:
    """Try addresses that mean something else in each source, such as those of its own link; nothing is judged."""
    with ThreadPoolExecutor(SOURCES_AT_ONCE) as pool:
        outputs = pool.map(lambda source: _run(platform, source, arguments(ports)), sources)
        return {source: parsed(output).outcomes for source, output in zip(sources, outputs, strict=True)}


def resolve(platform: Platform, source: Endpoint, names: Iterable[str]) -> dict[str, str | None]:
    """Ask a source's resolver for names and return their addresses; None for a name that it does not know."""
    return parsed(_run(platform, source, arguments({}, names=names))).names


def _from_one(platform: Platform, source: Endpoint, tries: list[Attempt]) -> dict[Attempt, str]:
    ports: dict[str, list[str]] = defaultdict(list)
    for attempt in tries:
        ports[attempt.target.ip].append(attempt.port)
    outcomes = parsed(_run(platform, source, arguments(ports))).outcomes
    missing = [attempt for attempt in tries if (attempt.target.ip, attempt.port) not in outcomes]
    assert not missing, f"{len(missing)} attempts gave no answer, first: {missing[0]}"
    return {attempt: outcomes[attempt.target.ip, attempt.port] for attempt in tries}


def _run(platform: Platform, source: Endpoint, argv: list[str]) -> str:
    if source.role == "node":
        done = node.run_inside(Layout.of(platform.paths.state), argv, timeout=60)
        return (done.stdout + done.stderr).decode()
    return platform.run_in(platform.api.read_namespaced_pod(source.pod, source.namespace), argv)
