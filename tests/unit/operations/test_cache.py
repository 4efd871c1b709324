"""What careops says about its cache, and that a failing tidy-up spoils nothing."""

from __future__ import annotations

import dataclasses
import os
import time
from types import SimpleNamespace

import pytest

from operations import cache, toolkit
from operations.cli.main import main
from operations.exit_codes import ExitCode
from toolchain import builds
from toolchain.cache import Removable, Survey
from toolchain.errors import ToolchainError
from toolchain.paths import Paths
from toolchain.store import Store

GIB = 1024**3


@pytest.fixture
def survey(tmp_path):
    """Return a survey of a cache of 5 GiB, 2 of which may go."""
    removable = (Removable(path=tmp_path / "artifacts" / "rootfs-old-0123", size=2 * GIB),)
    return Survey(size=5 * GIB, sources=0, removable=removable, before=0)


def test_the_size_is_said_and_a_hint_given_only_where_much_could_go(survey):
    assert cache.describe(survey) == (
        "5.0 GiB; 2.0 GiB were not used for 30 days",
        "`./careops cache prune` removes them; `up` does so too",
    )
    assert cache.describe(dataclasses.replace(survey, removable=())) == ("5.0 GiB", "")
    assert "3.0 GiB of it sources" in cache.describe(dataclasses.replace(survey, sources=3 * GIB))[0]


def test_a_plan_names_artifacts_and_counts_parts_of_images(survey, tmp_path):
    blobs = tuple(Removable(path=tmp_path / "sha256" / str(number), size=GIB) for number in range(3))
    assert [
        line.split() for line in cache.lines(dataclasses.replace(survey, removable=(*survey.removable, *blobs)))
    ] == [
        ["rootfs-old-0123", "2.0", "GiB"],
        ["parts", "of", "container", "images:", "3", "3.0", "GiB"],
    ]


@pytest.fixture
def session(tmp_path):
    paths = Paths(root=tmp_path, state=tmp_path / "state", cache=tmp_path / "cache")
    return SimpleNamespace(paths=paths, environ={})


@pytest.mark.parametrize("error", [OSError("disk is read-only"), ToolchainError("x", why="y", action="z")])
def test_a_cache_that_cannot_be_tidied_is_said_and_spoils_nothing(error, monkeypatch, session, shown):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(builds, "discard_sources", fail)
    assert "could not be tidied" in cache.tidied(session, embedded=True, reporter=shown)


def test_after_up_the_sources_of_every_build_of_this_platform_go(monkeypatch, session, shown):
    asked = []
    session.paths.go_mod.mkdir(parents=True)
    (session.paths.go_mod / "source").write_bytes(b"x" * 3_000_000)
    monkeypatch.setattr(builds, "discard_sources", lambda _paths, names, **_: asked.append(names) or True)
    assert cache.tidied(session, embedded=True, reporter=shown).startswith("cache: freed 3 MiB")
    assert cache.tidied(session, embedded=False, reporter=shown)
    assert asked == [(*toolkit.cluster_builds(), "cloudnative-pg"), ("cloudnative-pg",)]


@pytest.fixture
def old(tmp_path, monkeypatch):
    """Return an artifact of this command's cache that nobody used for a long time."""
    monkeypatch.setenv("CAREOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    entry = Store(tmp_path / "cache").put("old", "01234567", lambda folder: (folder / "f").write_text("x") and None)
    os.utime(entry, (time.time() - 40 * 86400,) * 2)
    return entry


def test_prune_shows_its_plan_and_removes_only_after_a_yes(old, capsys):
    assert main(["cache", "prune", "--plan"]) == ExitCode.OK
    assert "old-01234567" in capsys.readouterr().err
    assert main(["cache", "prune", "--no-input"]) == ExitCode.NOT_CONFIRMED
    assert old.exists()
    assert main(["cache", "prune", "--yes", "--json"]) == ExitCode.OK
    assert not old.exists()
    assert '"freed_bytes"' in capsys.readouterr().out
