"""The embedded cluster as `up` and the other commands use it."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from operations.errors import Problem
from operations.session import API_PORT_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from operations.kube_api import Read
    from operations.session import Session
    from toolchain.cluster.cluster import EmbeddedCluster
    from toolchain.images.oci import ImageRef
    from toolchain.progress import Reporter


def cluster(session: Session) -> EmbeddedCluster:
    """Return this checkout's embedded cluster; nothing is started."""
    from toolchain.cluster.cluster import EmbeddedCluster

    return EmbeddedCluster(session.paths, api_port(session))


def api_port(session: Session) -> int:
    """Return the API server's port: what the environment says, else the last one used, else the default."""
    from toolchain.cluster.node import read_record
    from toolchain.cluster.spec import Layout

    record = read_record(Layout.of(session.paths.state))
    if record is None or session.environ.get(API_PORT_VARIABLE):
        return session.api_port
    return record.api_port


class EmbeddedPart:
    """The cluster part of `up` on the embedded cluster."""

    embedded = True

    def __init__(self, session: Session) -> None:
        self._session = session
        self._cluster = cluster(session)

    def ready(self, reporter: Reporter) -> str:
        """Start the cluster, or adopt the running one."""
        status = self._cluster.start(reporter)
        link_programs(self._session)
        age = time.time() - (status.started_at or time.time())
        return f"runs on port {status.api_port}" + (f", since {age / 60:.0f} min" if age > 60 else "")  # noqa: PLR2004 - seconds in a minute

    def images(self, reporter: Reporter, roles: Collection[str] | None = None) -> str:
        """Bring the images of these roles (or all) into the node; those it has cost nothing."""
        refs = {role: ref for role, ref in image_refs(self._session).items() if roles is None or role in roles}
        loaded = self._cluster.load_images(self._cluster.store, list(refs.values()), reporter)
        return f"{len(loaded)} new, {len(refs) - len(loaded)} there already"

    def facts(self) -> str:
        """Write the facts of the embedded cluster with the images it holds."""
        from toolchain.cluster.facts import embedded_facts, write_facts

        content = embedded_facts(self._cluster.spec).with_content(
            images=image_refs(self._session) | {"probe": str(self._cluster.system_images()["probe"])},
            manifests=manifests(self._session),
        )
        write_facts(self._session.paths.facts, content)
        return str(self._session.paths.facts)

    def terminating(self, namespaces: Sequence[str]) -> tuple[str, ...]:
        """Return those of the namespaces that are half-deleted."""
        from operations.kube_api import reader

        return terminating(reader(self._cluster.kubeconfig, self._cluster.context), namespaces)


def terminating(read: Read, namespaces: Sequence[str]) -> tuple[str, ...]:
    """Return those of the namespaces whose deletion began and did not end."""

    def phase(name: str) -> str | None:
        found = read(f"/api/v1/namespaces/{name}")
        return None if found is None else found.get("status", {}).get("phase")

    return tuple(name for name in namespaces if phase(name) == "Terminating")


def image_refs(session: Session) -> dict[str, str]:
    """Return the platform's images by role, each pinned by its digest."""
    from odoo_image import build as images

    return images.image_refs(session.paths)


def link_programs(session: Session) -> None:
    """Put kubectl into the state's bin folder, where people and plain scripts find it."""
    from toolchain import builds
    from toolchain.progress import NullReporter

    target = builds.ensure(session.paths, "kube", NullReporter(), environ=session.environ) / "bin" / "kubectl"
    link = session.paths.bin / "kubectl"
    if not link.is_symlink() or link.readlink() != target:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def port_problem(session: Session) -> Problem | None:
    """Return what keeps the API server from its port, or None."""
    from toolchain.cluster.errors import PortTaken
    from toolchain.cluster.hostcheck import check_port

    port = api_port(session)
    try:
        check_port(port)
    except PortTaken as error:
        return Problem(
            what=error.what.removesuffix("."),
            why=f"the API server of the embedded cluster listens there; {error.why}",
            action=f"end that program, or choose another port: {API_PORT_VARIABLE}={port + 1} ./careops up",
        )
    return None


def manifests(session: Session) -> dict[str, str]:
    """Return the paths of third-party manifests by name."""
    from toolchain import builds
    from toolchain.progress import NullReporter

    built = builds.ensure(session.paths, "cloudnative-pg", NullReporter(), environ=session.environ)
    return {"cloudnative-pg": str(built / "share" / "cloudnative-pg.yaml")}


def probe_image(session: Session) -> ImageRef:
    """Return the probe image, making it when needed; the only one of the node's images another cluster needs."""
    from toolchain.cluster.images import ensure_system_images, system_images
    from toolchain.cluster.rootfs import ensure_rootfs
    from toolchain.progress import NullReporter
    from toolchain.store import content_key

    own = cluster(session)
    key = content_key(ensure_rootfs(session.paths, own.layout.rootfs, NullReporter()))
    wanted = [image for image in system_images(own.layout.rootfs, defaultdict(Path)) if image.name == "probe"]
    return ensure_system_images(own.store, wanted, key, own.layout.cluster / "probe-image.json")["probe"]
