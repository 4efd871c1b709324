"""Baselines: Odoo with its modules installed, once, so that an environment's first start takes seconds, not minutes.

PostgreSQL and Odoo run from the two images' own root file systems in one sandbox without network. The demo baseline is
made from the standard one by loading the demo data of every module, which costs half of a second installation.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from odoo_image import specs
from odoo_image.modules import module_checksums
from toolchain.errors import BuildFailed
from toolchain.images import sandbox
from toolchain.images.rootfs import LOCK, TAR, packages
from toolchain.images.sandbox import Bind, Tree
from toolchain.store import Store, content_key

if TYPE_CHECKING:
    from toolchain.paths import Paths
    from toolchain.progress import Reporter

NAME = "odoo-baselines"
DUMP, FILESTORE, MODULES = "database.dump", "filestore.tar", "modules.json"
SOCKETS = "/run/postgresql"

_RECIPE = 2
"""Grows when the way baselines are made changes."""


def key(odoo: Path, postgresql: Path) -> str:
    """Stands for what decides a baseline: the packages of both images, modules and languages."""
    session = Path(__file__).with_name("baseline_session.py").read_text(encoding="utf-8")
    locks = [(artifact / LOCK).read_text(encoding="utf-8") for artifact in (odoo, postgresql)]
    return content_key(_RECIPE, session, locks, specs.BASELINE_MODULES, specs.BASELINE_LANGUAGES)


def build(paths: Paths, odoo: Path, postgresql: Path, reporter: Reporter) -> Path:
    """Return the folder with one sub-folder per baseline, making it when needed.

    Args:
        paths: Where cache and logs are.
        odoo: Root file system artifact of Odoo.
        postgresql: Root file system artifact of PostgreSQL.
        reporter: Shows what is done.

    Returns:
        A folder with ``standard/`` and ``demo/``, each with database.dump, filestore.tar and modules.json.

    Raises:
        BuildFailed: Odoo or PostgreSQL failed; the message has the last lines and names the log.
    """
    store = Store(paths.cache, reporter)
    wanted = key(odoo, postgresql)
    return store.get(NAME, wanted) or store.put(
        NAME, wanted, lambda folder: _build(paths, odoo, postgresql, reporter, folder)
    )


def _build(paths: Paths, odoo: Path, postgresql: Path, reporter: Reporter, folder: Path) -> dict[str, object]:
    log = paths.logs / "odoo-baselines.log"
    with (
        reporter.step("Installing Odoo's modules for the baselines") as step,
        sandbox.scratch(paths.cache, "baseline") as scratch,
    ):
        step.note("unpacking")
        sandbox.extract(odoo / TAR, scratch / "odoo")
        sandbox.extract(postgresql / TAR, scratch / "postgresql")
        out = scratch / "out"
        out.mkdir()
        finished = sandbox.run_module(
            "odoo_image.baseline_session",
            {
                "scratch": str(scratch),
                "modules": list(specs.BASELINE_MODULES),
                "languages": list(specs.BASELINE_LANGUAGES),
                "odoo_uid": specs.ODOO_USER.number,
                "postgresql_uid": specs.POSTGRESQL_USER.number,
                "postgresql_major": specs.POSTGRESQL_MAJOR,
            },
            trees(scratch),
            python_path=(Path(specs.__file__).parents[1], paths.root),
            log=log,
            on_line=lambda line: step.note(line[7:]) if line.startswith("phase: ") else None,
        )
        if finished.code:
            raise BuildFailed(
                "the baselines could not be made",
                why="the installation ended with\n" + "\n".join(finished.tail[-15:]),
                action=f"see {log}",
            )
        checksums = json.dumps(module_checksums(odoo / TAR, specs.ADDONS), indent=0, sort_keys=True)
        for baseline in specs.BASELINES:
            (folder / baseline).mkdir()
            for name in (DUMP, FILESTORE):
                (out / baseline / name).rename(folder / baseline / name)
                (folder / baseline / name).chmod(0o644)
            (folder / baseline / MODULES).write_text(checksums, encoding="utf-8")
    return {"wall_seconds": round(finished.wall_seconds, 1), "cpu_seconds": round(finished.cpu_seconds, 1)}


def trees(scratch: Path) -> tuple[Tree, Tree]:
    """Return the two root file systems with the folders they share with the session.

    Args:
        scratch: Holds ``odoo/`` and ``postgresql/``; the session fills the rest.
    """
    for name in ("sockets", "data", "store"):
        (scratch / name).mkdir(exist_ok=True)
    sockets = Bind(source=str(scratch / "sockets"), target=SOCKETS)
    return (
        Tree(
            root=str(scratch / "odoo"),
            binds=(sockets, Bind(source=str(scratch / "store"), target="/var/lib/odoo")),
        ),
        Tree(
            root=str(scratch / "postgresql"),
            binds=(sockets, Bind(source=str(scratch / "data"), target="/var/lib/postgresql")),
        ),
    )


def versions(odoo: Path, postgresql: Path) -> tuple[str, str]:
    """Return the packaged versions of Odoo and PostgreSQL, for names and labels."""
    return packages(odoo)["odoo-19"], packages(postgresql)[f"postgresql-{specs.POSTGRESQL_MAJOR}"]
