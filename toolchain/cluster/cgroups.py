"""Control groups of the node: which hierarchies the machine has, and one group of our own in each of them.

A machine has version 2 (one unified hierarchy) or version 1 (a hierarchy for each controller); a hybrid counts as
version 1, because a controller that a version 1 hierarchy holds cannot be used by the unified one.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from toolchain.errors import HostUnfit

NEEDED_CONTROLLERS = frozenset({"cpu", "cpuset", "memory", "pids"})
"""What the kubelet and runc cannot do without."""

MOUNT_INFO = Path("/proc/self/mountinfo")
REMOVE_SECONDS = 10.0
"""A group empties a moment after its last process ended; one that is still busy then is reported."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hierarchy:
    """One mounted hierarchy.

    Attributes:
        options: what selects it in a mount: `cpu,cpuacct`, `name=systemd`, or `unified` for version 2.
        mount_point: where the machine has it.
    """

    options: str
    mount_point: Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Cgroups:
    """The machine's control groups as the node uses them."""

    version: Literal[1, 2]
    hierarchies: tuple[Hierarchy, ...]

    def folders(self, name: str) -> tuple[Path, ...]:
        """Return the node's own group in each hierarchy."""
        return tuple(hierarchy.mount_point / name for hierarchy in self.hierarchies)


def parse(mount_info: str, unified_controllers: str) -> Cgroups:
    """Decide from the kernel's own description which version the node uses.

    Args:
        mount_info: content of /proc/self/mountinfo.
        unified_controllers: content of the unified hierarchy's `cgroup.controllers`, empty when there is none.

    Raises:
        HostUnfit: neither version offers the needed controllers.
    """
    unified: Hierarchy | None = None
    legacy: dict[str, Hierarchy] = {}
    for line in mount_info.splitlines():
        before, _, after = line.partition(" - ")
        mount_point, (kind, _, options) = Path(before.split()[4]), after.split(maxsplit=2)
        if kind == "cgroup2" and unified is None:
            unified = Hierarchy(options="unified", mount_point=mount_point)
        elif kind == "cgroup":
            chosen = ",".join(option for option in options.split(",") if option not in {"rw", "ro", "xattr", "none"})
            chosen = _named(chosen)
            legacy.setdefault(chosen, Hierarchy(options=chosen, mount_point=mount_point))
    if unified is not None and set(unified_controllers.split()) >= NEEDED_CONTROLLERS:
        return Cgroups(version=2, hierarchies=(unified,))
    held = {controller for options in legacy for controller in options.split(",")}
    if held >= NEEDED_CONTROLLERS:
        return Cgroups(version=1, hierarchies=tuple(legacy.values()))
    missing = sorted(NEEDED_CONTROLLERS - held - set(unified_controllers.split()))
    raise HostUnfit(
        "This machine's control groups cannot carry a Kubernetes node.",
        why=f"Not offered: {', '.join(missing) or 'all of them in one version'}; version 1 holds {sorted(held)}.",
        action="Mount the cgroup2 file system at /sys/fs/cgroup, or start the container with its own writable cgroups.",
    )


def _named(options: str) -> str:
    """Return `name=…` alone for a named hierarchy: the kernel lists further options that a mount would refuse."""
    named = [option for option in options.split(",") if option.startswith("name=")]
    dropped = ("release_agent=", "clone_children", "noprefix")
    return named[0] if named else ",".join(part for part in options.split(",") if not part.startswith(dropped))


def detect() -> Cgroups:
    """Return what this machine offers.

    Raises:
        HostUnfit: see `parse`.
    """
    mount_info = MOUNT_INFO.read_text()
    for line in mount_info.splitlines():
        if " - cgroup2 " in line:
            controllers = Path(line.split()[4]) / "cgroup.controllers"
            return parse(mount_info, controllers.read_text() if controllers.exists() else "")
    return parse(mount_info, "")


def create(cgroups: Cgroups, name: str) -> None:
    """Make the node's group in every hierarchy; harmless when it exists.

    Raises:
        HostUnfit: the machine does not allow it.
    """
    try:
        for hierarchy in cgroups.hierarchies:
            if cgroups.version == 2:  # noqa: PLR2004 - the version's name
                _hand_down(hierarchy.mount_point)
            folder = hierarchy.mount_point / name
            folder.mkdir(exist_ok=True)
            if "cpuset" in hierarchy.options.split(","):
                for file in ("cpuset.cpus", "cpuset.mems"):
                    (folder / file).write_text((hierarchy.mount_point / file).read_text())
    except OSError as error:
        raise HostUnfit(
            "A control group for the node cannot be made.",
            why=str(error),
            action="Run as root on a machine, or in a container, whose control groups may be written.",
        ) from error


def _hand_down(root: Path) -> None:
    """Let children of the unified root use the controllers the node needs; what is on already stays untouched."""
    control = root / "cgroup.subtree_control"
    available = set((root / "cgroup.controllers").read_text().split())
    for controller in sorted(available - set(control.read_text().split())):
        control.write_text(f"+{controller}")


def remove(cgroups: Cgroups, name: str) -> list[Path]:
    """Remove the node's groups, children first.

    Returns:
        What could not be removed within ten seconds; empty when all is gone.
    """
    deadline = time.monotonic() + REMOVE_SECONDS
    left = [folder for folder in cgroups.folders(name) if folder.exists()]
    while left and time.monotonic() < deadline:
        for folder in left:
            _remove_tree(folder)
        left = [folder for folder in left if folder.exists()]
        if left:
            time.sleep(0.05)
    return left


def _remove_tree(folder: Path) -> None:
    try:
        for child in folder.iterdir():
            if child.is_dir():
                _remove_tree(child)
        folder.rmdir()
    except OSError:
        return  # busy or gone: the caller looks again


def member_processes(cgroups: Cgroups, name: str) -> list[int]:
    """Return the host's process numbers of everything in the node's groups, containers included."""
    found: set[int] = set()
    for folder in cgroups.folders(name):
        for file in folder.rglob("cgroup.procs"):
            try:
                found.update(int(number) for number in file.read_text().split())
            except OSError:
                continue  # the group ended while we looked
    return sorted(found - {0})
