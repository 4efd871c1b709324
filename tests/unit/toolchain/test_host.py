from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

import pytest

from toolchain import host
from toolchain.errors import HostUnfit, PackagesRefused

if TYPE_CHECKING:
    from pathlib import Path

GIB = host.GIB
FIT = host.HostFacts(
    system="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0",
    machine="x86_64",
    cpus=2,
    root=True,
    capabilities=frozenset(host.CAPABILITIES),
    memory_bytes=24 * GIB,
    memory_available_bytes=20 * GIB,
    state_free_bytes=100 * GIB,
    cache_free_bytes=100 * GIB,
    same_disk=True,
    namespaces=frozenset(host.NAMESPACES),
    filesystems=frozenset(host.FILESYSTEMS),
    cgroup_controllers=frozenset(host.CGROUP_CONTROLLERS),
    can_unshare=True,
    apt=True,
)
WANTED = host.Requirements(memory_bytes=4 * GIB, state_bytes=10 * GIB, cache_bytes=20 * GIB)


def test_a_machine_that_has_everything_is_fit():
    assert host.problems(FIT, WANTED) == ()


LACKS = {
    "root": ({"root": False}, "root"),
    "memory": ({"memory_available_bytes": 4 * GIB - 1}, "memory"),
    "disk for both on one disk": ({"state_free_bytes": 29 * GIB, "cache_free_bytes": 29 * GIB}, "30.0 GiB"),
    "disk for the state": ({"same_disk": False, "state_free_bytes": 9 * GIB}, "state"),
    "disk for the cache": ({"same_disk": False, "cache_free_bytes": 19 * GIB}, "cache"),
    "a package manager": ({"apt": False}, "apt-get"),
    "a capability": ({"capabilities": frozenset(host.CAPABILITIES) - {"SYS_ADMIN"}}, "SYS_ADMIN"),
    "a kind of namespace": ({"namespaces": frozenset(host.NAMESPACES) - {"net"}}, "net"),
    "overlay mounts": ({"filesystems": frozenset(host.FILESYSTEMS) - {"overlay"}}, "overlay"),
    "a cgroup controller": ({"cgroup_controllers": frozenset({"cpu"})}, "memory"),
    "the right to make namespaces": ({"can_unshare": False}, "namespaces"),
}


@pytest.mark.parametrize("lack", LACKS)
def test_a_machine_that_lacks_something_is_refused_with_that_named_and_a_remedy(lack: str):
    changes, word = LACKS[lack]
    facts = dataclasses.replace(FIT, **changes)
    (problem,) = host.problems(facts, WANTED)
    assert word in problem.what
    assert problem.why
    assert problem.action


def test_two_folders_on_two_disks_need_only_their_own_room():
    facts = dataclasses.replace(FIT, same_disk=False, state_free_bytes=10 * GIB, cache_free_bytes=20 * GIB)
    assert host.problems(facts, WANTED) == ()


def test_all_problems_are_told_at_once():
    facts = dataclasses.replace(FIT, root=False, apt=False, memory_available_bytes=0)
    told = [problem.what for problem in host.problems(facts, WANTED)]
    assert len(told) == 3
    assert all(any(word in what for what in told) for word in ("root", "apt-get", "memory"))


def test_a_machine_that_only_talks_to_a_cluster_elsewhere_needs_no_kernel_features():
    facts = dataclasses.replace(FIT, namespaces=frozenset(), filesystems=frozenset(), cgroup_controllers=frozenset())
    assert host.problems(facts, dataclasses.replace(WANTED, cluster=False)) == ()
    assert host.problems(facts, WANTED)


STATUS = "Name:\tx\nCapEff:\t{bits:016x}\n"


@pytest.fixture
def system(tmp_path: Path):
    """A fake root of the files that facts are read from."""
    files = {
        "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
        "proc/sys/kernel/osrelease": "6.1.0-18\n",
        "proc/meminfo": "MemTotal:       1048576 kB\nMemAvailable:    524288 kB\nHugePages_Total: 0\n",
        "proc/filesystems": "nodev\ttmpfs\nnodev\tproc\nnodev\tsysfs\n\text4\n",
        "proc/cgroups": "#subsys_name\thierarchy\tnum_cgroups\tenabled\ncpu\t1\t1\t1\nmemory\t2\t1\t0\n",
        "proc/self/status": STATUS.format(bits=1 << 21 | 1 << 12),
        "lib/modules/6.1.0-18/kernel/fs/overlayfs/overlay.ko.xz": "",
    }
    root = tmp_path / "root"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "proc/self/ns").mkdir()
    (root / "proc/self/ns/net").symlink_to("net:[1]")
    return root


def test_facts_are_read_from_the_systems_own_files(system: Path, paths):
    facts = host.read_facts(paths, system=system, probe=False)
    assert facts.system == "Debian GNU/Linux 12 (bookworm)"
    assert facts.kernel == "6.1.0-18"
    assert (facts.memory_bytes, facts.memory_available_bytes) == (GIB, GIB // 2)
    assert facts.capabilities == {"SYS_ADMIN", "NET_ADMIN"}
    assert facts.namespaces == {"net"}
    assert facts.cgroup_controllers == {"cpu"}, "a controller that is there but switched off does not count"
    assert "overlay" in facts.filesystems, "a file system that can be loaded counts"


def test_a_kernel_without_the_module_has_no_overlay(system: Path, paths):
    (system / "lib/modules/6.1.0-18/kernel/fs/overlayfs/overlay.ko.xz").unlink()
    assert "overlay" not in host.read_facts(paths, system=system, probe=False).filesystems


def test_the_controllers_of_the_second_version_of_cgroups_count_too(system: Path, paths):
    (system / "sys/fs/cgroup").mkdir(parents=True)
    (system / "sys/fs/cgroup/cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    assert set(host.CGROUP_CONTROLLERS) <= host.read_facts(paths, system=system, probe=False).cgroup_controllers


def test_this_machine_can_be_looked_at_without_making_folders(paths):
    facts = host.read_facts(paths)
    assert facts.memory_bytes > facts.memory_available_bytes > 0
    assert facts.state_free_bytes > 0
    assert facts.root == (os.geteuid() == 0)
    assert not paths.state.exists()


DPKG = """#!/bin/sh
while [ "$1" != "${1#-}" ]; do shift 1; done
for name in "$@"; do
  if [ -e "$(dirname "$0")/installed-$name" ]; then echo "$name installed"
  elif [ "$name" = removed ]; then echo "$name config-files"
  else echo "dpkg-query: no packages found matching $name" >&2; status=1; fi
done
exit ${status:-0}
"""
APT = """#!/bin/sh
here=$(dirname "$0")
echo "$@" >> "$here/apt-calls"; echo "$DEBIAN_FRONTEND $RUNLEVEL" > "$here/apt-env"
case "$*" in
*" update"*) touch "$here/updated"; {update} ;;
*) {install} ;;
esac
"""
INSTALL = 'for name in "$@"; do touch "$here/installed-$name"; done'


@pytest.fixture
def debian(program, monkeypatch):
    """Put scripts called apt-get and dpkg-query first on PATH; return their folder."""

    def make(*, install: str = INSTALL, update: str = "true", root: bool = True) -> Path:
        folder = program("dpkg-query", DPKG, folder="debian").parent
        program("apt-get", APT.format(install=install, update=update), folder="debian")
        monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
        monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
        return folder

    return make


def test_only_what_is_missing_is_installed_and_told(debian, reporter):
    folder = debian()
    (folder / "installed-gcc").touch()
    assert host.install_debian_packages(["gcc", "libseccomp-dev"], reporter) == ("libseccomp-dev",)
    (call,) = (folder / "apt-calls").read_text().splitlines()
    assert call.endswith("install --no-install-recommends libseccomp-dev")
    assert "libseccomp-dev" in reporter.titles[0]


def test_nothing_is_done_and_no_root_is_needed_when_nothing_is_missing(debian, reporter):
    folder = debian(root=False)
    (folder / "installed-gcc").touch()
    assert host.install_debian_packages(["gcc"], reporter) == ()
    assert not (folder / "apt-calls").exists()
    assert reporter.titles == []


def test_a_package_that_was_removed_but_left_its_settings_is_missing(debian):
    debian()
    assert host.missing_packages(["removed"]) == ("removed",)


def test_apt_asks_nothing_and_starts_no_service(debian, reporter):
    folder = debian()
    host.install_debian_packages(["gcc"], reporter)
    assert (folder / "apt-env").read_text().split() == ["noninteractive", "1"]


def test_package_lists_are_updated_when_the_first_attempt_fails(debian, reporter):
    folder = debian(install=f'[ -e "$here/updated" ] || exit 100; {INSTALL}')
    assert host.install_debian_packages(["gcc"], reporter) == ("gcc",)
    assert len((folder / "apt-calls").read_text().splitlines()) == 3


def test_a_mirror_that_refuses_is_told_with_apts_own_words(debian, reporter):
    debian(
        install="echo 'E: Unable to locate package gcc'; exit 100", update="echo 'Err:1 mirror 403 Forbidden'; exit 100"
    )
    with pytest.raises(PackagesRefused) as caught:
        host.install_debian_packages(["gcc"], reporter)
    assert "403 Forbidden" in caught.value.why
    assert "Unable to locate package gcc" in caught.value.why
    assert "gcc" in caught.value.what


def test_an_apt_that_says_it_did_and_did_not_is_not_believed(debian, reporter):
    debian(install="true")
    with pytest.raises(PackagesRefused, match="gcc"):
        host.install_debian_packages(["gcc"], reporter)


def test_without_root_the_user_is_told_the_command(debian, reporter):
    folder = debian(root=False)
    with pytest.raises(HostUnfit, match="apt-get install gcc make"):
        host.install_debian_packages(["gcc", "make"], reporter)
    assert not (folder / "apt-calls").exists()


def test_a_system_without_dpkg_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HostUnfit, match="dpkg-query"):
        host.missing_packages(["gcc"])
