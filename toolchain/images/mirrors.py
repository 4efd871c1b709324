"""Where this machine gets its Debian packages from: read from apt's own files when it is needed, never written down."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.errors import HostUnfit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ARCHIVE_VARIABLE = "CAREOPS_DEBIAN_MIRROR"
SECURITY_VARIABLE = "CAREOPS_DEBIAN_SECURITY_MIRROR"
APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")


@dataclass(frozen=True, kw_only=True)
class Mirrors:
    """Addresses of the Debian archive and of its security archive; both carry every release."""

    archive: str
    security: str


def read_mirrors(environ: Mapping[str, str], apt: Path = APT, os_release: Path = OS_RELEASE) -> Mirrors:
    """Find the mirrors in use.

    Args:
        environ: May override them with CAREOPS_DEBIAN_MIRROR and CAREOPS_DEBIAN_SECURITY_MIRROR.
        apt: apt's configuration folder; its one-line and deb822 source files are both read.
        os_release: Names the release whose sources are meant, so that other vendors' sources are passed over.

    Raises:
        HostUnfit: A mirror is neither set nor configured.
    """
    archive, security = environ.get(ARCHIVE_VARIABLE, ""), environ.get(SECURITY_VARIABLE, "")
    if not (archive and security):
        codename = _codename(os_release)
        for uri, suite in _sources(apt):
            if suite == codename:
                archive = archive or uri
            elif suite in (f"{codename}-security", f"{codename}/updates"):
                security = security or uri
    for address, variable in ((archive, ARCHIVE_VARIABLE), (security, SECURITY_VARIABLE)):
        if not address:
            raise HostUnfit(
                f"no Debian package source was found under {apt}",
                why="image root file systems are made of Debian packages, from the mirrors this machine already uses",
                action=f"add the Debian sources to apt, or set {variable} to a mirror's address",
            )
    return Mirrors(archive=_resolved(archive), security=_resolved(security))


def _codename(os_release: Path) -> str:
    try:
        text = os_release.read_text(encoding="utf-8")
    except OSError:
        return ""
    found = re.search(r"^VERSION_CODENAME=\"?([a-z]+)", text, re.MULTILINE)
    return found[1] if found else ""


def _sources(apt: Path) -> Iterator[tuple[str, str]]:
    for path in (apt / "sources.list", *sorted((apt / "sources.list.d").glob("*.list"))):
        if path.is_file():
            yield from _one_line(path.read_text(encoding="utf-8").splitlines())
    for path in sorted((apt / "sources.list.d").glob("*.sources")):
        yield from _deb822(path.read_text(encoding="utf-8"))


def _one_line(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    for line in lines:
        found = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.strip())
        if found and "main" in found[3].split():
            yield found[1], found[2]


def _deb822(text: str) -> Iterator[tuple[str, str]]:
    for stanza in re.split(r"\n\s*\n", text):
        lines = [line for line in stanza.splitlines() if not line.startswith("#")]
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*(?:\n[ \t].*)*)", "\n".join(lines), re.MULTILINE))
        folded = {name.lower(): value.split() for name, value in fields.items()}
        usable = "deb" in folded.get("types", []) and "main" in folded.get("components", [])
        if not usable or folded.get("enabled") == ["no"]:
            continue
        for uri in folded.get("uris", []):
            for suite in folded.get("suites", []):
                yield uri, suite


def _resolved(address: str) -> str:
    """Replace a `mirror+file:` list, which does not exist inside a new root file system, by its first address."""
    if not address.startswith("mirror+file:"):
        return address.rstrip("/")
    listed = Path(address.removeprefix("mirror+file:"))
    addresses = re.findall(r"^\s*(https?://\S+)", listed.read_text(encoding="utf-8"), re.MULTILINE)
    if not addresses:
        raise HostUnfit(
            f"{listed} names no mirror",
            why="apt's sources point to that list",
            action=f"set {ARCHIVE_VARIABLE} and {SECURITY_VARIABLE} to a mirror's address",
        )
    return addresses[0].rstrip("/")
