from __future__ import annotations

import dataclasses
import os

import pytest

from toolchain import builds
from toolchain.paths import Paths
from toolchain.progress import NullReporter
from toolchain.store import tree_digest


@pytest.mark.full
def test_the_same_sources_give_the_same_bytes_in_another_place_with_nothing_compiled_before(checkout, tmp_path):
    """Builds the forwarder twice from nothing, about a minute of compiling; its sources come from the module proxy."""
    shared = Paths.from_environment(os.environ, checkout)
    digests = []
    for place in ("first", "second"):
        cache = tmp_path / place / "cache"
        cache.mkdir(parents=True)
        shared.go_mod.mkdir(parents=True, exist_ok=True)
        (cache / "go-mod").symlink_to(shared.go_mod)
        paths = dataclasses.replace(shared, state=tmp_path / place / "state", cache=cache)
        folder = builds.ensure(paths, "nsfwd", NullReporter())
        digests.append(tree_digest(folder))
    assert digests[0] == digests[1]
