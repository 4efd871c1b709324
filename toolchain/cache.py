"""What the cache holds, who needs it, and what of it may go.

Checkouts share the cache. Each leaves a note of what its last `up` used, which keeps that for as long as the
checkout's state exists, also of a cluster that stands. Everything else goes when nobody used it for 30 days.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.images.oci import OciStore
from toolchain.store import Store, remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from toolchain.paths import Paths

UNUSED_SECONDS = 30 * 24 * 3600
"""What nobody used for so long is taken for superseded; to make it again costs time and nothing else."""

RECENT_SECONDS = 24 * 3600
"""What was used within a day may be in the hands of a command that runs now: it never goes, whoever asks."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_BLOCK = 512
"""Unit of st_blocks, whatever the file system's own (stat(2))."""

_PROCESS_FILES = ("cmdline", "environ", "mountinfo")


@dataclass(frozen=True, kw_only=True, slots=True)
class Removable:
    """Something that may go.

    Attributes:
        path: A folder or file of the cache.
        size: Bytes that its removal frees.
    """

    path: Path
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What the cache holds.

    Attributes:
        size: Bytes it occupies; a file with several names counts once.
        sources: Bytes of Go's module sources and compiled packages: needed only by builds to come.
        removable: What may go.
        before: When what may go was used at the latest, seconds since the epoch.
    """

    size: int
    sources: int
    removable: tuple[Removable, ...]
    before: float

    @property
    def removable_size(self) -> int:
        """Bytes that `remove` would free."""
        return sum(each.size for each in self.removable)


def note_use(paths: Paths) -> None:
    """Leave a note of what this process used, in place of what this checkout's state used before."""
    folder = paths.cache / "users"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / hashlib.sha256(str(paths.state).encode()).hexdigest()[:20]
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    used = sorted(entry.name for entry in Store.used if entry.parent == paths.artifacts)
    draft.write_text(json.dumps({"state": str(paths.state), "artifacts": used}, indent=1) + "\n", encoding="utf-8")
    draft.replace(place)


def survey(paths: Paths, *, idle_seconds: float = UNUSED_SECONDS, now: float | None = None) -> Survey:
    """Look at the cache; nothing is changed.

    Args:
        paths: Where it is.
        idle_seconds: What was unused for so long may go; never less than a day counts.
        now: Seconds since the epoch.
    """
    before = (time.time() if now is None else now) - max(idle_seconds, RECENT_SECONDS)
    doomed = _doomed(paths, before)
    folders = (paths.go_mod, paths.go_build)
    sources = _size(*folders)  # half a million files while they are there: walked once
    others = [path for path in paths.cache.glob("*") if path not in folders]
    return Survey(
        size=sources + _size(*others),
        sources=sources,
        removable=tuple(Removable(path=path, size=size) for path, size in zip(doomed, _freed(doomed), strict=True)),
        before=before,
    )


def remove(paths: Paths, found: Survey) -> int:
    """Remove what a survey found removable, but for what was taken into use since, or is locked.

    Returns:
        Bytes that were freed.
    """
    freed = 0
    # While an image is made, its parts belong to nobody yet.
    with OciStore(paths.oci).held(alone=True) as no_image_is_made:
        still = set(_doomed(paths, found.before))
        for each in found.removable:
            if each.path in still and (no_image_is_made or each.path.parent == paths.artifacts):
                freed += each.size if _remove_one(paths, each.path) else 0
    for left in paths.artifacts.glob(".removed-*"):
        remove_tree(left)  # of a removal that was interrupted
    return freed


def _remove_one(paths: Paths, path: Path) -> bool:
    try:
        if path.parent == paths.artifacts:
            return Store(paths.cache).remove(path)
        path.unlink()
    except FileNotFoundError:
        return False  # another process was faster
    return True


# -- who needs what ------------------------------------------------------------------------------------------------


def _doomed(paths: Paths, before: float) -> list[Path]:
    return [*_entries(paths, before), *_images(paths, before)]


def _entries(paths: Paths, before: float) -> Iterator[Path]:
    """Yield the artifacts that nobody needs and nobody used since, and what broken or interrupted builds left."""
    kept = _needed(paths)
    for entry in sorted(paths.artifacts.glob("*")) + sorted(paths.artifacts.glob(".tmp-*")):
        if entry.name != ".locks" and entry.is_dir() and entry.name not in kept and _used_at(entry) < before:
            yield entry
    yield from (entry for entry in paths.artifacts.glob(".broken-*") if _used_at(entry) < before)


def _images(paths: Paths, before: float) -> Iterator[Path]:
    """Yield the names of images that nobody needs, and the blobs that only those hold."""
    wanted = _wanted_images(paths)
    kept: set[str] = set()
    for ref in sorted((paths.oci / "refs").glob("*")):
        digest = _digest_of(ref)
        if _used_at(ref) < before and digest not in wanted:
            yield ref
        else:
            kept |= _parts(paths, digest)
    for blob in sorted((paths.oci / "blobs" / "sha256").glob("*")):
        # A new blob may belong to an image that is being made; its change time tells, a link to an artifact is old.
        if blob.name not in kept and max(blob.stat().st_mtime, blob.stat().st_ctime) < before:
            yield blob


def _digest_of(ref: Path) -> str:
    try:
        return str(json.loads(ref.read_text(encoding="utf-8"))["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _parts(paths: Paths, digest: str) -> set[str]:
    """Return the names of the blobs of an image: manifest, configuration, layers."""
    name = digest.removeprefix("sha256:")
    try:
        text = (paths.oci / "blobs" / "sha256" / name).read_text(encoding="utf-8")
    except OSError:
        return {name}
    return {name, *(found.removeprefix("sha256:") for found in _DIGEST.findall(text))}


def _states(paths: Paths) -> dict[Path, list[str]]:
    """Return the states that use this cache and still exist, with the artifacts that their last `up` used."""
    found: dict[Path, list[str]] = {paths.state: []}
    for note in (paths.cache / "users").glob("[!.]*"):
        try:
            content = json.loads(note.read_text(encoding="utf-8"))
            state, artifacts = Path(content["state"]), [str(name) for name in content["artifacts"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if state.is_dir():
            found[state] = artifacts
    return found


def _wanted_images(paths: Paths) -> set[str]:
    files = [file for state in _states(paths) for file in (*(state / "images").glob("*"), _system_images(state))]
    return {digest for file in files for digest in _DIGEST.findall(_text(file))}


def _system_images(state: Path) -> Path:
    return state / "cluster" / "system-images.json"


def _needed(paths: Paths) -> set[str]:
    """Return the names of the artifacts that a checkout's note, files or processes name."""
    known = {entry.name for entry in paths.artifacts.glob("[!.]*")}
    states = _states(paths)
    texts = [name for names in states.values() for name in names]
    texts += [text for state in states for text in _links_and_files(state)]
    texts += _processes()
    everything = "\n".join(texts)
    return {name for name in known if name in everything}


def _links_and_files(state: Path) -> Iterator[str]:
    """Yield where the links of a state lead, and what its small files at places that name tools say."""
    for folder in (state / "bin", state / "pulumi" / "home" / "plugins"):
        for path in folder.rglob("*"):
            yield str(path.readlink()) if path.is_symlink() else _text(path)
    yield _text(state / "facts.json")


def _text(path: Path, limit: int = 1 << 16) -> str:
    """Return a file's text when it is a small one; programs are large and name nobody."""
    try:
        if not path.is_file() or path.stat().st_size > limit:
            return ""
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _processes() -> Iterator[str]:
    """Yield what running processes execute, were started with and have mounted: a node mounts its programs."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended, or is another user's
            yield str((process / "exe").readlink())
        for name in _PROCESS_FILES:
            with contextlib.suppress(OSError):
                yield (process / name).read_text(encoding="utf-8", errors="replace")


# -- sizes ---------------------------------------------------------------------------------------------------------


def _used_at(path: Path) -> float:
    return path.lstat().st_mtime


def _walk(roots: Iterable[Path]) -> Iterator[os.stat_result]:
    for root in roots:
        with contextlib.suppress(OSError):
            yield root.lstat()
        for folder, folders, files in os.walk(root):
            for name in (*folders, *files):
                with contextlib.suppress(OSError):  # removed meanwhile
                    yield os.lstat(os.path.join(folder, name))  # noqa: PTH118 - half a million paths: Path is slow


def _size(*roots: Path) -> int:
    """Return the bytes under some roots; a file with several names counts once."""
    seen: dict[int, int] = {}
    for status in _walk(roots):
        seen[status.st_ino] = status.st_blocks * _BLOCK
    return sum(seen.values())


def _freed(roots: Sequence[Path]) -> list[int]:
    """Return the bytes that the removal of each root frees, when all are removed.

    A root file system is an artifact and a layer of images, one file with two names: it counts for the first root that
    has it, and only when no name stays.
    """
    names: Counter[int] = Counter()
    sizes: list[dict[int, int]] = []
    links: dict[int, int] = {}
    for root in roots:
        own: dict[int, int] = {}
        for status in _walk([root]):
            own.setdefault(status.st_ino, status.st_blocks * _BLOCK)
            names[status.st_ino] += 1
            links[status.st_ino] = 1 if stat.S_ISDIR(status.st_mode) else status.st_nlink
        sizes.append(own)
    counted: set[int] = set()
    freed: list[int] = []
    for own in sizes:
        gone = {inode for inode in own if names[inode] >= links[inode] and inode not in counted}
        counted |= gone
        freed.append(sum(own[inode] for inode in gone))
    return freed
