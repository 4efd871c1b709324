"""The builds as data: what each Go module gives, and how it is compiled and linked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from toolchain import versions

if TYPE_CHECKING:
    from collections.abc import Mapping


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
            version=versions.CALICO,
            packages=(f"{_CALICO}/felix/cmd/calico-felix", f"{_CALICO}/cni-plugin/cmd/calico"),
            programs=("calico-felix", "calico"),
            variables=((f"{_CALICO}/felix/buildinfo.GitVersion", versions.CALICO), ("main.VERSION", versions.CALICO)),
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
