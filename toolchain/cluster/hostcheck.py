"""What a machine must offer before anything of it is touched: root, namespaces, overlay, a free port."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import subprocess
import tempfile
from typing import TYPE_CHECKING

from toolchain.cluster import processes
from toolchain.cluster.errors import PortTaken
from toolchain.errors import HostUnfit, MissingTool

if TYPE_CHECKING:
    from pathlib import Path

PROGRAMS = ("unshare", "nsenter", "setpriv", "mount", "bash")
"""All of them belong to Debian's essential packages (util-linux, mount, bash)."""

PROBE_SECONDS = 20

_PROBE = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/lower" "$1/upper" "$1/work" "$1/merged"
mount -t overlay -o "lowerdir=$1/lower,upperdir=$1/upper,workdir=$1/work" overlay "$1/merged"
mount -t proc proc "$1/lower"
"""


def check_host(state: Path) -> None:
    """Refuse a machine that cannot carry a node, by trying what a node does in namespaces that end with the trial.

    Args:
        state: the state folder, made if needed: its file system must carry overlay mounts.

    Raises:
        HostUnfit: not root, or namespaces or overlay mounts are not allowed.
        MissingTool: a program of the base system is absent.
    """
    if os.geteuid() != 0:
        raise HostUnfit(
            "The embedded cluster needs root.",
            why="It makes namespaces, mounts and control groups; this program runs as another user.",
            action="Run careops as root, or use a cluster you have with `--context NAME`.",
        )
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise MissingTool(
            f"Programs of the base system are missing: {', '.join(missing)}.",
            why="The node is started with them.",
            action="Install the Debian packages util-linux, mount and bash.",
        )
    state.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=state, prefix=".probe-") as folder:
        _try_namespaces(folder)


def _try_namespaces(folder: str) -> None:
    flags = ("--net", "--mount", "--pid", "--fork", "--uts", "--ipc", "--cgroup", "--kill-child")
    trial = subprocess.run(
        ["unshare", *flags, "bash", "-c", _PROBE, "probe", folder],
        capture_output=True,
        text=True,
        timeout=PROBE_SECONDS,
        check=False,
    )
    if trial.returncode != 0:
        raise HostUnfit(
            "This machine does not allow what a node does: namespaces and overlay mounts.",
            why=(trial.stderr or trial.stdout).strip() or f"the trial ended with {trial.returncode}",
            action="Use a virtual machine or a privileged container with overlay support, or a cluster you have with"
            " `--context NAME`.",
        )


def check_port(port: int) -> None:
    """Refuse a port on 127.0.0.1 that another program holds.

    Raises:
        PortTaken: with the holder's process number where it can be told.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                raise
            raise PortTaken(
                f"Port {port} on 127.0.0.1 is taken.",
                why=_holder(port),
                action="End that program, or choose another port for the embedded cluster's API server.",
            ) from error


def _holder(port: int) -> str:
    """Name the process that listens on a port, from /proc."""
    wanted = {
        line.split()[9]
        for name in ("tcp", "tcp6")
        for line in (processes.PROC / "net" / name).read_text().splitlines()[1:]
        if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == port
    }
    for folder in processes.PROC.glob("[0-9]*"):
        try:
            if any(os.readlink(link)[8:-1] in wanted for link in (folder / "fd").iterdir()):  # noqa: PTH115 - "socket:[…]" is no path
                shown = " ".join(processes.command(int(folder.name)))[:80]
                return f"Process {folder.name} listens on it: {shown}"
        except OSError:
            continue
    return "Another program listens on it."
