"""The node as a set of processes: starts it, finds it again, runs programs in it and ends it without a trace.

One launcher in the host's namespaces is the parent of all: of the node's init (PID 1 of its own PID, network, mount,
UTS, IPC and control group namespaces) and of the forwarder of the API port. The kernel ends the children with the
parent, and everything inside the namespaces with their init, so no mount, network namespace or process can be left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from toolchain.cluster import cgroups as groups
from toolchain.cluster import processes
from toolchain.cluster.errors import NodeFailed
from toolchain.cluster.files import private_folder, write_private
from toolchain.cluster.processes import ProcessId

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from toolchain.cluster.cgroups import Cgroups
    from toolchain.cluster.spec import ClusterSpec, Layout

SCRIPTS = Path(__file__).parent / "node"
STOP_SECONDS = 40.0
"""Init gives the kubelet 3 s, containers 20 s and etcd 5 s; what is left after this is killed."""

INIT_SECONDS = 15.0
TAIL_LINES = 20

NODE_PATH = ":".join(
    [
        *(f"/opt/careops/{artefact}/bin" for artefact in ("kube", "containerd", "runc")),
        "/usr/sbin:/usr/bin:/sbin:/bin",
    ]
)


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeRecord:
    """What is known of a node that was started.

    Attributes:
        launcher: the parent of everything.
        fingerprint: stands for the binaries and the configuration it was started with.
        api_port: the port on 127.0.0.1 of the host.
        started_at: seconds since the epoch.
    """

    launcher: ProcessId
    fingerprint: str
    api_port: int
    started_at: float


def read_record(layout: Layout) -> NodeRecord | None:
    """Return the record of the last start; None when there is none or it was cut short."""
    try:
        data = json.loads(layout.node_record.read_text())
        return NodeRecord(
            launcher=ProcessId(**data["launcher"]),
            fingerprint=data["fingerprint"],
            api_port=data["api_port"],
            started_at=data["started_at"],
        )
    except (OSError, ValueError, TypeError, KeyError):
        return None


def running(layout: Layout) -> NodeRecord | None:
    """Return the record of a node that runs: both its launcher and its init are alive."""
    record = read_record(layout)
    return record if record is not None and init_process(record) is not None else None


def init_process(record: NodeRecord) -> ProcessId | None:
    """Return the node's init as the host sees it, or None while or when there is none."""
    if not record.launcher.alive():
        return None
    for child in processes.children(record.launcher.number):
        if processes.command(child)[:1] == ("unshare",):
            for grandchild in processes.children(child):
                return processes.identify(grandchild)
    return None


def launch(
    layout: Layout,
    spec: ClusterSpec,
    *,
    cgroups: Cgroups,
    artefacts: Mapping[str, Path],
    fingerprint: str,
) -> NodeRecord:
    """Start the node and return once its init runs. The node's folders, configuration and root must be ready.

    Args:
        layout: where the cluster lives.
        spec: the cluster.
        cgroups: the machine's control groups.
        artefacts: the folder of each build that the node uses, by name.
        fingerprint: kept in the record, to tell at the next start whether the node is still the wanted one.

    Raises:
        NodeFailed: init ended or did not come up in time; nothing is left running.
    """
    groups.create(cgroups, layout.name)
    private_folder(layout.run)
    (layout.run / "root").mkdir(exist_ok=True)
    environment = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "CLUSTER": str(layout.cluster),
        "ARTEFACTS": "\n".join(f"{name}={path}" for name, path in artefacts.items()),
        "CGROUP_VERSION": str(cgroups.version),
        "CGROUP_HIERARCHIES": "\n".join(hierarchy.options for hierarchy in cgroups.hierarchies),
        "CGROUP_FOLDERS": "\n".join(str(folder) for folder in cgroups.folders(layout.name)),
        "NODE_NAME": spec.node_name,
        "NODE_ADDRESS": spec.node_address,
        "NODE_SCRIPTS": str(SCRIPTS),
        "INIT": str(SCRIPTS / "init.sh"),
        "NSFWD": str(artefacts["nsfwd"] / "bin" / "nsfwd"),
        "API_PORT": str(spec.api_port),
        "NODE_API": f"127.0.0.1:{spec.api_server_port}",
    }
    started_at = time.time()
    with (layout.log / "node.log").open("wb") as log:
        launcher = subprocess.Popen(
            ["bash", str(SCRIPTS / "launch.sh")],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    identity = processes.identify(launcher.pid)
    if identity is None:
        raise _failed(layout, "The node's launcher ended at once.")
    record = NodeRecord(launcher=identity, fingerprint=fingerprint, api_port=spec.api_port, started_at=started_at)
    write_private(layout.node_record, json.dumps(asdict(record)))
    deadline = time.monotonic() + INIT_SECONDS
    while "the node's parts are starting" not in (layout.log / "node.log").read_text(errors="replace"):
        launcher.poll()
        if not identity.alive() or time.monotonic() > deadline:
            failure = _failed(layout, "The node did not start.")
            stop(layout, cgroups, gracefully=False)
            raise failure
        time.sleep(0.02)
    return record


def stop(layout: Layout, cgroups: Cgroups, *, gracefully: bool = True) -> None:
    """End the node and everything in it, and remove its control groups. Harmless when nothing runs.

    Works without a record as well: the control groups' name tells which processes are the node's.

    Args:
        layout: where the cluster lives.
        cgroups: the machine's control groups.
        gracefully: whether containers get the time to end by themselves.

    Raises:
        NodeFailed: something could not be removed.
    """
    record = read_record(layout)
    init = init_process(record) if record else None
    if init is not None and gracefully:
        processes.send(init, signal.SIGTERM)
        processes.wait_gone(init, STOP_SECONDS)
    launcher = record.launcher if record is not None else _launcher_of(groups.member_processes(cgroups, layout.name))
    if launcher is not None:
        processes.send(launcher, signal.SIGKILL)
        processes.wait_gone(launcher, STOP_SECONDS)
    for number in groups.member_processes(cgroups, layout.name):
        member = processes.identify(number)
        if member is not None:
            processes.send(member, signal.SIGKILL)
    left = groups.remove(cgroups, layout.name)
    if left:
        raise NodeFailed(
            "The node's control groups could not be removed.",
            why=f"Still busy: {', '.join(map(str, left))}; processes {groups.member_processes(cgroups, layout.name)}.",
            action="Wait until those processes ended, then run the command again.",
        )
    layout.node_record.unlink(missing_ok=True)


def run_inside(
    layout: Layout, argv: Sequence[str], *, stdin: bytes | None = None, timeout: float | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run a program in all of the node's namespaces and return its result, whatever its exit status.

    Args:
        layout: where the cluster lives.
        argv: the program and its arguments, as the node names them.
        stdin: what it reads; nothing when None.
        timeout: seconds after which it is ended.

    Raises:
        NodeFailed: no node runs.
        subprocess.TimeoutExpired: it took too long.
    """
    return subprocess.run(entering(layout, argv), input=stdin or b"", capture_output=True, timeout=timeout, check=False)


def entering(layout: Layout, argv: Sequence[str]) -> list[str]:
    """Return the host's command line that runs a program in the node.

    Raises:
        NodeFailed: no node runs.
    """
    record = running(layout)
    init = init_process(record) if record else None
    if init is None:
        raise NodeFailed(
            "The embedded cluster does not run.",
            why=f"No node was found for {layout.cluster}.",
            action="Start it with `careops up`.",
        )
    namespaces = ("--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wd")
    environment = ("env", "-i", f"PATH={NODE_PATH}", "HOME=/root")
    return ["nsenter", "--target", str(init.number), *namespaces, *environment, *argv]


def _launcher_of(members: Sequence[int]) -> ProcessId | None:
    """Find the launcher without a record: it is the parent of the process that made the namespaces."""
    for number in members:
        above = processes.parent(number) if processes.command(number)[:1] == ("unshare",) else None
        if above is not None and str(SCRIPTS / "launch.sh") in processes.command(above):
            return processes.identify(above)
    return None


def log_tail(layout: Layout, name: str) -> str:
    """Return the last lines of one part's log, or a word that there is none."""
    try:
        lines = (layout.log / f"{name}.log").read_text(errors="replace").splitlines()
    except OSError:
        return "(no log)"
    return os.linesep.join(lines[-TAIL_LINES:]) or "(empty log)"


def _failed(layout: Layout, what: str) -> NodeFailed:
    return NodeFailed(
        what,
        why=f"Its log ends with:\n{log_tail(layout, 'node')}",
        action=f"Read {layout.log}; `careops doctor` names what this machine lacks.",
    )
