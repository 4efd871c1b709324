"""Downloads a vendor's release archive, checks it against a pinned or published sha256, and unpacks it."""

from __future__ import annotations

import hashlib
import re
import shutil
import tarfile
import tempfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from toolchain import versions
from toolchain.errors import ChecksumMismatch, DownloadRefused
from toolchain.store import Store, content_key

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import IO

    from toolchain.paths import Paths
    from toolchain.progress import Reporter, Step

CONNECT_SECONDS = 3.0
"""A network that lets nobody out often drops packets instead of refusing: no more than this is waited for an answer."""

READ_SECONDS = 30.0
REFUSAL_SECONDS = 24 * 3600
"""A vendor that could not be reached is not asked again for a day, so that commands do not wait for it every time."""

_MEGABYTE = 1_000_000
_CHECKSUM_LINE = re.compile(r"([0-9a-fA-F]{64})\s+\*?(?:\./)?(\S+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Archive:
    """A release archive.

    Attributes:
        name: of the cache entry it becomes.
        version: of what it holds.
        folder: address of the folder that holds the archive and its checksum file.
        file: name of the archive, a gzipped tar.
        checksum_files: names under which the vendor may publish the checksums, tried in order.
        inner: folder inside the archive whose own files become `bin/`; empty for the top.
        programs: that must be among them.
    """

    name: str
    version: str
    folder: str
    file: str
    checksum_files: tuple[str, ...]
    inner: str
    programs: tuple[str, ...]


def parse_checksums(text: str) -> dict[str, str]:
    """Return file name to sha256 of a checksum file as sha256sum writes it; lines of another form are skipped."""
    matches = (_CHECKSUM_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {match.group(2): match.group(1).lower() for match in matches if match}


def cached(paths: Paths, archive: Archive, reporter: Reporter) -> Path | None:
    """Return the folder of an archive that was fetched before, or None."""
    return Store(paths.cache, reporter).get(archive.name, _key(archive))


def fetch(
    paths: Paths, archive: Archive, reporter: Reporter, *, pinned: Mapping[str, str] = versions.VENDOR_SHA256
) -> Path:
    """Return the folder of an unpacked archive, downloading it when it is not in the cache.

    Args:
        paths: where the cache is.
        archive: what to fetch.
        reporter: shows the download.
        pinned: sha256 of archives by name; one that is not named is checked against the published file.

    Raises:
        DownloadRefused: the vendor cannot be reached, refused, or publishes no checksum for the archive.
        ChecksumMismatch: what came is not what the checksum says; it is thrown away.
    """

    def build(folder: Path) -> dict[str, Any]:
        with reporter.step(f"Downloading {archive.file}") as step, _client() as client:
            wanted = pinned.get(archive.file) or _published(client, archive)
            with tempfile.TemporaryFile() as stream:
                digest = _download(client, f"{archive.folder}/{archive.file}", stream, step)
                if digest != wanted:
                    raise ChecksumMismatch(
                        f"{archive.file} is not what its checksum says; it was thrown away.",
                        why=f"Expected sha256 {wanted}, downloaded {digest}.",
                        action="Find out what answers in the vendor's place: a proxy's page, or something worse.",
                    )
                stream.seek(0)
                _unpack(stream, archive, folder)
        return {"version": archive.version, "sha256": digest, "from": archive.folder}

    return Store(paths.cache, reporter).put(archive.name, _key(archive), build)


def refused_lately(paths: Paths, archive: Archive, *, now: float | None = None) -> bool:
    """Tell whether the archive's server could not be used within the last day."""
    try:
        age = (time.time() if now is None else now) - _stamp(paths, archive).stat().st_mtime
    except OSError:
        return False
    return 0 <= age < REFUSAL_SECONDS


def remember_refusal(paths: Paths, archive: Archive) -> None:
    """Keep in mind that the archive's server could not be used."""
    stamp = _stamp(paths, archive)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.touch()


def _stamp(paths: Paths, archive: Archive) -> Path:
    return paths.cache / "vendor-refused" / re.sub(r"[^\w.-]", "_", urlsplit(archive.folder).netloc)


def _key(archive: Archive) -> str:
    return content_key("vendor", archive.file, archive.inner)


def _client() -> httpx.Client:
    return httpx.Client(timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS), follow_redirects=True)


def _published(client: httpx.Client, archive: Archive) -> str:
    answers = []
    for name in archive.checksum_files:
        try:
            answer = client.get(f"{archive.folder}/{name}")
        except httpx.HTTPError as error:
            raise _unreachable(archive.folder, error) from error
        checksum = parse_checksums(answer.text).get(archive.file) if answer.is_success else None
        if checksum:
            return checksum
        answers.append(f"{name}: status {answer.status_code}")
    raise DownloadRefused(
        f"The vendor publishes no sha256 for {archive.file}.",
        why="; ".join(answers),
        action="Put its sha256 into VENDOR_SHA256 in toolchain/versions.py if you know it from a safe source.",
    )


def _download(client: httpx.Client, address: str, stream: IO[bytes], step: Step) -> str:
    digest = hashlib.sha256()
    size = 0
    try:
        with client.stream("GET", address) as answer:
            if not answer.is_success:
                raise DownloadRefused(
                    f"{address} was refused.",
                    why=f"The server answered with status {answer.status_code}.",
                    action="Nothing needs to be done where another way exists; otherwise check the network's rules.",
                )
            for chunk in answer.iter_bytes():
                digest.update(chunk)
                stream.write(chunk)
                size += len(chunk)
                step.note(f"{size / _MEGABYTE:.0f} MB")
    except httpx.HTTPError as error:
        raise _unreachable(address, error) from error
    return digest.hexdigest()


def _unpack(stream: IO[bytes], archive: Archive, folder: Path) -> None:
    programs = folder / "bin"
    programs.mkdir()
    prefix = f"{archive.inner}/" if archive.inner else ""
    try:
        with tarfile.open(fileobj=stream, mode="r:gz") as tar:
            for member in tar:
                inside = member.name.removeprefix("./")
                name = inside.removeprefix(prefix)
                content = tar.extractfile(member) if member.isfile() else None
                # only files directly in the folder: no name can lead out of it, no link, device or owner is made
                if content is None or "/" in name or not inside.startswith(prefix):
                    continue
                with content, (programs / name).open("xb") as target:
                    shutil.copyfileobj(content, target)
                (programs / name).chmod(0o755 if member.mode & 0o100 else 0o644)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise DownloadRefused(
            f"{archive.file} cannot be unpacked.",
            why=str(error),
            action="The vendor's release has another form than expected: correct the record in toolchain/resolve.py.",
        ) from error
    missing = [name for name in archive.programs if not (programs / name).is_file()]
    if missing:
        raise DownloadRefused(
            f"{archive.file} does not hold {', '.join(missing)}.",
            why=f"It holds: {', '.join(sorted(path.name for path in programs.iterdir())) or 'nothing of use'}.",
            action="The vendor's release has another form than expected: correct the record in toolchain/resolve.py.",
        )


def _unreachable(address: str, error: httpx.HTTPError) -> DownloadRefused:
    return DownloadRefused(
        f"{urlsplit(address).netloc} cannot be reached.",
        why=f"{type(error).__name__}: {error}",
        action="Nothing needs to be done where another way exists; otherwise check the network's rules.",
    )
