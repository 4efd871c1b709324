from __future__ import annotations

import hashlib
import socket
import time

import pytest

from toolchain import vendor
from toolchain.errors import ChecksumMismatch, DownloadRefused


@pytest.fixture
def good(tar_of) -> bytes:
    return tar_of({"tool/run": "the program", "tool/other": "beside it", "README": "not taken"})


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def archive(site: str, **changes) -> vendor.Archive:
    fields = {
        "name": "tool-vendor",
        "version": "1.0",
        "folder": f"{site}/v1.0",
        "file": "tool.tar.gz",
        "checksum_files": ("tool_checksums.txt", "sums.txt"),
        "inner": "tool",
        "programs": ("run",),
    }
    return vendor.Archive(**(fields | changes))


def test_an_archive_is_checked_against_the_published_sum_and_unpacked_once(server, good, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": good, "/v1.0/sums.txt": f"{sha256(good)}  tool.tar.gz\n".encode()}
    folder = vendor.fetch(paths, archive(server.site), reporter)
    assert (folder / "bin" / "run").read_text() == "the program"
    assert (folder / "bin" / "run").stat().st_mode & 0o111
    assert sorted(path.name for path in (folder / "bin").iterdir()) == ["other", "run"]
    asked = len(server.asked)
    assert vendor.fetch(paths, archive(server.site), reporter) == folder
    assert vendor.cached(paths, archive(server.site), reporter) == folder
    assert len(server.asked) == asked


def test_a_pinned_sum_is_used_without_asking_for_a_published_one(server, good, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": good}
    vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": sha256(good)})
    assert server.asked == ["/v1.0/tool.tar.gz"]


def test_a_pinned_sum_wins_over_a_published_one_that_fits_the_download(server, good, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": good, "/v1.0/sums.txt": f"{sha256(good)}  tool.tar.gz\n".encode()}
    with pytest.raises(ChecksumMismatch):
        vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": "0" * 64})


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server, good, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": good, "/v1.0/sums.txt": f"{'0' * 64}  tool.tar.gz\n".encode()}
    with pytest.raises(ChecksumMismatch, match=sha256(good)):
        vendor.fetch(paths, archive(server.site), reporter)
    assert vendor.cached(paths, archive(server.site), reporter) is None


def test_without_a_published_sum_nothing_is_downloaded(server, good, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": good, "/v1.0/sums.txt": f"{sha256(good)}  another.tar.gz\n".encode()}
    with pytest.raises(DownloadRefused, match="publishes no sha256"):
        vendor.fetch(paths, archive(server.site), reporter)
    assert "/v1.0/tool.tar.gz" not in server.asked


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_refuses_is_told_with_its_status(status: int, server, good, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": status}
    with pytest.raises(DownloadRefused, match=str(status)):
        vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": sha256(good)})


def test_a_port_where_nobody_listens_is_refused_at_once(paths, reporter):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        site = f"http://127.0.0.1:{taken.getsockname()[1]}"
        started = time.monotonic()
        with pytest.raises(DownloadRefused, match="cannot be reached"):
            vendor.fetch(paths, archive(site), reporter)
    assert time.monotonic() - started < vendor.CONNECT_SECONDS


def test_a_network_that_drops_packets_costs_no_more_than_the_connect_limit(paths, reporter):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):  # a full backlog: further connections get no answer at all
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        started = time.monotonic()
        with pytest.raises(DownloadRefused, match="ConnectTimeout"):
            vendor.fetch(paths, archive(f"http://127.0.0.1:{full.getsockname()[1]}"), reporter)
        waited = time.monotonic() - started
        for filler in fillers:
            filler.close()
    assert waited < vendor.CONNECT_SECONDS + 2


REASONS = {
    "a proxy's page": "cannot be unpacked",
    "another content": "does not hold run",
    "a cut archive": "cannot be unpacked",
}


@pytest.mark.parametrize("form", REASONS)
def test_an_archive_of_another_form_is_refused_and_not_kept(form: str, server, tar_of, paths, reporter):
    content = {
        "a proxy's page": b"<html>blocked</html>",
        "another content": tar_of({"tool/other": "x"}),
        "a cut archive": tar_of({"tool/run": "x" * 1000})[:80],
    }[form]
    server.files = {"/v1.0/tool.tar.gz": content}
    with pytest.raises(DownloadRefused, match=REASONS[form]):
        vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": sha256(content)})
    assert vendor.cached(paths, archive(server.site), reporter) is None


def test_an_archive_cannot_write_outside_its_folder(server, tar_of, paths, reporter, tmp_path):
    evil = tar_of({"tool/run": "x", "tool/../../../../../escaped": "y", "/tool/escaped": "z"})
    server.files = {"/v1.0/tool.tar.gz": evil}
    folder = vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": sha256(evil)})
    assert [path.name for path in (folder / "bin").iterdir()] == ["run"]
    assert not list(tmp_path.rglob("escaped"))


def test_checksum_files_are_read_as_sha256sum_writes_them():
    text = f"{'a' * 64}  one.tar.gz\n{'B' * 64} *./Two.zip\n# comment\n{'c' * 10}  short.gz\n"
    assert vendor.parse_checksums(text) == {"one.tar.gz": "a" * 64, "Two.zip": "b" * 64}


def test_a_refusal_is_remembered_for_a_day_and_for_that_server_only(paths):
    one, other = archive("http://one.invalid"), archive("http://other.invalid")
    assert not vendor.refused_lately(paths, one)
    vendor.remember_refusal(paths, one)
    assert vendor.refused_lately(paths, one)
    assert not vendor.refused_lately(paths, other)
    assert not vendor.refused_lately(paths, one, now=time.time() + vendor.REFUSAL_SECONDS + 1)
