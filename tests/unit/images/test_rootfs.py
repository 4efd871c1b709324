"""Root file systems: what mmdebstrap is told, and what keeps a rebuild equal and off the network."""

from __future__ import annotations

import dataclasses
import subprocess
from pathlib import Path

import pytest

from toolchain.errors import BuildFailed
from toolchain.images import rootfs
from toolchain.images.debs import DebFolder, Package, parse_installed
from toolchain.images.mirrors import Mirrors
from toolchain.images.rootfs import Recipe, User, command, pins, sources

RECIPE = Recipe(
    name="thing",
    suite="trixie",
    packages=("a", "b"),
    users=(User(name="u", number=26, home="/var/lib/u"),),
    borrowed={"a": "sid"},
    dpkg_options=("path-exclude=/x/*",),
    files={"/etc/x": "one 'two'\n"},
    remove=("etc/y",),
)
MIRRORS = Mirrors(archive="http://mirror.test/debian", security="http://mirror.test/security")


def test_everything_comes_from_the_suite_and_its_security_updates_but_what_is_borrowed():
    assert sources(RECIPE, MIRRORS) == [
        "deb http://mirror.test/debian trixie main",
        "deb http://mirror.test/security trixie-security main",
        "deb http://mirror.test/debian sid main",
    ]
    assert "Package: *\nPin: release n=sid\nPin-Priority: 1\n" in pins(RECIPE)
    assert "Package: a\nPin: release n=sid\nPin-Priority: 990\n" in pins(RECIPE)


def test_signatures_are_checked_and_only_the_expiry_is_relaxed():
    argv = command(RECIPE, Path("/out/rootfs.tar"), sources(RECIPE, MIRRORS), hooks=[])
    assert f"--keyring={rootfs.KEYRING}" in argv
    text = " ".join(argv)
    assert "Min-ValidTime" in text
    assert not any(word in text for word in ("trusted=yes", "Check-Valid-Until", "AllowInsecure", "force-yes"))


def test_set_user_id_bits_and_residue_are_removed_after_everything_is_installed():
    argv = command(RECIPE, Path("/out/rootfs.tar"), [], hooks=["--customize-hook=keep-packages"])
    hooks = [word for word in argv if word.startswith("--customize-hook=")]
    assert hooks[0] == "--customize-hook=keep-packages", "packages are kept before caches are removed"
    assert "chmod a-s" in hooks[-2]
    assert '"$1"/etc/machine-id' in hooks[-1]
    assert '"$1"/etc/y' in hooks[-1]


def test_the_hooks_do_what_they_say_to_a_tree(tmp_path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("tape:x:26:\nusers:x:100:\n")
    (tmp_path / "etc/passwd").touch()
    (tmp_path / "etc/shadow").touch()
    for word in command(RECIPE, Path("/out/rootfs.tar"), [], hooks=[]):
        if word.startswith("--essential-hook="):
            hook = word.removeprefix("--essential-hook=")
            subprocess.run(["sh", "-ec", hook, "exec", str(tmp_path)], check=True)
    assert (tmp_path / "etc/group").read_text() == "users:x:100:\nu:x:26:\n", "a number has one name"
    assert (tmp_path / "etc/passwd").read_text() == "u:x:26:26::/var/lib/u:/usr/sbin/nologin\n"
    assert (tmp_path / "etc/x").read_text() == "one 'two'\n"


def test_a_recipe_s_key_follows_every_part_and_its_packages_key_only_what_chooses_packages():
    changed = dataclasses.replace(RECIPE, remove=("etc/z",))
    assert changed.key != RECIPE.key
    assert changed.resolution_key == RECIPE.resolution_key
    more = dataclasses.replace(RECIPE, packages=("a", "b", "c"))
    assert more.resolution_key != RECIPE.resolution_key


def test_installed_packages_and_the_names_apt_keeps_them_under():
    assert parse_installed("a=1:2.0-1:amd64\nb:amd64=3+x:all\n") == [
        Package(name="a", version="1:2.0-1", architecture="amd64"),
        Package(name="b", version="3+x", architecture="all"),
    ]
    assert Package(name="a", version="1:2.0-1", architecture="amd64").file == "a_1%3a2.0-1_amd64.deb"


@pytest.fixture
def debs(tmp_path):
    folder = DebFolder(tmp_path / "debs", "0123456789")
    folder.folder.mkdir()
    for name in ("a_1_all.deb", "b_1_all.deb", "b_0_all.deb"):
        (folder.folder / name).write_bytes(name.encode())
    return folder


INSTALLED = [Package(name=name, version="1", architecture="all") for name in ("a", "b")]


def test_a_lock_makes_the_next_build_independent_and_drops_other_versions(debs):
    assert debs.usable_lock() is None
    debs.write_lock(INSTALLED)
    assert set(debs.usable_lock()) == {"a_1_all.deb", "b_1_all.deb"}
    assert not (debs.folder / "b_0_all.deb").exists()


@pytest.mark.parametrize("damage", ["changed", "missing", "other recipe", "garbled"])
def test_a_lock_that_does_not_hold_is_not_used(debs, damage):
    debs.write_lock(INSTALLED)
    if damage == "changed":
        (debs.folder / "a_1_all.deb").write_bytes(b"else")
    elif damage == "missing":
        (debs.folder / "a_1_all.deb").unlink()
    elif damage == "garbled":
        (debs.folder / "lock.json").write_text("{")
    folder = DebFolder(debs.folder, "other" if damage == "other recipe" else "0123456789")
    assert folder.usable_lock() is None


def test_a_package_whose_file_was_not_kept_is_an_error(debs):
    with pytest.raises(BuildFailed, match=r"c_1_all\.deb"):
        debs.write_lock([*INSTALLED, Package(name="c", version="1", architecture="all")])


def test_a_repository_of_the_locked_packages_names_each_with_its_checksum(tmp_path, debs):
    package = tmp_path / "package"
    (package / "DEBIAN").mkdir(parents=True)
    (package / "DEBIAN/control").write_text(
        "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: x <x@x.test>\nDescription: x\n"
    )
    subprocess.run(["dpkg-deb", "-b", "--root-owner-group", package, debs.folder / "a_1_all.deb"], check=True)
    debs.write_lock([INSTALLED[0]])
    target = tmp_path / "repository"
    target.mkdir()
    locked = debs.usable_lock()
    debs.write_repository(target, "trixie", locked)
    index = (target / "Packages").read_text()
    assert "Package: a\nVersion: 1\n" in index
    assert f"Filename: ./a_1_all.deb\nSize: {(debs.folder / 'a_1_all.deb').stat().st_size}\n" in index
    assert f"SHA256: {locked['a_1_all.deb']}" in index
    assert "Codename: trixie" in (target / "Release").read_text()
    assert (target / "a_1_all.deb").exists()
