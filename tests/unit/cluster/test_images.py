"""The node's own images and the decision which images must be brought in."""

from __future__ import annotations

import pytest

from toolchain.cluster.errors import ImagesRefused
from toolchain.cluster.images import (
    ensure_system_images,
    missing,
    parse_listing,
    recorded,
    resolve,
    system_images,
)
from toolchain.errors import BuildFailed
from toolchain.images.oci import ImageConfig, ImageRef, OciStore

A = ImageRef(repository="careops.local/a", tag="1", digest="sha256:" + "a" * 64)
B = ImageRef(repository="careops.local/b", tag="1", digest="sha256:" + "b" * 64)


@pytest.fixture
def store(tmp_path):
    return OciStore(tmp_path / "oci")


@pytest.fixture
def programs(tmp_path):
    """Stand-ins for the programs that go into the images."""
    rootfs = tmp_path / "rootfs"
    artefacts = {name: tmp_path / name for name in ("coredns", "local-path-provisioner")}
    files = [rootfs / "bin/busybox", rootfs / "usr/bin/catatonit", *(p / "bin" / n for n, p in artefacts.items())]
    for file in files:
        file.parent.mkdir(parents=True)
        file.write_text(f"program {file.name}")
        file.chmod(0o755)
    return system_images(rootfs, artefacts)


def test_a_listing_of_containerd_is_read():
    listing = (
        "REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
        f"{A.tagged} application/vnd.oci.image.manifest.v1+json {A.digest} 1.0 MiB linux/amd64 pinned\n"
    )
    assert parse_listing(listing) == {A.tagged: A.digest}


def test_an_image_known_by_tag_and_digest_is_not_brought_in_again():
    present = {A.tagged: A.digest, A.by_digest: A.digest}
    assert missing([A, B], present) == [B]


@pytest.mark.parametrize(
    "present",
    [{}, {A.tagged: A.digest}, {A.by_digest: A.digest}, {A.tagged: B.digest, A.by_digest: A.digest}],
    ids=["unknown", "by tag only", "by digest only", "an older one under the tag"],
)
def test_an_image_that_a_pod_could_not_name_both_ways_is_brought_in(present):
    assert missing([A], present) == [A]


def test_an_image_named_twice_is_brought_in_once():
    assert missing([A, A], {}) == [A]


def test_a_reference_means_the_image_of_the_store(store):
    ref = store.add_image("careops.local/a:1", ImageConfig(), [])
    assert resolve(store, [str(ref), ref]) == [ref, ref]


def test_an_image_that_the_store_has_not_is_refused_by_name(store):
    with pytest.raises(ImagesRefused, match=r"careops\.local/a:1"):
        resolve(store, [A])


def test_another_image_under_the_same_tag_is_not_taken_for_the_pinned_one(store):
    ref = store.add_image("careops.local/a:1", ImageConfig(), [])
    with pytest.raises(ImagesRefused, match="0000"):
        resolve(store, [f"careops.local/a:1@sha256:{'0' * 64}"])
    with pytest.raises(BuildFailed, match="does not say which image"):
        resolve(store, [ref.tagged])


def test_the_nodes_own_images_run_as_nobody(store, programs, tmp_path):
    refs = ensure_system_images(store, programs, "key", tmp_path / "record")
    assert set(refs) == {"pause", "probe", "coredns", "local-path-provisioner"}
    for ref in refs.values():
        assert store.config(ref)["config"]["User"] == "65534:65534"


def test_equal_inputs_give_equal_digests_and_are_not_made_again(store, programs, tmp_path):
    first = ensure_system_images(store, programs, "key", tmp_path / "record")
    assert ensure_system_images(store, programs, "key", tmp_path / "other-record") == first
    for image in programs:
        for file in image.files.values():
            if hasattr(file, "unlink"):
                file.unlink()
    assert ensure_system_images(store, programs, "key", tmp_path / "record") == first, "no input was read"


def test_a_lost_image_is_made_again_although_its_inputs_are_the_same(store, programs, tmp_path):
    first = ensure_system_images(store, programs, "key", tmp_path / "record")
    store.blob_path(first["probe"].digest).unlink()
    assert ensure_system_images(store, programs, "key", tmp_path / "record") == first
    assert store.resolve(first["probe"]) == first["probe"]


def test_a_cluster_keeps_its_own_images_when_another_one_makes_others_under_the_same_names(store, programs, tmp_path):
    mine = ensure_system_images(store, programs, "key", tmp_path / "mine")
    [coredns] = [image for image in programs if image.name == "coredns"]
    coredns.files["coredns"].write_text("another checkout's program")
    other = ensure_system_images(store, programs, "another key", tmp_path / "theirs")
    assert other["coredns"] != mine["coredns"]
    assert ensure_system_images(store, programs, "key", tmp_path / "mine") == mine
    assert recorded(tmp_path / "mine") == mine
    assert recorded(tmp_path / "none") == {}


def test_another_program_gives_another_image(store, programs, tmp_path):
    first = ensure_system_images(store, programs, "key", tmp_path / "record")
    [coredns] = [image for image in programs if image.name == "coredns"]
    coredns.files["coredns"].write_text("a newer program")
    second = ensure_system_images(store, programs, "another key", tmp_path / "record")
    assert second["coredns"] != first["coredns"]
    assert second["pause"] == first["pause"]
