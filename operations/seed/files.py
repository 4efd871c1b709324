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

FONT = "LiberationMono"
"""A font that is not one of the PDF standard's own: programs that know those ignore the widths given here."""

MOST_LINES = 100
"""Lines of one section of a character map; its specification allows no more."""

FIRST_CODE = 33
"""The first byte of a PDF's own encoding; those before have meanings of their own to some programs."""


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
    """Return a PDF with the wanted number of pages; any script can be read out of it."""
    pages = max(1, file.pages)
    texts = [[*file.text[:LINES_PER_PAGE], f"Page {number + 1} / {pages}"] for number in range(pages)]
    codes = _codes("".join(line for lines in texts for line in lines))
    kids = " ".join(f"{5 + 2 * number} 0 R" for number in range(pages))
    names = "".join(f"/uni{ord(letter):04X}" for letter in codes)
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {pages} >>".encode(),
        (
            f"<< /Type /Font /Subtype /TrueType /BaseFont /{FONT} "
            f"/FontDescriptor << /Type /FontDescriptor /FontName /{FONT} "
            "/Flags 33 /FontBBox [0 -300 600 900] /ItalicAngle 0 /Ascent 800 /Descent -300 /CapHeight 700 /StemV 80 >> "
            f"/FirstChar {FIRST_CODE} /LastChar {FIRST_CODE + len(codes) - 1} /Widths [{'600 ' * len(codes)}] "
            f"/ToUnicode 4 0 R /Encoding << /Type /Encoding /Differences [{FIRST_CODE} {names}] >> >>"
        ).encode(),
        _stream(_to_unicode(codes)),
    ]
    for number, lines in enumerate(texts):
        shown = b" ".join(_show(line, codes) for line in lines)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> "
            + f"/Contents {6 + 2 * number} 0 R >>".encode()
        )
        objects.append(_stream(b"BT /F1 11 Tf 60 780 Td 16 TL " + shown + b" ET"))
    title = (b"\xfe\xff" + file.name.encode("utf-16-be")).hex().encode()
    return _pdf_file([*objects, b"<< /Title <%s> /Author (Riverside Hospital) >>" % title])


def _codes(text: str) -> dict[str, int]:
    """Return a byte for each letter of a document: its own encoding, because no standard one has them all."""
    letters = sorted(set(text))[: 256 - FIRST_CODE]
    return {letter: FIRST_CODE + number for number, letter in enumerate(letters)}


def _to_unicode(codes: dict[str, int]) -> bytes:
    """Return the map by which programs read a document's own encoding as text."""
    lines = [f"<{code:02x}> <{letter.encode('utf-16-be').hex()}>" for letter, code in codes.items()]
    sections = (lines[start : start + MOST_LINES] for start in range(0, len(lines), MOST_LINES))
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Own def /CMapType 2 def\n"
        "1 begincodespacerange\n<00> <ff>\nendcodespacerange\n"
        + "".join(f"{len(part)} beginbfchar\n" + "\n".join(part) + "\nendbfchar\n" for part in sections)
        + "endcmap end end"
    ).encode()


def _stream(body: bytes) -> bytes:
    return b"<< /Length %d >>\nstream\n%s\nendstream" % (len(body), body)


def _show(line: str, codes: dict[str, int]) -> bytes:
    return b"<" + bytes(codes[letter] for letter in line if letter in codes).hex().encode() + b"> Tj T*"


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
