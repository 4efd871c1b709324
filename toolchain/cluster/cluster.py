"""The embedded cluster as one object: start, stop, wipe, look, run inside, load images, forward a port."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain import builds
from toolchain.cluster import addons, hostcheck, images, node, ready
from toolchain.cluster import cgroups as groups
from toolchain.cluster.encryption import ensure_encryption_configuration
from toolchain.cluster.errors import ClusterBusy
from toolchain.cluster.files import private_folder, write_private
from toolchain.cluster.forward import Forward
from toolchain.cluster.kubeapi import KubeApi
from toolchain.cluster.pki import ensure_pki, host_kubeconfig
from toolchain.cluster.render import node_files
from toolchain.cluster.rootfs import ensure_rootfs
from toolchain.cluster.spec import CONTEXT, ClusterSpec, Layout, NetworkPolicyEngine
from toolchain.cluster.status import ClusterStatus, read_status
from toolchain.images.oci import OciStore
from toolchain.progress import NullReporter
from toolchain.store import content_key

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Generator, Iterable, Mapping, Sequence
    from pathlib import Path

    from toolchain.images.oci import ImageRef
    from toolchain.paths import Paths
    from toolchain.progress import Reporter, Step

BUILDS = ("kube", "containerd", "runc", "cni", "coredns", "calico", "local-path-provisioner", "nsfwd")
"""What the cluster takes from `toolchain.builds`."""

NODE_BUILDS = ("kube", "containerd", "runc", "cni", "calico", "nsfwd")
"""Those whose programs run on the node itself; a change of one restarts it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """Everything a start needs, made before anything runs.

    Attributes:
        artefacts: the builds' folders by name.
        images: the node's own images by short name.
        files: the configuration files.
        fingerprint: stands for all that the running processes depend on.
    """

    artefacts: Mapping[str, Path]
    images: Mapping[str, ImageRef]
    files: Mapping[str, str]
    fingerprint: str


class EmbeddedCluster:
    """A real single-node Kubernetes of this checkout.

    Args:
        paths: where things live.
        api_port: the port on 127.0.0.1 that reaches the API server.
        network_policy: `none` starts it without enforcement, for tests that prove that they fail then.
    """

    def __init__(self, paths: Paths, api_port: int = 16443, *, network_policy: NetworkPolicyEngine = "calico") -> None:
        self.paths = paths
        self.spec = ClusterSpec(api_port=api_port, network_policy=network_policy)
        self.layout = Layout.of(paths.state)
        self.context = CONTEXT

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig (0600), context `careops`."""
        return self.layout.kubeconfig

    @property
    def store(self) -> OciStore:
        """The image store that the node's own images are in."""
        return OciStore(self.paths.oci)

    # -- life ------------------------------------------------------------------------------------------------

    def start(self, reporter: Reporter | None = None) -> ClusterStatus:
        """Make the cluster run and be usable; safe at any time and after any interruption.

        A running cluster with the wanted programs and configuration is adopted; another one, or one that is half there,
        is ended and started again with its data.

        Raises:
            PortTaken: the port belongs to another program; nothing was touched.
            HostUnfit: the machine cannot carry a node; nothing was touched.
            ClusterBusy: another start, stop or wipe is under way.
            NodeFailed: a part did not come up in time.
            ToolchainError: a program or an image could not be made.
        """
        reporter = reporter or NullReporter()
        cgroups = self._check(node.running(self.layout))
        with self._locked():
            prepared = self._prepare(reporter)
            with reporter.step("Starting the embedded cluster") as step:
                record = node.running(self.layout)
                if record is None or record.fingerprint != prepared.fingerprint:
                    record = self._launch(cgroups, prepared, step, restart=record is not None)
                else:
                    step.note("it runs already")
                self._bring_up(record, prepared, step)
            return read_status(self.layout, self.spec, cgroups)

    def stop(self) -> None:
        """End the cluster and keep its data. Nothing of it is left running or mounted; harmless when it does not run.

        Raises:
            ClusterBusy: another start, stop or wipe is under way.
            NodeFailed: something could not be ended.
        """
        with self._locked():
            node.stop(self.layout, groups.detect())

    def wipe(self) -> None:
        """End the cluster and remove all of its data: databases, volumes, keys, logs.

        Raises:
            ClusterBusy: another start, stop or wipe is under way.
            NodeFailed: something could not be ended; then nothing is removed.
        """
        with self._locked():
            node.stop(self.layout, groups.detect(), gracefully=False)
            if self.layout.cluster.exists():
                shutil.rmtree(self.layout.cluster)
            self.layout.kubeconfig.unlink(missing_ok=True)
        self.layout.lock.unlink(missing_ok=True)

    def status(self) -> ClusterStatus:
        """Return how the cluster is; changes nothing."""
        return read_status(self.layout, self.spec, groups.detect())

    # -- use -------------------------------------------------------------------------------------------------

    def exec(
        self, argv: Sequence[str], *, stdin: bytes | None = None, timeout: float | None = None
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program inside the node, with the node's own programs on its PATH.

        Raises:
            NodeFailed: the cluster does not run.
            subprocess.TimeoutExpired: it took too long.
        """
        return node.run_inside(self.layout, argv, stdin=stdin, timeout=timeout)

    def load_images(
        self, oci_store: OciStore, refs: Iterable[str | ImageRef], reporter: Reporter | None = None
    ) -> list[ImageRef]:
        """Bring images from the store into the node; those it has already cost nothing.

        Args:
            oci_store: where the images are.
            refs: `repository:tag@sha256:…`, or what the store returned.
            reporter: shows the work.

        Returns:
            The images that were brought in now.

        Raises:
            ImagesRefused: an image is not in the store, or containerd refused it.
            NodeFailed: the cluster does not run.
        """
        wanted = list(refs)
        with (reporter or NullReporter()).step("Loading images into the cluster") as step:
            loaded = images.load(self.layout, oci_store, wanted)
            step.note(f"{len(loaded)} new, {len(wanted) - len(loaded)} there already")
        return loaded

    def system_images(self) -> dict[str, ImageRef]:
        """Return the node's own images as they were last made, by short name."""
        known = images.recorded(self._image_record)
        return {name: found for name, ref in known.items() if (found := self.store.resolve(ref)) is not None}

    @property
    def _image_record(self) -> Path:
        return self.layout.cluster / "system-images.json"

    def forward(self, address: str, port: int, *, host_port: int) -> Forward:
        """Return a forwarding of 127.0.0.1:`host_port` to an address inside the cluster, to be used in a `with`.

        Args:
            address: IP address of a Service or a pod.
            port: its TCP port.
            host_port: the port on the host.

        Raises:
            PortTaken: the port on the host belongs to another program.
            NodeFailed: the cluster does not run.
        """
        hostcheck.check_port(host_port)
        program = builds.ensure(self.paths, "nsfwd", NullReporter()) / "bin" / "nsfwd"
        return Forward.start(self.layout, program, target=f"{address}:{port}", host_port=host_port)

    # -- parts of a start ------------------------------------------------------------------------------------

    def _check(self, record: node.NodeRecord | None) -> groups.Cgroups:
        """Refuse what cannot work before anything is touched; return the machine's control groups."""
        cgroups = groups.detect()
        own = record is not None and record.api_port == self.spec.api_port
        # A node without a readable record may still hold the port: it is ended first, and the port is checked then.
        if not own and (record is not None or not groups.member_processes(cgroups, self.layout.name)):
            hostcheck.check_port(self.spec.api_port)
        hostcheck.check_host(self.paths.state)
        return cgroups

    @contextlib.contextmanager
    def _locked(self) -> Generator[None]:
        self.layout.state.mkdir(parents=True, exist_ok=True)
        with self.layout.lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ClusterBusy(
                    "Another careops command changes this cluster right now.",
                    why=f"It holds {self.layout.lock}.",
                    action="Wait until it has ended, then run the command again.",
                ) from error
            yield

    def _prepare(self, reporter: Reporter) -> Prepared:
        """Make programs, root file system, images, keys and configuration; all of it is kept and reused."""
        artefacts = {name: builds.ensure(self.paths, name, reporter) for name in BUILDS}
        for folder in (self.layout.cluster, self.layout.log, self.layout.log / "audit", self.layout.run):
            private_folder(folder)
        for name in ("etcd", "containerd", "kubelet", "pv"):
            private_folder(self.layout.data(name))
        root = ensure_rootfs(self.paths, self.layout.rootfs, reporter)
        inputs = content_key(root, *(artefacts[name].name for name in ("coredns", "local-path-provisioner")))
        refs = images.ensure_system_images(
            self.store,
            images.system_images(self.layout.rootfs, artefacts),
            inputs,
            self._image_record,
        )
        ensure_pki(self.layout.pki, self.spec)
        ensure_encryption_configuration(self.layout.pki / "encryption.yaml")
        write_private(self.layout.kubeconfig, host_kubeconfig(self.layout.pki, self.spec))
        files = node_files(self.spec, pause_image=refs["pause"].tagged)
        certificates = {path.name: path.read_text() for path in sorted(self.layout.pki.glob("*.crt"))}
        scripts = {path.name: path.read_text() for path in sorted(node.SCRIPTS.iterdir())}
        programs = [str(artefacts[name]) for name in NODE_BUILDS]
        fingerprint = content_key(files, certificates, scripts, programs, root, self.spec.api_port)
        return Prepared(artefacts=artefacts, images=refs, files=files, fingerprint=fingerprint)

    def _launch(self, cgroups: groups.Cgroups, prepared: Prepared, step: Step, *, restart: bool) -> node.NodeRecord:
        step.note("its programs or its configuration changed: restarting" if restart else "preparing the node")
        # Also when nothing seems to run: what a crash left behind must be gone before there is a second one.
        node.stop(self.layout, cgroups)
        hostcheck.check_port(self.spec.api_port)
        shutil.rmtree(self.layout.config, ignore_errors=True)
        for name, text in prepared.files.items():
            path = self.layout.config / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return node.launch(
            self.layout,
            self.spec,
            cgroups=cgroups,
            artefacts={name: prepared.artefacts[name] for name in NODE_BUILDS},
            fingerprint=prepared.fingerprint,
        )

    def _bring_up(self, record: node.NodeRecord, prepared: Prepared, step: Step) -> None:
        api = KubeApi(self.kubeconfig, self.context)
        ready.wait_for(self.layout, ready.api_condition(api), ready.API_SECONDS, step)
        step.note("access and network policy engine")
        addons.apply_all(api, addons.access())
        if self.spec.network_policy == "calico":
            addons.apply_all(api, addons.calico_definitions(prepared.artefacts["calico"]))
            addons.apply_all(api, addons.calico_records(self.layout.name))
        step.note("system images")
        images.load(self.layout, self.store, prepared.images.values())
        step.note("DNS and storage")
        addons.apply_all(api, addons.workloads(self.spec, prepared.images))
        for condition in ready.conditions(self.layout, self.spec, record, api):
            ready.wait_for(self.layout, condition, ready.READY_SECONDS, step)
        step.note("ready")
