"""Which control groups a machine has."""

from __future__ import annotations

from pathlib import Path

import pytest

from toolchain.cluster.cgroups import parse
from toolchain.errors import HostUnfit

HYBRID = """\
25 1 0:22 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
26 25 0:23 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
27 25 0:24 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset
28 25 0:25 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
29 25 0:26 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
30 25 0:27 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,name=systemd
31 25 0:28 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""

JOINED = """\
26 25 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
27 25 0:24 / /sys/fs/cgroup/cpuset rw,nosuid - cgroup cgroup rw,cpuset,clone_children
28 25 0:25 / /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
29 25 0:26 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids
30 25 0:27 / /sys/fs/cgroup/systemd rw,nosuid - cgroup cgroup rw,xattr,release_agent=/lib/x,name=systemd
"""

UNIFIED = "26 25 0:23 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_a_hybrid_counts_as_version_one_because_that_holds_the_controllers():
    found = parse(HYBRID, "hugetlb")
    assert found.version == 1
    assert [hierarchy.options for hierarchy in found.hierarchies] == ["cpu", "cpuset", "memory", "pids", "name=systemd"]


def test_controllers_that_share_a_hierarchy_stay_together():
    found = parse(JOINED, "")
    assert [hierarchy.options for hierarchy in found.hierarchies] == [
        "cpu,cpuacct",
        "cpuset",
        "memory",
        "pids",
        "name=systemd",
    ]


def test_a_unified_machine_uses_version_two():
    found = parse(UNIFIED, "cpuset cpu io memory hugetlb pids")
    assert found.version == 2
    assert found.folders("careops-x") == (Path("/sys/fs/cgroup/careops-x"),)


def test_a_unified_machine_that_hands_out_too_little_is_refused_by_name():
    with pytest.raises(HostUnfit) as refused:
        parse(UNIFIED, "cpu pids")
    assert "cpuset" in refused.value.why
    assert "memory" in refused.value.why


def test_a_machine_without_control_groups_is_refused():
    with pytest.raises(HostUnfit, match="control groups"):
        parse("22 1 0:20 / /proc rw - proc proc rw\n", "")
