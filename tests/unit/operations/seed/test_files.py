"""Attached files are what their type says, with their text inside."""

from __future__ import annotations

import csv
import io
import re
import struct
import zipfile
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.seed.files import render
from operations.seed.jpeg import jpeg
from operations.seed.model import File, FileKind

TEXT = ("Patient: Zoë (Ünal) Sedláčková 秀英", "MRN: MRN-4000008", "Mail: zoe@post.example")


def a_file(kind: FileKind, **changes: object) -> File:
    values = {
        "key": "file_1",
        "about": "patient_1",
        "name": "n",
        "kind": kind,
        "text": TEXT,
        "width": 133,
        "height": 77,
    }
    return File(**(values | {"pages": 3, "shade": 9} | changes))


@pytest.mark.parametrize("kind", list(FileKind))
def test_the_same_file_has_the_same_bytes(kind: FileKind) -> None:
    assert render(a_file(kind)) == render(a_file(kind))


@pytest.mark.parametrize("pages", [1, 2, 6])
def test_a_pdf_has_its_pages_and_every_offset_of_its_table_is_right(pages: int) -> None:
    body = render(a_file(FileKind.PDF, pages=pages))
    assert len(re.findall(rb"/Type /Page /Parent", body)) == pages
    start = int(re.search(rb"startxref\n(\d+)", body)[1])
    offsets = [int(one) for one in re.findall(rb"(\d{10}) 00000 n", body[start:])]
    for number, offset in enumerate(offsets, start=1):
        assert body[offset:].startswith(b"%d 0 obj" % number)
    for length, stream in re.findall(rb"/Length (\d+) >>\nstream\n(.*?)\nendstream", body, re.DOTALL):
        assert int(length) == len(stream)
    codes = {int(code, 16): chr(int(letter, 16)) for code, letter in re.findall(rb"<(..)> <(....)>", body)}
    shown = ["".join(codes[byte] for byte in bytes.fromhex(line.decode())) for line in re.findall(rb"<(\w+)> Tj", body)]
    assert shown == [*TEXT, *shown[len(TEXT) :]]
    assert shown.count(TEXT[0]) == pages


def test_a_png_has_its_size_its_text_and_whole_chunks() -> None:
    body = render(a_file(FileKind.PNG))
    assert body.startswith(b"\x89PNG\r\n\x1a\n")
    place, chunks = 8, []
    while place < len(body):
        (length,) = struct.unpack(">I", body[place : place + 4])
        kind, data = body[place + 4 : place + 8], body[place + 8 : place + 8 + length]
        assert struct.unpack(">I", body[place + 8 + length : place + 12 + length])[0] == zlib.crc32(kind + data)
        chunks.append((kind, data))
        place += 12 + length
    assert struct.unpack(">II", chunks[0][1][:8]) == (133, 77)
    assert next(data for kind, data in chunks if kind == b"iTXt").decode().endswith(TEXT[0])
    pixels = zlib.decompress(next(data for kind, data in chunks if kind == b"IDAT"))
    assert len(pixels) == 77 * (133 + 1)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(1, 200), st.integers(0, 255))
def test_a_jpeg_decodes_to_the_squares_it_was_made_of(width: int, height: int, shade: int) -> None:
    body = jpeg(width, height, shade, "Zoë")
    frame = body[body.index(b"\xff\xc0") :]
    assert struct.unpack(">HH", frame[5:9]) == (height, width)
    assert "Zoë".encode() in body
    columns, rows = -(-width // 8), -(-height // 8)
    wanted = [((shade + 37 * x + 53 * y) % 256 - 128) * 8 // 16 for y in range(rows) for x in range(columns)]
    assert decode(body, columns * rows) == wanted


def decode(body: bytes, blocks: int) -> list[int]:
    """Read the levels back with the tables that the file itself carries."""
    codes: dict[tuple[int, int], int] = {}
    table = body[body.index(b"\xff\xc4") + 4 :]
    code, place = 0, 17
    for bits in range(1, 17):
        for _ in range(table[bits]):
            codes[bits, code] = table[place]
            code, place = code + 1, place + 1
        code <<= 1
    scan = body[body.index(b"\xff\xda") + 10 : -2].replace(b"\xff\x00", b"\xff")
    stream = "".join(f"{byte:08b}" for byte in scan)
    levels, level, at = [], 0, 0
    for _ in range(blocks):
        length = 1
        while (length, int(stream[at : at + length], 2)) not in codes:
            length += 1
        size = codes[length, int(stream[at : at + length], 2)]
        at += length
        if size:
            value = int(stream[at : at + size], 2)
            level += value if value >> (size - 1) else value - (1 << size) + 1
        at += size + 1  # the end of the block is one bit
        levels.append(level)
    assert len(stream) - at < 8, "bits are left over"
    return levels


def test_a_docx_is_a_package_that_holds_its_text() -> None:
    with zipfile.ZipFile(io.BytesIO(render(a_file(FileKind.DOCX)))) as archive:
        assert archive.testzip() is None
        assert {"[Content_Types].xml", "_rels/.rels", "word/document.xml"} == set(archive.namelist())
        assert TEXT[0] in archive.read("word/document.xml").decode()


def test_a_csv_is_read_back() -> None:
    rows = list(csv.reader(io.StringIO(render(a_file(FileKind.CSV)).decode())))
    assert rows[1] == ["Patient", "Zoë (Ünal) Sedláčková 秀英"]


def test_a_text_is_utf_8() -> None:
    assert render(a_file(FileKind.TXT)).decode().splitlines() == list(TEXT)
