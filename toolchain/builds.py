"""What is built from Go modules: one record a build, and `ensure`, which makes a record's result exist.

Every source comes from a module proxy and is checked against the committed `modules/<name>/go.sum`. A result is a
folder with programs in `bin/` and other files in `share/`; its manifest tells what the build cost.

    python -m toolchain.builds list
    python -m toolchain.builds ensure kube containerd
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import fcntl
import functools
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import golang, host
from toolchain.errors import BuildFailed, ToolchainError
from toolchain.paths import Paths
from toolchain.progress import NullReporter, PlainReporter
from toolchain.recipes import BUILDS
from toolchain.store import Store, content_key, remove_tree
from toolchain.tasks import Task, run_tasks

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from toolchain.progress import Reporter, Step
    from toolchain.recipes import GoBuild, ModuleFiles

_REMOVED = ".removed-"

RECIPE = 1
"""Grows when this file builds the same record in another way, so that old results are not taken for new ones."""


def record(name: str) -> GoBuild:
    """Return the record called `name`.

    Raises:
        ToolchainError: there is none.
    """
    try:
        return BUILDS[name]
    except KeyError:
        raise ToolchainError(
            f"There is no build called {name!r}.",
            why=f"The table knows: {', '.join(BUILDS)}.",
            action="Use one of those names.",
        ) from None


def key(build: GoBuild, module: Path, *, go_version: str, machine: str) -> str:
    """Return the key of a build's result: another one whenever anything that decides the result changes.

    Args:
        build: the record.
        module: folder with go.mod, go.sum and our own sources.
        go_version: of the compiler.
        machine: processor, as uname tells it.
    """
    sources = {
        path.relative_to(module).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(module.rglob("*"))
        if path.is_file()
    }
    return content_key(RECIPE, dataclasses.asdict(build), sources, go_version, machine)


def ensure(paths: Paths, name: str, reporter: Reporter, *, environ: Mapping[str, str] | None = None) -> Path:
    """Return the folder of a build's result, building it first when there is none.

    Args:
        paths: where things live.
        name: of the record.
        reporter: shows the build.
        environ: variables to build with; this process's own when None.

    Raises:
        ToolchainError: no such record, no compiler, a package or module was refused, or the compiler failed.
    """
    job = _Job.of(paths, name, reporter, os.environ if environ is None else environ)
    found = job.found()
    if found is not None:
        return found
    if job.build.debian_packages:
        host.install_debian_packages(job.build.debian_packages, reporter, environ=environ)
    with reporter.step(f"Building {name} {job.build.version}") as step:
        compiler = job.compiler()
        with _sources(paths):
            return job.store.put(name, job.key, lambda folder: _make(job.build, compiler, folder, step))


def fetch(paths: Paths, name: str, reporter: Reporter, *, environ: Mapping[str, str] | None = None) -> None:
    """Download the sources of a build ahead of it, unless its result exists.

    Raises:
        ToolchainError: no such record, no compiler, or the module proxy refused.
    """
    job = _Job.of(paths, name, reporter, os.environ if environ is None else environ)
    if job.found() is None:
        with reporter.step(f"Fetching the sources of {name}") as step, _sources(paths):
            job.compiler().fetch([*_tags(job.build), *job.build.packages], step)


def tasks(paths: Paths, names: Sequence[str] = (), *, environ: Mapping[str, str] | None = None) -> list[Task]:
    """Return the builds as tasks: the sources of one are fetched while another compiles.

    Args:
        paths: where things live.
        names: of the builds, the most urgent first; all of them when none is named.
        environ: variables to build with; this process's own when None.

    Returns:
        For each build a task `fetch-<name>` and a task `build-<name>`.

    Raises:
        ToolchainError: there is no such record.
    """
    chosen = [record(name) for name in names or BUILDS]
    fetching = [
        Task(
            name=f"fetch-{build.name}",
            title=f"Sources of {build.name} {build.version}",
            run=functools.partial(fetch, paths, build.name, environ=environ),
            lane="net",
        )
        for build in chosen
    ]
    building = [
        Task(
            name=f"build-{build.name}",
            title=f"Build of {build.name} {build.version}",
            run=functools.partial(ensure, paths, build.name, environ=environ),
            needs=(f"fetch-{build.name}",),
        )
        for build in chosen
    ]
    return fetching + building


def discard_sources(paths: Paths, names: Sequence[str], *, environ: Mapping[str, str] | None = None) -> bool:
    """Remove module sources and compiled packages once nothing needs them; a later build of another version pays.

    Args:
        paths: where things live.
        names: of the builds that this checkout needs.
        environ: variables the builds were made with; this process's own when None.

    Returns:
        Whether they are gone: not when a result is missing, because its build would need them, and not while
        another process builds with them.
    """
    environ = os.environ if environ is None else environ
    folders = [folder for folder in (paths.go_mod, paths.go_build) if folder.exists()]
    jobs = [_Job.of(paths, name, NullReporter(), environ) for name in names]
    if any(job.found() is None for job in jobs):
        return False
    with _sources(paths, fcntl.LOCK_EX | fcntl.LOCK_NB) as held:
        if held:
            for folder in folders:
                # Gone at once: Go takes a module's folder for whole, so an interrupted removal would break its builds.
                folder.rename(paths.cache / f"{_REMOVED}{folder.name}-{time.time_ns()}")
    for left in paths.cache.glob(f"{_REMOVED}*"):
        remove_tree(left)
    return held


@contextlib.contextmanager
def _sources(paths: Paths, how: int = fcntl.LOCK_SH) -> Generator[bool]:
    """Hold the sources: shared by whoever builds with them, alone by whoever removes them; yield whether it is so."""
    paths.cache.mkdir(parents=True, exist_ok=True)
    with (paths.cache / ".go.lock").open("a") as lock:
        try:
            fcntl.flock(lock, how)
        except BlockingIOError:
            yield False
        else:
            yield True


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class _Job:
    """A record together with everything that decides its result on this machine."""

    paths: Paths
    build: GoBuild
    store: Store
    key: str
    reporter: Reporter
    environ: Mapping[str, str]

    @classmethod
    def of(cls, paths: Paths, name: str, reporter: Reporter, environ: Mapping[str, str]) -> _Job:
        build = record(name)
        version = golang.expected_version(environ)
        return cls(
            paths=paths,
            build=build,
            store=Store(paths.cache, reporter),
            key=key(build, paths.modules / name, go_version=version, machine=os.uname().machine),
            reporter=reporter,
            environ=environ,
        )

    def found(self) -> Path | None:
        return self.store.get(self.build.name, self.key)

    def compiler(self) -> golang.Compiler:
        go = golang.provide(self.paths, self.reporter, self.environ)
        return golang.Compiler(
            go=go,
            module=self.paths.modules / self.build.name,
            env=golang.environment(self.paths, go, self.environ, cgo=self.build.cgo),
            log=self.paths.logs / f"build-{self.build.name}.log",
        )


def _tags(build: GoBuild) -> list[str]:
    return ["-tags", ",".join(build.tags)]


def _make(build: GoBuild, compiler: golang.Compiler, folder: Path, step: Step) -> dict[str, Any]:
    programs = folder / "bin"
    programs.mkdir()
    arguments = ["-trimpath", "-ldflags", build.linker_flags(), *_tags(build), "-o", f"{programs}/"]
    compiled = compiler.build([*arguments, *build.packages], step)
    made = {path.name for path in programs.iterdir()}
    if made != set(build.programs):
        raise BuildFailed(
            f"The build of {build.name} made {sorted(made)} where {sorted(build.programs)} was expected.",
            why="The record in toolchain/recipes.py does not fit the packages it names.",
            action="Correct the record.",
        )
    for link in build.links:
        (programs / link).symlink_to(build.programs[0])
    for files in build.files:
        _take(files, compiler.module_folder(files.module), folder)
    step.note(f"{compiled.packages} packages compiled in {compiled.finished.cpu_seconds:.0f} CPU seconds")
    return {
        "version": build.version,
        "go": compiler.go.version,
        "wall_seconds": round(compiled.finished.wall_seconds, 1),
        "cpu_seconds": round(compiled.finished.cpu_seconds, 1),
        "packages_compiled": compiled.packages,
    }


def _take(files: ModuleFiles, module: Path, folder: Path) -> None:
    sources = sorted(module.glob(files.pattern))
    if not sources:
        raise BuildFailed(
            f"{files.module} holds no {files.pattern}.",
            why="The module's layout is another one in this version.",
            action="Correct the record in toolchain/recipes.py.",
        )
    destination = folder / files.destination
    destination.parent.mkdir(exist_ok=True)
    if len(sources) == 1:
        shutil.copyfile(sources[0], destination)
    else:
        documents = (source.read_text(encoding="utf-8").strip().removeprefix("---").strip() for source in sources)
        destination.write_text("\n---\n".join(documents) + "\n", encoding="utf-8")
    destination.chmod(0o755 if files.executable else 0o644)


def main(arguments: Sequence[str]) -> int:
    """Run the command line described at the top of this file; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m toolchain.builds")
    parser.add_argument("command", choices=("list", "ensure"))
    parser.add_argument("names", nargs="*", metavar="NAME", help="builds; all of them when none is named")
    options = parser.parse_args(arguments)
    paths = Paths.from_environment(os.environ, Path(__file__).parents[1])
    reporter = PlainReporter(sys.stderr)
    try:
        if options.command == "ensure":
            run_tasks(tasks(paths, options.names), reporter)
        for name in options.names or BUILDS:
            if options.command == "list":
                print(f"{name}\t{record(name).version}")
            else:
                print(ensure(paths, name, reporter), flush=True)
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
