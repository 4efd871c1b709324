"""Names and folders of a cluster."""

from __future__ import annotations

import re

from toolchain.cluster.spec import Layout


def test_the_same_state_folder_always_gives_the_same_name(tmp_path):
    assert Layout.of(tmp_path).name == Layout.of(tmp_path / "x" / "..").name


def test_two_checkouts_have_two_names(tmp_path):
    assert Layout.of(tmp_path / "a").name != Layout.of(tmp_path / "b").name


def test_a_link_to_the_state_folder_is_the_same_cluster(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Layout.of(tmp_path / "link").name == Layout.of(tmp_path / "real").name


def test_a_name_is_fit_for_a_control_group(tmp_path):
    assert re.fullmatch(r"careops-[0-9a-f]{10}", Layout.of(tmp_path).name)


def test_everything_but_access_and_lock_is_below_one_folder_that_wipe_removes(tmp_path):
    layout = Layout.of(tmp_path)
    inside = [layout.pki, layout.config, layout.rootfs, layout.log, layout.run, layout.data("etcd"), layout.data("pv")]
    assert all(path.is_relative_to(layout.cluster) for path in inside)
    assert not layout.lock.is_relative_to(layout.cluster), "the lock is held while the folder is removed"
