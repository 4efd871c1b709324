"""Checksums and versions of Odoo's modules: what a new image changes, and whether it is newer at all."""

from __future__ import annotations

import ast
import hashlib
import tarfile
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

MANIFEST = "__manifest__.py"
_IGNORED = (".pyc", ".pyo")


def module_checksums(rootfs: Path, addons: str) -> dict[str, str]:
    """Hash every Odoo module of a root file system.

    Args:
        rootfs: Its tar.
        addons: Folder of the modules inside it.

    Returns:
        Module -> sha256 over its files' names and contents; byte code does not count.
    """
    prefix = PurePosixPath(addons.lstrip("/"))
    files: dict[str, list[tuple[str, str]]] = defaultdict(list)
    modules: set[str] = set()
    with tarfile.open(rootfs) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if not (member.isfile() and prefix in name.parents) or name.suffix in _IGNORED:
                continue
            module, *inner = name.relative_to(prefix).parts
            content = archive.extractfile(member)
            if not inner or content is None:
                continue
            files[module].append(("/".join(inner), hashlib.sha256(content.read()).hexdigest()))
            if inner == [MANIFEST]:
                modules.add(module)
    return {module: _digest(files[module]) for module in sorted(modules)}


def module_versions(rootfs: Path, addons: str, series: str) -> dict[str, str]:
    """Read the version of every Odoo module of a root file system.

    Args:
        rootfs: Its tar.
        addons: Folder of the modules inside it.
        series: Odoo's series, for example ``19.0``.

    Returns:
        Module -> version as Odoo records it in the database: ``1.3`` of a manifest becomes ``19.0.1.3``.
    """
    folder = PurePosixPath(addons.lstrip("/"))
    versions: dict[str, str] = {}
    with tarfile.open(rootfs) as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            if not (member.isfile() and name.name == MANIFEST and name.parent.parent == folder):
                continue
            content = archive.extractfile(member)
            manifest = ast.literal_eval(content.read().decode()) if content else {}
            versions[name.parent.name] = _recorded(str(manifest.get("version", "1.0")), series)
    return dict(sorted(versions.items()))


def _recorded(version: str, series: str) -> str:
    # Odoo's adapt_version: a version of up to three parts is the module's own, the series comes before it.
    own = version.count(".") < 3 and not version.startswith(series)  # noqa: PLR2004 - three parts
    return f"{series}.{version}" if own else version


def _digest(files: list[tuple[str, str]]) -> str:
    lines = "".join(f"{digest} {name}\n" for name, digest in sorted(files))
    return hashlib.sha256(lines.encode()).hexdigest()


def refuse_unknown(wanted: Collection[str], modules: Mapping[str, str]) -> None:
    """Refuse modules that the image does not have, before a site's first migration would.

    Raises:
        ToolchainError: Naming all of them, with the closest name that exists.
    """
    unknown = sorted(set(wanted) - modules.keys())
    if unknown:
        raise ToolchainError(
            f"the Odoo image has no module {', '.join(unknown)}",
            why="a site lists it; the community edition has no such module, or it is spelt differently",
            action="correct the list of modules in the site's file",
        )
