"""What of the cache may go: nothing that a checkout, a process or a command of today needs."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import shutil
import subprocess
import time

import pytest

from toolchain import cache
from toolchain.images.containerfile import assemble
from toolchain.images.context import BuildContext
from toolchain.images.oci import OciStore
from toolchain.store import Store

KEY = "0123456789abcdef"
MONTH = 31 * 24 * 3600


@pytest.fixture(autouse=True)
def nothing_used(monkeypatch):
    monkeypatch.setattr(Store, "used", set())


@pytest.fixture
def artifact(paths):
    """Return a function that makes an artifact which was used last some time ago."""

    def make(name, age=MONTH, size=100_000):
        entry = Store(paths.cache).put(name, KEY, lambda folder: (folder / "file").write_bytes(b"x" * size) and None)
        Store.used.discard(entry)
        os.utime(entry, (time.time() - age,) * 2)
        return entry

    return make


def names(paths, **options):
    return [each.path.name for each in cache.survey(paths, **options).removable]


def test_what_nobody_used_for_a_month_goes_and_frees_its_bytes(paths, artifact):
    old, new = artifact("old"), artifact("new", age=3600)
    found = cache.survey(paths)
    assert [each.path for each in found.removable] == [old]
    assert found.removable_size >= 100_000
    assert cache.remove(paths, found) == found.removable_size
    assert not old.exists()
    assert new.exists()
    assert found.size - cache.survey(paths).size >= 100_000


def test_to_ask_for_an_artifact_is_to_use_it_and_does_not_make_it_look_changed(paths, artifact):
    old = artifact("old")
    assert Store(paths.cache).get("old", KEY) == old
    assert old in Store.used
    assert names(paths) == []
    assert Store(paths.cache).get("old", KEY) == old


def test_what_a_checkout_used_last_stays_as_long_as_its_state_exists(paths, artifact):
    other = dataclasses.replace(paths, state=paths.state.with_name("other"))
    other.state.mkdir()
    old = artifact("old")
    Store.used.add(old)
    cache.note_use(other)
    assert names(paths) == []
    shutil.rmtree(other.state)
    assert names(paths) == [old.name]


def test_a_later_note_takes_the_place_of_an_earlier_one_of_the_same_checkout(paths, artifact):
    paths.state.mkdir()
    superseded, current = artifact("kube", age=2 * MONTH), artifact("kubernetes")
    Store.used.add(superseded)
    cache.note_use(paths)
    Store.used.clear()
    Store.used.add(current)
    cache.note_use(paths)
    assert names(paths) == [superseded.name]


def test_a_tool_that_a_checkout_s_bin_leads_to_stays_without_a_note(paths, artifact):
    paths.bin.mkdir(parents=True)
    old = artifact("kube")
    (paths.bin / "kubectl").symlink_to(old / "bin" / "kubectl")
    assert names(paths, idle_seconds=0) == []


def test_what_a_process_runs_from_stays(paths):
    def build(folder):
        shutil.copy(shutil.which("sleep") or "", folder / "sleep")

    entry = Store(paths.cache).put("tool", KEY, build)
    os.utime(entry, (0, 0))
    with subprocess.Popen([str(entry / "sleep"), "60"]) as process:
        try:
            assert names(paths) == []
        finally:
            process.kill()
    assert names(paths) == [entry.name]


def test_what_was_used_today_stays_even_when_all_that_is_unused_shall_go(paths, artifact):
    artifact("today", age=3600)
    yesterday = artifact("yesterday", age=25 * 3600)
    assert names(paths, idle_seconds=0) == [yesterday.name]
    assert names(paths) == []


def test_what_came_into_use_after_the_plan_stays(paths, artifact):
    old = artifact("old")
    found = cache.survey(paths)
    Store(paths.cache).get("old", KEY)
    assert cache.remove(paths, found) == 0
    assert old.exists()


def test_what_another_process_holds_stays(paths, artifact):
    old = artifact("old")
    found = cache.survey(paths)
    with (paths.artifacts / ".locks" / old.name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert cache.remove(paths, found) == 0
    assert old.exists()
    assert cache.remove(paths, found) > 0


def test_what_interrupted_builds_left_goes_unless_its_build_runs(paths, artifact):
    artifact("any", age=0)
    left = paths.artifacts / f".tmp-tool-{KEY}-abcd1234"
    left.mkdir()
    os.utime(left, (0, 0))
    found = cache.survey(paths)
    with (paths.artifacts / ".locks" / f"tool-{KEY}").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cache.remove(paths, found)
        assert left.exists()
    cache.remove(paths, found)
    assert not left.exists()


# -- images --------------------------------------------------------------------------------------------------------


@pytest.fixture
def image(paths):
    """Return a function that makes an old image of one file."""

    def make(word, context=None):
        context = context or BuildContext({"word": word.encode()})
        ref = assemble(OciStore(paths.oci), "careops.local/x:1", "FROM scratch\nCOPY word /word\n", context)
        os.utime(OciStore(paths.oci)._ref_path(ref), (0, 0))
        return ref

    return make


def later(paths):
    return cache.survey(paths, now=time.time() + 2 * MONTH)


def test_images_that_nobody_needs_go_with_the_parts_that_only_they_have(paths, image):
    store = OciStore(paths.oci)
    gone, kept = image("gone"), image("kept")
    paths.images.mkdir(parents=True)
    (paths.images / "x").write_text(f"{kept}\n")
    cache.remove(paths, later(paths))
    assert store.resolve(gone) is None
    assert not store.blob_path(gone.digest).exists()
    assert store.resolve(kept) == kept


def test_the_parts_of_an_image_that_is_being_made_stay(paths, image):
    gone = image("gone")
    found = later(paths)
    with OciStore(paths.oci).held(alone=False):
        assert cache.remove(paths, found) == 0
    assert OciStore(paths.oci).resolve(gone) == gone


def test_a_root_file_system_that_is_a_layer_too_frees_its_bytes_once_and_only_with_both_names(paths, artifact):
    entry = artifact("rootfs", size=1_000_000)
    layer = OciStore(paths.oci).add_file(entry / "file")
    assert cache.survey(paths).removable_size < 1_000_000, "the layer is new and keeps the bytes"
    both = later(paths)
    assert 1_000_000 <= both.removable_size < 1_100_000
    cache.remove(paths, both)
    assert not OciStore(paths.oci).blob_path(layer.digest).exists()


def test_the_size_of_sources_is_told_apart(paths, artifact):
    artifact("any")
    paths.go_mod.mkdir(parents=True)
    (paths.go_mod / "source").write_bytes(b"x" * 500_000)
    found = cache.survey(paths)
    assert found.size >= found.sources + 100_000
    assert 500_000 <= found.sources < 600_000


def test_a_cache_that_does_not_exist_yet_is_empty(paths):
    found = cache.survey(paths)
    assert (found.size, found.removable) == (0, ())
