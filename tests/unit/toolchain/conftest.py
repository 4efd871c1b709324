"""What the toolchain tests share: folders of their own, a reporter that remembers, a compiler that is a script."""

from __future__ import annotations

import stat
import threading
from contextlib import contextmanager
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
