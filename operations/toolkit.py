"""The toolchain and the images as one graph of tasks, and what of it is there already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from operations.up import Built

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from operations.session import Session
    from toolchain.progress import Reporter
    from toolchain.resolve import Resolved
    from toolchain.tasks import Task


def cluster_builds() -> tuple[str, ...]:
    """Return the Go builds an embedded cluster needs, the longest first: what waits for it waits longest."""
    from toolchain.cluster.cluster import BUILDS

    return BUILDS


def needed_builds(*, embedded: bool) -> tuple[str, ...]:
    """Return the Go builds that a platform on the embedded, or on an existing, cluster needs beside Pulumi's."""
    return (*cluster_builds(), "cloudnative-pg") if embedded else ("cloudnative-pg",)


def debian_packages() -> tuple[str, ...]:
    """Return every Debian package that builds and images need on this machine."""
    from toolchain.images.rootfs import HOST_PACKAGES
    from toolchain.recipes import BUILDS

    # Go and apt trust what ca-certificates brings; a machine that had Python already may lack it.
    compilers = [package for build in BUILDS.values() for package in build.debian_packages]
    named = ["ca-certificates", *HOST_PACKAGES, *compilers]
    return tuple(dict.fromkeys(named))


def looks_built(session: Session) -> bool:
    """Return whether every build and everything that images are made of is in the cache.

    A look at names only: asking the store itself needs a compiler's version and reads every byte. When a result turns
    out to be of another version, the build simply happens. Images are no part of it: to make one of these is quick.
    """
    from odoo_image import baseline, specs
    from toolchain.recipes import BUILDS

    names = [name for name in BUILDS if name != "pulumi"]
    names += [*(f"rootfs-{recipe.name}" for recipe in specs.RECIPES), baseline.NAME]
    return all(any(session.paths.artifacts.glob(f"{name}-*")) for name in names)


def install_packages(session: Session, reporter: Reporter) -> str:
    """Install the Debian packages that are missing; return a line about it."""
    from toolchain.host import install_debian_packages

    installed = install_debian_packages(
        debian_packages(), reporter, environ=session.environ, log=session.paths.logs / "apt.log"
    )
    return f"installed {', '.join(installed)}" if installed else "all present"


def build(session: Session, *, embedded: bool, reporter: Reporter) -> Built:
    """Build or fetch everything, as much at once as two cores allow; return what came of it.

    Raises:
        TaskFailed: Something could not be had; what had not started was cancelled, what is done is kept.
    """
    from toolchain.tasks import run_tasks

    before = _artifacts(session)
    done = run_tasks(graph(session, embedded=embedded), reporter)
    made = len(_artifacts(session) - before)
    slow = sum(one.seconds >= 1 for one in done)
    parts = f"{len(done)} parts" + (f", {slow} of them took longer than a second" if slow else "")
    note = f"{parts}; {made} artifacts built" if made else f"{parts}, all there"
    return Built(note=note, made=made, found=len(before))


def _artifacts(session: Session) -> frozenset[tuple[str, int]]:
    """Return what is in the cache: each artifact's name and when it was sealed, which a rebuilt one changes."""
    manifests = session.paths.artifacts.glob("*/manifest.json")
    return frozenset((path.parent.name, path.stat().st_mtime_ns) for path in manifests)


def graph(session: Session, *, embedded: bool) -> list[Task]:
    """Return everything that must exist before a cluster can be deployed to."""
    from odoo_image import build as images
    from toolchain import builds
    from toolchain.tasks import Task

    paths, environ = session.paths, session.environ
    tasks = [
        Task(name="pulumi", title="Pulumi", run=lambda reporter: place_pulumi(session, reporter)),
        *builds.tasks(paths, needed_builds(embedded=embedded), environ=environ),
        *images.tasks(paths, site_modules(session)),
    ]
    if embedded:
        tasks.append(
            Task(
                name="node",
                title="Root file system of the node",
                run=lambda reporter: _node_rootfs(session, reporter),
                lane="net",
            )
        )
    return tasks


def site_modules(session: Session) -> tuple[str, ...]:
    """Return every Odoo module some site asks for, sorted; the baselines carry them all."""
    from infra.settings import load_sites

    return tuple(sorted({module for site in load_sites(session.paths.root).values() for module in site.modules}))


def place_pulumi(session: Session, reporter: Reporter) -> tuple[Resolved, ...]:
    """Put the engine, the Python language host and the Kubernetes plugin where plain `pulumi` finds them.

    Returns:
        The three, each with where it came from.
    """
    from toolchain import resolve
    from toolchain.pulumi import workspace

    paths = session.paths
    workspace.prepare(paths)
    engine = resolve.resolve_engine(paths, reporter, session.environ)
    workspace.place_engine(paths, engine.executable)
    host = resolve.resolve_language_host(
        engine,
        lambda: workspace.place_language_host(paths, engine.executable.resolve().with_name(workspace.EXEC_SCRIPT)),
    )
    plugin = resolve.resolve_kubernetes_plugin(
        paths, reporter, session.environ, lambda: workspace.place_kubernetes_plugin(paths)
    )
    if not plugin.stand_in:
        _link(workspace.plugin_folder(paths) / workspace.KUBERNETES_PLUGIN, plugin.executable)
    return engine, host, plugin


def _link(link: Path, target: Path) -> None:
    """Make a symbolic link, in place of whatever was there."""
    link.parent.mkdir(parents=True, exist_ok=True)
    draft = link.with_name(f".{link.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def _node_rootfs(session: Session, reporter: Reporter) -> None:
    from toolchain.cluster.rootfs import ensure_rootfs
    from toolchain.cluster.spec import Layout

    ensure_rootfs(session.paths, Layout.of(session.paths.state).rootfs, reporter)


def missing_packages(names: Sequence[str]) -> tuple[str, ...]:
    """Return which of these Debian packages are not installed."""
    from toolchain import host

    return host.missing_packages(names)
