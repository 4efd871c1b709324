"""What is known of a file without showing it, and what stands in for it.

Files are hostile input: everything here reads a bounded part of a file, unpacks a bounded amount, and answers
"unknown" instead of failing.
"""

from __future__ import annotations

import hashlib
import mimetypes
import re
import struct
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO

from operations.anonymise.export import FileFacts
from operations.anonymise.placeholders import MIMETYPES, FileKind, placeholder

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

__all__ = ["Decision", "FileFacts", "FileKind", "Source", "StandIn", "inspect", "plan", "shipped", "texts"]

HEAD = 1 << 16
"""Bytes that tell what a file is."""
MOST_READ = 32 << 20
"""Bytes of a PDF in which pages are counted; a longer one shows at least those."""
MOST_UNPACKED = 64 << 20
MOST_MEMBERS = 10_000
MOST_DIRECTORY = 8 << 20
"""Bytes of a zip's directory that are read: an honest office file has a few kilobytes."""
MOST_SEGMENTS = 2_000
_SIDE = 1 << 24
"""No picture has longer sides; a header that says so lies."""
_SHA1 = re.compile(r"[0-9a-f]{40}", re.ASCII)
_PAGE = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")
_COUNT = re.compile(rb"/Count\s+(\d{1,6})")


def inspect(path: Path) -> FileFacts:
    """Return what is known of a file.

    Raises:
        FileNotFoundError: There is none. Nothing else is raised, whatever the file holds.
    """
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            return _inspect(file, size)
    except (
        OSError,
        ValueError,
        ArithmeticError,
        LookupError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
        MemoryError,
    ):
        return FileFacts(size=size, kind=FileKind.UNKNOWN.value)
    except (NotImplementedError, RecursionError, EOFError):
        return FileFacts(size=size, kind=FileKind.UNKNOWN.value)


def _inspect(file: BinaryIO, size: int) -> FileFacts:
    if size == 0:
        return FileFacts(size=0, kind=FileKind.EMPTY.value)
    head = file.read(HEAD)
    kind = _kind(head)
    if kind is FileKind.PDF:
        return FileFacts(size=size, kind=kind.value, pages=_pages(file))
    if kind is FileKind.ZIP:
        return FileFacts(size=size, kind=_office(file, size).value)
    width, height = _sides(kind, head, file)
    known = 0 < width < _SIDE and 0 < height < _SIDE
    return FileFacts(size=size, kind=kind.value, width=width if known else None, height=height if known else None)


_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", FileKind.PNG),
    (b"\xff\xd8\xff", FileKind.JPEG),
    (b"GIF87a", FileKind.GIF),
    (b"GIF89a", FileKind.GIF),
    (b"%PDF-", FileKind.PDF),
    (b"PK\x03\x04", FileKind.ZIP),
    (b"PK\x05\x06", FileKind.ZIP),
)


def _kind(head: bytes) -> FileKind:
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return FileKind.WEBP
    text = _text(head)
    return FileKind.UNKNOWN if text is None else _kind_of_text(text)


def _text(head: bytes) -> str | None:
    """Return the beginning of a file as text, or None when it is none."""
    if b"\0" in head:
        return None
    try:
        return head.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = error.start >= len(head) - 3  # a character may be cut at the end of what was read
        return head[: error.start].decode("utf-8") if cut else None


def _kind_of_text(text: str) -> FileKind:
    start = text.lstrip("\ufeff \t\r\n")[:2000].lower()
    if "<svg" in start and start.startswith("<"):
        return FileKind.SVG
    if start.startswith(("<!doctype html", "<html")):
        return FileKind.HTML
    return FileKind.XML if start.startswith("<?xml") else FileKind.TEXT


def _sides(kind: FileKind, head: bytes, file: BinaryIO) -> tuple[int, int]:
    """Return width and height of a picture, or zeros."""
    if kind is FileKind.PNG:
        return struct.unpack(">II", head[16:24])
    if kind is FileKind.GIF:
        return struct.unpack("<HH", head[6:10])
    if kind is FileKind.JPEG:
        return _jpeg_sides(file)
    if kind is FileKind.WEBP:
        return _webp_sides(head)
    if kind is FileKind.SVG:
        return _svg_sides(head.decode("utf-8", "replace"))
    return 0, 0


_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame, which has its sides; the others of the range are tables."""


def _jpeg_sides(file: BinaryIO) -> tuple[int, int]:
    file.seek(2)
    for _ in range(MOST_SEGMENTS):
        start = file.read(4)
        if len(start) < 4 or start[0] != 0xFF:  # noqa: PLR2004 - a marker and its length
            return 0, 0
        if start[1] in _FRAMES:
            _, height, width = struct.unpack(">BHH", file.read(5))
            return width, height
        file.seek(struct.unpack(">H", start[2:])[0] - 2, 1)
    return 0, 0


def _webp_sides(head: bytes) -> tuple[int, int]:
    form = head[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if form == b"VP8L" and len(head) > 24:  # noqa: PLR2004 - its header's length
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if form == b"VP8 ":
        width, height = struct.unpack("<HH", head[26:30])
        return width & 0x3FFF, height & 0x3FFF
    return 0, 0


def _svg_sides(text: str) -> tuple[int, int]:
    tag = re.search(r"<svg[^>]{0,4000}", text)
    inside = tag.group(0) if tag else ""
    sides = [re.search(rf'\b{name}\s*=\s*["\']\s*(\d{{1,6}})', inside) for name in ("width", "height")]
    if sides[0] and sides[1]:
        return int(sides[0].group(1)), int(sides[1].group(1))
    box = re.search(r'viewBox\s*=\s*["\'][\s\d.,-]{1,60}?([\d.]{1,9})[\s,]+([\d.]{1,9})\s*["\']', inside)
    return (int(float(box.group(1))), int(float(box.group(2)))) if box else (0, 0)


def _pages(file: BinaryIO) -> int:
    """Return the number of pages of a PDF, at least 1: counted where they are, else as its tree says."""
    file.seek(0)
    data = file.read(MOST_READ)
    found = len(_PAGE.findall(data))
    if not found:  # the objects may be packed
        packed = b"".join(_streams(data))
        found = len(_PAGE.findall(packed)) or max((int(number) for number in _COUNT.findall(packed + data)), default=1)
    return max(1, found)


def _streams(data: bytes) -> Iterator[bytes]:
    """Yield what the packed streams of a PDF hold, all together at most `MOST_UNPACKED` bytes."""
    left, place = MOST_UNPACKED, 0
    while left > 0 and (place := data.find(b"stream", place)) >= 0:
        place += len(b"stream")
        start = place + (data[place : place + 2] == b"\r\n") + (data[place : place + 1] in {b"\n", b"\r"})
        start = min(start, place + 2)
        if data[start : start + 1] != b"x":  # zlib's first byte with its usual window
            continue
        try:
            unpacked = zlib.decompressobj().decompress(data[start:], left)
        except zlib.error:
            continue
        left -= len(unpacked)
        yield unpacked


def _office(file: BinaryIO, size: int) -> FileKind:
    """Return what a zip is; only its directory is read, nothing is unpacked but a type of 100 bytes."""
    if not _honest_directory(file, size):
        return FileKind.ZIP
    with zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        if "word/document.xml" in names:
            return FileKind.DOCX
        if "xl/workbook.xml" in names:
            return FileKind.XLSX
        if "mimetype" in names:
            with archive.open("mimetype") as member:
                if member.read(100).startswith(MIMETYPES[FileKind.ODT].encode()):
                    return FileKind.ODT
    return FileKind.ZIP


def _honest_directory(file: BinaryIO, size: int) -> bool:
    """Return whether the directory of a zip is small enough to be read."""
    file.seek(max(0, size - HEAD))
    tail = file.read(HEAD)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22:
        return False
    members, length = struct.unpack("<HI", tail[end + 10 : end + 16])
    file.seek(0)
    return members <= MOST_MEMBERS and length <= MOST_DIRECTORY


def texts(path: Path) -> Iterator[bytes]:
    """Yield what of a file can be searched: its bytes, what its zip members and its PDF streams hold, within limits."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_UNPACKED)
            yield data
            if data.startswith(b"%PDF-"):
                yield from _streams(data)
            elif data.startswith(b"PK\x03\x04") and _honest_directory(file, path.stat().st_size):
                yield from _members(file)
    except (OSError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError, struct.error):
        return


def _members(file: BinaryIO) -> Iterator[bytes]:
    left = MOST_UNPACKED
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if left <= 0:
                return
            with archive.open(info) as member:
                unpacked = member.read(left)
            left -= len(unpacked)
            yield info.filename.encode("utf-8", "replace") + b"\n" + unpacked


class Decision(StrEnum):
    """What becomes of a file."""

    KEEP = "keep"
    """The image ships it, so it is nobody's."""
    PLACEHOLDER = "placeholder"
    DROP = "drop"
    """Nothing stands in for it: the rows that name it lose it."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A file of the source's filestore.

    Attributes:
        store_fname: How `ir_attachment` names it.
        mimetype: As one of the rows that name it says.
    """

    store_fname: str
    facts: FileFacts
    mimetype: str


@dataclass(frozen=True, kw_only=True)
class StandIn:
    """What stands in for a file, with the columns of `ir_attachment` that say so.

    Attributes:
        source: The `store_fname` of the real file.
        store_fname: The `store_fname` of what stands in, as Odoo names files: two digits of the SHA-1, a slash, all.
        checksum: SHA-1.
        content: Its bytes; None when the image ships them, or when nothing stands in.
    """

    source: str
    decision: Decision
    store_fname: str | None = None
    checksum: str | None = None
    file_size: int | None = None
    mimetype: str | None = None
    content: bytes | None = None


_TEXT_KINDS = {
    "text/csv": FileKind.CSV,
    "application/csv": FileKind.CSV,
    "text/html": FileKind.HTML,
    "text/xml": FileKind.XML,
    "application/xml": FileKind.XML,
    "application/json": FileKind.JSON,
}
_DROPPED = re.compile(r"javascript|css|x-sh|x-msdownload|executable|font|wasm", re.ASCII)
"""Types that would be run or applied: a placeholder in their place breaks what the original did, so nothing is left."""


def plan(files: Iterable[Source], allowed: Collection[str]) -> Iterator[StandIn]:
    """Yield what stands in for each file.

    Args:
        files: The files of the source.
        allowed: SHA-1 of the files that the image ships.
    """
    for file in files:
        checksum = file.store_fname.rsplit("/", 1)[-1]
        if checksum in allowed and _SHA1.fullmatch(checksum):
            yield StandIn(
                source=file.store_fname,
                decision=Decision.KEEP,
                store_fname=f"{checksum[:2]}/{checksum}",
                checksum=checksum,
                file_size=file.facts.size,
                mimetype=_registered(file),
            )
        elif _DROPPED.search(file.mimetype.lower()):
            yield StandIn(source=file.store_fname, decision=Decision.DROP)
        else:
            yield _stand_in(file)


_REGISTERED = frozenset({*mimetypes.types_map.values(), *MIMETYPES.values(), "application/javascript", "text/scss"})
"""Types that stay: what rows call a file is text that anybody may have written."""


def _registered(file: Source) -> str:
    """Return the type of a file that stays: what rows say when it is a registered one, else by its content."""
    said = file.mimetype.partition(";")[0].strip().lower()
    kind = FileKind(file.facts.kind) if file.facts.kind in set(FileKind) else FileKind.UNKNOWN
    return said if said in _REGISTERED else MIMETYPES[kind]


def _stand_in(file: Source) -> StandIn:
    kind = FileKind(file.facts.kind) if file.facts.kind in set(FileKind) else FileKind.UNKNOWN
    if kind in {FileKind.TEXT, FileKind.XML}:
        kind = _TEXT_KINDS.get(file.mimetype.partition(";")[0].strip().lower(), kind)
    facts = file.facts
    content = placeholder(kind, facts.width or 0, facts.height or 0, facts.pages or 0)
    checksum = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return StandIn(
        source=file.store_fname,
        decision=Decision.PLACEHOLDER,
        store_fname=f"{checksum[:2]}/{checksum}",
        checksum=checksum,
        file_size=len(content),
        mimetype=MIMETYPES[kind],
        content=content,
    )


def extension(kind: FileKind) -> str:
    """Return the usual file name extension of a kind, with its dot; empty when there is none."""
    return mimetypes.guess_extension(MIMETYPES[kind]) or ""


def shipped(archive: Path) -> frozenset[str]:
    """Return the SHA-1 of each file in the archive of a baseline's filestore; what is misnamed is not let in.

    Args:
        archive: The tar that the image's baseline comes with.

    Raises:
        OSError, tarfile.TarError: It cannot be read.
    """
    found = set()
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            opened = tar.extractfile(member) if member.isfile() and _SHA1.fullmatch(name) else None
            if opened and hashlib.sha1(opened.read(), usedforsecurity=False).hexdigest() == name:
                found.add(name)
    return frozenset(found)
