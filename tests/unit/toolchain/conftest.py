"""What the toolchain tests share: folders of their own, a reporter that remembers, a compiler that is a script."""

from __future__ import annotations

import io
import stat
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from toolchain.paths import Paths

CHECKOUT = Path(__file__).parents[3]


class RecordingReporter:
    """Remembers every step and note."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.notes: list[str] = []
        self._lock = threading.Lock()

    @contextmanager
    def step(self, title: str):
        with self._lock:
            self.titles.append(title)
        yield self

    def note(self, text: str) -> None:
        with self._lock:
            self.notes.append(text)


@pytest.fixture
def reporter() -> RecordingReporter:
    return RecordingReporter()


@pytest.fixture
def checkout() -> Path:
    return CHECKOUT


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    root = tmp_path / "checkout"
    root.mkdir()
    return Paths(root=root, state=tmp_path / "state", cache=tmp_path / "cache")


@pytest.fixture
def program(tmp_path: Path):
    """Write an executable script and return its path."""

    def write(name: str, text: str, folder: str = "programs") -> Path:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    return write


FAKE_GO = """#!/bin/sh
# a compiler's manners: answers `env`, and `build` writes each package's name into the folder after -o
echo "$@" >> "{calls}"
case "$1" in
env) printf '{{"GOVERSION": "go{version}", "GOPROXY": "https://mirror.invalid", "GOSUMDB": ""}}' ;;
build)
  env > "{calls}.env"
  {before}
  while [ "$1" != -o ]; do shift; done
  folder=$2; shift 2
  for package in "$@"; do
    echo "$package"
    name=${{package##*/}}; [ "$name" = . ] && name=$(basename "$PWD")
    echo "program $name" > "$folder$name"
  done ;;
mod|list) [ "$1" = list ] && [ "$2" = -m ] && echo "{module}" ; exit 0 ;;
esac
"""


@pytest.fixture
def fake_go(program, tmp_path: Path):
    """Put a script called go on a PATH of its own; return the environment to use, and the file that lists its calls."""

    def make(*, version: str = "1.26.9", before: str = "", module: Path | None = None):
        calls = tmp_path / "go-calls"
        text = FAKE_GO.format(calls=calls, version=version, before=before, module=module or tmp_path)
        executable = program("go", text, folder="go-bin")
        environ = {"PATH": f"{executable.parent}:/usr/bin:/bin", "HOME": str(tmp_path)}
        return environ, calls

    return make


class LoopbackServer:
    """A vendor's site on the loopback interface.

    Attributes:
        files: what it serves by path, or the status it refuses with.
        status: when not 200, what it answers to everything.
        asked: paths that were asked for.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes | int] = {}
        self.status = 200
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                answer = outer.files.get(self.path, 404) if outer.status == 200 else outer.status
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
        serve = {"target": self._server.serve_forever, "kwargs": {"poll_interval": 0.01}}
        threading.Thread(**serve, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def server():
    server = LoopbackServer()
    yield server
    server.close()


@pytest.fixture
def tar_of():
    """Make a gzipped tar of programs from names and texts."""

    def make(files: dict[str, str]) -> bytes:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w:gz") as tar:
            for name, text in files.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(text), 0o755
                tar.addfile(member, io.BytesIO(text.encode()))
        return stream.getvalue()

    return make
