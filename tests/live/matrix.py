"""Who may open a connection to whom: declared here by role, independently of infra/, and compared with packets."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ENVIRONMENT_ROLES = ("edge", "odoo-web", "odoo-cron", "odoo-migrate", "odoo-secrets", "mail-sink", "postgresql")
"""What runs in an environment. The pods of the two jobs have ended; probes with their labels stand for them."""

DNS_PORTS = ("tcp/53", "udp/53")

LISTENS: dict[str, tuple[str, ...]] = {
    "edge": ("tcp/8080", "tcp/8443"),
    "odoo-web": ("tcp/8069",),
    "odoo-cron": (),
    "odoo-migrate": ("tcp/8080",),
    "odoo-secrets": ("tcp/8080",),
    "mail-sink": ("tcp/1025", "tcp/8025"),
    "postgresql": ("tcp/5432", "tcp/8000", "tcp/9187"),
    "stranger": ("tcp/8080",),
    "operator": ("tcp/8080", "tcp/9443"),
    "dns": (*DNS_PORTS, "tcp/8080", "tcp/8181"),
    "storage": (),
    "node": ("tcp/6443", "tcp/10250"),
    "metadata": ("tcp/80",),
    "outside": ("tcp/25", "tcp/53", "tcp/443", "udp/53"),
    "api-service": ("tcp/443",),
    "dns-service": DNS_PORTS,
}
"""Where each role is known to listen; the probes and what stands for the outside were made to."""

WITH_WORKERS = ("odoo-web", "tcp/8072")
"""Only prod runs Odoo with workers; elsewhere one process serves the long-poll on 8069, and 8072 has no listener."""

POD_PORTS = tuple(
    sorted({port for ports in LISTENS.values() for port in ports} | {WITH_WORKERS[1], "tcp/22", "tcp/9153"})
)
"""Tried on every pod: all ports in use anywhere, SSH and CoreDNS' usual port for metrics."""

PORTS: dict[str, tuple[str, ...]] = {
    # The API server and the kubelet; etcd (2379, 2380), kube-proxy (10249, 10256), the controller manager and the
    # scheduler listen on the node's loopback only; 16443 is the API port of the machine, which no pod may meet here.
    "node": (
        *("tcp/22", "tcp/2379", "tcp/2380", "tcp/6443", "tcp/10249", "tcp/10250", "tcp/10255", "tcp/10256"),
        *("tcp/10257", "tcp/10259", "tcp/16443", "udp/53"),
    ),
    "metadata": ("tcp/80", "tcp/443", "udp/53"),
    "outside": ("tcp/22", "tcp/25", "tcp/53", "tcp/80", "tcp/443", "tcp/5432", "udp/53"),
    "api-service": ("tcp/443",),
    "dns-service": DNS_PORTS,
}
"""Tried on what is no pod."""

NEIGHBOURS = {
    ("edge", "odoo-web", "tcp/8069"),
    ("odoo-web", "postgresql", "tcp/5432"),
    ("odoo-cron", "postgresql", "tcp/5432"),
    ("odoo-migrate", "postgresql", "tcp/5432"),
    ("odoo-web", "mail-sink", "tcp/1025"),
    ("odoo-cron", "mail-sink", "tcp/1025"),
    ("postgresql", "postgresql", "tcp/5432"),
    ("postgresql", "postgresql", "tcp/8000"),
}
"""Open inside one environment. Between environments nothing is."""

NEIGHBOURS_WITH_WORKERS = {("edge", *WITH_WORKERS)}

SHARED = {
    *((role, dns, port) for role in ENVIRONMENT_ROLES for dns in ("dns", "dns-service") for port in DNS_PORTS),
    ("postgresql", "node", "tcp/6443"),
    ("postgresql", "api-service", "tcp/443"),
    ("odoo-secrets", "node", "tcp/6443"),
    ("odoo-secrets", "api-service", "tcp/443"),
}
"""What an environment's pods may reach outside their namespace: names, and for two of them the API server."""

UNPOLICED = {"node", "metadata", "outside", "api-service", "dns-service"}
"""What nothing but a sender's own policy keeps anybody from: here a stranger's packets pass."""

OUTCOMES = ("silent", "refused", "open")
"""How an attempt ends, from nothing to everything."""


@dataclass(frozen=True, kw_only=True, order=True)
class Endpoint:
    """One end of a connection.

    Attributes:
        namespace: Where a pod runs; `-` for what is no pod.
        role: What it is in the tables above.
        pod: Its name.
        ip: Its address.
        only: The ports to try where they are not those of its role: a Service has no others.
    """

    namespace: str
    role: str
    pod: str
    ip: str
    only: tuple[str, ...] = ()

    @property
    def ports(self) -> tuple[str, ...]:
        return self.only or PORTS.get(self.role, POD_PORTS)

    def listens(self, port: str) -> bool:
        workers = (self.role, port) == WITH_WORKERS and self.namespace.endswith("-prod")
        return workers or port in LISTENS[self.role]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.role}" + (" (Service)" if self.only else "")


@dataclass(frozen=True, kw_only=True, order=True)
class Attempt:
    source: Endpoint
    target: Endpoint
    port: str

    def allowed(self) -> bool:
        """Whether the tables let this packet arrive."""
        source, target = self.source, self.target
        flow = (source.role, target.role, self.port)
        if source.role == "node":
            return True  # the kubelet's probes come from there; no policy of a pod holds its own node back
        if source.role == "stranger":
            names = target.role == "dns" and self.port in DNS_PORTS
            return names or target.role in UNPOLICED | {"stranger"}
        neighbours = NEIGHBOURS | (NEIGHBOURS_WITH_WORKERS if source.namespace.endswith("-prod") else set())
        return flow in SHARED or (source.namespace == target.namespace and flow in neighbours)

    def __str__(self) -> str:
        return f"{self.source} → {self.target} {self.port}"


def attempts(sources: Iterable[Endpoint], targets: Iterable[Endpoint]) -> list[Attempt]:
    """Return every connection to try: each source to each port of each other end."""
    return [
        Attempt(source=source, target=target, port=port)
        for source, target in itertools.product(list(sources), list(targets))
        if source.ip != target.ip
        for port in target.ports
    ]


def differences(tried: Mapping[Attempt, str]) -> list[str]:
    """Return what is not as declared: a packet that arrived although not allowed, or an allowed connection not open.

    Args:
        tried: For each attempt `open`, `refused` (a packet came back, so the network let it through) or `silent`.
    """
    return [f"{attempt} is {outcome} and must be {wanted}" for attempt, outcome, wanted in _wrong(tried)]


def unproved(tried: Mapping[Attempt, str], controls: Mapping[Attempt, str]) -> list[str]:
    """Return what is silent without proof: no control reached the same target on the same port.

    A control that was refused is proof as well: the target's kernel answered it, so the address lives and packets get
    there and back. Where the role is known to listen, the control has to open.

    Args:
        tried: The matrix.
        controls: The same targets, from where nothing holds packets back.
    """
    best: dict[tuple[str, str], str] = {}
    for attempt, outcome in controls.items():
        key = (attempt.target.ip, attempt.port)
        best[key] = max(outcome, best.get(key, outcome), key=OUTCOMES.index)
    found = set()
    for attempt, outcome in tried.items():
        target, port = attempt.target, attempt.port
        control = best.get((target.ip, port), "never tried")
        enough = {"open"} if target.listens(port) else {"open", "refused"}
        if outcome == "silent" and control not in enough:
            found.add(f"{target} {port} is {control} from where it must be {' or '.join(sorted(enough))}")
    return sorted(found)


def _wrong(tried: Mapping[Attempt, str]) -> Iterator[tuple[Attempt, str, str]]:
    for attempt, outcome in sorted(tried.items()):
        if not attempt.allowed():
            if outcome != "silent":
                yield attempt, outcome, "silent"
        elif attempt.target.listens(attempt.port):
            if outcome != "open":
                yield attempt, outcome, "open"
        elif outcome == "silent":
            yield attempt, outcome, "reachable"
