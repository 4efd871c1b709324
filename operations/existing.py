"""A cluster the user has already (`--context NAME`): checked with packets before anything is deployed to it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.errors import OperationError, Problem, failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from operations.session import Session
    from toolchain.images.oci import ImageRef
    from toolchain.progress import Reporter

OWN_REPOSITORY = "careops.local"
SECONDS = 60
REPORTED_IMAGES = 50
"""A kubelet reports no more images than this (its default nodeStatusMaxImages)."""

REPORT_SECONDS = 30.0
"""A kubelet tells of new images every ten seconds."""


@dataclass(frozen=True, kw_only=True)
class ExistingCluster:
    """What `up` was told about a cluster that exists.

    Attributes:
        context: The context in the user's kubeconfig.
        registry: Where the images were pushed to; None when the nodes have them under their own names.
        block_class: Storage class for volumes of one node; None for the cluster's default.
        shared_class: Storage class for volumes of several nodes; None when there is only one known.
    """

    context: str
    registry: str | None = None
    block_class: str | None = None
    shared_class: str | None = None


class ExistingPart:
    """The cluster part of `up` on a cluster that exists."""

    embedded = False

    def __init__(self, session: Session, chosen: ExistingCluster) -> None:
        self._session = session
        self._chosen = chosen

    def ready(self, reporter: Reporter) -> str:
        """Check that the cluster answers, has the images, and enforces NetworkPolicy; nothing is deployed before."""
        from toolchain.cluster.probe import check_enforcement

        self._take_access()
        with reporter.step("Images of the platform as one archive") as step:
            archive = self._export()
            step.note(str(archive))
        with reporter.step("Proving with packets that the cluster enforces NetworkPolicy"):
            report = check_enforcement(
                self._session.paths.kubeconfig, self._chosen.context, {"probe": self._images()["probe"]}
            )
        if any(word in report.problem for word in ("ImagePull", "ErrImage")):
            raise images_missing(self._chosen, archive, ["probe"])
        report.require()
        if self._chosen.registry is None:
            self._require_images(archive, reporter)
        return f"{self._chosen.context} enforces NetworkPolicy: {len(report.checks)} packet checks"

    def images(self, reporter: Reporter, roles: Collection[str] | None = None) -> str:  # noqa: ARG002 - the embedded cluster's does use them
        """Say where the nodes have the images from; careops does not reach into nodes that are not its own."""
        return f"from {self._chosen.registry}" if self._chosen.registry else "the nodes' own"

    def facts(self) -> str:
        """Find out and write the facts of the cluster."""
        from operations.embedded import manifests
        from toolchain.cluster.facts import FactsUnusable, discover, write_facts

        try:
            found = discover(
                self._session.paths.kubeconfig,
                self._chosen.context,
                block_class=self._chosen.block_class,
                shared_class=self._chosen.shared_class,
            )
        except FactsUnusable as error:
            action = f"{error.action} Storage classes are named with --block-class and --shared-class."
            raise failure(ExitCode.CLUSTER, error.what.removesuffix("."), error.why, action) from error
        content = found.with_content(images=self._images(), manifests=manifests(self._session))
        write_facts(self._session.paths.facts, content)
        return f"{found.node_count} nodes, {', '.join(found.storage_classes.values())}"

    def terminating(self, namespaces: Sequence[str]) -> tuple[str, ...]:
        """Return those of the namespaces that are half-deleted."""
        from operations.embedded import terminating
        from operations.kube_api import reader

        return terminating(reader(self._session.paths.kubeconfig, self._chosen.context), namespaces)

    def _require_images(self, archive: Path, reporter: Reporter) -> None:
        """Refuse nodes that were not given the images, before pods wait for them in vain."""
        from operations.kube_api import reader

        read = reader(self._session.paths.kubeconfig, self._chosen.context)
        with reporter.step("Looking for the images on the nodes"):
            deadline = time.monotonic() + REPORT_SECONDS
            while missing := missing_images((read("/api/v1/nodes") or {}).get("items", []), self._images()):
                if time.monotonic() > deadline:
                    raise images_missing(self._chosen, archive, missing)
                time.sleep(1)

    def _take_access(self) -> None:
        """Copy the one context into this platform's own kubeconfig, so that nothing else can be reached with it."""
        text = read_context(self._chosen.context, self._session.environ)
        path = self._session.paths.kubeconfig
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.new")
        partial.touch(mode=0o600)
        partial.write_text(text)
        partial.replace(path)

    def _images(self) -> dict[str, str]:
        from operations.embedded import image_refs

        own = image_refs(self._session) | {"probe": str(self._probe())}
        return {role: renamed(reference, self._chosen.registry) for role, reference in own.items()}

    def _probe(self) -> ImageRef:
        from operations.embedded import probe_image

        return probe_image(self._session)

    def _export(self) -> Path:
        """Write all images into one OCI archive, once for the same images; return it."""
        from operations.embedded import image_refs
        from toolchain.images.oci import OciStore

        store = OciStore(self._session.paths.oci)
        names = [*image_refs(self._session).values(), str(self._probe())]
        archive = self._session.paths.state / "images.tar"
        record = archive.with_suffix(".json")
        if archive.is_file() and record.is_file() and json.loads(record.read_text()) == names:
            return archive
        found = {name: store.resolve(name) for name in names}
        if absent := [name for name, ref in found.items() if ref is None]:
            raise images_not_made(absent)
        partial = archive.with_suffix(".new")
        with partial.open("wb") as file:
            file.writelines(store.export(ref for ref in found.values() if ref is not None))
        partial.replace(archive)
        record.write_text(json.dumps(names))
        return archive


def missing_images(nodes: Sequence[dict[str, Any]], images: Mapping[str, str]) -> tuple[str, ...]:
    """Return the roles of images that no node says it has.

    Nothing can be told from a node that lists as many images as a kubelet reports at most: it may have more.

    Args:
        nodes: Node objects of the API.
        images: References `repository:tag@digest` by role.
    """
    listed = [node.get("status", {}).get("images") or [] for node in nodes]
    if any(len(names) >= REPORTED_IMAGES for names in listed):
        return ()
    known = {name for names in listed for image in names for name in image.get("names") or []}

    def present(reference: str) -> bool:
        tagged, _, digest = reference.partition("@")
        return f"{tagged.rpartition(':')[0]}@{digest}" in known

    return tuple(role for role, reference in images.items() if not present(reference))


def renamed(reference: str, registry: str | None) -> str:
    """Return an image's name in a registry; the digest stays, so what runs is what was built."""
    if registry is None:
        return reference
    return f"{registry.rstrip('/')}{reference.removeprefix(OWN_REPOSITORY)}"


def read_context(context: str, environ: Mapping[str, str]) -> str:
    """Return a kubeconfig with one context of the user's, certificates included.

    Raises:
        OperationError: With `CLUSTER` when there is no such context, with `TOOLCHAIN` when there is no kubectl.
    """
    kubectl = shutil.which("kubectl", path=environ.get("PATH", ""))
    if kubectl is None:
        raise failure(
            ExitCode.TOOLCHAIN,
            "There is no kubectl on PATH",
            "an existing cluster is reached with the user's own kubectl and its log-in plugins",
            "install kubectl, or use the embedded cluster (no --context)",
        )
    done = subprocess.run(
        [kubectl, "config", "view", "--raw", "--minify", "--flatten", f"--context={context}"],
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if done.returncode != 0:
        raise failure(
            ExitCode.CLUSTER,
            f"There is no context {context!r} in the kubeconfig",
            done.stderr.strip() or f"kubectl ended with {done.returncode}",
            "list the contexts: kubectl config get-contexts",
        )
    return done.stdout


def refuse_change_of_cluster(kind: str | None, *, wants_existing: bool, state: Path) -> None:
    """Raise when this state folder already belongs to a platform on the other kind of cluster.

    Raises:
        OperationError: With `USAGE`.
    """
    if kind is None or (kind == "existing") == wants_existing:
        return
    if kind == "existing":
        raise failure(
            ExitCode.USAGE,
            "This checkout's platform is on a cluster of yours, and --context was not given",
            f"its Pulumi state and records are in {state}; on the embedded cluster they would be wrong",
            "name it again: ./careops up --context NAME; or remove the platform from it first: ./careops down --all",
        )
    raise failure(
        ExitCode.USAGE,
        f"This checkout's platform is on the {kind} cluster",
        f"its Pulumi state and records are in {state}; on another cluster they would be wrong",
        f"keep the two apart: CAREOPS_STATE={os.fspath(state)}-other ./careops up …; or remove this one first: "
        "./careops down --all",
    )


def refuse_other_context(known: str | None, chosen: str, state: Path) -> None:
    """Raise when this platform is on an existing cluster already and another context is named now.

    Its Pulumi state describes the first cluster: followed on a second one, `down` and `up` would act on the wrong one.

    Args:
        known: The context that the platform was deployed through; None when it never was.
        chosen: The context named now.
        state: The platform's state folder.

    Raises:
        OperationError: With `USAGE`.
    """
    if known in {None, chosen}:
        return
    raise failure(
        ExitCode.USAGE,
        f"This checkout's platform is on the cluster of the context {known}, not {chosen}",
        f"its Pulumi state and records are in {state}; on another cluster they would be wrong",
        f"go on with it: ./careops up --context {known}; or keep the two apart: "
        f"CAREOPS_STATE={os.fspath(state)}-{chosen} ./careops up --context {chosen}",
    )


def images_not_made(names: Sequence[str]) -> OperationError:
    """Return the error of images that were to be exported and are not in the store; an archive without them is none."""
    return failure(
        ExitCode.TOOLCHAIN,
        f"The store of images does not have {', '.join(names)}",
        "it was removed from the cache, or part of it was, after it was made",
        "run the same command again: it makes what is missing",
    )


def images_missing(chosen: ExistingCluster, archive: Path, roles: Sequence[str]) -> OperationError:
    """Return the error of a cluster whose nodes cannot get the images."""
    return OperationError(
        ExitCode.CLUSTER,
        Problem(
            what=f"The nodes of {chosen.context} do not have the platform's images",
            why=f"{', '.join(roles)} were looked for under {chosen.registry or OWN_REPOSITORY}, and not found",
            action=f"load {archive} into the nodes (kind load image-archive, ctr -n k8s.io images import, …), or push "
            "its images to a registry the nodes can reach and name it: --registry registry.example.org/careops",
        ),
    )
