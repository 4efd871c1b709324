"""What this machine is, whether it is fit, and the Debian packages it needs."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain import process
from toolchain.errors import HostUnfit, PackagesRefused

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolchain.paths import Paths
    from toolchain.progress import Reporter

GIB = 1024**3
APT_LOCK_SECONDS = 300
"""How long to wait for another apt: a new machine's own first update may hold the lock for minutes."""

NAMESPACES = ("mnt", "net", "pid", "uts", "ipc", "cgroup")
FILESYSTEMS = ("overlay", "tmpfs", "proc", "sysfs")
CAPABILITIES = {"CHOWN": 0, "NET_ADMIN": 12, "SYS_CHROOT": 18, "SYS_ADMIN": 21, "MKNOD": 27}
"""Names to bit numbers, as in capabilities(7): what a container that calls itself root often lacks."""

CGROUP_CONTROLLERS = ("cpu", "cpuset", "memory", "pids")
"""What the kubelet insists on, on either version of cgroups."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HostFacts:
    """What was found on this machine.

    Attributes:
        system: operating system, for people.
        kernel: release.
        machine: processor.
        cpus: that this process may use.
        root: whether we are uid 0.
        capabilities: of `CAPABILITIES`, those in effect.
        memory_bytes: installed.
        memory_available_bytes: that programs can still have.
        state_free_bytes: on the state folder's disk.
        cache_free_bytes: on the cache's disk.
        same_disk: whether those two are one disk.
        namespaces: kinds of namespace the kernel has.
        filesystems: the kernel has, loaded or as a module.
        cgroup_controllers: that are switched on.
        can_unshare: whether new namespaces could really be made.
        apt: whether apt-get and dpkg are there.
    """

    system: str
    kernel: str
    machine: str
    cpus: int
    root: bool
    capabilities: frozenset[str]
    memory_bytes: int
    memory_available_bytes: int
    state_free_bytes: int
    cache_free_bytes: int
    same_disk: bool
    namespaces: frozenset[str]
    filesystems: frozenset[str]
    cgroup_controllers: frozenset[str]
    can_unshare: bool
    apt: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Requirements:
    """What a piece of work asks of the machine.

    Attributes:
        memory_bytes: that must be available; 3 GiB is what linking Kubernetes takes at its peak.
        state_bytes: that must be free for the state.
        cache_bytes: that must be free for the cache; 17 GiB measured after every build: 8 compiled packages,
            5.5 module sources, the rest results and images.
        cluster: whether the machine must carry an embedded cluster too.
    """

    memory_bytes: int = 3 * GIB
    state_bytes: int = 10 * GIB
    cache_bytes: int = 20 * GIB
    cluster: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class HostProblem:
    """One reason why this machine is not fit.

    Attributes:
        what: what is wrong.
        why: why it matters.
        action: what helps.
    """

    what: str
    why: str
    action: str


def problems(facts: HostFacts, wanted: Requirements) -> tuple[HostProblem, ...]:
    """Return every reason why the machine does not meet the requirements; none means fit."""
    found = [*_room_problems(facts, wanted)]
    if not facts.root:
        found.append(
            HostProblem(
                what="careops does not run as root.",
                why="Namespaces, mounts and Debian packages need it.",
                action="Run the command as root, for example with sudo.",
            )
        )
    if not facts.apt:
        found.append(
            HostProblem(
                what=f"There is no apt-get on this system ({facts.system}).",
                why="Images are made of Debian packages, and so is what the builds need.",
                action="Use Debian 12 or newer, or a container of it with all privileges.",
            )
        )
    return (*found, *(_cluster_problems(facts) if wanted.cluster else ()))


def read_facts(paths: Paths, *, system: Path = Path("/"), probe: bool = True) -> HostFacts:
    """Look at this machine; nothing is changed.

    Args:
        paths: whose disks to measure.
        system: root of the files to read.
        probe: whether to try namespaces for real, which takes a few milliseconds.
    """
    proc = system / "proc"
    state, cache = _existing(paths.state), _existing(paths.cache)
    memory = _memory(proc)
    kernel = _text(proc / "sys/kernel/osrelease").strip()
    return HostFacts(
        system=_system_name(system / "etc/os-release"),
        kernel=kernel,
        machine=os.uname().machine,
        cpus=len(os.sched_getaffinity(0)),
        root=os.geteuid() == 0,
        capabilities=_capabilities(_text(proc / "self/status")),
        memory_bytes=memory.get("MemTotal", 0),
        memory_available_bytes=memory.get("MemAvailable", 0),
        state_free_bytes=shutil.disk_usage(state).free,
        cache_free_bytes=shutil.disk_usage(cache).free,
        same_disk=state.stat().st_dev == cache.stat().st_dev,
        namespaces=frozenset(kind for kind in NAMESPACES if (proc / "self/ns" / kind).is_symlink()),
        filesystems=_filesystems(proc, system / "lib/modules" / kernel),
        cgroup_controllers=_controllers(system),
        can_unshare=_can_unshare() if probe else False,
        apt=all(shutil.which(program) for program in ("apt-get", "dpkg-query")),
    )


def missing_packages(names: Sequence[str]) -> tuple[str, ...]:
    """Return which of the Debian packages are not installed, in the order given.

    Raises:
        HostUnfit: this is not a Debian system.
    """
    command = ["dpkg-query", "--show", "--showformat", "${Package} ${db:Status-Status}\n", *names]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=_apt_environment(os.environ))
    except FileNotFoundError as error:
        raise HostUnfit(
            "There is no dpkg-query on this system.",
            why="Only Debian packages are known here.",
            action="Use Debian 12 or newer.",
        ) from error
    present = {line.split()[0] for line in answer.stdout.splitlines() if line.endswith(" installed")}
    return tuple(name for name in names if name not in present)


def install_debian_packages(
    names: Sequence[str], reporter: Reporter, *, environ: Mapping[str, str] | None = None, log: Path | None = None
) -> tuple[str, ...]:
    """Install what is missing of the packages, and tell which that was.

    Args:
        names: packages.
        reporter: shows the step; silent when nothing is missing.
        environ: variables apt runs with (proxies); this process's own when None.
        log: gets apt's output.

    Returns:
        The packages that were missing; services they bring are not started.

    Raises:
        HostUnfit: something is missing and we are not root, or this is no Debian system.
        PackagesRefused: apt could not install them.
    """
    missing = missing_packages(names)
    if not missing:
        return ()
    if os.geteuid() != 0:
        raise HostUnfit(
            f"Debian packages are missing: {', '.join(missing)}.",
            why="Only root may install them.",
            action=f"Run as root, or install them first: apt-get install {' '.join(missing)}",
        )
    env = _apt_environment(os.environ if environ is None else environ)
    with reporter.step(f"Installing Debian packages: {', '.join(missing)}") as step:
        first = _apt(["install", "--no-install-recommends", *missing], env=env, log=log)
        if first.code != 0:  # a new machine has no package lists, an old one has stale ones
            step.note("updating the package lists")
            update = _apt(["update"], env=env, log=log)
            second = _apt(["install", "--no-install-recommends", *missing], env=env, log=log)
            if second.code != 0:
                raise _refused(missing, (*update.tail, *second.tail))
    still = missing_packages(missing)
    if still:
        raise _refused(still, first.tail)
    return missing


def _apt(arguments: Sequence[str], *, env: Mapping[str, str], log: Path | None) -> process.Finished:
    options = ("-o", f"DPkg::Lock::Timeout={APT_LOCK_SECONDS}", "-o", "Dpkg::Use-Pty=0", "-o", "Acquire::Retries=2")
    return process.run(["apt-get", "--quiet", "--yes", *options, *arguments], cwd=Path("/"), env=env, log=log)


def _apt_environment(environ: Mapping[str, str]) -> dict[str, str]:
    # RUNLEVEL=1 is what invoke-rc.d reads: packages may bring services, and none may start on the user's machine
    return {**environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8", "RUNLEVEL": "1"}


def _refused(names: Sequence[str], tail: Sequence[str]) -> PackagesRefused:
    reasons = [line for line in tail if line.startswith(("E:", "W:", "Err:"))] or list(tail[-5:])
    return PackagesRefused(
        f"Debian packages could not be installed: {', '.join(names)}.",
        why="\n".join(dict.fromkeys(reasons)) or "apt-get gave no reason.",
        action="Check the mirrors in /etc/apt and the network (`apt-get update`), then run the command again.",
    )


def _room_problems(facts: HostFacts, wanted: Requirements) -> list[HostProblem]:
    together = facts.same_disk
    needs = (
        [("state and cache", facts.state_free_bytes, wanted.state_bytes + wanted.cache_bytes)]
        if together
        else [
            ("state", facts.state_free_bytes, wanted.state_bytes),
            ("cache", facts.cache_free_bytes, wanted.cache_bytes),
        ]
    )
    found = [
        HostProblem(
            what=f"The disk of the {name} has {free / GIB:.1f} GiB free, {need / GIB:.1f} GiB are needed.",
            why="Builds, images and databases would stop half-way.",
            action="Free some space, or set CAREOPS_STATE or CAREOPS_CACHE to a folder on a larger disk.",
        )
        for name, free, need in needs
        if free < need
    ]
    if facts.memory_available_bytes < wanted.memory_bytes:
        found.append(
            HostProblem(
                what=f"{facts.memory_available_bytes / GIB:.1f} GiB of memory are available, "
                f"{wanted.memory_bytes / GIB:.1f} GiB are needed.",
                why="The kernel would end a build or a database when memory runs out.",
                action="Stop other programs, or use a machine with more memory.",
            )
        )
    return found


def _cluster_problems(facts: HostFacts) -> list[HostProblem]:
    checks = (
        (
            "capabilities",
            CAPABILITIES,
            facts.capabilities,
            "Give the container all privileges, or use a whole machine.",
        ),
        ("namespaces", NAMESPACES, facts.namespaces, "Use a kernel with all kinds of namespaces."),
        ("file systems", FILESYSTEMS, facts.filesystems, "Load the kernel modules, or use a kernel that has them."),
        (
            "cgroup controllers",
            CGROUP_CONTROLLERS,
            facts.cgroup_controllers,
            "Switch them on in the kernel's command line.",
        ),
    )
    found = [
        HostProblem(
            what=f"Missing {kind}: {', '.join(name for name in wanted if name not in present)}.",
            why="Containers cannot run without.",
            action=f"{action} Or use a cluster that exists, with --context.",
        )
        for kind, wanted, present, action in checks
        if any(name not in present for name in wanted)
    ]
    if not found and facts.root and not facts.can_unshare:
        found.append(
            HostProblem(
                what="New namespaces cannot be made.",
                why="`unshare` failed although kernel and capabilities are right: a security profile forbids it.",
                action="Give the container all privileges, or use a cluster that exists, with --context.",
            )
        )
    return found


def _existing(path: Path) -> Path:
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _system_name(release: Path) -> str:
    lines = (line.partition("=") for line in _text(release).splitlines())
    return {name: value.strip('"') for name, _, value in lines}.get("PRETTY_NAME", "an unknown system")


def _memory(proc: Path) -> dict[str, int]:
    """Read /proc/meminfo as bytes; the file counts in units of 1024."""
    lines = (line.split() for line in _text(proc / "meminfo").splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines if len(words) > 1 and words[1].isdigit()}


def _capabilities(status: str) -> frozenset[str]:
    effective = next((line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0")
    bits = int(effective, 16)
    return frozenset(name for name, bit in CAPABILITIES.items() if bits >> bit & 1)


def _filesystems(proc: Path, modules: Path) -> frozenset[str]:
    loaded = {line.split()[-1] for line in _text(proc / "filesystems").splitlines() if line.strip()}
    loadable = {name for name in FILESYSTEMS if any(modules.glob(f"kernel/fs/*/{name}.ko*"))}
    return frozenset(loaded | loadable)


def _controllers(system: Path) -> frozenset[str]:
    second = set(_text(system / "sys/fs/cgroup/cgroup.controllers").split())
    rows = [line.split() for line in _text(system / "proc/cgroups").splitlines() if not line.startswith("#")]
    columns = 4  # name, hierarchy, number of groups, enabled
    return frozenset(second | {row[0] for row in rows if len(row) == columns and row[3] == "1"})


def _can_unshare() -> bool:
    command = ["unshare", "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup", "--fork", "true"]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
