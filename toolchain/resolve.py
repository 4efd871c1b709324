"""Chooses where Pulumi's programs come from: PATH at a compatible version, the vendor's download, the registries.

Whatever is chosen, `Resolved` says so and why the ways before it were not taken, for `doctor` and for the screen.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from toolchain import builds, vendor, versions
from toolchain.errors import DownloadRefused, ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolchain.paths import Paths
    from toolchain.progress import Reporter

Source = Literal["PATH", "vendor", "registry"]

VENDOR_VARIABLE = "CAREOPS_VENDOR_DOWNLOADS"
VENDOR_CHOICES = ("auto", "never", "always")
"""auto: ask, but not for a day after a refusal. never: do not ask. always: ask each time."""

ENGINE = "pulumi"
LANGUAGE_HOST = "pulumi-language-python"
KUBERNETES_PLUGIN = "pulumi-resource-kubernetes"
_ASK_SECONDS = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolved:
    """A program that was found.

    Attributes:
        name: of the program.
        executable: its path.
        version: as the program or its record tells.
        source: the way it came; "registry" means built from a registry's sources, or a stand-in.
        stand_in: whether it is ours in place of the vendor's.
        passed_over: why each way before was not taken.
    """

    name: str
    executable: Path
    version: str
    source: Source
    stand_in: bool = False
    passed_over: tuple[str, ...] = ()


def version_in_range(version: str, wanted: str) -> bool:
    """Tell whether "3.259.0" or "v3.259.0" lies in a range such as ">=3.259.0,<4"; a pre-release lies in none.

    Raises:
        ValueError: the range has another form.
    """
    found = _parts(version)
    if found is None:
        return False
    for condition in wanted.split(","):
        match = re.fullmatch(r"(>=|<|==)(\d+(?:\.\d+){0,2})", condition.strip())
        limit = _parts(match.group(2)) if match else None
        if match is None or limit is None:
            raise ValueError(f"not a version condition: {condition!r}")
        holds = {">=": found >= limit, "<": found < limit, "==": found == limit}[match.group(1)]
        if not holds:
            return False
    return True


def resolve_engine(paths: Paths, reporter: Reporter, environ: Mapping[str, str]) -> Resolved:
    """Return the Pulumi engine.

    Raises:
        ToolchainError: the last way, building it, failed too; or CAREOPS_VENDOR_DOWNLOADS has no known value.
    """
    passed: list[str] = []
    located = _on_path(ENGINE, paths, environ)
    if located is not None:
        version = _say_version(located, environ)
        if version_in_range(version, versions.PULUMI_COMPATIBLE):
            return Resolved(name=ENGINE, executable=located, version=version, source="PATH")
        passed.append(f"{located} is version {version or 'unknown'}, wanted {versions.PULUMI_COMPATIBLE}")
    else:
        passed.append(f"{ENGINE} is not on PATH")
    folder = _from_vendor(paths, sdk_archive(), reporter, environ, passed)
    if folder is not None:
        return _resolved(ENGINE, folder / "bin" / ENGINE, versions.PULUMI, "vendor", passed)
    built = builds.ensure(paths, "pulumi", reporter, environ=environ)
    return _resolved(ENGINE, built / "bin" / ENGINE, versions.PULUMI, "registry", passed)


def resolve_language_host(engine: Resolved, stand_in: Callable[[], Path]) -> Resolved:
    """Return the Python language host that belongs to the engine: the one beside it, else the stand-in.

    Args:
        engine: what `resolve_engine` returned; a host of another release is never paired with it.
        stand_in: makes ours and returns its path; called only when needed.
    """
    beside = engine.executable.resolve().with_name(LANGUAGE_HOST)
    if os.access(beside, os.X_OK):
        return Resolved(name=LANGUAGE_HOST, executable=beside, version=engine.version, source=engine.source)
    return Resolved(
        name=LANGUAGE_HOST,
        executable=stand_in(),
        version=engine.version,
        source="registry",
        stand_in=True,
        passed_over=(f"there is no {LANGUAGE_HOST} beside {engine.executable}", *engine.passed_over),
    )


def resolve_kubernetes_plugin(
    paths: Paths, reporter: Reporter, environ: Mapping[str, str], stand_in: Callable[[], Path]
) -> Resolved:
    """Return the Kubernetes resource plugin: the vendor's where it can be had, else the stand-in.

    A plugin tells its version only in the name of its folder, so one counts as "on PATH" when it is installed in the
    user's own Pulumi home (`pulumi plugin install`) at exactly the version programs ask for.

    Args:
        paths: where things live.
        reporter: shows a download.
        environ: PULUMI_HOME, HOME and CAREOPS_VENDOR_DOWNLOADS are read.
        stand_in: makes ours and returns its path; called only when needed.

    Raises:
        ToolchainError: CAREOPS_VENDOR_DOWNLOADS has no known value.
    """
    passed: list[str] = []
    version = versions.PULUMI_KUBERNETES
    for home in _plugin_homes(paths, environ):
        installed = home / "plugins" / f"resource-kubernetes-v{version}" / KUBERNETES_PLUGIN
        if os.access(installed, os.X_OK):
            return Resolved(name=KUBERNETES_PLUGIN, executable=installed, version=version, source="PATH")
        passed.append(f"{installed} does not exist")
    folder = _from_vendor(paths, kubernetes_archive(), reporter, environ, passed)
    if folder is not None:
        return _resolved(KUBERNETES_PLUGIN, folder / "bin" / KUBERNETES_PLUGIN, version, "vendor", passed)
    return Resolved(
        name=KUBERNETES_PLUGIN,
        executable=stand_in(),
        version=version,
        source="registry",
        stand_in=True,
        passed_over=tuple(passed),
    )


def sdk_archive(*, site: str = versions.VENDOR_RELEASES, machine: str | None = None) -> vendor.Archive:
    """Describe the vendor's archive of the engine and the language hosts."""
    version = versions.PULUMI
    processor = {"x86_64": "x64", "aarch64": "arm64"}.get(machine or os.uname().machine, "unknown")
    return vendor.Archive(
        name="pulumi-vendor",
        version=version,
        folder=f"{site}/pulumi/releases/download/v{version}",
        file=f"pulumi-v{version}-linux-{processor}.tar.gz",
        checksum_files=(f"pulumi-{version}-checksums.txt",),
        inner="pulumi",
        programs=(ENGINE, LANGUAGE_HOST),
    )


def kubernetes_archive(*, site: str = versions.VENDOR_RELEASES, machine: str | None = None) -> vendor.Archive:
    """Describe the vendor's archive of the Kubernetes plugin."""
    version = versions.PULUMI_KUBERNETES
    processor = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine or os.uname().machine, "unknown")
    return vendor.Archive(
        name="pulumi-kubernetes-vendor",
        version=version,
        folder=f"{site}/pulumi-kubernetes/releases/download/v{version}",
        file=f"{KUBERNETES_PLUGIN}-v{version}-linux-{processor}.tar.gz",
        checksum_files=(f"pulumi-kubernetes_{version}_checksums.txt", f"pulumi-kubernetes-{version}-checksums.txt"),
        inner="",
        programs=(KUBERNETES_PLUGIN,),
    )


def _from_vendor(
    paths: Paths, archive: vendor.Archive, reporter: Reporter, environ: Mapping[str, str], passed: list[str]
) -> Path | None:
    choice = environ.get(VENDOR_VARIABLE) or "auto"
    if choice not in VENDOR_CHOICES:
        raise ToolchainError(
            f"{VENDOR_VARIABLE} is {choice!r}.",
            why=f"It may be {', '.join(VENDOR_CHOICES)}.",
            action=f"Set {VENDOR_VARIABLE} to one of those, or unset it.",
        )
    if choice == "never":
        passed.append(f"{VENDOR_VARIABLE}=never")
        return None
    found = vendor.cached(paths, archive, reporter)
    if found is not None:
        return found
    if choice == "auto" and vendor.refused_lately(paths, archive):
        passed.append(f"the vendor's site could not be used within the last day ({VENDOR_VARIABLE}=always asks again)")
        return None
    try:
        return vendor.fetch(paths, archive, reporter)
    except DownloadRefused as error:
        vendor.remember_refusal(paths, archive)
        passed.append(f"{error.what} {error.why}")
        return None


def _resolved(name: str, executable: Path, version: str, source: Source, passed: list[str]) -> Resolved:
    return Resolved(name=name, executable=executable, version=version, source=source, passed_over=tuple(passed))


def _on_path(name: str, paths: Paths, environ: Mapping[str, str]) -> Path | None:
    """Find a program on PATH, but not one that careops itself put there."""
    folders = (Path(folder) for folder in environ.get("PATH", "").split(os.pathsep) if folder)
    for folder in folders:
        located = shutil.which(name, path=str(folder))
        if located is None:
            continue
        real = Path(located).resolve()
        if not any(real.is_relative_to(ours.resolve()) for ours in (paths.state, paths.cache)):
            return Path(located)
    return None


def _plugin_homes(paths: Paths, environ: Mapping[str, str]) -> list[Path]:
    named = [environ.get("PULUMI_HOME", ""), f"{environ['HOME']}/.pulumi" if environ.get("HOME") else ""]
    homes = dict.fromkeys(Path(name) for name in named if name)
    return [home for home in homes if home.resolve() != paths.pulumi_home.resolve()]


def _say_version(executable: Path, environ: Mapping[str, str]) -> str:
    try:
        answer = subprocess.run(
            [str(executable), "version"],
            env={**environ, "PULUMI_SKIP_UPDATE_CHECK": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=_ASK_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip().removeprefix("v") if answer.returncode == 0 else ""


def _parts(version: str) -> tuple[int, int, int] | None:
    match = re.fullmatch(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?", version.strip())
    if match is None:
        return None
    major, minor, patch = (int(part or 0) for part in match.groups())
    return major, minor, patch
