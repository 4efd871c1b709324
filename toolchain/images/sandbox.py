"""Run programs of extracted root file systems in private namespaces: no network, no mount or process left behind.

The sandbox is one `unshare` child. Its mount, PID and network namespaces belong to it alone, and the kernel ends every
process and removes every mount of it when that child, or whoever started it, ends for whatever reason.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from toolchain.errors import BuildFailed
from toolchain.process import run

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from toolchain.process import Finished

DIE_WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
"""Put before a command: the kernel ends it when the process that started it ends, even by SIGKILL."""

UNSHARE = (
    *DIE_WITH_PARENT,
    *("unshare", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child"),
    *("--propagation", "private"),
)
PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, kw_only=True)
class Bind:
    """A folder of the machine that appears inside a tree."""

    source: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Tree:
    """An extracted root file system and what is mounted into it.

    Attributes:
        root: Its folder.
        binds: Folders shared with it.
    """

    root: str
    binds: tuple[Bind, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Inside:
    """A program to run inside a tree.

    Attributes:
        tree: The tree's folder.
        argv: Program and arguments, as seen inside.
        uid: User it runs as; its group is the same number, and there are no others.
        env: Its whole environment, beside PATH, HOME and LANG.
    """

    tree: str
    argv: tuple[str, ...]
    uid: int
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Return the command line for the machine's side."""
        settings = {"PATH": PROGRAM_PATH, "HOME": "/tmp", "LANG": "C.UTF-8", **self.env}  # noqa: S108 - the tree's /tmp
        pairs = [f"{name}={value}" for name, value in settings.items()]
        user = f"--userspec={self.uid}:{self.uid}"
        return ["chroot", user, f"--groups={self.uid}", self.tree, "/usr/bin/env", "-i", *pairs, *self.argv]


def extract(tar: Path, target: Path) -> None:
    """Unpack a root file system with owners and modes; needs root.

    Raises:
        BuildFailed: tar failed.
    """
    target.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [
            "tar",
            "--extract",
            "--file",
            str(tar),
            "--directory",
            str(target),
            "--preserve-permissions",
            "--numeric-owner",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BuildFailed(
            f"{tar} could not be unpacked",
            why=done.stderr[-1000:],
            action="check that the disk is not full, then run again",
        )


def run_module(
    module: str,
    arguments: Mapping[str, object],
    trees: Sequence[Tree],
    *,
    python_path: Sequence[Path],
    log: Path | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> Finished:
    """Run a Python module of ours as the first process of a new sandbox.

    Args:
        module: Run with ``python -m``; it calls `enter` first.
        arguments: JSON-able data that `enter` gives back to it.
        trees: Mounted by `enter`.
        python_path: Folders its imports come from.
        log: Gets its output.
        on_line: Called with every line of it.
    """
    document = json.dumps({"trees": [asdict(tree) for tree in trees], "arguments": dict(arguments)})
    environment = {
        "PATH": os.environ.get("PATH", PROGRAM_PATH),
        "PYTHONPATH": os.pathsep.join(str(path) for path in python_path),
        "PYTHONUNBUFFERED": "1",
        "CAREOPS_SANDBOX": document,
    }
    return run([*UNSHARE, sys.executable, "-m", module], cwd=Path("/"), env=environment, log=log, on_line=on_line)


def enter() -> dict[str, object]:
    """Mount the trees, inside the sandbox, and return the caller's arguments."""
    document = json.loads(os.environ["CAREOPS_SANDBOX"])
    _loopback_up()
    for tree in document["trees"]:
        mount_tree(Tree(root=tree["root"], binds=tuple(Bind(**bind) for bind in tree["binds"])))
    return document["arguments"]


def mount_tree(tree: Tree) -> None:
    """Mount /proc, the usual devices, a fresh /tmp and /run and the binds; only inside a sandbox."""
    root = Path(tree.root)
    _mount("-t", "proc", "-o", "nosuid,nodev,noexec", "proc", str(root / "proc"))
    _mount("-t", "tmpfs", "-o", "mode=0755,size=64k", "tmpfs", str(root / "dev"))
    for device in ("null", "zero", "random", "urandom"):
        (root / "dev" / device).touch()
        _mount("--bind", f"/dev/{device}", str(root / "dev" / device))
    (root / "dev" / "shm").mkdir()
    _mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", str(root / "dev" / "shm"))
    (root / "dev" / "fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (root / "dev" / name).symlink_to(f"/proc/self/fd/{number}")
    for folder, mode in (("tmp", "1777"), ("run", "0755")):
        _mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", str(root / folder))
    for bind in tree.binds:
        target = root / bind.target.lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        _mount("--bind", bind.source, str(target))


def _loopback_up() -> None:
    set_flags, interface_up = 0x8914, 0x1  # SIOCSIFFLAGS and IFF_UP of <linux/if.h>
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, set_flags, struct.pack("16sh14x", b"lo", interface_up))


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


@contextmanager
def scratch(parent: Path, prefix: str) -> Generator[Path]:
    """Yield a temporary folder that is removed at the end; removes those that a killed process left, first.

    A folder is in use as long as the process in its name lives.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for left in parent.glob(f"{prefix}-*-*"):
        owner = left.name.split("-")[-2]
        if not Path(f"/proc/{owner}").exists():
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}-{os.getpid()}-", dir=parent))
    try:
        folder.chmod(0o755)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Session:
    """A sandbox that stays, for running one program after another in its trees.

    Use as a context manager; leaving it ends everything in it.

    Args:
        trees: Mounted at the start.
    """

    def __init__(self, trees: Sequence[Tree]) -> None:
        self._trees = trees
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        document = json.dumps({"trees": [asdict(tree) for tree in self._trees], "arguments": {}})
        program = (
            "import sys; from toolchain.images import sandbox; sandbox.enter(); print(flush=True); sys.stdin.read()"
        )
        environment = {
            "PATH": os.environ.get("PATH", PROGRAM_PATH),
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "CAREOPS_SANDBOX": document,
        }
        self._process = subprocess.Popen(
            [*UNSHARE, sys.executable, "-c", program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        output = self._process.stdout
        if output is None or output.readline() != b"\n":
            self.close()
            raise BuildFailed(
                "a sandbox could not be set up",
                why="its messages are above; it needs root and the kernel's namespaces",
                action="run as root on a machine that allows unshare",
            )
        # The first process of the namespaces is the only child of `unshare`.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text(encoding="utf-8")
        self._first = int(children.split()[0])
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End every process of the sandbox; its mounts go with them."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def command(self, inside: Inside) -> list[str]:
        """Return a command line that runs the program in the sandbox, from outside."""
        entered = ("nsenter", "--target", str(self._first), "--mount", "--pid", "--net", "--ipc", "--uts")
        return [*entered, *inside.command()]

    def run(
        self, inside: Inside, *, stdin: str | None = None, seconds: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, whatever its status.

        Args:
            inside: What to run.
            stdin: Its input.
            seconds: How long it may take.
        """
        with tempfile.TemporaryFile("a+") as output, tempfile.TemporaryFile("a+") as errors:
            for stream in (output, errors):
                # As a container runtime does: a program may open /dev/stdout, which asks for the right to.
                os.fchown(stream.fileno(), inside.uid, inside.uid)
            done = subprocess.run(
                self.command(inside),
                input=stdin if stdin is not None else "",
                stdout=output,
                stderr=errors,
                text=True,
                check=False,
                timeout=seconds,
            )
            for stream in (output, errors):
                stream.seek(0)
            return subprocess.CompletedProcess(done.args, done.returncode, output.read(), errors.read())
