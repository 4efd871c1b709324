"""Tasks that make every image of the platform, and the names they have afterwards."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from odoo_image import baseline, modules, specs
from toolchain import builds
from toolchain.errors import BuildFailed
from toolchain.images import rootfs
from toolchain.images.containerfile import assemble, render
from toolchain.images.context import BuildContext, Link
from toolchain.images.mirrors import read_mirrors
from toolchain.images.oci import ImageRef, OciStore
from toolchain.store import Store, content_key
from toolchain.tasks import Task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolchain.images.rootfs import Recipe
    from toolchain.paths import Paths
    from toolchain.progress import Reporter

HOST_PACKAGES = rootfs.HOST_PACKAGES

CERTIFICATES = Path("etc/ssl/certs/ca-certificates.crt")


def tasks(paths: Paths, site_modules: Sequence[str] = ()) -> list[Task]:
    """Return the tasks that make all images; each does nothing when its result is there.

    Args:
        paths: Where cache and logs are.
        site_modules: Every module that any site lists; one the image does not have is refused before the baselines.
    """
    images = _Images(paths)
    roots = [
        Task(
            name=f"rootfs-{recipe.name}",
            title=f"root file system: {recipe.name}",
            run=lambda reporter, recipe=recipe: images.rootfs(recipe, reporter),
            lane="net",
        )
        for recipe in specs.RECIPES
    ]
    return [
        *roots,
        Task(
            name="odoo-modules",
            title="Odoo modules of every site exist",
            needs=("rootfs-odoo",),
            run=lambda reporter: modules.refuse_unknown(site_modules, images.checksums(reporter)),
            lane="net",
        ),
        Task(
            name="odoo-baselines",
            title="Odoo baselines: standard and demo",
            needs=("rootfs-odoo", "rootfs-postgresql", "odoo-modules"),
            run=images.baselines,
            # One process computes and one serves it: beside a Go build both cores are used, alone one would idle.
            lane="net",
        ),
        Task(
            name="image-odoo",
            title="images: odoo and its baselines",
            needs=("odoo-baselines",),
            run=images.odoo,
            lane="net",
        ),
        Task(
            name="image-postgresql",
            title="image: postgresql",
            needs=("rootfs-postgresql",),
            run=images.postgresql,
            lane="net",
        ),
        Task(
            name="image-refresh",
            title="image: refresh",
            needs=("image-odoo", "rootfs-psycopg"),
            run=images.refresh,
            lane="net",
        ),
        Task(name="image-edge", title="image: edge", needs=("rootfs-edge",), run=images.edge, lane="net"),
        Task(
            name="image-cloudnative-pg",
            title="image: cloudnative-pg",
            needs=("rootfs-odoo",),
            run=images.cloudnative_pg,
        ),
    ]


def image_refs(paths: Paths) -> dict[str, str]:
    """Return name -> ``repository:tag@digest`` of the images that this checkout's last run of the tasks made.

    Raises:
        BuildFailed: One of them has not been made, or is no longer whole.
    """
    return {name: str(ref) for name, ref in images(paths).items()}


def images(paths: Paths) -> dict[str, ImageRef]:
    """Return the images of the last run, to load them into a cluster; see `image_refs`."""
    store = OciStore(paths.oci)
    recorded: dict[str, str] = {}
    for name in IMAGE_NAMES:
        place = _record(paths, name)
        if place.exists():
            recorded[name] = place.read_text(encoding="utf-8").strip()
    found = {name: store.resolve(reference) for name, reference in recorded.items()}
    missing = [name for name in IMAGE_NAMES if found.get(name) is None]
    if missing:
        raise BuildFailed(
            f"images {', '.join(missing)} are not there",
            why="they have not been made yet, or a part of them was damaged",
            action="run `careops up`, which makes them",
        )
    return {name: ref for name, ref in found.items() if ref is not None}


IMAGE_NAMES = (
    "odoo",
    *(f"baseline-{name}" for name in specs.BASELINES),
    "postgresql",
    "edge",
    "refresh",
    "cloudnative-pg",
)


def _record(paths: Paths, name: str) -> Path:
    return paths.images / name


class _Images:
    """Makes the images; what is made of unchanged inputs costs a look into the store."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths

    def rootfs(self, recipe: Recipe, reporter: Reporter) -> Path:
        return rootfs.build(self._paths, recipe, lambda: read_mirrors(os.environ), reporter)

    def baselines(self, reporter: Reporter) -> Path:
        odoo, postgresql = self.rootfs(specs.ODOO, reporter), self.rootfs(specs.POSTGRESQL, reporter)
        return baseline.build(self._paths, odoo, postgresql, reporter)

    def checksums(self, reporter: Reporter) -> dict[str, str]:
        """Return the Odoo image's modules, hashing the root file system at most once."""
        return json.loads((self._modules(reporter) / "modules.json").read_text(encoding="utf-8"))

    def _modules(self, reporter: Reporter) -> Path:
        odoo = self.rootfs(specs.ODOO, reporter)

        def make(folder: Path) -> None:
            found = modules.module_checksums(odoo / rootfs.TAR, specs.ADDONS)
            release = {
                "package": rootfs.packages(odoo)["odoo-19"],
                "versions": modules.module_versions(odoo / rootfs.TAR, specs.ADDONS, specs.ODOO_VERSION),
            }
            for name, document in (("modules.json", found), ("release.json", release)):
                (folder / name).write_text(json.dumps(document, indent=0, sort_keys=True), encoding="utf-8")

        key = content_key(2, rootfs.tar_digest(odoo), specs.ADDONS, specs.ODOO_VERSION)
        return Store(self._paths.cache, reporter).put("odoo-modules", key, make)

    def odoo(self, reporter: Reporter) -> None:
        odoo = self.rootfs(specs.ODOO, reporter)
        context = {
            "guard/careops_odoo": specs.GUARD / "careops_odoo",
            "careops-odoo": specs.GUARD / "careops-odoo",
            "careops-odoo-server": specs.GUARD / "careops-odoo-server",
            "odoo.conf.j2": specs.TEMPLATES / "odoo.conf.j2",
            "modules.json": self._modules(reporter) / "modules.json",
            "release.json": self._modules(reporter) / "release.json",
        }
        values = {
            "odoo_version": specs.ODOO_VERSION,
            "odoo_package": rootfs.packages(odoo)["odoo-19"],
            "uid": specs.ODOO_USER.number,
        }
        base = self._assemble("odoo", specs.ODOO_VERSION, "odoo", values, context, root=odoo)
        made = self.baselines(reporter)
        for name in specs.BASELINES:
            self._assemble(
                f"odoo-baseline-{name}",
                specs.ODOO_VERSION,
                "baseline",
                {"baseline": name, "odoo_image": str(base)},
                {"baseline": made / name},
                record=f"baseline-{name}",
            )

    def postgresql(self, reporter: Reporter) -> None:
        root = self.rootfs(specs.POSTGRESQL, reporter)
        package = rootfs.packages(root)[f"postgresql-{specs.POSTGRESQL_MAJOR}"]
        values = {"postgresql_package": package, "major": specs.POSTGRESQL_MAJOR, "uid": specs.POSTGRESQL_USER.number}
        # The operator reads the major version from the tag.
        files = {"careops-isolated-postgresql": specs.ISOLATED / "careops-isolated-postgresql"}
        self._assemble("postgresql", package.split("-", 1)[0], "postgresql", values, files, root=root)

    def refresh(self, reporter: Reporter) -> None:
        root = self.rootfs(specs.PSYCOPG, reporter)
        context = {
            "psycopg": self._psycopg(root, reporter),
            "operations/__init__.py": specs.OPERATIONS / "__init__.py",
            "operations/anonymise": specs.OPERATIONS / "anonymise",
            "careops-refresh": specs.REFRESH / "careops-refresh",
        }
        values = {
            # With the files that the product itself ships: only those may travel as they are.
            "odoo_image": _record(self._paths, "baseline-standard").read_text(encoding="utf-8").strip(),
            "psycopg_package": rootfs.packages(root)["python3-psycopg"],
        }
        self._assemble("refresh", specs.ODOO_VERSION, "refresh", values, context)

    def _psycopg(self, root: Path, reporter: Reporter) -> Path:
        """Return a folder with psycopg and its speed-ups as Debian built them, without what they depend on."""

        def make(folder: Path) -> None:
            with tarfile.open(root / rootfs.TAR) as archive:
                for member in archive:
                    place = PurePosixPath(member.name.removeprefix("./"))
                    ours = place.is_relative_to(specs.PACKAGES) and "psycopg" in str(place)
                    content = archive.extractfile(member) if ours and member.isfile() else None
                    if content is not None:
                        target = folder / place.relative_to(specs.PACKAGES)
                        target.parent.mkdir(parents=True, exist_ok=True)
                        target.write_bytes(content.read())

        key = content_key(1, rootfs.tar_digest(root), specs.PACKAGES)
        return Store(self._paths.cache, reporter).put("psycopg", key, make)

    def edge(self, reporter: Reporter) -> None:
        root = self.rootfs(specs.EDGE_ROOT, reporter)
        values = {"nginx_package": rootfs.packages(root)["nginx"], "uid": specs.EDGE_USER.number}
        files = {name: specs.EDGE / name for name in ("careops-edge", "nginx.conf.template")}
        self._assemble("edge", specs.EDGE_TAG, "edge", values, files, root=root)

    def cloudnative_pg(self, reporter: Reporter) -> None:
        built = builds.ensure(self._paths, "cloudnative-pg", reporter)
        version = builds.record("cloudnative-pg").version.removeprefix("v")
        certificates = rootfs.read_member(self.rootfs(specs.ODOO, reporter), str(CERTIFICATES))
        nonroot = f"nonroot:x:{specs.OPERATOR_UID}:{specs.OPERATOR_UID}::/nonexistent:/sbin/nologin\n"
        context: dict[str, Path | bytes | Link] = {
            "root/etc/passwd": nonroot.encode(),
            "root/etc/group": f"nonroot:x:{specs.OPERATOR_UID}:\n".encode(),
            f"root/{CERTIFICATES}": certificates,
            "root/manager": Link(target="operator/manager_amd64"),
            "manager": built / "bin" / "manager",
        }
        self._assemble(
            "cloudnative-pg", version, "cloudnative-pg", {"version": version, "uid": specs.OPERATOR_UID}, context
        )

    def _assemble(
        self,
        name: str,
        tag: str,
        template: str,
        values: Mapping[str, object],
        context: Mapping[str, Path | bytes | Link],
        *,
        root: Path | None = None,
        record: str | None = None,
    ) -> ImageRef:
        members = dict(context)
        digests: dict[str, str] = {}
        if root is not None:
            members["rootfs.tar"] = root / rootfs.TAR
            digests["rootfs.tar"] = rootfs.tar_digest(root)
        text = render(specs.TEMPLATES / f"Containerfile.{template}.j2", values)
        reference = f"{specs.DOMAIN}/{name}:{tag}"
        ref = assemble(OciStore(self._paths.oci), reference, text, BuildContext(members, digests=digests))
        place = _record(self._paths, record or name)
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary = place.with_name(f".{place.name}.{os.getpid()}")
        temporary.write_text(f"{ref}\n", encoding="utf-8")
        temporary.rename(place)
        return ref
