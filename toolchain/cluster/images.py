"""The images that the node itself runs, and the way of any image from the OCI store into the node's containerd."""

from __future__ import annotations

import json
import subprocess
import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain import versions
from toolchain.cluster import node
from toolchain.cluster.errors import ImagesRefused
from toolchain.cluster.files import write_private
from toolchain.cluster.render import TEMPLATES
from toolchain.images.containerfile import assemble, render
from toolchain.images.context import BuildContext, Link
from toolchain.images.oci import ImageRef

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from toolchain.cluster.spec import Layout
    from toolchain.images.oci import OciStore

REPOSITORY = "careops.local"
CTR = ("/opt/careops/containerd/bin/ctr", "--namespace", "k8s.io")
LIST_SECONDS = 60
IMPORT_SECONDS = 900
"""A gigabyte is unpacked in well under a minute on two idle cores; a busy disk gets fifteen."""

APPLETS = (
    *(
        "cat",
        "chmod",
        "chown",
        "cp",
        "date",
        "dd",
        "df",
        "echo",
        "env",
        "false",
        "grep",
        "head",
        "hostname",
        "id",
        "ip",
    ),
    *("ls", "mkdir", "mv", "nc", "nslookup", "od", "ping", "printf", "ps", "pwd", "rm", "seq", "sh", "sha256sum"),
    *("sleep", "stat", "sync", "tail", "test", "timeout", "touch", "tr", "true", "uname", "wc", "wget"),
)
"""Names that the probe image gives busybox."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemImage:
    """One image of the node's own.

    Attributes:
        name: last part of its repository; also the name of its template.
        version: its tag.
        files: what its template copies: name in the build context and where that comes from.
    """

    name: str
    version: str
    files: Mapping[str, Path | Link]

    @property
    def reference(self) -> str:
        """Its name without its content."""
        return f"{REPOSITORY}/{self.name}:{self.version}"


def system_images(rootfs: Path, artefacts: Mapping[str, Path]) -> tuple[SystemImage, ...]:
    """Return the node's images: two programs of Debian's, static both, and two of the toolchain's builds.

    Args:
        rootfs: the unpacked node root file system.
        artefacts: folders of the builds by name.
    """
    links = {f"links/{applet}": Link(target="busybox") for applet in APPLETS}
    return (
        SystemImage(name="pause", version="1", files={"catatonit": rootfs / "usr/bin/catatonit"}),
        SystemImage(name="probe", version="1", files={"busybox": rootfs / "bin/busybox", **links}),
        *(
            SystemImage(name=name, version=version, files={name: artefacts[name] / "bin" / name})
            for name, version in (
                ("coredns", versions.COREDNS),
                ("local-path-provisioner", versions.LOCAL_PATH_PROVISIONER),
            )
        ),
    )


def ensure_system_images(store: OciStore, images: Sequence[SystemImage], key: str, record: Path) -> dict[str, ImageRef]:
    """Make the node's images unless the store holds them from the same inputs.

    Args:
        store: where images are kept.
        images: what to make.
        key: stands for every input; the same key and a whole image mean there is nothing to do.
        record: file of the cluster's own that remembers the inputs and the images of the last time.

    Returns:
        The images by their short names.
    """
    texts = {
        image.name: render(
            TEMPLATES / "images" / f"Containerfile.{image.name}.j2", {"name": image.name, "version": image.version}
        )
        for image in images
    }
    wanted = {"key": key, "texts": texts, "applets": list(APPLETS)}
    known = recorded(record) if _inputs(record) == wanted else {}
    refs: dict[str, ImageRef] = {}
    for image in images:
        found = store.resolve(known[image.name]) if image.name in known else None
        refs[image.name] = found or assemble(
            store, image.reference, texts[image.name], BuildContext(members=dict(image.files))
        )
    made = {name: str(ref) for name, ref in refs.items()}
    write_private(record, json.dumps({"inputs": wanted, "images": made}, sort_keys=True))
    return refs


def recorded(record: Path) -> dict[str, ImageRef]:
    """Return the images that a record of `ensure_system_images` names; none when there is no record."""
    return {name: ImageRef.parse(text) for name, text in _read(record).get("images", {}).items()}


def _inputs(record: Path) -> object:
    return _read(record).get("inputs")


def _read(record: Path) -> dict[str, Any]:
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def parse_listing(listing: str) -> dict[str, str]:
    """Return name -> manifest digest from the output of `ctr images ls`."""
    rows = (line.split() for line in listing.splitlines()[1:])
    return {row[0]: row[2] for row in rows if len(row) > 2}  # noqa: PLR2004 - REF TYPE DIGEST …


def missing(refs: Iterable[ImageRef], present: Mapping[str, str]) -> list[ImageRef]:
    """Return the images that the node does not know under both names a pod may use: by tag and by digest."""
    return [
        ref
        for ref in sorted(set(refs), key=str)
        if present.get(ref.tagged) != ref.digest or present.get(ref.by_digest) != ref.digest
    ]


def resolve(store: OciStore, references: Iterable[str | ImageRef]) -> list[ImageRef]:
    """Return the images that references name: `repository:tag@sha256:…`, or an ImageRef.

    Raises:
        ImagesRefused: the store does not hold one of them.
        BuildFailed: a reference has no digest.
    """
    found: list[ImageRef] = []
    for reference in references:
        ref = store.resolve(reference)
        if ref is None:
            raise ImagesRefused(
                f"The image {reference} is not in the store.",
                why="Nothing with that content was built under that name, or a part of it was damaged.",
                action="Run `careops up`: it builds what is missing.",
            )
        found.append(ref)
    return found


def load(layout: Layout, store: OciStore, references: Iterable[str | ImageRef]) -> list[ImageRef]:
    """Bring images into the node, skipping those it has.

    Returns:
        The images that were brought in now.

    Raises:
        ImagesRefused: an image is not in the store, or containerd refused the archive.
    """
    refs = resolve(store, references)
    wanted = missing(refs, _present(layout))
    if not wanted:
        return []
    _import(layout, store, wanted)
    left = missing(wanted, _present(layout))
    if left:
        raise ImagesRefused(
            f"The node does not know {', '.join(map(str, left))} after it took the archive.",
            why="containerd accepted the archive but lists other names.",
            action="Read the containerd log of the cluster; wipe the cluster if its disk was full.",
        )
    return wanted


def _present(layout: Layout) -> dict[str, str]:
    listed = node.run_inside(layout, [*CTR, "images", "ls"], timeout=LIST_SECONDS)
    if listed.returncode != 0:
        raise ImagesRefused(
            "The node's containerd does not list its images.",
            why=listed.stderr.decode(errors="replace").strip(),
            action=f"Read {layout.log / 'containerd.log'}.",
        )
    return parse_listing(listed.stdout.decode())


def _import(layout: Layout, store: OciStore, refs: Sequence[ImageRef]) -> None:
    """Pipe one archive into containerd; an archive that breaks off is refused as a whole."""
    argv = node.entering(
        layout, [*CTR, "images", "import", "--local", "--label", "io.cri-containerd.pinned=pinned", "-"]
    )
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors)
        timer = threading.Timer(IMPORT_SECONDS, process.kill)
        timer.start()
        try:
            assert process.stdin is not None  # noqa: S101 - stdin=PIPE: for the type checker
            try:
                for chunk in store.export(refs):
                    process.stdin.write(chunk)
                process.stdin.close()
            except BrokenPipeError:
                pass  # it ended by itself: its exit status and its errors say why
            except BaseException:
                process.kill()
                raise
            code = process.wait()
        finally:
            timer.cancel()
        errors.seek(0)
        text = errors.read().decode(errors="replace").strip()
    if code != 0:
        raise ImagesRefused(
            f"The node's containerd refused {len(refs)} images.",
            why=text[-2000:] or f"ctr ended with {code}",
            action=f"Read {layout.log / 'containerd.log'}; check the free disk space.",
        )
