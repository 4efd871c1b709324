"""The processes of the node as data: what runs, with which arguments, and what must be true before it starts."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from toolchain.cluster.spec import ClusterSpec

PKI = "/etc/careops/pki"
"""The PKI folder as the node sees it."""

CONFIG = "/etc/careops/config"
"""The rendered configuration as the node sees it."""

AUDIT_LOG = "/var/log/careops/audit/audit.log"

Condition = Literal["none", "api", "calico"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """One supervised process.

    Attributes:
        name: name of the process, its log and its script.
        program: artefact that holds the binary, and the binary.
        arguments: command line after the program's name.
        environment: variables set for this process only.
        after: `api` waits for the API server's /readyz; `calico` waits for Calico's ClusterInformation as well.
            The controller manager and the scheduler end on "forbidden" when they start before the API server has
            made its default roles, so nothing but etcd, containerd and the API server starts at once.
    """

    name: str
    program: tuple[str, str]
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    after: Condition = "none"


def services(spec: ClusterSpec) -> tuple[Service, ...]:
    """Return the node's processes in the order in which they start."""
    common = (
        _etcd(),
        Service(name="containerd", program=("containerd", "containerd"), arguments=("-c", f"{CONFIG}/containerd.toml")),
        _api_server(spec),
        _kubelet(spec),
        _controller_manager(spec),
        _scheduler(),
        Service(
            name="kube-proxy", program=("kube", "kube"), arguments=(f"--config={CONFIG}/kube-proxy.yaml",), after="api"
        ),
    )
    return (*common, _felix(spec)) if spec.network_policy == "calico" else common


def script(service: Service) -> str:
    """Return the script that becomes the process: one argument a line, to be read by whoever debugs the node."""
    artefact, binary = service.program
    lines = ["#!/bin/bash", *(f"export {key}={shlex.quote(value)}" for key, value in service.environment)]
    command = [f"exec -a {service.name} /opt/careops/{artefact}/bin/{binary}", *map(shlex.quote, service.arguments)]
    return "\n".join([*lines, " \\\n  ".join(command)]) + "\n"


def schedule(spec: ClusterSpec) -> str:
    """Return the table that the node's init reads: one `name condition` a line."""
    return "".join(f"{service.name} {service.after}\n" for service in services(spec))


def _flags(**values: str | int) -> tuple[str, ...]:
    return tuple(f"--{name.replace('_', '-')}={value}" for name, value in values.items())


def _etcd() -> Service:
    """Return etcd with its fsync on and TLS with client certificates; its only client is the API server."""
    pair = {"cert_file": f"{PKI}/etcd-server.crt", "key_file": f"{PKI}/etcd-server.key"}
    return Service(
        name="etcd",
        program=("kube", "kube"),
        arguments=(
            *_flags(
                name="node0",
                data_dir="/var/lib/etcd",
                listen_client_urls="https://127.0.0.1:2379",
                advertise_client_urls="https://127.0.0.1:2379",
                listen_peer_urls="https://127.0.0.1:2380",
                initial_advertise_peer_urls="https://127.0.0.1:2380",
                initial_cluster="node0=https://127.0.0.1:2380",
                trusted_ca_file=f"{PKI}/etcd-ca.crt",
                **pair,
                peer_trusted_ca_file=f"{PKI}/etcd-ca.crt",
                peer_cert_file=pair["cert_file"],
                peer_key_file=pair["key_file"],
                log_level="warn",
            ),
            "--client-cert-auth",
            "--peer-client-cert-auth",
        ),
    )


def _api_server(spec: ClusterSpec) -> Service:
    return Service(
        name="kube-apiserver",
        program=("kube", "kube"),
        arguments=_flags(
            advertise_address=spec.node_address,
            bind_address="0.0.0.0",  # noqa: S104 - inside the node's own network namespace
            secure_port=spec.api_server_port,
            service_cluster_ip_range=spec.service_cidr,
            tls_cert_file=f"{PKI}/apiserver.crt",
            tls_private_key_file=f"{PKI}/apiserver.key",
            tls_min_version="VersionTLS13",
            client_ca_file=f"{PKI}/ca.crt",
            authentication_config=f"{CONFIG}/authentication.yaml",
            authorization_mode="Node,RBAC",
            admission_control_config_file=f"{CONFIG}/admission.yaml",
            # Nothing of the platform needs a privileged container, not even the makers of volumes: none is admitted.
            allow_privileged="false",
            enable_admission_plugins="NodeRestriction,DenyServiceExternalIPs",
            encryption_provider_config=f"{PKI}/encryption.yaml",
            audit_policy_file=f"{CONFIG}/audit-policy.yaml",
            audit_log_path=AUDIT_LOG,
            audit_log_maxsize=64,
            audit_log_maxbackup=10,
            audit_log_maxage=30,
            event_ttl="4h0m0s",
            etcd_servers="https://127.0.0.1:2379",
            etcd_cafile=f"{PKI}/etcd-ca.crt",
            etcd_certfile=f"{PKI}/apiserver-etcd.crt",
            etcd_keyfile=f"{PKI}/apiserver-etcd.key",
            kubelet_client_certificate=f"{PKI}/apiserver-kubelet.crt",
            kubelet_client_key=f"{PKI}/apiserver-kubelet.key",
            kubelet_certificate_authority=f"{PKI}/ca.crt",
            kubelet_preferred_address_types="InternalIP",
            service_account_issuer=f"https://kubernetes.default.svc.{spec.cluster_domain}",
            service_account_key_file=f"{PKI}/service-account.pub",
            service_account_signing_key_file=f"{PKI}/service-account.key",
            requestheader_client_ca_file=f"{PKI}/front-proxy-ca.crt",
            requestheader_allowed_names="front-proxy",
            requestheader_username_headers="X-Remote-User",
            requestheader_group_headers="X-Remote-Group",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            proxy_client_cert_file=f"{PKI}/front-proxy.crt",
            proxy_client_key_file=f"{PKI}/front-proxy.key",
            endpoint_reconciler_type="lease",
            profiling="false",
        ),
    )


def _kubelet(spec: ClusterSpec) -> Service:
    return Service(
        name="kubelet",
        program=("kube", "kube"),
        arguments=_flags(
            config=f"{CONFIG}/kubelet.yaml",
            kubeconfig=f"{PKI}/kubelet.conf",
            hostname_override=spec.node_name,
            node_ip=spec.node_address,
        ),
        after="api",
    )


def _controller_manager(spec: ClusterSpec) -> Service:
    own = f"{PKI}/kube-controller-manager.conf"
    return Service(
        name="kube-controller-manager",
        program=("kube", "kube"),
        arguments=_flags(
            kubeconfig=own,
            authentication_kubeconfig=own,
            authorization_kubeconfig=own,
            bind_address="127.0.0.1",
            leader_elect="false",
            allocate_node_cidrs="true",
            cluster_cidr=spec.pod_cidr,
            node_cidr_mask_size=24,
            service_cluster_ip_range=spec.service_cidr,
            root_ca_file=f"{PKI}/ca.crt",
            cluster_signing_cert_file=f"{PKI}/ca.crt",
            cluster_signing_key_file=f"{PKI}/ca.key",
            service_account_private_key_file=f"{PKI}/service-account.key",
            use_service_account_credentials="true",
            profiling="false",
        ),
        after="api",
    )


def _scheduler() -> Service:
    own = f"{PKI}/kube-scheduler.conf"
    return Service(
        name="kube-scheduler",
        program=("kube", "kube"),
        arguments=_flags(
            kubeconfig=own,
            authentication_kubeconfig=own,
            authorization_kubeconfig=own,
            bind_address="127.0.0.1",
            leader_elect="false",
            profiling="false",
        ),
        after="api",
    )


def _felix(spec: ClusterSpec) -> Service:
    """Return Calico's policy engine without Calico's routing: the node's CNI routes, Felix filters."""
    return Service(
        name="calico-felix",
        program=("calico", "calico-felix"),
        arguments=(),
        environment=(
            ("DATASTORE_TYPE", "kubernetes"),
            ("FELIX_DATASTORETYPE", "kubernetes"),
            ("KUBECONFIG", f"{PKI}/calico-felix.conf"),
            ("FELIX_FELIXHOSTNAME", spec.node_name),
            ("NODENAME", spec.node_name),
            ("CALICO_NETWORKING_BACKEND", "none"),
            ("USE_POD_CIDR", "true"),
            # Traffic that a workload's own egress policy allowed may reach the node: the API server listens there.
            ("FELIX_DEFAULTENDPOINTTOHOSTACTION", "ACCEPT"),
            ("FELIX_IPTABLESBACKEND", "NFT"),
            ("FELIX_IPV6SUPPORT", "false"),
            ("FELIX_BPFENABLED", "false"),
            ("FELIX_USAGEREPORTINGENABLED", "false"),
            ("FELIX_HEALTHENABLED", "true"),
            ("FELIX_LOGSEVERITYSCREEN", "warning"),
            ("FELIX_LOGSEVERITYFILE", "none"),
            ("FELIX_LOGSEVERITYSYS", "none"),
            ("FELIX_LOGFILEPATH", "none"),
        ),
        after="calico",
    )
