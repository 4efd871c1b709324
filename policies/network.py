"""What a NetworkPolicy closes and opens, as the API server and the network plug-in understand it.

Absent, empty and unknown are three different things: a rule without peers means everybody, and a value that is not
known yet means that nobody can tell.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from policies.values import MalformedValue, Node, doubt

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from policies.verdicts import Doubt

Direction = Literal["Ingress", "Egress"]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

DIRECTIONS: Final[tuple[Direction, ...]] = ("Ingress", "Egress")
_PEERS: Final = {"Ingress": "from", "Egress": "to"}
_LAST_PORT: Final = 65535


@dataclass(frozen=True, kw_only=True, slots=True)
class Opening:
    """What one rule of a policy lets through.

    Attributes:
        path: The rule inside the policy, `spec.ingress[0]`.
        ports: The ports it names, as `TCP/443` or `TCP/8000-8080`; `None` when it names none, so that all are open.
        everybody: Why it lets everybody through whatever the rest says; empty when its peers are a choice.
        networks: The address ranges among its peers. What `except` takes out of them is left in: a range with holes
            is no list of those who are let in.
        doubts: What of it is not known yet.
    """

    path: str
    ports: frozenset[str] | None
    everybody: str
    networks: tuple[Network, ...]
    doubts: tuple[Doubt, ...]


def selects_everything(selector: Node) -> bool | None:
    """Tell whether a label selector takes everything, as an empty one does; to the API an absent one is empty.

    Args:
        selector: A `podSelector` or `namespaceSelector`.

    Returns:
        `None` when it is not known yet.
    """
    labels, expressions = selector.at("matchLabels"), selector.at("matchExpressions")
    if selector.unknown or labels.unknown or expressions.unknown:
        return None
    return not list(labels.entries()) and not list(expressions.each())


def directions(spec: Node) -> set[Direction] | None:
    """Return which directions a policy isolates, by the API server's own default where policyTypes is unset or empty.

    The default is Ingress, and Egress too when there is an egress rule; an empty list of them is none.

    Args:
        spec: The policy's specification.

    Returns:
        `None` when it is not known yet.
    """
    types = list(spec.at("policyTypes").each())
    rules = list(spec.at("egress").each())
    if any(item.unknown for item in types):
        return None
    if types:
        named = {item.value for item in types}
        return {direction for direction in DIRECTIONS if direction in named}
    if spec.at("egress").unknown:
        return None
    return {"Ingress", "Egress"} if rules else {"Ingress"}


def openings(spec: Node, direction: Direction) -> list[Opening]:
    """Return what each rule of one direction lets through, in order; empty when the policy has no rule there.

    Args:
        spec: The policy's specification.
        direction: Which rules.

    Raises:
        MalformedValue: If a rule has a shape that Kubernetes does not accept.
    """
    return [_opening(rule, direction) for rule in spec.at(direction.lower()).each()]


def covers_everything(networks: Iterable[Network]) -> str:
    """Return the address family that some ranges cover completely, as `IPv4`; empty when they leave something out."""
    networks = list(networks)
    four = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
    six = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    if any(network.prefixlen == 0 for network in ipaddress.collapse_addresses(four)):
        return "IPv4"
    return "IPv6" if any(network.prefixlen == 0 for network in ipaddress.collapse_addresses(six)) else ""


def _opening(rule: Node, direction: Direction) -> Opening:
    if rule.unknown:
        return Opening(path=rule.path, ports=None, everybody="", networks=(), doubts=(doubt(rule),))
    key = _PEERS[direction]
    peers = list(rule.at(key).each())
    ports, unseen_ports = _ports(rule.at("ports"))
    everybody = "" if peers else f"it names nobody in `{key}`, which means everybody"
    networks: list[Network] = []
    doubts: list[Doubt] = list(unseen_ports)
    for peer in peers:
        why, found, unseen = _peer(peer)
        everybody = everybody or why
        networks += found
        doubts += unseen
    return Opening(path=rule.path, ports=ports, everybody=everybody, networks=tuple(networks), doubts=tuple(doubts))


def _peer(peer: Node) -> tuple[str, list[Network], list[Doubt]]:
    """Return why a peer is everybody (or nothing), its address ranges, and what of it is not known."""
    if peer.unknown:
        return "", [], [doubt(peer)]
    block = peer.at("ipBlock")
    if not block.absent:
        cidr = block.at("cidr")
        return ("", [], [doubt(cidr)]) if cidr.unknown else ("", [_network(cidr)], [])
    why, unseen = _pods(peer)
    return why, [], unseen


def _pods(peer: Node) -> tuple[str, list[Doubt]]:
    """Return why a peer made of selectors is everybody (or nothing), and what of it is not known."""
    pods, namespaces = peer.at("podSelector"), peer.at("namespaceSelector")
    if namespaces.absent:
        # Pods of the policy's own namespace, all or some: nobody from outside.
        return (f"{peer.path} is empty, which selects everybody", []) if pods.absent else ("", [])
    every = (selects_everything(namespaces), selects_everything(pods))
    if False in every:
        return "", []
    if None in every:
        return "", [doubt(next(_unknown(peer)))]
    return f"{peer.path} selects every pod of every namespace", []


def _unknown(node: Node) -> Iterator[Node]:
    return (found for found in node.strings() if found.unknown)


def _network(cidr: Node) -> Network:
    try:
        return ipaddress.ip_network(str(cidr.value), strict=False)
    except ValueError as error:
        raise MalformedValue(f"{cidr.path} is not an address range such as 10.0.0.0/8") from error


def _ports(ports: Node) -> tuple[frozenset[str] | None, list[Doubt]]:
    """Return the ports a rule names, `None` for all, and what of them is not known."""
    named: set[str] = set()
    doubts: list[Doubt] = []
    for item in ports.each():
        unseen = list(_unknown(item))
        if unseen:
            doubts.append(doubt(unseen[0]))
            continue
        first, last = item.at("port").value, item.at("endPort").value
        if first is None or (_number(first) <= 1 and _number(last) >= _LAST_PORT):
            return None, []
        text = "-".join(_plain(port) for port in (first, last) if port is not None)
        named.add(f"{item.at('protocol').value or 'TCP'}/{text}")
    return (frozenset(named) if named or doubts else None), doubts


def _plain(port: object) -> str:
    """Return a port as people write it: Pulumi's engine sends every number as a floating-point one."""
    return f"{port:.0f}" if isinstance(port, float) else str(port)


def _number(port: object) -> float:
    """Return a port's number; a named port is none and lies inside no range."""
    return float(port) if isinstance(port, int | float) else float("nan")
