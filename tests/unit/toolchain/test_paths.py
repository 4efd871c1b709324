from __future__ import annotations

from pathlib import Path

import pytest

from toolchain.errors import ToolchainError
from toolchain.paths import Paths


def test_without_variables_the_state_is_in_the_checkout_and_the_cache_in_the_home_folder():
    paths = Paths.from_environment({"HOME": "/home/someone"}, Path("/srv/careops"))
    assert paths.state == Path("/srv/careops/.careops")
    assert paths.cache == Path("/home/someone/.cache/careops")


def test_the_variables_decide_when_they_are_set():
    environ = {"HOME": "/h", "XDG_CACHE_HOME": "/x", "CAREOPS_STATE": "/s", "CAREOPS_CACHE": "/c"}
    paths = Paths.from_environment(environ, Path("/srv/careops"))
    assert (paths.state, paths.cache) == (Path("/s"), Path("/c"))


def test_the_shared_cache_folder_of_the_desktop_standard_is_used_unless_it_is_relative():
    shared = Paths.from_environment({"HOME": "/h", "XDG_CACHE_HOME": "/x"}, Path("/r"))
    relative = Paths.from_environment({"HOME": "/h", "XDG_CACHE_HOME": "x"}, Path("/r"))
    assert shared.cache == Path("/x/careops")
    assert relative.cache == Path("/h/.cache/careops"), "the standard says a relative value is to be ignored"


@pytest.mark.parametrize("variable", ["CAREOPS_STATE", "CAREOPS_CACHE"])
def test_a_relative_path_is_refused_and_the_variable_is_named(variable: str):
    with pytest.raises(ToolchainError) as caught:
        Paths.from_environment({"HOME": "/h", variable: "here"}, Path("/r"))
    assert variable in caught.value.what
    assert "'/'" in caught.value.action


def test_a_machine_without_a_home_folder_is_told_which_variable_to_set():
    with pytest.raises(ToolchainError, match="CAREOPS_CACHE"):
        Paths.from_environment({}, Path("/r"))


def test_nothing_is_created_by_deciding_where_things_live(tmp_path: Path):
    environ = {"CAREOPS_STATE": str(tmp_path / "state"), "CAREOPS_CACHE": str(tmp_path / "cache")}
    Paths.from_environment(environ, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_everything_lives_under_state_or_cache(tmp_path: Path):
    paths = Paths(root=tmp_path / "root", state=tmp_path / "state", cache=tmp_path / "cache")
    in_state = ("bin", "logs", "cluster", "kubeconfig", "facts", "pulumi_backend", "pulumi_home", "passphrase", "lock")
    in_cache = ("artifacts", "go_mod", "go_build", "oci", "debs")
    assert all(getattr(paths, name).is_relative_to(paths.state) for name in in_state)
    assert all(getattr(paths, name).is_relative_to(paths.cache) for name in in_cache)
