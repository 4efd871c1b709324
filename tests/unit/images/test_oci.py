"""What the image store promises to whoever imports its images."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile

import pytest

from toolchain.errors import BrokenArtifact, BuildFailed
from toolchain.images.layers import Entry, file
from toolchain.images.oci import ImageConfig, OciStore

ENTRIES = [
    Entry(path="/data", mode=0o1777, uid=5),
    file("/data/a", b"hello", mode=0o600, gid=7),
    Entry(path="/b", link="data/a", mode=0o777),
]


@pytest.fixture
def store(tmp_path):
    return OciStore(tmp_path / "oci")


def image(store, reference="careops.local/thing:1", entries=ENTRIES, **config):
    return store.add_image(reference, ImageConfig(**config), [store.add_layer(entries)])


def exported(store, refs):
    return members(b"".join(store.export(refs)))


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


def test_the_same_inputs_give_the_same_digest_in_another_store_and_another_order(tmp_path):
    one, two = OciStore(tmp_path / "one"), OciStore(tmp_path / "two")
    assert image(one, env={"A": "1"}) == image(two, entries=list(reversed(ENTRIES)), env={"A": "1"})


@pytest.mark.parametrize(
    "change",
    [{"env": {"A": "2"}}, {"user": "1"}, {"entrypoint": ("/x",)}, {"entries": [file("/data/a", b"hullo")]}],
    ids=lambda change: next(iter(change)),
)
def test_any_change_of_content_or_configuration_gives_another_digest(store, change):
    assert image(store, env={"A": "1"}).digest != image(store, **{"env": {"A": "1"}, **change}).digest


def test_modification_times_of_the_source_files_do_not_matter(store, tmp_path):
    source = tmp_path / "f"
    source.write_bytes(b"x")
    before = store.add_layer([file("/f", source)])
    os.utime(source, (1, 1))
    assert store.add_layer([file("/f", source)]) == before


def test_a_layer_keeps_owners_modes_links_and_order(store):
    layer = store.add_layer(reversed(ENTRIES))
    with tarfile.open(store.blob_path(layer.digest)) as archive:
        found = [(m.name, m.uid, m.gid, m.mode, m.linkname) for m in archive.getmembers()]
    assert found == [
        ("b", 0, 0, 0o777, "data/a"),
        ("data", 5, 0, 0o1777, ""),
        ("data/a", 0, 7, 0o600, ""),
    ]


def test_an_export_holds_every_blob_once_although_images_share_it(store):
    one, two = image(store, "careops.local/one:1"), image(store, "careops.local/two:1", user="1")
    with tarfile.open(fileobj=io.BytesIO(b"".join(store.export([one, two])))) as archive:
        names = archive.getnames()
    assert len(names) == len(set(names))
    blobs = [name for name in names if name.startswith("blobs/sha256/")]
    assert len(blobs) == 5, "one shared layer, two configurations, two manifests"


def test_every_exported_blob_has_the_digest_that_is_its_name(store):
    files = exported(store, [image(store)])
    for name, data in files.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(data).hexdigest() == name.rsplit("/", 1)[1]


def test_an_exported_image_is_named_by_tag_and_by_digest(store):
    ref = image(store)
    index = json.loads(exported(store, [ref])["index.json"])
    assert [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]] == [
        "careops.local/thing:1",
        f"careops.local/thing@{ref.digest}",
    ]
    assert {entry["digest"] for entry in index["manifests"]} == {ref.digest}


def test_an_export_does_not_depend_on_the_order_of_the_request(store):
    one, two = image(store, "careops.local/one:1"), image(store, "careops.local/two:1", user="1")
    assert b"".join(store.export([one, two])) == b"".join(store.export([two, one, one]))


def test_a_changed_blob_cuts_the_export_short_and_the_image_counts_as_missing_afterwards(store):
    ref = image(store)
    layer = store.layers(ref)[0]
    blob = store.blob_path(layer.digest)
    data = bytearray(blob.read_bytes())
    data[600] ^= 1
    blob.write_bytes(bytes(data))
    seen = []
    with pytest.raises(BrokenArtifact, match="digest that is its name"):
        seen.extend(store.export([ref]))
    with pytest.raises(tarfile.ReadError, match="unexpected end"):
        members(b"".join(seen))
    assert store.resolve(ref) is None
    assert image(store) == ref, "building again repairs the store"
    assert b"".join(store.export([ref]))


def test_a_missing_blob_is_refused_by_export_and_resolve(store):
    ref = image(store)
    store.blob_path(store.layers(ref)[0].digest).unlink()
    assert store.resolve(ref) is None
    with pytest.raises(BrokenArtifact, match="not in the image store"):
        list(store.export([ref]))


def test_an_image_is_asked_for_by_its_digest_whatever_else_was_made_under_its_tag(store):
    first = image(store)
    second = image(store, user="9")
    assert second.tagged == first.tagged
    assert second != first
    assert store.resolve(str(first)) == store.resolve(first) == first
    assert store.resolve(second) == second
    assert store.resolve(f"careops.local/other:1@{first.digest}") is None, "the name counts as well"


@pytest.mark.parametrize(
    "reference", ["careops.local/thing:1", "careops.local/thing:1@", "careops.local/thing:1@sha256:1"]
)
def test_a_tag_alone_means_no_image(store, reference):
    image(store)
    with pytest.raises(BuildFailed, match="does not say which image"):
        store.resolve(reference)


@pytest.mark.parametrize(
    "reference", ["odoo:19.0", "library/odoo:19.0", "careops.local/odoo", "careops.local/Odoo:1", ""]
)
def test_a_name_that_a_runtime_would_look_up_in_public_is_refused(store, reference):
    with pytest.raises(BuildFailed, match=r"careops\.local/odoo"):
        store.add_image(reference, ImageConfig(), [])


def test_a_file_becomes_a_blob_by_hard_link_and_a_second_time_for_free(store, tmp_path):
    source = tmp_path / "rootfs.tar"
    source.write_bytes(b"x" * 1000)
    blob = store.add_file(source)
    assert store.blob_path(blob.digest).samefile(source)
    assert store.add_file(source) == blob


def test_a_failing_layer_leaves_nothing_behind(store, tmp_path):
    with pytest.raises(FileNotFoundError):
        store.add_layer([file("/f", tmp_path / "absent")])
    assert [path for path in store.root.rglob("*") if path.is_file()] == []
