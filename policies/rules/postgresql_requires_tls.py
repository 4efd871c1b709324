"""Clients verify PostgreSQL's certificate, and PostgreSQL refuses everything else."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from policies.pods import POD_KINDS, Container, containers
from policies.resources import CNPG_CLUSTER, Resource
from policies.rule import Context, Evidence, Rule
from policies.values import Node, doubt, require
from policies.verdicts import Doubt, Finding, Verdict, conclude

if TYPE_CHECKING:
    from collections.abc import Iterator

    from policies.verdicts import Observation

# libpq's own names (PostgreSQL documentation, "Environment Variables") that mean: this container is a client.
_CLIENT: Final = frozenset({"PGHOST", "PGHOSTADDR", "PGPASSWORD", "PGSERVICE", "PGUSER", "PGDATABASE"})
# `require` encrypts but lets anybody pose as the server, so only the strictest mode is enough.
_VERIFIED: Final = "verify-full"
_URI: Final = re.compile(r"\bpostgres(?:ql)?://\S+")
_URI_MODE: Final = re.compile(r"[?&]sslmode=verify-full(?:&|$)")
_CONNINFO: Final = re.compile(r"\bsslmode\s*=\s*'?(?!verify-full)([a-z-]+)")
_ANY_ADDRESS: Final = frozenset({"0.0.0.0/0", "::/0"})


def _variables(container: Container) -> tuple[dict[str, Node], list[Node]]:
    """Return a container's variables by name (the last one wins, as in Kubernetes) and those without a known name."""
    named: dict[str, Node] = {}
    unseen: list[Node] = []
    for variable in container.node.at("env").each():
        name = variable.at("name")
        if isinstance(name.value, str):
            named[name.value] = variable
        else:
            unseen.append(name)
    return named, unseen


def _uses_a_socket(named: dict[str, Node]) -> bool:
    """Tell whether the client talks through a file in its own pod, where libpq has no use for TLS."""
    host = named["PGHOST"].at("value").value if "PGHOST" in named else None
    return isinstance(host, str) and host.startswith("/") and "PGHOSTADDR" not in named


def _client(container: Container) -> Iterator[Observation]:
    named, unseen = _variables(container)
    yield from (doubt(node) for node in unseen if node.unknown)
    if _uses_a_socket(named):
        return
    mode = named.get("PGSSLMODE")
    if _CLIENT & named.keys() or mode is not None:
        if mode is None:
            message = f"{container.title} connects to PostgreSQL without PGSSLMODE: libpq then accepts plain text"
            yield Finding(path=f"{container.node.path}.env", message=message)
        else:
            yield from _mode(container, mode)
            message = f"{container.title} names no PGSSLROOTCERT to verify PostgreSQL with"
            root = named.get("PGSSLROOTCERT", Node(None, f"{container.node.path}.env"))
            yield from require(root, lambda value: value is not None, message)
    elif any(not source.absent for source in container.node.at("envFrom").each()):
        # Only a container that names no PostgreSQL variable itself may get one unseen; its own would win.
        reason = f"{container.title} takes all variables of another object, which may make it a PostgreSQL client"
        yield Doubt(path=f"{container.node.path}.envFrom", reason=reason)


def _mode(container: Container, variable: Node) -> Iterator[Observation]:
    if not variable.at("valueFrom").absent:
        yield Doubt(path=variable.path, reason=f"PGSSLMODE of {container.title} is kept in another object")
    else:
        message = f"{container.title} does not verify PostgreSQL: PGSSLMODE is not {_VERIFIED}"
        yield from require(variable.at("value"), lambda value: value == _VERIFIED, message)


def _texts(container: Container) -> Iterator[Observation]:
    """Look for connection strings in arguments and literal variables."""
    for key in ("command", "args", "env"):
        for text in container.node.at(key).strings():
            if text.unknown:
                if key != "env":
                    yield doubt(text)
                continue
            uris = _URI.findall(text.value)
            if any(not _URI_MODE.search(uri) for uri in uris) or _CONNINFO.search(text.value):
                message = f"{container.title} has a connection string without sslmode={_VERIFIED}"
                yield Finding(path=text.path, message=message)


def _pod(resource: Resource) -> Iterator[Observation]:
    for container in containers(resource):
        yield from _client(container)
        yield from _texts(container)


def _covers_everything(fields: list[str]) -> frozenset[str]:
    """Return the addresses a `hostnossl all all <address> reject` line closes; empty for any other line."""
    match fields:
        case ["hostnossl", "all", "all", address, "reject"]:
            return _ANY_ADDRESS if address == "all" else frozenset({address}) & _ANY_ADDRESS
    return frozenset()


def _server(resource: Resource) -> Iterator[Observation]:
    """Judge pg_hba in PostgreSQL's way: the first line that matches a connection decides."""
    lines = resource.properties.at("spec", "postgresql", "pg_hba")
    closed: frozenset[str] = frozenset()
    for line in lines.each():
        if line.unknown:
            yield doubt(line)
            return
        fields = str(line.value).split()
        closed |= _covers_everything(fields)
        if closed == _ANY_ADDRESS:
            return
        if fields and fields[0] in ("host", "hostnossl") and fields[-1] != "reject":
            yield Finding(path=line.path, message=f"this line lets clients in without TLS: {line.value}")
    message = "PostgreSQL accepts clients without TLS: pg_hba has no line `hostnossl all all all reject`"
    yield Finding(path=lines.path, message=message)


def _replicas(resource: Resource) -> Iterator[Observation]:
    for source in resource.properties.at("spec", "externalClusters").each():
        parameters = source.at("connectionParameters")
        if not parameters.absent:
            message = f"the connection to another cluster does not verify it: sslmode is not {_VERIFIED}"
            yield from require(parameters.at("sslmode"), lambda value: value == _VERIFIED, message)


def _cluster(resource: Resource) -> Iterator[Observation]:
    yield from _server(resource)
    yield from _replicas(resource)


def check(resource: Resource, _: Context) -> Verdict:
    """Judge both ends of PostgreSQL connections.

    Args:
        resource: A resource that carries a pod, or a CloudNativePG cluster.

    Returns:
        Pass when no client connects unverified and the server refuses connections without TLS.
    """
    return conclude(_cluster(resource) if resource.kind == CNPG_CLUSTER else _pod(resource))


RULE: Final = Rule(
    id="postgresql-requires-tls",
    title="PostgreSQL is reached over verified TLS only.",
    kinds=POD_KINDS | {CNPG_CLUSTER},
    check=check,
    severity="critical",
    controls=("encryption-in-transit",),
    remediation=(
        "Give each client container PGSSLMODE=verify-full as a literal value and PGSSLROOTCERT, and the Cluster the "
        "first pg_hba line `hostnossl all all all reject`."
    ),
    evidence=(
        Evidence(source="update", shows="Clients verify the server, and the server refuses plain text."),
        Evidence(source="cluster", shows="The settings in force are the declared ones."),
    ),
    waivable=False,
)
