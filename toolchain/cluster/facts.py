"""What the infrastructure must know of a cluster: written to state/facts.json, found out for a cluster that exists."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from toolchain.cluster.addons import STORAGE_CLASSES
from toolchain.cluster.errors import FactsUnusable
from toolchain.cluster.files import write_private
from toolchain.cluster.kubeapi import KubeApi
from toolchain.cluster.spec import CONTEXT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from toolchain.cluster.spec import ClusterSpec

SCHEMA = 1
Kind = Literal["embedded", "existing"]

SHARED_PROVISIONERS = (
    "efs.csi.aws.com",
    "file.csi.azure.com",
    "filestore.csi.storage.gke.io",
    "nfs.csi.k8s.io",
    "smb.csi.k8s.io",
    "cephfs.csi.ceph.com",
    "driver.longhorn.io",
)
"""Provisioners of volumes that several nodes can write; a prefix such as `rook-ceph.` before the name is common."""

_DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiServer:
    """How pods reach the API server, behind its Service address: what a network policy must allow."""

    cidrs: tuple[str, ...]
    port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Dns:
    """Which pods answer DNS."""

    namespace: str
    labels: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterFacts:
    """One cluster, as the infrastructure sees it.

    Attributes:
        kind: `embedded`, or `existing` for a cluster that careops did not make.
        context: the context of the kubeconfig.
        api_server: addresses and port behind the Service `kubernetes`.
        node_cidrs: addresses of the nodes; probes come from there.
        node_count: how many nodes can run pods.
        dns: the pods that answer DNS.
        storage_classes: `block` (ReadWriteOnce) and `shared` (ReadWriteMany).
        images: references with digest by the image's role.
        manifests: paths of manifests that come with artefacts.
        pod_cidrs: addresses of pods; empty where the cluster's network does not say.
    """

    kind: Kind
    context: str
    api_server: ApiServer
    node_cidrs: tuple[str, ...]
    node_count: int
    dns: Dns
    storage_classes: Mapping[str, str]
    images: Mapping[str, str] = field(default_factory=dict)
    manifests: Mapping[str, str] = field(default_factory=dict)
    pod_cidrs: tuple[str, ...] = ()

    def with_content(self, *, images: Mapping[str, str], manifests: Mapping[str, str]) -> ClusterFacts:
        """Return the same cluster with these images and manifests."""
        return replace(self, images=dict(images), manifests=dict(manifests))


def embedded_facts(spec: ClusterSpec) -> ClusterFacts:
    """Return the facts of the embedded cluster, which are decided before it runs."""
    node = f"{spec.node_address}/32"
    return ClusterFacts(
        kind="embedded",
        context=CONTEXT,
        api_server=ApiServer(cidrs=(node,), port=spec.api_server_port),
        node_cidrs=(node,),
        pod_cidrs=(spec.pod_cidr,),
        node_count=1,
        dns=Dns(namespace="kube-system", labels={"k8s-app": "kube-dns"}),
        storage_classes=dict(STORAGE_CLASSES),
    )


def write_facts(path: Path, facts: ClusterFacts) -> None:
    """Write facts.json atomically; it names no secret, but nobody else's business either: mode 0600."""
    write_private(path, json.dumps({"schema": SCHEMA, **asdict(facts)}, indent=2, sort_keys=True) + "\n")


def read_facts(path: Path) -> ClusterFacts:
    """Read facts.json.

    Raises:
        FactsUnusable: it is absent, damaged or of another schema.
    """
    try:
        return _parsed(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FactsUnusable(
            f"The cluster's facts in {path} cannot be used.",
            why=f"{type(error).__name__}: {error}",
            action="Run `careops up`: it writes them anew.",
        ) from error


def _parsed(data: dict[str, Any]) -> ClusterFacts:
    if data["schema"] != SCHEMA or data["kind"] not in get_args(Kind):
        raise ValueError(f"schema {data['schema']} of kind {data['kind']}; this version reads schema {SCHEMA}")
    server = data["api_server"]
    return ClusterFacts(
        kind=data["kind"],
        context=data["context"],
        api_server=ApiServer(cidrs=tuple(server["cidrs"]), port=server["port"]),
        node_cidrs=tuple(data["node_cidrs"]),
        node_count=data["node_count"],
        dns=Dns(namespace=data["dns"]["namespace"], labels=data["dns"]["labels"]),
        storage_classes=data["storage_classes"],
        images=data["images"],
        manifests=data["manifests"],
        pod_cidrs=tuple(data["pod_cidrs"]),
    )


def discover(
    kubeconfig: Path, context: str, *, block_class: str | None = None, shared_class: str | None = None
) -> ClusterFacts:
    """Find out the facts of a cluster that exists; reads only.

    Args:
        kubeconfig: file with the access.
        context: which of its contexts.
        block_class: storage class for ReadWriteOnce volumes; the cluster's default one when None.
        shared_class: storage class for ReadWriteMany volumes; the only known one when None.

    Raises:
        ApiUnreachable: there is no such context, or no answer.
        ApiRefused: the user of the context may not read what is needed.
        FactsUnusable: something is ambiguous or missing; the message says what to name.
    """
    api = KubeApi(kubeconfig, context)
    slices = api.get(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
        labelSelector="kubernetes.io/service-name=kubernetes",
    )
    services = api.get("/api/v1/namespaces/kube-system/services")
    nodes = api.get("/api/v1/nodes")["items"]
    classes = api.get("/apis/storage.k8s.io/v1/storageclasses")["items"]
    return ClusterFacts(
        kind="existing",
        context=context,
        api_server=api_server_of(slices["items"]),
        node_cidrs=node_cidrs_of(nodes),
        pod_cidrs=pod_cidrs_of(nodes),
        node_count=sum(1 for node in nodes if not node["spec"].get("unschedulable")),
        dns=dns_of(services["items"]),
        storage_classes=storage_classes_of(classes, block_class=block_class, shared_class=shared_class),
    )


def pod_cidrs_of(nodes: Sequence[Any]) -> tuple[str, ...]:
    """Return the ranges that nodes give their pods addresses from, where the cluster records them on its nodes."""
    return tuple(sorted({cidr for node in nodes for cidr in node["spec"].get("podCIDRs") or []}))


def api_server_of(slices: Sequence[Any]) -> ApiServer:
    """Return the addresses behind the Service `kubernetes` from its EndpointSlices.

    Raises:
        FactsUnusable: there are none, or they use several ports.
    """
    addresses = {
        address for item in slices for endpoint in item.get("endpoints") or [] for address in endpoint["addresses"]
    }
    ports = {port["port"] for item in slices for port in item.get("ports") or []}
    if not addresses or len(ports) != 1:
        raise FactsUnusable(
            "The API server's addresses cannot be told.",
            why=f"The Service `kubernetes` has the endpoints {sorted(addresses)} on the ports {sorted(ports)}.",
            action="Use a cluster whose API servers listen on one port.",
        )
    return ApiServer(cidrs=tuple(_host_cidr(address) for address in sorted(addresses)), port=ports.pop())


def node_cidrs_of(nodes: Sequence[Any]) -> tuple[str, ...]:
    """Return the internal addresses of nodes as networks of one address each."""
    found = (
        entry["address"]
        for item in nodes
        for entry in item.get("status", {}).get("addresses", [])
        if entry["type"] == "InternalIP"
    )
    return tuple(_host_cidr(address) for address in sorted(set(found)))


def dns_of(services: Sequence[Any]) -> Dns:
    """Return which pods answer DNS: those of the Service that every distribution calls or labels `kube-dns`.

    Raises:
        FactsUnusable: there is no such Service.
    """
    for item in services:
        metadata = item["metadata"]
        named = metadata["name"] == "kube-dns" or metadata.get("labels", {}).get("k8s-app") == "kube-dns"
        if named and item["spec"].get("selector"):
            return Dns(namespace=metadata["namespace"], labels=item["spec"]["selector"])
    raise FactsUnusable(
        "The pods that answer DNS cannot be told.",
        why="kube-system has no Service named or labelled `kube-dns`.",
        action="Give the DNS Service the label k8s-app=kube-dns.",
    )


def storage_classes_of(classes: Sequence[Any], *, block_class: str | None, shared_class: str | None) -> dict[str, str]:
    """Choose the storage classes.

    Raises:
        FactsUnusable: a named class does not exist, or none or several fit.
    """
    names = {item["metadata"]["name"] for item in classes}
    defaults = [item for item in classes if (item["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"]
    shared = [item for item in classes if item.get("provisioner", "").endswith(SHARED_PROVISIONERS)]
    return {
        "block": _choose("block", block_class, defaults, names),
        "shared": _choose("shared", shared_class, shared, names),
    }


def _choose(role: str, named: str | None, fitting: Sequence[Any], names: set[str]) -> str:
    candidates = [named] if named else [item["metadata"]["name"] for item in fitting]
    if len(candidates) == 1 and candidates[0] in names:
        return candidates[0]
    why = f"The cluster has {', '.join(sorted(names)) or 'no storage class'}"
    reason = f"{why}; {named} is not among them." if named else f"{why}; fit for it: {', '.join(candidates) or 'none'}."
    raise FactsUnusable(
        f"The storage class for {role} volumes cannot be told.",
        why=reason,
        action="Name one that the cluster has"
        + (" and that offers ReadWriteMany." if role == "shared" else " for ReadWriteOnce volumes."),
    )


def _host_cidr(address: str) -> str:
    return str(ipaddress.ip_network(address))
