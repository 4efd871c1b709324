"""The node's configuration files, rendered from the templates beside this module."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2

from toolchain.cluster.services import CONFIG, PKI, schedule, script, services

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.cluster.spec import ClusterSpec

TEMPLATES = Path(__file__).parent / "templates"

_NODE_FILES = (
    "containerd.toml",
    "kubelet.yaml",
    "kube-proxy.yaml",
    "authentication.yaml",
    "admission.yaml",
    "audit-policy.yaml",
)


def render(name: str, values: Mapping[str, object]) -> str:
    """Render one template.

    Args:
        name: file name below `templates/`, without `.j2`.
        values: what the template may use; a name it uses and that is not here is an error.

    Raises:
        jinja2.UndefinedError: a value is missing.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML, TOML and JSON, no HTML: escaping would corrupt them
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{name}.j2").render(values)


def node_files(spec: ClusterSpec, *, pause_image: str) -> dict[str, str]:
    """Return every configuration file of the node by its name below the configuration folder.

    Args:
        spec: the cluster.
        pause_image: reference of the image that holds a pod's namespaces open.
    """
    network = ipaddress.ip_network(spec.pod_cidr)
    values = {
        "spec": spec,
        "pki": PKI,
        "config": CONFIG,
        "pause_image": pause_image,
        "first_node_cidr": str(next(network.subnets(new_prefix=24))),
    }
    files = {name: render(name, values) for name in _NODE_FILES}
    files["cni/10-pods.conflist"] = render(f"cni-{spec.network_policy}.conflist", values)
    files["schedule"] = schedule(spec)
    files |= {f"services/{service.name}": script(service) for service in services(spec)}
    return files
