"""Who may open a connection to whom: declared here by role, independently of infra/, and compared with packets."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.live.support import Platform

LISTENS = {
    "edge": (8080, 8443),
    "odoo-web": (8069, 8072),
    "postgresql": (5432, 8000),
    "mail-sink": (1025, 8025),
    "odoo-cron": (),
    "stranger": (8080,),
}
"""Ports that each role listens on, or would: connections to the others are tried as well."""

ALLOWED = {
    ("edge", "odoo-web", 8069),
    ("odoo-web", "postgresql", 5432),
    ("odoo-cron", "postgresql", 5432),
    ("odoo-web", "mail-sink", 1025),
    ("odoo-cron", "mail-sink", 1025),
    ("postgresql", "postgresql", 5432),
    ("postgresql", "postgresql", 8000),
    ("postgresql", "api-server", 6443),
}
"""Inside one environment. Between environments, and from anywhere else, nothing."""

ALLOWED_WITH_WORKERS = {("edge", "odoo-web", 8072)}
"""Only prod runs Odoo with workers; elsewhere one process serves the long-poll on 8069, and 8072 stays closed."""

ALL_PORTS = sorted({port for ports in LISTENS.values() for port in ports})
CONNECT_SECONDS = 1.5


@dataclass(frozen=True, kw_only=True, order=True)
class Endpoint:
    """A pod, or the API server, as one end of a connection."""

    namespace: str
    role: str
    pod: str
    ip: str


@dataclass(frozen=True, kw_only=True, order=True)
class Attempt:
    source: Endpoint
    target: Endpoint
    port: int

    def allowed(self) -> bool:
        same = self.source.namespace == self.target.namespace or self.target.role == "api-server"
        allowed = ALLOWED | (ALLOWED_WITH_WORKERS if self.source.namespace.endswith("-prod") else set())
        return same and (self.source.role, self.target.role, self.port) in allowed

    def __str__(self) -> str:
        return f"{self.source.namespace}/{self.source.role} → {self.target.namespace}/{self.target.role}:{self.port}"


def attempts(sources: Iterable[Endpoint], targets: Iterable[Endpoint]) -> list[Attempt]:
    """Return every connection to try: each source to each port of each other pod."""
    targets = list(targets)
    return [
        Attempt(source=source, target=target, port=port)
        for source in sources
        for target in targets
        if source.ip != target.ip
        for port in ((6443,) if target.role == "api-server" else ALL_PORTS)
    ]


def differences(tried: dict[Attempt, str]) -> list[str]:
    """Return what is not as declared: open although not allowed, or not open although allowed and listened on.

    Args:
        tried: For each attempt `open`, `refused` (a packet came back, so the network let it through) or `silent`.
    """
    found = []
    for attempt, outcome in sorted(tried.items()):
        reached = outcome in {"open", "refused"}
        if reached and not attempt.allowed():
            found.append(f"{attempt} is {outcome} and must be silent")
        if not reached and attempt.allowed():
            found.append(f"{attempt} is {outcome} and must be reachable")
    return found


PYTHON = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def go(target):
    ip, port = target
    try:
        socket.create_connection((ip, port), timeout=%(seconds)s).close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except OSError:
        return "silent"
with ThreadPoolExecutor(64) as pool:
    print(json.dumps(list(pool.map(go, json.loads(sys.argv[1])))))
"""

# The edge's image has no Python; Debian's own perl-base opens all connections at once in one small process.
PERL = """
use Socket; use Errno; use IO::Handle;
my (%%open, %%outcome);
for my $target (@ARGV) {
  my ($ip, $port) = split /:/, $target;
  socket(my $s, PF_INET, SOCK_STREAM, 0) or die $!;
  $s->blocking(0);
  connect($s, sockaddr_in($port, inet_aton($ip))) or $!{EINPROGRESS}
    or do { $outcome{$target} = $!{ECONNREFUSED} ? "refused" : "silent"; next };
  $open{$target} = $s;
}
my $end = time + 3;
while (%%open and time < $end) {
  my $w = ""; vec($w, fileno($_), 1) = 1 for values %%open;
  select(undef, my $ready = $w, undef, 0.2);
  for my $target (keys %%open) {
    next unless vec($ready, fileno($open{$target}), 1);
    my $error = unpack("i", getsockopt($open{$target}, SOL_SOCKET, SO_ERROR));
    $outcome{$target} = !$error ? "open" : $error == Errno::ECONNREFUSED() ? "refused" : "silent";
    delete $open{$target};
  }
}
$outcome{$_} = "silent" for keys %%open;
print "$_ $outcome{$_}\\n" for sort keys %%outcome;
"""


def observe(platform: Platform, tries: list[Attempt]) -> dict[Attempt, str]:
    """Make every attempt from inside its source pod and return what happened."""
    by_source: dict[Endpoint, list[Attempt]] = {}
    for attempt in tries:
        by_source.setdefault(attempt.source, []).append(attempt)
    seen: dict[Attempt, str] = {}
    with ThreadPoolExecutor(4) as pool:
        for result in pool.map(lambda item: _from_one(platform, *item), by_source.items()):
            seen |= result
    missing = [str(attempt) for attempt in tries if attempt not in seen]
    assert not missing, f"{len(missing)} attempts gave no answer, first: {missing[0]}"
    return seen


def _from_one(platform: Platform, source: Endpoint, tries: list[Attempt]) -> dict[Attempt, str]:
    pod = platform.api.read_namespaced_pod(source.pod, source.namespace)
    seconds = {"seconds": CONNECT_SECONDS}
    if source.role == "edge":
        targets = [f"{attempt.target.ip}:{attempt.port}" for attempt in tries]
        output = platform.run_in(pod, ["perl", "-e", PERL % seconds, *targets])
        outcome = dict(line.split() for line in output.splitlines() if len(line.split()) == 2)
        return {a: outcome[f"{a.target.ip}:{a.port}"] for a in tries if f"{a.target.ip}:{a.port}" in outcome}
    argument = json.dumps([[attempt.target.ip, attempt.port] for attempt in tries])
    output = platform.run_in(pod, ["python3", "-c", PYTHON % seconds, argument])
    return dict(zip(tries, json.loads(output.strip().splitlines()[-1].replace("'", '"')), strict=True))
