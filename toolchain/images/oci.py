"""A small OCI image store: every blob once, deterministic digests, one archive for many images.

Layers are kept uncompressed: the archive never leaves the machine, and compressing a gigabyte costs more than reading
it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import tarfile
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any

from toolchain.errors import BrokenArtifact
from toolchain.images.layers import SOURCE_DATE_EPOCH, Entry, Sink, write_layer
from toolchain.images.reference import ImageRef, split_reference

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
NAME_ANNOTATION = "io.containerd.image.name"
ARCHITECTURE = "amd64"

_CHUNK = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A blob of the store: digest (``sha256:…``) and size in bytes."""

    digest: str
    size: int

    def descriptor(self, media_type: str) -> dict[str, Any]:
        """Return the OCI content descriptor."""
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True, kw_only=True)
class ImageConfig:
    """The run-time settings of an image, as an image definition states them."""

    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()
    stop_signal: str = ""

    def document(self) -> dict[str, Any]:
        """Return the ``config`` object of the OCI image configuration, without empty fields."""
        fields: dict[str, Any] = {
            "User": self.user,
            "ExposedPorts": {port: {} for port in sorted(self.ports)},
            "Env": [f"{name}={value}" for name, value in self.env.items()],
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.cmd),
            "WorkingDir": self.working_dir,
            "Labels": dict(sorted(self.labels.items())),
            "StopSignal": self.stop_signal,
        }
        return {name: value for name, value in fields.items() if value}


def canonical_json(document: object) -> bytes:
    """Serialise a document so that equal documents have equal bytes."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest_of(data: bytes) -> str:
    """Return the ``sha256:…`` digest of the bytes."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class OciStore:
    """Images in a folder: ``blobs/sha256/<hex>`` and one small file per image in ``refs/``, touched when it is used.

    Checkouts share it, so a tag means nothing here: an image is asked for by its digest, which each checkout keeps with
    its own state. Safe for several processes at once: every file is written beside its place and renamed, a blob's name
    is its content, and no file in ``refs/`` is ever given another content.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._blobs = root / "blobs" / "sha256"
        self._refs = root / "refs"

    @contextlib.contextmanager
    def held(self, *, alone: bool) -> Generator[bool]:
        """Hold the store: shared while an image is made of parts, alone while unused parts are removed.

        Args:
            alone: Whether nobody else may hold it; then there is no waiting.

        Yields:
            Whether it is held.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
            except BlockingIOError:
                yield False
            else:
                yield True

    # -- blobs -----------------------------------------------------------------------------------------------

    def blob_path(self, digest: str) -> Path:
        """Return where a blob is (or would be) kept."""
        return self._blobs / digest.removeprefix("sha256:")

    def add_bytes(self, data: bytes) -> Blob:
        """Keep the bytes as a blob."""
        return self._add(lambda target: target.write(data))

    def add_layer(self, entries: Iterable[Entry]) -> Blob:
        """Keep a layer made of the entries; equal entries give an equal blob."""
        return self._add(lambda target: write_layer(entries, target))

    def add_file(self, path: Path, *, digest: str | None = None) -> Blob:
        """Keep a file as a blob, as a hard link where the file system allows.

        Args:
            path: A file that nobody changes any more.
            digest: Its digest, when the caller has just verified it; otherwise the file is read.
        """
        digest = digest or _file_digest(path)
        place = self.blob_path(digest)
        size = path.stat().st_size
        if self._has(digest, size):
            return Blob(digest=digest, size=size)
        self._blobs.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        try:
            os.link(path, place)
        except OSError:  # another file system, or another process was faster: copy, which ends in an atomic rename
            return self._add(lambda target: _copy(path, target))
        return Blob(digest=digest, size=size)

    def _add(self, write: Callable[[Sink], object]) -> Blob:
        self._blobs.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._blobs, prefix=".new-", delete=False) as temporary:
            name = self._blobs / temporary.name
            try:
                sink = _HashingSink(temporary)
                write(sink)
                temporary.flush()
                os.fsync(temporary.fileno())
                blob = Blob(digest=f"sha256:{sink.hash.hexdigest()}", size=sink.size)
                name.chmod(0o644)
                name.rename(self.blob_path(blob.digest))
            except BaseException:
                name.unlink(missing_ok=True)
                raise
        return blob

    # -- images ----------------------------------------------------------------------------------------------

    def add_image(self, reference: str, config: ImageConfig, layers: Sequence[Blob]) -> ImageRef:
        """Make an image of layers that the store already holds, and name it.

        Args:
            reference: ``<domain>/<name>:<tag>``.
            config: Run-time settings.
            layers: From the lowest to the highest.

        Returns:
            The name with the manifest's digest.
        """
        repository, tag = split_reference(reference)
        created = datetime.fromtimestamp(SOURCE_DATE_EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        document = {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "created": created,
            "config": config.document(),
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
            "history": [{"created": created, "created_by": "careops"} for _ in layers],
        }
        config_blob = self.add_bytes(canonical_json(document))
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config_blob.descriptor(CONFIG_TYPE),
            "layers": [layer.descriptor(LAYER_TYPE) for layer in layers],
        }
        manifest_blob = self.add_bytes(canonical_json(manifest))
        ref = ImageRef(repository=repository, tag=tag, digest=manifest_blob.digest)
        self._write_ref(ref)
        return ref

    def _write_ref(self, ref: ImageRef) -> None:
        self._refs.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._refs, prefix=".new-", delete=False) as temporary:
            temporary.write(canonical_json({"repository": ref.repository, "tag": ref.tag, "digest": ref.digest}))
        (self._refs / temporary.name).rename(self._ref_path(ref))

    def _ref_path(self, ref: ImageRef) -> Path:
        return self._refs / hashlib.sha256(str(ref).encode()).hexdigest()

    def resolve(self, reference: str | ImageRef) -> ImageRef | None:
        """Return the image a reference means, and note that it was used; None when it is not here, or not whole.

        Args:
            reference: ``<domain>/<name>:<tag>@sha256:…``.

        Raises:
            BuildFailed: The reference has no digest.
        """
        ref = reference if isinstance(reference, ImageRef) else ImageRef.parse(reference)
        try:
            os.utime(self._ref_path(ref))
            manifest = self.manifest(ref)
        except (FileNotFoundError, BrokenArtifact):
            return None
        parts = [manifest["config"], *manifest["layers"]]
        return ref if all(self._has(part["digest"], part["size"]) for part in parts) else None

    def _has(self, digest: str, size: int) -> bool:
        path = self.blob_path(digest)
        return path.exists() and path.stat().st_size == size

    def manifest(self, ref: ImageRef) -> dict[str, Any]:
        """Return the manifest of an image of this store.

        Raises:
            BrokenArtifact: A blob is missing or its bytes are not those of its name.
        """
        return json.loads(self._read_small(ref.digest))

    def config(self, ref: ImageRef) -> dict[str, Any]:
        """Return the whole OCI configuration document of an image of this store."""
        return json.loads(self._read_small(self.manifest(ref)["config"]["digest"]))

    def layers(self, ref: ImageRef) -> list[Blob]:
        """Return the layers of an image, from the lowest to the highest."""
        return [Blob(digest=layer["digest"], size=layer["size"]) for layer in self.manifest(ref)["layers"]]

    def _read_small(self, digest: str) -> bytes:
        path = self.blob_path(digest)
        if not path.exists():
            raise _broken(digest, "it is not in the image store")
        data = path.read_bytes()
        if digest_of(data) != digest:
            raise _broken(digest, "its bytes do not have the digest that is its name")
        return data

    # -- export ----------------------------------------------------------------------------------------------

    def export(self, refs: Iterable[ImageRef]) -> Iterator[bytes]:
        """Stream one OCI-layout tar with the images, each blob once.

        Every image is named twice, by tag and by digest, so that a pod may name it ``repository:tag@digest``: the
        runtime drops the tag of such a reference and looks for ``repository@digest``.

        Args:
            refs: Images of this store.

        Yields:
            Chunks of the archive, in order.

        Raises:
            BrokenArtifact: A blob is missing or changed; the stream ends inside that blob, so that no reader takes the
                archive for whole.
        """
        images = sorted(set(refs), key=str)
        blobs: dict[str, int] = {}
        entries: list[dict[str, Any]] = []
        for ref in images:
            manifest = self.manifest(ref)
            described = self.blob_path(ref.digest).stat().st_size
            blobs[ref.digest] = described
            for part in (manifest["config"], *manifest["layers"]):
                blobs[part["digest"]] = part["size"]
            entries.extend(
                {
                    **Blob(digest=ref.digest, size=described).descriptor(MANIFEST_TYPE),
                    "annotations": {NAME_ANNOTATION: name, "org.opencontainers.image.ref.name": ref.tag},
                    "platform": {"architecture": ARCHITECTURE, "os": "linux"},
                }
                for name in (ref.tagged, ref.by_digest)
            )
        yield from _small_member("oci-layout", canonical_json({"imageLayoutVersion": "1.0.0"}))
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": entries}
        yield from _small_member("index.json", canonical_json(index))
        for digest in sorted(blobs):
            yield from self._blob_member(digest, blobs[digest])
        yield bytes(2 * tarfile.BLOCKSIZE)

    def _blob_member(self, digest: str, size: int) -> Iterator[bytes]:
        path = self.blob_path(digest)
        if not path.exists():
            raise _broken(digest, "it is not in the image store")
        if path.stat().st_size != size:
            raise _broken(digest, f"it has {path.stat().st_size} bytes instead of {size}")
        yield _header(f"blobs/sha256/{digest.removeprefix('sha256:')}", size)
        seen = hashlib.sha256()
        with path.open("rb") as source:
            held = b""
            while chunk := source.read(_CHUNK):
                seen.update(chunk)
                yield held
                held = chunk
        if f"sha256:{seen.hexdigest()}" != digest:
            path.unlink()  # so that the next run finds the image incomplete and makes it again
            raise _broken(digest, "its bytes do not have the digest that is its name")
        yield held + bytes(-size % tarfile.BLOCKSIZE)


class _HashingSink:
    """A write-only file that counts and hashes what passes."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        self.size += len(data)
        return self._target.write(data)


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = size, SOURCE_DATE_EPOCH, 0o644
    return member.tobuf(tarfile.PAX_FORMAT)


def _small_member(name: str, data: bytes) -> Iterator[bytes]:
    yield _header(name, len(data))
    yield data + bytes(-len(data) % tarfile.BLOCKSIZE)


def _file_digest(path: Path) -> str:
    with path.open("rb") as source:
        return f"sha256:{hashlib.file_digest(source, 'sha256').hexdigest()}"


def _copy(path: Path, target: Sink) -> None:
    with path.open("rb") as source:
        while chunk := source.read(_CHUNK):
            target.write(chunk)


def _broken(digest: str, why: str) -> BrokenArtifact:
    return BrokenArtifact(
        what=f"image blob {digest} cannot be used",
        why=why,
        action="run `careops up` again: it rebuilds the image; if it happens again, check the disk",
    )
