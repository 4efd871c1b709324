"""Who may talk to whom: the allowed flows as a table, and the NetworkPolicies that follow from it.

Everything is refused in both directions; a flow opens one way between two ends on named ports. Each flow appears in
the policy of the pods it leaves and in that of the pods it reaches, so neither side alone can widen it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from infra import naming
from infra.plans.sizes import has_mail_sink

if TYPE_CHECKING:
    from collections.abc import Iterable

    from infra.facts import ClusterFacts
    from infra.model import EnvironmentSettings
    from infra.plans.manifest import Manifest

HTTP_PORT = 8069
WEBSOCKET_PORT = 8072
EDGE_PORT = 8443
POSTGRESQL_PORT = 5432
# CloudNativePG's instance manager: status, backups and joins.
INSTANCE_MANAGER_PORT = 8000
SMTP_PORT = 1025
DNS_PORT = 53
OPERATOR_WEBHOOK_PORT = 9443

Protocol = Literal["TCP", "UDP"]
DEFAULT_DENY = "default-deny"


@dataclass(frozen=True, kw_only=True)
class Pods:
    """An end inside the cluster.

    Attributes:
        name: What the end is called in rules.
        labels: Labels that select its pods; empty selects every pod of the namespace.
        namespace: Their namespace; None is the one the policy stands in. `*` is any namespace.
    """

    name: str
    labels: tuple[tuple[str, str], ...] = ()
    namespace: str | None = None

    def selector(self) -> dict[str, Any]:
        """Return the label selector; a label whose value is `*` only has to exist."""
        exact = {key: value for key, value in self.labels if value != "*"}
        present = [{"key": key, "operator": "Exists"} for key, value in self.labels if value == "*"]
        selector: dict[str, Any] = {"matchLabels": exact} if exact else {}
        return selector | ({"matchExpressions": present} if present else {})

    def peers(self) -> list[dict[str, Any]]:
        """Return the end as a policy names it from the other side."""
        peer: dict[str, Any] = {"podSelector": self.selector()}
        if self.namespace == "*":
            peer["namespaceSelector"] = {}
        elif self.namespace is not None:
            peer["namespaceSelector"] = {"matchLabels": {naming.NAMESPACE_NAME_LABEL: self.namespace}}
        return [peer]


@dataclass(frozen=True, kw_only=True)
class Networks:
    """An end outside the cluster's pods.

    Attributes:
        name: What the end is called in rules.
        cidrs: Its address ranges.
    """

    name: str
    cidrs: tuple[str, ...]

    def peers(self) -> list[dict[str, Any]]:
        """Return the end as a policy names it from the other side."""
        return [{"ipBlock": {"cidr": cidr}} for cidr in self.cidrs]


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One permission: connections from one end to another on some ports."""

    name: str
    source: Pods | Networks
    target: Pods | Networks
    ports: tuple[int, ...]
    protocols: tuple[Protocol, ...] = ("TCP",)

    def port_rules(self) -> list[dict[str, Any]]:
        """Return the ports as a policy lists them."""
        return [{"port": port, "protocol": protocol} for port in self.ports for protocol in self.protocols]


@dataclass(frozen=True, kw_only=True)
class PolicyPlan:
    """One NetworkPolicy.

    Attributes:
        name: Its name.
        spec: Its specification as Kubernetes takes it.
        flows: Names of the flows it opens; none for the default deny.
    """

    name: str
    spec: Manifest
    flows: tuple[str, ...] = ()

    def annotations(self) -> dict[str, str]:
        """Return what tells a reader of the cluster which named flows the policy opens."""
        return {"careops.io/flows": ", ".join(self.flows)} if self.flows else {}


# No labels: every pod of the namespace.
EVERY_POD = Pods(name="dns-clients")
ODOO_WEB = Pods(name=naming.ODOO_WEB, labels=((naming.NAME_LABEL, naming.ODOO_WEB),))
ODOO_CRON = Pods(name=naming.ODOO_CRON, labels=((naming.NAME_LABEL, naming.ODOO_CRON),))
ODOO_MIGRATE = Pods(name=naming.ODOO_MIGRATE, labels=((naming.NAME_LABEL, naming.ODOO_MIGRATE),))
SECRETS_JOB = Pods(name=naming.ODOO_SECRETS_JOB, labels=((naming.NAME_LABEL, naming.ODOO_SECRETS_JOB),))
EDGE = Pods(name=naming.EDGE, labels=((naming.NAME_LABEL, naming.EDGE),))
MAIL_SINK = Pods(name=naming.MAIL_SINK, labels=((naming.NAME_LABEL, naming.MAIL_SINK),))
INSTANCES = Pods(name=naming.POSTGRESQL, labels=((naming.POSTGRESQL_POD_LABEL, naming.POSTGRESQL),))
OPERATOR_LABELS = ((naming.NAME_LABEL, naming.OPERATOR_APP),)
OPERATOR = Pods(name="operator", labels=OPERATOR_LABELS, namespace=naming.OPERATOR_NAMESPACE)


def environment_flows(settings: EnvironmentSettings, facts: ClusterFacts) -> tuple[Flow, ...]:
    """Return everything that may talk in an environment."""
    # Threaded Odoo answers the long-poll on its one port; 8072 has no listener there.
    web_ports = (HTTP_PORT,) if settings.odoo.workers == 0 else (HTTP_PORT, WEBSOCKET_PORT)
    api_server = Networks(name="api-server", cidrs=facts.api_server.cidrs)
    api_ports = (facts.api_server.port,)
    flows = [
        dns_flow(facts),
        Flow(name="edge-to-odoo-web", source=EDGE, target=ODOO_WEB, ports=web_ports),
        *(
            Flow(name=f"{client.name}-to-postgresql", source=client, target=INSTANCES, ports=(POSTGRESQL_PORT,))
            for client in _database_clients(settings)
        ),
        Flow(
            name="postgresql-replication",
            source=INSTANCES,
            target=INSTANCES,
            ports=(POSTGRESQL_PORT, INSTANCE_MANAGER_PORT),
        ),
        Flow(name="operator-to-postgresql", source=OPERATOR, target=INSTANCES, ports=(INSTANCE_MANAGER_PORT,)),
        Flow(name="postgresql-to-api-server", source=INSTANCES, target=api_server, ports=api_ports),
        Flow(name="secrets-to-api-server", source=SECRETS_JOB, target=api_server, ports=api_ports),
        *_mail_flows(settings),
        *_outside_flows(settings),
    ]
    return tuple(flows)


def operator_flows(facts: ClusterFacts) -> tuple[Flow, ...]:
    """Return everything the PostgreSQL operator may talk to and be reached by."""
    operator = Pods(name="operator", labels=OPERATOR_LABELS)
    instances = Pods(name="instances", labels=((naming.POSTGRESQL_POD_LABEL, "*"),), namespace="*")
    api_server = Networks(name="api-server", cidrs=facts.api_server.cidrs)
    # The API server calls the webhook from a node's address, not from a pod's.
    nodes = Networks(name="nodes", cidrs=facts.node_cidrs)
    return (
        dns_flow(facts),
        Flow(name="api-server-to-webhook", source=nodes, target=operator, ports=(OPERATOR_WEBHOOK_PORT,)),
        Flow(name="operator-to-api-server", source=operator, target=api_server, ports=(facts.api_server.port,)),
        Flow(name="operator-to-instances", source=operator, target=instances, ports=(INSTANCE_MANAGER_PORT,)),
    )


def policies(flows: Iterable[Flow]) -> tuple[PolicyPlan, ...]:
    """Return the NetworkPolicies for some flows: the default deny, and one for each end in this namespace."""
    flows = tuple(flows)
    ends: list[Pods] = []
    for flow in flows:
        for end in (flow.source, flow.target):
            if isinstance(end, Pods) and end.namespace is None and end not in ends:
                ends.append(end)
    deny = PolicyPlan(name=DEFAULT_DENY, spec={"podSelector": {}, "policyTypes": ["Ingress", "Egress"]})
    return (deny, *(_policy(end, flows) for end in ends))


def _policy(end: Pods, flows: tuple[Flow, ...]) -> PolicyPlan:
    inward = [flow for flow in flows if flow.target == end]
    outward = [flow for flow in flows if flow.source == end]
    spec: dict[str, Any] = {"podSelector": end.selector(), "policyTypes": []}
    if inward:
        spec["policyTypes"].append("Ingress")
        spec["ingress"] = [{"from": flow.source.peers(), "ports": flow.port_rules()} for flow in inward]
    if outward:
        spec["policyTypes"].append("Egress")
        spec["egress"] = [{"to": flow.target.peers(), "ports": flow.port_rules()} for flow in outward]
    opened = tuple(dict.fromkeys(flow.name for flow in (*inward, *outward)))
    return PolicyPlan(name=f"allow-{end.name}", spec=spec, flows=opened)


def dns_flow(facts: ClusterFacts) -> Flow:
    """Return the flow that lets every pod of a namespace resolve names."""
    servers = Pods(name="dns", labels=tuple(sorted(facts.dns.labels.items())), namespace=facts.dns.namespace)
    return Flow(name="dns", source=EVERY_POD, target=servers, ports=(DNS_PORT,), protocols=("UDP", "TCP"))


def _odoo(settings: EnvironmentSettings) -> tuple[Pods, ...]:
    return (ODOO_WEB, ODOO_CRON) if settings.odoo.cron.dedicated else (ODOO_WEB,)


def _database_clients(settings: EnvironmentSettings) -> tuple[Pods, ...]:
    return (*_odoo(settings), ODOO_MIGRATE)


def _mail_flows(settings: EnvironmentSettings) -> list[Flow]:
    if not has_mail_sink(settings):
        return []
    return [
        Flow(name=f"{sender.name}-to-mail-sink", source=sender, target=MAIL_SINK, ports=(SMTP_PORT,))
        for sender in _odoo(settings)
    ]


def _outside_flows(settings: EnvironmentSettings) -> list[Flow]:
    network = settings.network
    flows = []
    if network.client_cidrs:
        clients = Networks(name="clients", cidrs=network.client_cidrs)
        flows.append(Flow(name="clients-to-edge", source=clients, target=EDGE, ports=(EDGE_PORT,)))
    for partner in network.partners:
        target = Networks(name=partner.name, cidrs=(partner.cidr,))
        flows += [
            Flow(name=f"{sender.name}-to-{partner.name}", source=sender, target=target, ports=partner.ports)
            for sender in _odoo(settings)
        ]
    return flows
