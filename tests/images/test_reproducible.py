"""The same packages give the same root file system, wherever and from wherever it is made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import tarfile

import pytest

from odoo_image import specs
from tests.images.support import paths
from toolchain.images import rootfs
from toolchain.images.mirrors import read_mirrors
from toolchain.images.sandbox import scratch
from toolchain.progress import NullReporter

pytestmark = [pytest.mark.live, pytest.mark.full]

SMALLEST = specs.EDGE_ROOT


@pytest.fixture(scope="module")
def made():
    """Make the smallest root file system from the mirrors, and elsewhere again from the packages kept by that.

    About 20 s of one core each, beside the time to fetch 30 MB of packages.
    """
    with scratch(paths().cache, "test-reproducible") as folder:
        first = dataclasses.replace(paths(), state=folder / "state", cache=folder / "cache")
        second = dataclasses.replace(paths(), state=folder / "again" / "state", cache=folder / "again" / "deeper")
        second.cache.mkdir(parents=True)
        first.debs.mkdir(parents=True)
        second.debs.symlink_to(first.debs)
        yield [
            rootfs.build(where, SMALLEST, lambda: read_mirrors(os.environ), NullReporter()) for where in (first, second)
        ]


def members(artifact):
    """Return what makes a tar's bytes: each member's name, kind, rights, owner, time, link and content."""
    with tarfile.open(artifact / rootfs.TAR) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isreg() else None
            digest = hashlib.sha256(content.read()).hexdigest() if content else ""
            rights = (member.mode, member.uid, member.gid, member.mtime, member.linkname)
            yield member.name, member.type, *rights, digest


def test_one_was_made_from_the_mirrors_and_the_other_without_them(made):
    measured = [json.loads((each / "manifest.json").read_text())["measured"] for each in made]
    assert [each["from_lock"] for each in measured] == [False, True]


def test_both_hold_the_same_files(made):
    first, second = (list(members(each)) for each in made)
    assert len(first) > 1000, "a comparison of nothing proves nothing"
    assert sorted(set(first) ^ set(second)) == [], "these are only in one of the two, or differ"
    assert first == second, "the same files in another order make another tar"


def test_both_have_the_same_digest(made):
    first, second = map(rootfs.tar_digest, made)
    assert first == second


def test_both_hold_the_same_versions(made):
    first, second = map(rootfs.packages, made)
    assert first
    assert first == second
