"""What one embedded cluster is: addresses, names and folders, all derived from the state folder and a port."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from pathlib import Path

NetworkPolicyEngine = Literal["calico", "none"]
NETWORK_POLICY_ENGINES: tuple[str, ...] = get_args(NetworkPolicyEngine)

CONTEXT = "careops"
"""Name of the context, cluster and user in the kubeconfig that the host uses."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterSpec:
    """One embedded cluster as data.

    The addresses exist only inside the node's network namespace, so two clusters on one machine may use the same.

    Attributes:
        api_port: TCP port on 127.0.0.1 of the host that reaches the API server.
        network_policy: the engine that enforces NetworkPolicy. `none` exists so that a test can prove that it fails
            without enforcement; nothing else may use it.
        node_name: name of the Node object. Local volumes are bound to it, so it never changes for kept state.
        node_address: address of the node, carried by a bridge without ports.
        pod_cidr: addresses of pods; the controller manager cuts one /24 a node out of it.
        service_cidr: virtual addresses of Services.
        dns_address: the Service address of CoreDNS, inside `service_cidr`.
        cluster_domain: DNS suffix of Services.
    """

    api_port: int = 16443
    network_policy: NetworkPolicyEngine = "calico"
    node_name: str = "node0"
    node_address: str = "10.199.0.2"
    pod_cidr: str = "10.244.0.0/16"
    service_cidr: str = "10.96.0.0/16"
    service_address: str = "10.96.0.1"
    dns_address: str = "10.96.0.10"
    cluster_domain: str = "cluster.local"
    api_server_port: int = 6443

    def __post_init__(self) -> None:
        if self.network_policy not in NETWORK_POLICY_ENGINES:
            raise ValueError(
                f"network_policy is {self.network_policy!r}; use one of {', '.join(NETWORK_POLICY_ENGINES)}"
            )
        if not 1 <= self.api_port <= 65535:  # noqa: PLR2004 - the range of TCP ports
            raise ValueError(f"api_port is {self.api_port}; use a TCP port from 1 to 65535")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """Where the cluster keeps its files: everything is below the state folder.

    Attributes:
        state: the state folder of this checkout (absolute).
    """

    state: Path

    @classmethod
    def of(cls, state: Path) -> Layout:
        """Return the layout for a state folder, which need not exist yet."""
        return cls(state=state.resolve())

    @property
    def name(self) -> str:
        """Name of the node's control groups: the same for every start, different for every state folder."""
        return f"careops-{hashlib.sha256(str(self.state).encode()).hexdigest()[:10]}"

    @property
    def cluster(self) -> Path:
        """Everything of the embedded cluster but the kubeconfig."""
        return self.state / "cluster"

    @property
    def pki(self) -> Path:
        """Keys and certificates (0700)."""
        return self.cluster / "pki"

    @property
    def config(self) -> Path:
        """Configuration files rendered at each start; the node sees them read-only as /etc/careops."""
        return self.cluster / "config"

    @property
    def rootfs(self) -> Path:
        """The unpacked node root file system; read-only for the node, which writes to memory above it."""
        return self.cluster / "rootfs"

    @property
    def log(self) -> Path:
        """Logs of the node's processes, and below `audit/` the API server's audit log."""
        return self.cluster / "log"

    @property
    def run(self) -> Path:
        """What describes the running node: `node.json`, and the mount point of its root."""
        return self.cluster / "run"

    @property
    def node_record(self) -> Path:
        """The launcher's process and the fingerprint it was started with."""
        return self.run / "node.json"

    @property
    def lock(self) -> Path:
        """Held while a cluster is started, stopped or wiped; outside the folder that `wipe` removes."""
        return self.state / "cluster.lock"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig for programs on the host (0600)."""
        return self.state / "kubeconfig"

    def data(self, name: Literal["etcd", "containerd", "kubelet", "pv"]) -> Path:
        """Return the folder of one kind of data that outlives a stop."""
        return self.cluster / name
