"""Results kept by content: made once, complete or absent, and checked against their own manifest at every use.

An entry is a folder `<name>-<key>` whose `manifest.json` lists every file with its sha256. The key stands for all that
decides the content, so an entry never changes: a new input gives a new key and a new folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from typing import TYPE_CHECKING, Any, ClassVar

from toolchain.errors import BrokenArtifact, ToolchainError
from toolchain.progress import NullReporter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping
    from pathlib import Path

    from toolchain.progress import Reporter

MANIFEST = "manifest.json"
SCHEMA = 1
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_KEY = re.compile(r"[0-9a-f]{8,64}")


def content_key(*parts: object) -> str:
    """Return a key for the JSON form of `parts`: 20 hex digits, 80 bits, ample for a cache that no attacker names."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def tree_digest(folder: Path) -> str:
    """Return one sha256 for all of a folder: names, modes and contents, nothing of times or owners."""
    return hashlib.sha256(json.dumps(_describe(folder), sort_keys=True).encode()).hexdigest()


def remove_tree(path: Path) -> None:
    """Remove a tree that may hold folders without write permission (Go makes such)."""
    if not path.is_dir() or path.is_symlink():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        os.chmod(folder, 0o700)  # noqa: PTH101 - Go's modules have tens of thousands of folders, and Path is slow
    shutil.rmtree(path)


class Store:
    """Content-addressed folders under `<cache>/artifacts`.

    Args:
        cache: the cache folder; created when needed.
        reporter: hears of broken entries and of waiting for another process.
    """

    _whole_at: ClassVar[dict[Path, str]] = {}
    """What entries looked like when this process last read them in full."""

    used: ClassVar[set[Path]] = set()
    """The entries that this process asked for and got."""

    def __init__(self, cache: Path, reporter: Reporter | None = None) -> None:
        self._folder = cache / "artifacts"
        self._reporter = reporter or NullReporter()

    def get(self, name: str, key: str) -> Path | None:
        """Return the entry's folder, or None when there is none that is whole.

        A broken entry is moved aside (`.broken-…`, the newest is kept for a look) and reported.
        """
        entry = self._entry(name, key)
        if not entry.exists():
            return None
        if self._unchanged(entry) or not self._check(entry):
            return self._in_use(entry)
        with self._locked(entry):
            found = self._whole(entry)
            return found and self._in_use(found)

    def put(self, name: str, key: str, build: Callable[[Path], Mapping[str, Any] | None]) -> Path:
        """Return the entry's folder, building it when there is none that is whole.

        Args:
            name: what it is, for people.
            key: hex digits that stand for everything that decides the content.
            build: fills the empty folder it is given; what it returns is kept in the manifest under "measured".

        Raises:
            BrokenArtifact: the build left nothing, or something a manifest cannot describe.
            Exception: whatever `build` raised; nothing of the attempt is left behind.
        """
        entry = self._entry(name, key)
        with self._locked(entry):
            found = self._whole(entry)
            if found is not None:
                return self._in_use(found)
            for left in self._folder.glob(f".tmp-{entry.name}-*"):
                remove_tree(left)  # an interrupted build's: we hold the lock, so nobody is writing it
            temporary = self._folder / tempfile.mkdtemp(prefix=f".tmp-{entry.name}-", dir=self._folder)
            try:
                measured = build(temporary)
                _seal(temporary, name=name, key=key, measured=dict(measured or {}))
                temporary.chmod(0o755)
                temporary.rename(entry)
            except BaseException:
                remove_tree(temporary)
                raise
            _sync(self._folder)
            return self._in_use(entry)

    def manifest(self, name: str, key: str) -> dict[str, Any] | None:
        """Return the manifest of an entry, or None when there is no readable one."""
        return _read_manifest(self._entry(name, key))

    def remove(self, entry: Path) -> bool:
        """Remove a folder of this store, unless another process holds its lock: it makes, or looks at, that very entry.

        Args:
            entry: An entry, or what an attempt to make one left.

        Returns:
            Whether it was removed.
        """
        if entry.parent != self._folder:
            raise ValueError(f"{entry} is no entry of {self._folder}")  # a defect of the caller's
        locked = re.sub(r"^\.(?:tmp|broken)-(.+)-[^-]+$", r"\1", entry.name)
        with self._try_lock(locked) as held:
            if not held:
                return False
            doomed = self._folder / f".removed-{entry.name.lstrip('.')}-{time.time_ns()}"
            entry.rename(doomed)  # gone for everybody at once, however long the removal takes
        self.used.discard(entry)
        remove_tree(doomed)
        return True

    def _in_use(self, entry: Path) -> Path:
        """Note that the entry was used, for this process and by its time: what nobody used for long may be removed."""
        self.used.add(entry)
        with contextlib.suppress(OSError):  # a cache that another user owns is good enough to read from
            os.utime(entry)
        return entry

    @contextlib.contextmanager
    def _try_lock(self, name: str) -> Generator[bool]:
        locks = self._folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / name).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _entry(self, name: str, key: str) -> Path:
        if not _NAME.fullmatch(name) or not _KEY.fullmatch(key):
            raise ToolchainError(
                f"{name!r} with key {key!r} cannot name a cache entry.",
                why="A name is lower case letters, digits, '.' and '-'; a key is 8 to 64 hex digits.",
                action="Correct the record that asks for it.",
            )
        return self._folder / f"{name}-{key}"

    def _whole(self, entry: Path) -> Path | None:
        if not entry.exists():
            return None
        if self._unchanged(entry):
            return entry
        problems = self._check(entry)
        if not problems:
            return entry
        for old in self._folder.glob(f".broken-{entry.name}-*"):
            remove_tree(old)
        with self._reporter.step(f"Setting aside a broken cache entry: {entry.name}") as step:
            step.note("; ".join(problems[:3]))
            entry.rename(self._folder / f".broken-{entry.name}-{time.time_ns()}")
        return None

    def _unchanged(self, entry: Path) -> bool:
        """Tell whether no file was touched since this process read all of the entry: saves reading it twice."""
        return self._whole_at.get(entry) == _stamp(entry)

    def _check(self, entry: Path) -> list[str]:
        stamp = _stamp(entry)  # before reading: a change during the reading must not go unseen
        problems = _problems(entry)
        if problems:
            self._whole_at.pop(entry, None)
        else:
            self._whole_at[entry] = stamp
        return problems

    @contextlib.contextmanager
    def _locked(self, entry: Path) -> Generator[None]:
        locks = self._folder / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with (locks / entry.name).open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                with self._reporter.step(f"Waiting for another process that makes {entry.name}"):
                    fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _stamp(folder: Path) -> str:
    """Return what the file system tells of every file without reading any."""
    lines = []
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        lines.append(
            f"{path} {status.st_mode} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
        )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _problems(entry: Path) -> list[str]:
    """Tell what differs between a folder and its manifest; an empty list means whole."""
    manifest = _read_manifest(entry)
    if manifest is None:
        return [f"{MANIFEST} is missing or unreadable"]
    expected = manifest["files"]
    try:
        found = _describe(entry)
    except (OSError, BrokenArtifact) as error:
        return [str(error)]
    missing = [f"{name} is missing" for name in sorted(expected.keys() - found.keys())]
    strange = [f"{name} does not belong there" for name in sorted(found.keys() - expected.keys())]
    changed = [
        f"{name} has changed" for name in sorted(expected.keys() & found.keys()) if expected[name] != found[name]
    ]
    return missing + strange + changed


def _read_manifest(entry: Path) -> dict[str, Any] | None:
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if (
        not isinstance(manifest, dict)
        or manifest.get("schema") != SCHEMA
        or not isinstance(manifest.get("files"), dict)
    ):
        return None
    return manifest


def _describe(folder: Path) -> dict[str, dict[str, Any]]:
    """Describe every file, link and empty folder under `folder`, but for the manifest itself."""
    described: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if relative == MANIFEST:
            continue
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            described[relative] = {"link": str(path.readlink())}
        elif stat.S_ISDIR(status.st_mode):
            if not any(path.iterdir()):
                described[relative] = {"folder": True}
        elif stat.S_ISREG(status.st_mode):
            described[relative] = {
                "sha256": _sha256(path),
                "size": status.st_size,
                "mode": f"{stat.S_IMODE(status.st_mode):04o}",
            }
        else:
            raise BrokenArtifact(
                f"{path} is neither a file, a folder nor a link.",
                why="A cache entry cannot describe devices, sockets and pipes.",
                action="Put such things in an archive, or leave them out.",
            )
    return described


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _seal(folder: Path, *, name: str, key: str, measured: dict[str, Any]) -> None:
    """Write the manifest and force everything to the disk, so a rename after it can be believed after a power cut."""
    files = _describe(folder)
    if not files:
        raise BrokenArtifact(
            f"The build of {name} left nothing.",
            why="A cache entry without files would look complete for ever.",
            action="Correct the build; nothing was kept.",
        )
    manifest = {
        "schema": SCHEMA,
        "name": name,
        "key": key,
        "bytes": sum(entry.get("size", 0) for entry in files.values()),
        "measured": measured,
        "files": files,
    }
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
