"""Deterministic layer tars: the same entries give the same bytes on every machine and on every day."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

SOURCE_DATE_EPOCH = 1_700_000_000
"""Time stamp of every file in every image, in seconds; any constant would do (reproducible-builds.org)."""

FILE_MODE, PROGRAM_MODE, DIRECTORY_MODE = 0o644, 0o755, 0o755


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One member of a layer.

    Attributes:
        path: Absolute path inside the image.
        content: Bytes, or the host's file to read, for a regular file; None for a directory or a link.
        link: Target of a symbolic link; None for anything else.
        mode: Permission bits.
        uid: Owner, numeric because the image's passwd is not consulted.
        gid: Group, numeric.
    """

    path: str
    content: bytes | Path | None = None
    link: str | None = None
    mode: int = FILE_MODE
    uid: int = 0
    gid: int = 0

    @property
    def is_directory(self) -> bool:
        """True for a directory."""
        return self.content is None and self.link is None


def file(path: str, content: bytes | Path, *, mode: int = FILE_MODE, uid: int = 0, gid: int = 0) -> Entry:
    """Describe a regular file of a layer."""
    return Entry(path=path, content=content, mode=mode, uid=uid, gid=gid)


def _member(entry: Entry) -> tarfile.TarInfo:
    member = tarfile.TarInfo(str(PurePosixPath(entry.path)).lstrip("/"))
    member.mtime, member.mode, member.uid, member.gid = SOURCE_DATE_EPOCH, entry.mode, entry.uid, entry.gid
    if entry.link is not None:
        member.type, member.linkname = tarfile.SYMTYPE, entry.link
    elif entry.is_directory:
        member.type = tarfile.DIRTYPE
    elif isinstance(entry.content, bytes):
        member.size = len(entry.content)
    elif isinstance(entry.content, Path):
        member.size = entry.content.stat().st_size
    return member


class Sink(Protocol):
    """Something that takes bytes."""

    def write(self, data: bytes, /) -> int:
        """Take the bytes and return how many they were."""
        ...


def write_layer(entries: Iterable[Entry], target: Sink) -> None:
    """Write the entries as an uncompressed tar, sorted by path.

    Args:
        entries: What the layer holds; a later entry for the same path wins, as a later COPY would.
        target: Where the bytes go; it need not be seekable.
    """
    by_path = {str(PurePosixPath("/") / entry.path.lstrip("/")): entry for entry in entries}
    # In stream mode tarfile only ever writes.
    with tarfile.open(fileobj=cast("IO[bytes]", target), mode="w|", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(by_path):
            entry = by_path[path]
            if path == "/":
                continue
            if isinstance(entry.content, Path):
                with entry.content.open("rb") as source:
                    archive.addfile(_member(entry), source)
            else:
                archive.addfile(_member(entry), io.BytesIO(entry.content or b""))
