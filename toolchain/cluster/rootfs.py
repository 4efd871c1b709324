"""The node's root file system: the Debian programs that the kubelet, kube-proxy and Calico call, and no Kubernetes."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from toolchain import host
from toolchain.errors import BuildFailed
from toolchain.images import rootfs
from toolchain.images.mirrors import read_mirrors

if TYPE_CHECKING:
    from pathlib import Path

    from toolchain.paths import Paths
    from toolchain.progress import Reporter

RECIPE = rootfs.Recipe(
    name="node",
    suite="bookworm",
    packages=(
        "busybox-static",
        "ca-certificates",
        "catatonit",
        "conntrack",
        "iproute2",
        "ipset",
        "iptables",
        "kmod",
        "mount",
        "nftables",
        "procps",
        "tcpdump",
    ),
    borrowed={},
    files={},
)


def ensure_rootfs(paths: Paths, folder: Path, reporter: Reporter) -> str:
    """Make the root file system unless the cache has it, and unpack it unless the folder holds it.

    Args:
        paths: where the cache is.
        folder: where it is unpacked; the node reads it and writes to memory above it.
        reporter: shows the work.

    Returns:
        The digest that stands for its content.

    Raises:
        ToolchainError: packages could not be had, or the archive could not be unpacked.
    """
    host.install_debian_packages(rootfs.HOST_PACKAGES, reporter)
    artefact = rootfs.build(paths, RECIPE, lambda: read_mirrors(os.environ), reporter)
    digest = rootfs.tar_digest(artefact)
    marker = folder.with_name(f"{folder.name}.digest")
    if folder.is_dir() and marker.exists() and marker.read_text() == digest:
        return digest
    marker.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with reporter.step("Unpacking the node's root file system"):
        unpacked = subprocess.run(
            [
                *("tar", "--extract", "--numeric-owner", "--exclude=./dev/*"),
                *("--directory", str(folder), "--file", str(artefact / rootfs.TAR)),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    if unpacked.returncode != 0:
        raise BuildFailed(
            "The node's root file system could not be unpacked.",
            why=unpacked.stderr.strip()[-1000:],
            action=f"Check the free space for {folder}, then run the command again.",
        )
    marker.write_text(digest)
    return digest
