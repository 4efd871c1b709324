"""Real files of real types, made of nothing but the standard library: same input, same bytes."""

from __future__ import annotations

import csv
import io
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from operations.seed.jpeg import jpeg
from operations.seed.model import File, FileKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LINES_PER_PAGE = 40


def render(file: File) -> bytes:
    """Return the bytes of a file: valid for its type, with its text inside."""
    return _RENDERERS[file.kind](file)


def _text(file: File) -> bytes:
    return ("\n".join(file.text) + "\n").encode()


def _csv(file: File) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["field", "value"])
    for line in file.text:
        name, _, value = line.partition(": ")
        writer.writerow([name, value])
    return out.getvalue().encode()


def _pdf(file: File) -> bytes:
    """Return a PDF with the wanted number of pages; text in a standard font, readable by every extractor."""
    pages = max(1, file.pages)
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(pages))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    ]
    for number in range(pages):
        lines = [*file.text[:LINES_PER_PAGE], f"Page {number + 1} / {pages}"]
        stream = b"BT /F1 11 Tf 60 780 Td 16 TL " + b" ".join(_show(line) for line in lines) + b" ET"
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {5 + 2 * number} 0 R >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
    info = b"<< /Title (%s) /Author (Riverside Hospital) >>" % _pdf_string(file.name)
    return _pdf_file([*objects, info])


def _pdf_file(objects: Sequence[bytes]) -> bytes:
    """Return numbered objects as a file; the first is the catalogue, the last the document's information."""
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R /Info %d 0 R >>\n" % (len(objects) + 1, len(objects))
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _pdf_string(text: str) -> bytes:
    raw = text.encode("cp1252", "replace")
    return raw.replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _show(line: str) -> bytes:
    return b"(" + _pdf_string(line) + b") Tj T*"


def _png(file: File) -> bytes:
    """Return a PNG of plain stripes with the text in its metadata."""
    row = bytes((file.shade + x // 8 * 23) % 256 for x in range(file.width))
    pixels = b"".join(b"\0" + bytes((value + y // 8 * 31) % 256 for value in row) for y in range(file.height))
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", file.width, file.height, 8, 0, 0, 0, 0)),
            *(_chunk(b"iTXt", b"Comment\0\0\0\0\0" + line.encode()) for line in file.text),
            _chunk(b"IDAT", zlib.compress(pixels, 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _jpeg(file: File) -> bytes:
    return jpeg(file.width, file.height, file.shade, "\n".join(file.text))


DOCX_TYPES = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.'
    'wordprocessingml.document.main+xml"/></Types>'
)
DOCX_RELATIONS = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" '
    'Target="word/document.xml"/></Relationships>'
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)


def _docx(file: File) -> bytes:
    paragraphs = "".join(f"<w:p><w:r><w:t>{escape(line)}</w:t></w:r></w:p>" for line in file.text)
    document = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
        f'<w:document xmlns:w="{WORD}"><w:body>{paragraphs}</w:body></w:document>'
    )
    parts = {"[Content_Types].xml": DOCX_TYPES, "_rels/.rels": DOCX_RELATIONS, "word/document.xml": document}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in parts.items():
            entry = zipfile.ZipInfo(name, date_time=ZIP_EPOCH)  # the time of day must not change the bytes
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, body)
    return out.getvalue()


_RENDERERS: dict[FileKind, Callable[[File], bytes]] = {
    FileKind.PDF: _pdf,
    FileKind.PNG: _png,
    FileKind.JPEG: _jpeg,
    FileKind.DOCX: _docx,
    FileKind.CSV: _csv,
    FileKind.TXT: _text,
}
