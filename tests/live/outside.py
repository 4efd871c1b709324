"""What stands for the world outside and for a cloud's metadata service: a network namespace that the test makes.

It hangs on the node by a pair of virtual interfaces, with a route to two addresses and no way further. So packets that
a pod sends to the internet or to 169.254.169.254 arrive somewhere that answers, and still leave nothing. Everything
ends with the listener's process: it holds the namespace, the namespace holds the interfaces, they hold the routes.
"""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.live.matrix import LISTENS, Endpoint
from toolchain.cluster import node
from toolchain.cluster.facts import read_facts
from toolchain.cluster.spec import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.live.support import Platform

METADATA_ADDRESS = "169.254.169.254"
OUTSIDE_ADDRESS = "203.0.113.9"
"""Of the range that RFC 5737 keeps for examples: it belongs to nobody."""

# Answers whoever comes, on every port named, until its standard input ends.
LISTENER = r"""
use strict; use warnings; use Socket;
my (%tcp, %udp);
for my $wanted (@ARGV) {
  my ($address, $port) = split /=/, $wanted;
  my ($protocol, $number) = split m{/}, $port;
  socket(my $s, PF_INET, $protocol eq "udp" ? SOCK_DGRAM : SOCK_STREAM, 0) or die "socket: $!";
  setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
  setsockopt($s, 0, 15, 1) or die "IP_FREEBIND: $!"; # before the address is there
  bind($s, sockaddr_in($number, inet_aton($address))) or die "bind $wanted: $!";
  if ($protocol eq "udp") { $udp{fileno($s)} = $s } else { listen($s, 512) or die $!; $tcp{fileno($s)} = $s }
}
$| = 1;
print "$$\n";
while (1) {
  my $ready = "";
  vec($ready, $_, 1) = 1 for 0, keys %tcp, keys %udp;
  select($ready, undef, undef, undef);
  last if vec($ready, 0, 1) and !sysread(STDIN, my $end, 1);
  for (keys %tcp) { if (vec($ready, $_, 1)) { accept(my $c, $tcp{$_}); close($c) if $c } }
  for (keys %udp) {
    next unless vec($ready, $_, 1);
    my $from = recv($udp{$_}, my $question, 512, 0);
    send($udp{$_}, $question, 0, $from) if defined $from;
  }
}
"""

CONNECT = r"""
set -euo pipefail
pid=$1 node=$2
shift 2
ip link add careops-out type veth peer name out0 netns "$pid"
ip link set careops-out up
for address; do ip route add "$address/32" dev careops-out; done
nsenter --target "$pid" --net bash -euc '
  node=$1; shift
  ip link set lo up
  for address; do ip address add "$address/32" dev out0; done
  ip link set out0 up
  ip route add default via "$node" dev out0 onlink' - "$node" "$@"
"""


@contextmanager
def outside(platform: Platform) -> Iterator[list[Endpoint]]:
    """Offer an address of the internet and a metadata service to the node's pods for the duration of the block."""
    facts = read_facts(platform.paths.facts)
    assert facts.kind == "embedded", "only the embedded node's network may get a route for a test"
    layout = Layout.of(platform.paths.state)
    ends = [
        Endpoint(namespace="-", role="outside", pod="-", ip=OUTSIDE_ADDRESS),
        Endpoint(namespace="-", role="metadata", pod="-", ip=METADATA_ADDRESS),
    ]
    wanted = [f"{end.ip}={port}" for end in ends for port in LISTENS[end.role]]
    process = subprocess.Popen(
        node.entering(layout, ["unshare", "--net", "perl", "-e", LISTENER, *wanted]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline().strip()
        assert line.isdigit(), f"the listener says: {line} {process.stdout.read()}"
        address = facts.node_cidrs[0].split("/")[0]
        done = node.run_inside(
            layout, ["bash", "-c", CONNECT, "-", line, address, *(end.ip for end in ends)], timeout=30
        )
        assert done.returncode == 0, done.stdout + done.stderr
        yield ends
    finally:
        process.communicate(timeout=10)
