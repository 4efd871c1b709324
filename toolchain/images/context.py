"""The files an image definition may name: a virtual folder, so that nothing is copied before it becomes a layer."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from toolchain.images.layers import DIRECTORY_MODE, FILE_MODE, PROGRAM_MODE, Entry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, kw_only=True)
class Link:
    """A symbolic link inside a folder of the context."""

    target: str


@dataclass(frozen=True, kw_only=True)
class FileMode:
    """Owner and mode that a COPY gives to what it copies; a mode of None keeps "program or not" of the source."""

    uid: int = 0
    gid: int = 0
    mode: int | None = None

    @classmethod
    def parse(cls, flags: Mapping[str, str]) -> FileMode | None:
        """Read ``chown`` and ``chmod`` flags; None when one is not numeric."""
        owner = re.fullmatch(r"(\d+):(\d+)", flags.get("chown", "0:0"))
        mode = re.fullmatch(r"[0-7]{3,4}", flags["chmod"]) if "chmod" in flags else None
        if owner is None or ("chmod" in flags and mode is None):
            return None
        return cls(uid=int(owner[1]), gid=int(owner[2]), mode=int(mode[0], 8) if mode else None)


@dataclass(frozen=True)
class BuildContext:
    """Named files, folders and links.

    Attributes:
        members: Relative name inside the context -> host path (a file or a folder), bytes, or a link.
        excluded: Names of files that are never taken out of a folder.
        digests: ``sha256:…`` of members that somebody has just verified, so that they need not be read for it.
    """

    members: Mapping[str, Path | bytes | Link]
    excluded: tuple[str, ...] = ("__pycache__", "*.pyc", ".*")
    digests: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> str:
        """Return the member names for a message."""
        return ", ".join(sorted(self.members)) or "no files"

    def host_file(self, name: str) -> Path | None:
        """Return the host path of a member that is a file."""
        member = self.members.get(name)
        return member if isinstance(member, Path) and member.is_file() else None

    def walk(self) -> Iterator[tuple[PurePosixPath, Path | bytes | Link]]:
        """Yield every file, folder and link with its name, sorted."""
        found: dict[PurePosixPath, Path | bytes | Link] = {}
        for name, member in self.members.items():
            found[PurePosixPath(name)] = member
            if isinstance(member, Path) and member.is_dir():
                for path in member.rglob("*"):
                    inner = path.relative_to(member)
                    if not any(PurePosixPath(part).match(pattern) for part in inner.parts for pattern in self.excluded):
                        found[PurePosixPath(name) / inner] = path
        yield from sorted(found.items())


def entries_for(context: BuildContext, source: PurePosixPath, destination: str, mode: FileMode) -> list[Entry]:
    """Return the layer entries of one COPY source.

    A file goes to the destination, or into it when that ends with ``/``; of a folder (or of a common prefix of names)
    the content is copied, as a Containerfile's COPY does.

    Returns:
        The entries; empty when the context has no such member.
    """
    entries: list[Entry] = []
    for name, member in context.walk():
        if name == source:
            if isinstance(member, Path) and member.is_dir():
                continue
            target = PurePosixPath(destination) / (name.name if destination.endswith("/") else "")
        elif source in name.parents or str(source) == ".":
            target = PurePosixPath(destination) / name.relative_to(source)
        else:
            continue
        entries.append(_entry(str(target), member, mode))
    return entries


def _entry(path: str, member: Path | bytes | Link, mode: FileMode) -> Entry:
    if isinstance(member, Link):
        return Entry(path=path, link=member.target, mode=0o777)
    if isinstance(member, Path) and member.is_symlink():
        return Entry(path=path, link=str(member.readlink()), mode=0o777)
    if isinstance(member, Path) and member.is_dir():
        # A folder must stay enterable when a COPY narrows the mode of its files.
        return Entry(path=path, mode=DIRECTORY_MODE, uid=mode.uid, gid=mode.gid)
    bits = mode.mode if mode.mode is not None else _program_or_file(member)
    return Entry(path=path, content=member, mode=bits, uid=mode.uid, gid=mode.gid)


def _program_or_file(member: Path | bytes) -> int:
    program = isinstance(member, Path) and member.stat().st_mode & stat.S_IXUSR
    return PROGRAM_MODE if program else FILE_MODE
