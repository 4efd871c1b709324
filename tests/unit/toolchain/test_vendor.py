from __future__ import annotations

import hashlib
import io
import socket
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from toolchain import vendor
from toolchain.errors import ChecksumMismatch, DownloadRefused


def tar_of(files: dict[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o755
            tar.addfile(member, io.BytesIO(text.encode()))
    return stream.getvalue()


GOOD = tar_of({"tool/run": "the program", "tool/other": "beside it", "README": "not taken"})
SUM = hashlib.sha256(GOOD).hexdigest()


class Server:
    """A vendor on the loopback interface."""

    def __init__(self) -> None:
        self.files: dict[str, bytes | int] = {}
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.files.get(self.path, 404)
                if isinstance(answer, int):
                    self.send_error(answer)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.site = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = Server()
    yield server
    server.close()


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


def test_an_archive_is_checked_against_the_published_sum_and_unpacked_once(server, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": GOOD, "/v1.0/sums.txt": f"{SUM}  tool.tar.gz\n".encode()}
    folder = vendor.fetch(paths, archive(server.site), reporter)
    assert (folder / "bin" / "run").read_text() == "the program"
    assert (folder / "bin" / "run").stat().st_mode & 0o111
    assert sorted(path.name for path in (folder / "bin").iterdir()) == ["other", "run"]
    asked = len(server.asked)
    assert vendor.fetch(paths, archive(server.site), reporter) == folder
    assert vendor.cached(paths, archive(server.site), reporter) == folder
    assert len(server.asked) == asked


def test_a_pinned_sum_is_used_without_asking_for_a_published_one(server, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": GOOD}
    vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": SUM})
    assert server.asked == ["/v1.0/tool.tar.gz"]


def test_a_pinned_sum_wins_over_a_published_one_that_fits_the_download(server, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": GOOD, "/v1.0/sums.txt": f"{SUM}  tool.tar.gz\n".encode()}
    with pytest.raises(ChecksumMismatch):
        vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": "0" * 64})


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(server, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": GOOD, "/v1.0/sums.txt": f"{'0' * 64}  tool.tar.gz\n".encode()}
    with pytest.raises(ChecksumMismatch, match=SUM):
        vendor.fetch(paths, archive(server.site), reporter)
    assert vendor.cached(paths, archive(server.site), reporter) is None


def test_without_a_published_sum_nothing_is_downloaded(server, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": GOOD, "/v1.0/sums.txt": f"{SUM}  another.tar.gz\n".encode()}
    with pytest.raises(DownloadRefused, match="publishes no sha256"):
        vendor.fetch(paths, archive(server.site), reporter)
    assert "/v1.0/tool.tar.gz" not in server.asked


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_server_that_refuses_is_told_with_its_status(status: int, server, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": status}
    with pytest.raises(DownloadRefused, match=str(status)):
        vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": SUM})


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


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<html>blocked</html>", "cannot be unpacked"),
        (tar_of({"tool/other": "x"}), "does not hold run"),
        (GOOD[:80], "cannot be unpacked"),
    ],
    ids=["a proxy's page", "another content", "a cut archive"],
)
def test_an_archive_of_another_form_is_refused_and_not_kept(content: bytes, word: str, server, paths, reporter):
    server.files = {"/v1.0/tool.tar.gz": content}
    with pytest.raises(DownloadRefused, match=word):
        vendor.fetch(paths, archive(server.site), reporter, pinned={"tool.tar.gz": hashlib.sha256(content).hexdigest()})
    assert vendor.cached(paths, archive(server.site), reporter) is None


def test_an_archive_cannot_write_outside_its_folder(server, paths, reporter, tmp_path):
    evil = tar_of({"tool/run": "x", "tool/../../../../../escaped": "y", "/tool/escaped": "z"})
    server.files = {"/v1.0/tool.tar.gz": evil}
    sums = {"tool.tar.gz": hashlib.sha256(evil).hexdigest()}
    folder = vendor.fetch(paths, archive(server.site), reporter, pinned=sums)
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
