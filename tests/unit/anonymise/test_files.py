"""Placeholders are files that real programs open; inspecting never fails on what somebody sends."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path

import pypdf
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from operations.anonymise.files import Decision, FileFacts, Source, inspect, plan, shipped, texts
from operations.anonymise.placeholders import MARK, MIMETYPES, FileKind, fitted, placeholder


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


PICTURES = (FileKind.PNG, FileKind.JPEG, FileKind.GIF, FileKind.WEBP)
SIDES = st.integers(min_value=1, max_value=400)


@pytest.mark.parametrize("kind", PICTURES)
@given(width=SIDES, height=SIDES)
@settings(max_examples=25, deadline=None)
def test_a_picture_is_read_by_a_real_parser_and_has_the_same_sides(kind: FileKind, width: int, height: int):
    content = placeholder(kind, width, height)
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        assert picture.format == kind.value.upper()
        assert picture.size == (width, height)


@pytest.mark.parametrize("kind", PICTURES)
def test_a_picture_is_visibly_marked(kind: FileKind):
    with Image.open(io.BytesIO(placeholder(kind, 800, 600))) as picture:
        grey = picture.convert("L")
        dark = [(x, y) for x in range(40, 760, 4) for y in range(200, 400, 4) if grey.getpixel((x, y)) < 140]
        light = [(x, y) for x in range(40, 760, 4) for y in range(200, 400, 4) if grey.getpixel((x, y)) > 180]
    assert len(dark) > 300, "the word is there"
    assert len(light) > 1000, "on a lighter ground"


@pytest.mark.parametrize("kind", [*PICTURES, FileKind.SVG])
def test_what_inspecting_says_of_a_placeholder_is_what_it_was_made_of(tmp_path: Path, kind: FileKind):
    file = tmp_path / "file"
    file.write_bytes(placeholder(kind, 321, 123))
    facts = inspect(file)
    assert (facts.kind, facts.width, facts.height) == (kind.value, 321, 123)


@pytest.mark.parametrize("pages", [1, 2, 37])
def test_a_pdf_has_as_many_pages_and_says_what_it_is(tmp_path: Path, pages: int):
    content = placeholder(FileKind.PDF, pages=pages)
    reader = pypdf.PdfReader(io.BytesIO(content), strict=True)
    assert len(reader.pages) == pages
    assert "PLACEHOLDER" in reader.pages[-1].extract_text()
    (tmp_path / "file").write_bytes(content)
    assert inspect(tmp_path / "file") == FileFacts(size=len(content), kind="pdf", pages=pages)


@pytest.mark.parametrize("kind", [FileKind.DOCX, FileKind.XLSX, FileKind.ODT, FileKind.ZIP])
def test_an_archive_is_whole_marked_and_recognised(tmp_path: Path, kind: FileKind):
    content = placeholder(kind)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert any(MARK in archive.read(name).decode() for name in archive.namelist())
    (tmp_path / "file").write_bytes(content)
    assert inspect(tmp_path / "file").kind == kind.value


@pytest.mark.parametrize("kind", list(FileKind))
def test_the_same_facts_give_the_same_bytes(kind: FileKind):
    first = placeholder(kind, 64, 48, 2)
    placeholder.cache_clear()
    assert placeholder(kind, 64, 48, 2) == first
    assert kind in MIMETYPES


def test_json_is_json():
    assert json.loads(placeholder(FileKind.JSON)) == {"placeholder": MARK}


@given(width=st.integers(1, 2**24), height=st.integers(1, 2**24))
def test_a_huge_picture_becomes_one_that_fits(width: int, height: int):
    narrow, low = fitted(width, height, 1_000_000)
    assert 1 <= narrow <= 16_384
    assert 1 <= low <= 16_384
    assert narrow * low <= 1_000_000 or 1 in {narrow, low}


START = st.sampled_from(
    [
        b"",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"GIF89a",
        b"RIFF0000WEBPVP8X",
        b"<svg ",
        b"RIFF0000WEBPVP8L",
        b"\xff\xd8\xff\xe0",
        b"PK\x05\x06",
        b"%PDF-1.7 stream\nx",
        b"PK\x03\x04",
    ]
)


@given(start=START, rest=st.binary(max_size=300), end=st.sampled_from([b"", b"PK\x05\x06" + bytes(18)]))
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_anybody_sends_makes_inspecting_fail(tmp_path: Path, start: bytes, rest: bytes, end: bytes):
    file = tmp_path / "hostile"
    file.write_bytes(start + rest + end)
    facts = inspect(file)
    assert facts.kind in set(FileKind)
    assert facts.size == len(start + rest + end)
    placeholder(FileKind(facts.kind), facts.width or 0, facts.height or 0, facts.pages or 0)
    list(texts(file))


@given(kind=st.sampled_from([FileKind.PNG, FileKind.PDF, FileKind.DOCX, FileKind.JPEG]), data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_or_broken_file_does_not_make_inspecting_fail(tmp_path: Path, kind: FileKind, data: st.DataObject):
    content = bytearray(placeholder(kind, 50, 50, 2))
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    file = tmp_path / "broken"
    file.write_bytes(content[: data.draw(st.integers(1, len(content)))])
    assert inspect(file).kind in set(FileKind)


def test_a_zip_bomb_is_neither_unpacked_nor_listed(tmp_path: Path):
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(300_000_000))
    assert inspect(bomb).kind == "docx"
    assert sum(map(len, texts(bomb))) < 70_000_000
    lying = bytearray(bomb.read_bytes())
    end = lying.rfind(b"PK\x05\x06")
    lying[end + 10 : end + 16] = struct.pack("<HI", 60_000, 2**31)
    bomb.write_bytes(lying)
    assert inspect(bomb).kind == "zip", "its directory is not read"


def test_a_pdf_bomb_is_unpacked_within_limits(tmp_path: Path):
    file = tmp_path / "bomb.pdf"
    file.write_bytes(b"%PDF-1.5\n" + b"1 0 obj<<>>stream\n" + zlib.compress(bytes(400_000_000)) + b"\nendstream")
    assert inspect(file).pages == 1
    assert sum(map(len, texts(file))) < 70_000_000


def test_pages_in_packed_objects_are_counted(tmp_path: Path):
    file = tmp_path / "packed.pdf"
    packed = zlib.compress(b"<</Type/Pages/Count 3>> <</Type/Page>> <</Type /Page >> <</Type/Page/X 1>>")
    file.write_bytes(b"%PDF-1.5\n1 0 obj<</Type/ObjStm>>stream\r\n" + packed + b"\nendstream endobj")
    assert inspect(file).pages == 3


def test_a_missing_file_is_the_only_thing_that_raises(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        inspect(tmp_path / "none")
    (tmp_path / "folder").mkdir()
    assert inspect(tmp_path / "folder").kind == "unknown"


def test_text_in_archives_and_pdfs_is_found_for_the_search(tmp_path: Path):
    archive = tmp_path / "a.docx"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("word/document.xml", "<w:t>Ada Lovelace</w:t>")
    pdf = tmp_path / "a.pdf"
    pdf.write_bytes(b"%PDF-1.4\n1 0 obj<<>>stream\n" + zlib.compress(b"(Ada Lovelace) Tj") + b"\nendstream")
    for each in (archive, pdf):
        assert any(b"Ada Lovelace" in part for part in texts(each))


def _source(name: str, kind: str, mimetype: str, **facts: int) -> Source:
    return Source(store_fname=name, facts=FileFacts(size=10, kind=kind, **facts), mimetype=mimetype)


def test_a_file_that_the_image_ships_stays_and_every_other_is_replaced_or_dropped():
    known = _sha1(b"logo")
    other = _sha1(b"scan")
    script = _sha1(b"script")
    kept, replaced, dropped = plan(
        [
            _source(f"{known[:2]}/{known}", "png", "image/png", width=5, height=5),
            _source(f"{other[:2]}/{other}", "png", "image/png", width=30, height=20),
            _source(f"{script[:2]}/{script}", "text", "text/javascript"),
        ],
        {known},
    )
    assert (kept.decision, kept.checksum, kept.content) == (Decision.KEEP, known, None)
    assert replaced.decision is Decision.PLACEHOLDER
    assert replaced.content == placeholder(FileKind.PNG, 30, 20)
    assert (dropped.decision, dropped.store_fname, dropped.content) == (Decision.DROP, None, None)


@given(kind=st.sampled_from([*FileKind, "made-up"]), mimetype=st.text(max_size=20))
def test_what_the_attachment_says_fits_its_new_file(kind: str, mimetype: str):
    (stand_in,) = plan([_source("aa/" + "a" * 40, str(kind), mimetype)], set())
    if stand_in.decision is Decision.PLACEHOLDER:
        assert stand_in.content is not None
        assert stand_in.checksum == _sha1(stand_in.content)
        assert stand_in.store_fname == f"{stand_in.checksum[:2]}/{stand_in.checksum}"
        assert stand_in.file_size == len(stand_in.content)
        assert stand_in.mimetype in MIMETYPES.values()


def test_text_takes_the_type_its_row_says():
    (sheet,) = plan([_source("aa/" + "a" * 40, "text", "text/csv; charset=utf-8")], set())
    assert sheet.mimetype == "text/csv"
    assert sheet.content == placeholder(FileKind.CSV)


def test_only_files_of_the_baseline_that_are_what_their_name_says_are_let_in(tmp_path: Path):
    good = _sha1(b"good")
    with tarfile.open(tmp_path / "filestore.tar", "w") as tar:
        for name, content in ((f"aa/{good}", b"good"), ("bb/" + "b" * 40, b"a lie"), ("readme", b"x")):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    assert shipped(tmp_path / "filestore.tar") == {good}


@pytest.mark.parametrize(
    ("said", "wanted"),
    [("text/css; charset=utf-8", "text/css"), ("seen by Ada Lovelace", "image/png"), ("", "image/png")],
)
def test_what_people_wrote_as_the_type_of_a_shipped_file_does_not_travel(said: str, wanted: str):
    known = "b" * 40
    (kept,) = plan([_source(f"bb/{known}", "png", said)], {known})
    assert (kept.decision, kept.mimetype) == (Decision.KEEP, wanted)
