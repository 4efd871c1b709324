from __future__ import annotations

import multiprocessing
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from toolchain.errors import BrokenArtifact, ToolchainError
from toolchain.store import Store, content_key, tree_digest

if TYPE_CHECKING:
    from pathlib import Path

KEY = "0123456789abcdef"
FORK = multiprocessing.get_context("fork")


def write(folder: Path, text: str = "content") -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "tool").write_text(text)
    (folder / "bin" / "tool").chmod(0o755)
    (folder / "bin" / "alias").symlink_to("tool")


def never(folder: Path) -> None:
    raise AssertionError(f"built again in {folder}")


def test_what_was_put_is_got_and_is_not_built_again(tmp_path: Path):
    store = Store(tmp_path)
    entry = store.put("thing", KEY, write)
    assert (entry / "bin" / "alias").read_text() == "content"
    assert store.get("thing", KEY) == entry
    assert store.put("thing", KEY, never) == entry
    assert Store(tmp_path).put("thing", KEY, never) == entry


def test_what_was_never_put_is_absent(tmp_path: Path):
    assert Store(tmp_path).get("thing", KEY) is None


def test_what_the_build_returns_is_kept_in_the_manifest_with_the_size(tmp_path: Path):
    store = Store(tmp_path)

    def build(folder: Path) -> dict[str, float]:
        write(folder)
        return {"cpu_seconds": 1.5}

    store.put("thing", KEY, build)
    manifest = store.manifest("thing", KEY)
    assert manifest is not None
    assert manifest["measured"] == {"cpu_seconds": 1.5}
    assert manifest["bytes"] == len("content")


DAMAGES = {
    "a changed byte": lambda entry: (entry / "bin" / "tool").write_text("CONTENT"),
    "a missing file": lambda entry: (entry / "bin" / "tool").unlink(),
    "a file too many": lambda entry: (entry / "bin" / "extra").write_text("x"),
    "a link that points elsewhere": lambda entry: (
        (entry / "bin" / "alias").unlink(),
        (entry / "bin" / "alias").symlink_to("/etc/passwd"),
    ),
    "a program that is none any more": lambda entry: (entry / "bin" / "tool").chmod(0o644),
    "no manifest": lambda entry: (entry / "manifest.json").unlink(),
    "half a manifest": lambda entry: (entry / "manifest.json").write_text('{"schema": 1, "files"'),
    "a manifest that is not one": lambda entry: (entry / "manifest.json").write_text("[]"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("same_process", [True, False], ids=["seen whole before", "not seen before"])
def test_a_broken_entry_is_set_aside_reported_and_rebuilt(damage: str, same_process: bool, tmp_path: Path, reporter):
    entry = Store(tmp_path).put("thing", KEY, write)
    if same_process:
        assert Store(tmp_path).get("thing", KEY) == entry
    DAMAGES[damage](entry)
    store = Store(tmp_path, reporter)
    assert store.get("thing", KEY) is None
    assert "thing" in reporter.titles[0]
    assert reporter.notes[0], "the reason is told"
    assert len(list((tmp_path / "artifacts").glob(".broken-thing-*"))) == 1
    store.put("thing", KEY, write)
    rebuilt = store.get("thing", KEY)
    assert rebuilt is not None
    assert (rebuilt / "bin" / "tool").read_text() == "content"


def test_only_the_newest_broken_entry_is_kept(tmp_path: Path):
    store = Store(tmp_path)
    for _ in range(3):
        (store.put("thing", KEY, write) / "bin" / "tool").write_text("broken")
        assert store.get("thing", KEY) is None
    assert len(list((tmp_path / "artifacts").glob(".broken-thing-*"))) == 1


def test_put_replaces_a_broken_entry_without_a_get_before(tmp_path: Path):
    store = Store(tmp_path)
    (store.put("thing", KEY, write) / "bin" / "tool").write_text("broken")
    assert (store.put("thing", KEY, write) / "bin" / "tool").read_text() == "content"


def test_a_build_that_fails_leaves_nothing_and_its_error_goes_on(tmp_path: Path):
    def fail(folder: Path) -> None:
        write(folder)
        raise RuntimeError("compiler")

    store = Store(tmp_path)
    with pytest.raises(RuntimeError, match="compiler"):
        store.put("thing", KEY, fail)
    assert store.get("thing", KEY) is None
    assert [path.name for path in (tmp_path / "artifacts").iterdir()] == [".locks"]


def test_a_build_that_is_killed_leaves_nothing_that_looks_complete_and_is_cleaned_by_the_next(tmp_path: Path):
    started = FORK.Event()

    def hang(folder: Path) -> None:
        write(folder)
        started.set()
        time.sleep(600)

    process = FORK.Process(target=lambda: Store(tmp_path).put("thing", KEY, hang))
    process.start()
    assert started.wait(30)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join(30)
    assert list((tmp_path / "artifacts").glob(".tmp-thing-*")), "the test must have interrupted a build"
    store = Store(tmp_path)
    assert store.get("thing", KEY) is None
    entry = store.put("thing", KEY, write)
    assert (entry / "bin" / "tool").read_text() == "content"
    assert not list((tmp_path / "artifacts").glob(".tmp-*"))


def test_two_processes_that_want_the_same_build_it_once_and_the_second_says_that_it_waits(tmp_path: Path, reporter):
    begun, builds = FORK.Event(), FORK.Value("i", 0)

    def slow(folder: Path) -> None:
        with builds.get_lock():
            builds.value += 1
        begun.set()
        time.sleep(0.5)
        write(folder)

    process = FORK.Process(target=lambda: Store(tmp_path).put("thing", KEY, slow))
    process.start()
    assert begun.wait(30)
    entry = Store(tmp_path, reporter).put("thing", KEY, slow)
    process.join(30)
    assert process.exitcode == 0
    assert builds.value == 1
    assert (entry / "bin" / "tool").read_text() == "content"
    assert any("Waiting" in title for title in reporter.titles)


def test_a_build_that_makes_nothing_is_refused(tmp_path: Path):
    store = Store(tmp_path)
    with pytest.raises(BrokenArtifact, match="left nothing"):
        store.put("thing", KEY, lambda _: None)
    assert store.get("thing", KEY) is None


def test_what_a_manifest_cannot_describe_is_refused(tmp_path: Path):
    with pytest.raises(BrokenArtifact, match="neither a file"):
        Store(tmp_path).put("thing", KEY, lambda folder: os.mkfifo(folder / "pipe"))


@pytest.mark.parametrize(
    ("name", "key"), [("../up", KEY), ("Upper", KEY), ("", KEY), ("thing", "../../etc"), ("thing", "")]
)
def test_names_and_keys_cannot_leave_the_folder(name: str, key: str, tmp_path: Path):
    with pytest.raises(ToolchainError, match="cannot name a cache entry"):
        Store(tmp_path).put(name, key, never)


def test_trees_with_equal_content_have_equal_digests_whatever_their_times(tmp_path: Path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir()
        write(folder)
    os.utime(second / "bin" / "tool", (1, 1))
    assert tree_digest(first) == tree_digest(second)
    (second / "bin" / "tool").write_text("other")
    assert tree_digest(first) != tree_digest(second)


def test_a_key_changes_with_every_part_of_it():
    assert content_key("a", 1) == content_key("a", 1)
    assert len({content_key("a", 1), content_key("a", 2), content_key("b", 1), content_key(["a", 1])}) == 4
