"""Files that stand in for real ones: of the same kind, size in pixels or number of pages, and plainly marked."""

from __future__ import annotations

import io
import zipfile
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

from operations.anonymise import bitmaps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MARK = "This is a placeholder. The real file was left out on purpose."
MOST_PIXELS = 40_000_000
"""A larger picture becomes a smaller one of the same proportions; an x-ray at 40 megapixels is within."""
MOST_UNPACKED = 4_000_000
"""The same for formats that are written without compression here."""
LONGEST_SIDE = 16_384
"""WebP has no longer one."""
MOST_PAGES = 1_000


class FileKind(StrEnum):
    """Kinds of files by their content."""

    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"
    SVG = "svg"
    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    ODT = "odt"
    ZIP = "zip"
    TEXT = "text"
    CSV = "csv"
    HTML = "html"
    XML = "xml"
    JSON = "json"
    EMPTY = "empty"
    UNKNOWN = "unknown"


_OFFICE = "application/vnd.openxmlformats-officedocument"
MIMETYPES: Mapping[FileKind, str] = {
    FileKind.PNG: "image/png",
    FileKind.JPEG: "image/jpeg",
    FileKind.GIF: "image/gif",
    FileKind.WEBP: "image/webp",
    FileKind.SVG: "image/svg+xml",
    FileKind.PDF: "application/pdf",
    FileKind.DOCX: f"{_OFFICE}.wordprocessingml.document",
    FileKind.XLSX: f"{_OFFICE}.spreadsheetml.sheet",
    FileKind.ODT: "application/vnd.oasis.opendocument.text",
    FileKind.ZIP: "application/zip",
    FileKind.TEXT: "text/plain",
    FileKind.CSV: "text/csv",
    FileKind.HTML: "text/html",
    FileKind.XML: "application/xml",
    FileKind.JSON: "application/json",
    FileKind.EMPTY: "application/octet-stream",
    FileKind.UNKNOWN: "application/octet-stream",
}


@lru_cache(maxsize=32)
def placeholder(kind: FileKind, width: int = 0, height: int = 0, pages: int = 0) -> bytes:
    """Return the file that stands in for one of a kind.

    Args:
        kind: Of the real file.
        width: Pixels, of a picture; 0 when unknown.
        height: Pixels, of a picture; 0 when unknown.
        pages: Of a document with pages.
    """
    if kind in _PICTURES:
        make, most = _PICTURES[kind]
        return make(*fitted(width, height, most))
    if kind is FileKind.PDF:
        return _pdf(min(max(1, pages), MOST_PAGES))
    return _ARCHIVES[kind]() if kind in _ARCHIVES else _TEXTS[kind]


def fitted(width: int, height: int, most: int) -> tuple[int, int]:
    """Return a size of the same proportions that has at most so many pixels; 128 by 128 for an unknown one."""
    if width < 1 or height < 1:
        return 128, 128
    factor = min(1.0, LONGEST_SIDE / max(width, height), (most / (width * height)) ** 0.5)
    return max(1, int(width * factor)), max(1, int(height * factor))


def _svg(width: int, height: int) -> bytes:
    size = max(1, min(width // 8, height // 3))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f'<rect width="100%" height="100%" fill="#e6e6e6"/><text x="50%" y="50%" text-anchor="middle" '
        f'dominant-baseline="middle" font-family="sans-serif" font-size="{size}" fill="#5a5a5a">placeholder</text>'
        "</svg>"
    ).encode()


_PICTURES: Mapping[FileKind, tuple[Callable[[int, int], bytes], int]] = {
    FileKind.PNG: (bitmaps.png, MOST_PIXELS),
    FileKind.JPEG: (bitmaps.jpeg, MOST_PIXELS),
    FileKind.GIF: (bitmaps.gif, MOST_UNPACKED),
    FileKind.WEBP: (bitmaps.webp, MOST_UNPACKED),
    FileKind.SVG: (_svg, MOST_PIXELS),
}


def _pdf(pages: int) -> bytes:
    """Return a PDF of A4 pages, each with its number."""
    kids = " ".join(f"{4 + 2 * page} 0 R" for page in range(pages))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{kids}]>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    for page in range(pages):
        text = f"BT /F1 24 Tf 72 760 Td (PLACEHOLDER) Tj 0 -36 Td /F1 12 Tf (page {page + 1} of {pages}) Tj ET"
        objects += [
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents {5 + 2 * page} 0 R"
            "/Resources<</Font<</F1 3 0 R>>>>>>",
            f"<</Length {len(text)}>>stream\n{text}\nendstream",
        ]
    out, places = bytearray(b"%PDF-1.4\n"), []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj{body}endobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    return bytes(out + f"trailer<</Size {len(objects) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n".encode())


def _zip(*members: tuple[str, str]) -> bytes:
    """Return an archive of these texts; the first is stored as it is, as OpenDocument wants its type."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for number, (name, text) in enumerate(members):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED if number else zipfile.ZIP_STORED
            archive.writestr(info, text)
    return out.getvalue()


_XML = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006"


def _parts(main: str, type_: str, *more: tuple[str, str]) -> tuple[tuple[str, str], tuple[str, str]]:
    extra = "".join(f'<Override PartName="/{name}" ContentType="{each}"/>' for name, each in more)
    types = (
        f'{_XML}<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/{main}" ContentType="{type_}"/>{extra}</Types>'
    )
    return ("[Content_Types].xml", types), ("_rels/.rels", _relations(main, "officeDocument"))


def _relations(target: str, type_: str) -> str:
    return (
        f'{_XML}<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_DOCUMENT}/relationships/{type_}" Target="{target}"/></Relationships>'
    )


def _docx() -> bytes:
    body = (
        f'{_XML}<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
        f"<w:body><w:p><w:r><w:t>{MARK}</w:t></w:r></w:p></w:body></w:document>"
    )
    return _zip(
        *_parts("word/document.xml", f"{_OFFICE}.wordprocessingml.document.main+xml"), ("word/document.xml", body)
    )


def _xlsx() -> bytes:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    book = (
        f'{_XML}<workbook xmlns="{main}" xmlns:r="{_DOCUMENT}/relationships"><sheets>'
        '<sheet name="placeholder" sheetId="1" r:id="rId1"/></sheets></workbook>'
    )
    sheet = (
        f'{_XML}<worksheet xmlns="{main}"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{MARK}</t></is></c>'
        "</row></sheetData></worksheet>"
    )
    return _zip(
        *_parts(
            "xl/workbook.xml",
            f"{_OFFICE}.spreadsheetml.sheet.main+xml",
            ("xl/worksheets/sheet1.xml", f"{_OFFICE}.spreadsheetml.worksheet+xml"),
        ),
        ("xl/workbook.xml", book),
        ("xl/_rels/workbook.xml.rels", _relations("worksheets/sheet1.xml", "worksheet")),
        ("xl/worksheets/sheet1.xml", sheet),
    )


def _odt() -> bytes:
    space = "urn:oasis:names:tc:opendocument:xmlns"
    content = (
        f'{_XML}<office:document-content xmlns:office="{space}:office:1.0" xmlns:text="{space}:text:1.0" '
        f'office:version="1.2"><office:body><office:text><text:p>{MARK}</text:p></office:text></office:body>'
        "</office:document-content>"
    )
    manifest = (
        f'{_XML}<manifest:manifest xmlns:manifest="{space}:manifest:1.0" manifest:version="1.2">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{MIMETYPES[FileKind.ODT]}"/>'
        '<manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/></manifest:manifest>'
    )
    return _zip(("mimetype", MIMETYPES[FileKind.ODT]), ("content.xml", content), ("META-INF/manifest.xml", manifest))


_ARCHIVES: Mapping[FileKind, Callable[[], bytes]] = {
    FileKind.DOCX: _docx,
    FileKind.XLSX: _xlsx,
    FileKind.ODT: _odt,
    FileKind.ZIP: lambda: _zip(("placeholder.txt", f"{MARK}\n")),
}
_TEXTS: Mapping[FileKind, bytes] = {
    FileKind.TEXT: f"{MARK}\n".encode(),
    FileKind.CSV: f'placeholder\n"{MARK}"\n'.encode(),
    FileKind.HTML: f"<!DOCTYPE html><title>placeholder</title><p>{MARK}</p>\n".encode(),
    FileKind.XML: f"{_XML}<placeholder>{MARK}</placeholder>\n".encode(),
    FileKind.JSON: f'{{"placeholder": "{MARK}"}}\n'.encode(),
    FileKind.EMPTY: b"",
    FileKind.UNKNOWN: f"{MARK}\n".encode(),
}
