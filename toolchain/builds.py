"""What is built from Go modules: one record a build, and `ensure`, which makes a record's result exist.

Every source comes from a module proxy and is checked against the committed `modules/<name>/go.sum`. A result is a
folder with programs in `bin/` and other files in `share/`; its manifest tells what the build cost.

    python -m toolchain.builds list
    python -m toolchain.builds ensure kube containerd
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolchain import golang, host, versions
from toolchain.errors import BuildFailed, ToolchainError
from toolchain.paths import Paths
from toolchain.progress import PlainReporter
from toolchain.store import Store, content_key

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolchain.progress import Reporter, Step

RECIPE = 1
"""Grows when this file builds the same record in another way, so that old results are not taken for new ones."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModuleFiles:
    """Files taken out of a pinned module as they are.

    Attributes:
        module: module path, a requirement of the build's go.mod.
        pattern: path or glob inside the module.
        destination: path in the result; several files are YAML documents and are joined.
        executable: whether the file is a program.
    """

    module: str
    pattern: str
    destination: str
    executable: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class GoBuild:
    """One build.

    Attributes:
        name: of the build and of its folder under `modules/`.
        version: of what it builds, for people.
        packages: what `go build` is given; each becomes one program in `bin/`.
        programs: names those programs must have.
        links: further names of the first program.
        tags: Go build tags.
        variables: string variables set when linking, as (symbol, value).
        cgo: whether C code takes part; the result is then linked statically.
        debian_packages: what the C compiler needs.
        files: files taken out of the modules.
    """

    name: str
    version: str
    packages: tuple[str, ...]
    programs: tuple[str, ...]
    links: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    cgo: bool = False
    debian_packages: tuple[str, ...] = ()
    files: tuple[ModuleFiles, ...] = ()

    def linker_flags(self) -> str:
        """Return the value of -ldflags: no symbol tables, the variables, and static linking of C code."""
        flags = ["-s", "-w", *(f"-X {symbol}={value}" for symbol, value in self.variables)]
        return " ".join(flags + (["-extldflags -static"] if self.cgo else []))


def _kubernetes_variables() -> tuple[tuple[str, str], ...]:
    major, minor, _ = versions.KUBERNETES.split(".")
    values = {
        "gitVersion": f"v{versions.KUBERNETES}",
        "gitMajor": major,
        "gitMinor": minor,
        "gitTreeState": "clean",
        "gitCommit": "unknown",  # a module zip does not tell its commit
        "buildDate": "2026-01-01T00:00:00Z",  # fixed, so equal sources give equal programs
    }
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    return tuple((f"{package}.{name}", value) for package in packages for name, value in values.items())


_CONTAINERD = "github.com/containerd/containerd/v2"
_CNI = "github.com/containernetworking/plugins/plugins"
_CALICO = "github.com/projectcalico/calico"
_PULUMI = "github.com/pulumi/pulumi"
_CLOUDNATIVE_PG = "github.com/cloudnative-pg/cloudnative-pg"

BUILDS: Mapping[str, GoBuild] = {
    build.name: build
    for build in (
        GoBuild(
            name="pulumi",
            version=versions.PULUMI,
            packages=(f"{_PULUMI}/pkg/v3/cmd/pulumi",),
            programs=("pulumi",),
            variables=((f"{_PULUMI}/sdk/v3/go/common/version.Version", versions.PULUMI),),
            files=(
                ModuleFiles(
                    module=f"{_PULUMI}/sdk/v3",
                    pattern="python/cmd/pulumi-language-python-exec",
                    destination="bin/pulumi-language-python-exec",
                    executable=True,
                ),
            ),
        ),
        GoBuild(
            name="kube",
            version=versions.KUBERNETES,
            packages=("./kube",),
            programs=("kube",),
            links=(
                "kube-apiserver",
                "kube-controller-manager",
                "kube-scheduler",
                "kube-proxy",
                "kubelet",
                "kubectl",
                "etcd",
            ),
            tags=("selinux", "notest", "grpcnotrace"),
            variables=_kubernetes_variables(),
        ),
        GoBuild(
            name="containerd",
            version=versions.CONTAINERD,
            packages=tuple(f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")),
            programs=("containerd", "containerd-shim-runc-v2", "ctr"),
            tags=(
                "no_btrfs",
                "no_devmapper",
                "no_zfs",
                "no_aufs",
                "netgo",
                "osusergo",
                "static_build",
                "no_cri_nri",
                "no_tracing",
            ),
            variables=((f"{_CONTAINERD}/version.Version", f"v{versions.CONTAINERD}"),),
        ),
        GoBuild(
            name="runc",
            version=versions.RUNC,
            packages=("github.com/opencontainers/runc",),
            programs=("runc",),
            tags=("netgo", "osusergo", "seccomp"),
            variables=(("main.version", versions.RUNC),),
            cgo=True,
            debian_packages=("gcc", "libc6-dev", "libseccomp-dev", "pkg-config"),
        ),
        GoBuild(
            name="cni",
            version=versions.CNI_PLUGINS,
            packages=tuple(
                f"{_CNI}/{path}" for path in ("ipam/host-local", "main/loopback", "main/ptp", "meta/portmap")
            ),
            programs=("host-local", "loopback", "ptp", "portmap"),
        ),
        GoBuild(name="nsfwd", version="1", packages=(".",), programs=("nsfwd",)),
        GoBuild(name="coredns", version=versions.COREDNS, packages=(".",), programs=("coredns",)),
        GoBuild(
            name="calico",
            version=versions.CALICO_MODULE,
            packages=(f"{_CALICO}/felix/cmd/calico-felix", f"{_CALICO}/cni-plugin/cmd/calico"),
            programs=("calico-felix", "calico"),
            files=(
                ModuleFiles(
                    module=_CALICO, pattern="libcalico-go/config/crd/*.yaml", destination="share/calico-crds.yaml"
                ),
            ),
        ),
        GoBuild(
            name="local-path-provisioner",
            version=versions.LOCAL_PATH_PROVISIONER,
            packages=("github.com/rancher/local-path-provisioner",),
            programs=("local-path-provisioner",),
            variables=(("main.VERSION", f"v{versions.LOCAL_PATH_PROVISIONER}"),),
        ),
        GoBuild(
            name="cloudnative-pg",
            version=versions.CLOUDNATIVE_PG,
            packages=(f"{_CLOUDNATIVE_PG}/cmd/manager",),
            programs=("manager",),
            files=(
                ModuleFiles(
                    module=_CLOUDNATIVE_PG,
                    pattern=f"releases/cnpg-{versions.CLOUDNATIVE_PG}.yaml",
                    destination="share/cloudnative-pg.yaml",
                ),
            ),
        ),
    )
}


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
    environ = os.environ if environ is None else environ
    build = record(name)
    go = golang.provide(paths, reporter, environ)
    store = Store(paths.cache, reporter)
    result = key(build, paths.modules / name, go_version=go.version, machine=os.uname().machine)
    found = store.get(name, result)
    if found is not None:
        return found
    if build.debian_packages:
        host.install_debian_packages(build.debian_packages, reporter, environ=environ)
    with reporter.step(f"Building {name} {build.version}") as step:
        compiler = golang.Compiler(
            go=go,
            module=paths.modules / name,
            env=golang.environment(paths, go, environ, cgo=build.cgo),
            log=paths.logs / f"build-{name}.log",
        )
        return store.put(name, result, lambda folder: _make(build, compiler, folder, step))


def _make(build: GoBuild, compiler: golang.Compiler, folder: Path, step: Step) -> dict[str, Any]:
    programs = folder / "bin"
    programs.mkdir()
    arguments = ["-trimpath", "-ldflags", build.linker_flags(), "-tags", ",".join(build.tags), "-o", f"{programs}/"]
    compiled = compiler.build([*arguments, *build.packages], step)
    made = {path.name for path in programs.iterdir()}
    if made != set(build.programs):
        raise BuildFailed(
            f"The build of {build.name} made {sorted(made)} where {sorted(build.programs)} was expected.",
            why="The record in toolchain/builds.py does not fit the packages it names.",
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
            action="Correct the record in toolchain/builds.py.",
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
    try:
        for name in options.names or BUILDS:
            if options.command == "list":
                print(f"{name}\t{record(name).version}")
            else:
                print(ensure(paths, name, PlainReporter(sys.stderr)), flush=True)
    except ToolchainError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
