"""Downloaded Debian packages of one root file system, and the lock that lets it be made again from them alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from toolchain.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

LOCK = "lock.json"
_SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Package:
    """One installed package: name, version and architecture as dpkg reports them."""

    name: str
    version: str
    architecture: str

    @property
    def file(self) -> str:
        """The name under which apt keeps it: a colon of the version is escaped."""
        return f"{self.name}_{self.version.replace(':', '%3a')}_{self.architecture}.deb"


def parse_installed(text: str) -> list[Package]:
    """Parse lines of ``name=version:architecture``, as written while the root file system is made."""
    packages = []
    for line in text.splitlines():
        name, _, rest = line.partition("=")
        version, _, architecture = rest.rpartition(":")
        packages.append(Package(name=name.partition(":")[0], version=version, architecture=architecture))
    return packages


class DebFolder:
    """Packages of one recipe in ``<cache>/debs/<recipe>/``.

    The lock names every file with its sha256. It is written after a build that used the network and makes every later
    build of the same recipe independent of it, and equal.
    """

    def __init__(self, folder: Path, resolution_key: str) -> None:
        self.folder = folder
        self._key = resolution_key

    def usable_lock(self) -> dict[str, str] | None:
        """Return file -> sha256 when the lock is this recipe's and every file is as locked, else None."""
        try:
            lock: dict[str, Any] = json.loads((self.folder / LOCK).read_text(encoding="utf-8"))
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        if lock.get("schema") != _SCHEMA or lock.get("recipe") != self._key:
            return None
        files: dict[str, str] = lock["files"]
        whole = all(_sha256(self.folder / name) == digest for name, digest in files.items())
        return files if whole else None

    def write_lock(self, installed: Iterable[Package]) -> None:
        """Lock the installed packages and remove the files of any other version.

        Raises:
            BuildFailed: A package was installed whose file is not here, so that a rebuild would need the network.
        """
        files: dict[str, str] = {}
        for package in installed:
            digest = _sha256(self.folder / package.file)
            if digest is None:
                raise BuildFailed(
                    f"{package.file} was installed but is not among the kept packages",
                    why="the root file system could not be made again without the network",
                    action=f"remove {self.folder} and run again",
                )
            files[package.file] = digest
        for path in self.folder.glob("*.deb"):
            if path.name not in files:
                path.unlink()
        document = {"schema": _SCHEMA, "recipe": self._key, "files": dict(sorted(files.items()))}
        temporary = self.folder / f".{LOCK}.new"
        temporary.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        temporary.rename(self.folder / LOCK)

    def write_repository(self, target: Path, suite: str, files: dict[str, str]) -> None:
        """Make a package repository of the locked files that apt can read.

        Args:
            target: An existing empty folder; packages become hard links in it.
            suite: Codename that the repository claims, so that apt's rules for the suite apply.
            files: File -> sha256, from `usable_lock`; the caller trusts them, the repository is not signed.
        """
        stanzas = []
        for name, digest in sorted(files.items()):
            source = self.folder / name
            _link(source, target / name)
            control = subprocess.run(
                ["dpkg-deb", "--field", str(source)], check=True, capture_output=True, text=True
            ).stdout.rstrip("\n")
            stanzas.append(f"{control}\nFilename: ./{name}\nSize: {source.stat().st_size}\nSHA256: {digest}\n")
        index = "\n".join(stanzas).encode()
        (target / "Packages").write_bytes(index)
        sums = f" {hashlib.sha256(index).hexdigest()} {len(index)} Packages"
        (target / "Release").write_text(
            f"Origin: Debian\nLabel: Debian\nSuite: {suite}\nCodename: {suite}\n"
            f"Date: Tue, 14 Nov 2023 22:13:20 UTC\nArchitectures: amd64 all\nSHA256:\n{sums}\n",
            encoding="utf-8",
        )


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as source:
            return hashlib.file_digest(source, "sha256").hexdigest()
    except FileNotFoundError:
        return None


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
