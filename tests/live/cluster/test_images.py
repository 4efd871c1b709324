"""Images on their way from the store into pods."""

from __future__ import annotations

import pytest

from tests.live.cluster.support import until
from toolchain.cluster.errors import ImagesRefused
from toolchain.images.containerfile import assemble
from toolchain.images.context import BuildContext
from toolchain.images.oci import OciStore

pytestmark = pytest.mark.live

CONTAINERFILE = """\
FROM {probe}
COPY word /word
LABEL org.opencontainers.image.title="test"
"""


@pytest.fixture
def probe(cluster):
    return cluster.system_images()["probe"]


@pytest.fixture
def store(cluster, probe, tmp_path):
    """A store of this test's own that holds the probe image as a base."""
    shared = cluster.store
    store = OciStore(tmp_path / "oci")
    for digest in (probe.digest, *(part["digest"] for part in _parts(shared, probe))):
        store.add_file(shared.blob_path(digest), digest=digest)
    store._write_ref(probe)
    return store


def _parts(store, ref):
    manifest = store.manifest(ref)
    return [manifest["config"], *manifest["layers"]]


@pytest.fixture
def build(probe, store):
    """Return a function that makes an image which holds one word."""

    def make(word, tag):
        context = BuildContext(members={"word": word.encode()})
        return assemble(store, f"careops.local/test-image:{tag}", CONTAINERFILE.format(probe=probe), context)

    return make


def test_a_pod_runs_the_very_image_that_its_digest_names(bench, cluster, store, build):
    ref = build("first", "1")
    assert cluster.load_images(store, [ref]) == [ref]
    bench.pod("pinned", image=str(ref))
    assert bench.run("pinned", "cat /word") == "first"
    [status] = bench.ready("pinned")["status"]["containerStatuses"]
    assert status["imageID"].endswith(ref.digest)


@pytest.mark.usefixtures("api")
def test_an_image_that_is_there_is_not_sent_again(cluster, store, build):
    ref = build("again", "2")
    cluster.load_images(store, [ref])
    assert cluster.load_images(store, [ref, str(ref)]) == []


def test_a_newer_image_under_the_same_tag_replaces_it(bench, cluster, store, build):
    old = build("old", "3")
    cluster.load_images(store, [old])
    new = build("new", "3")
    assert cluster.load_images(store, [new]) == [new]
    bench.pod("tagged", image=new.tagged)
    assert bench.run("tagged", "cat /word") == "new"
    bench.pod("pinned", image=f"{new.repository}@{new.digest}")
    assert bench.run("pinned", "cat /word") == "new"


@pytest.mark.usefixtures("cluster")
def test_a_digest_that_was_never_loaded_does_not_run(bench, build):
    ref = build("absent", "4")
    with pytest.raises(AssertionError, match="not within"):
        _short(bench, str(ref))
    [status] = bench.api.get(f"{bench.path}/pods/absent")["status"]["containerStatuses"]
    assert status["state"]["waiting"]["reason"] in {"ErrImagePull", "ImagePullBackOff"}


def _short(bench, image):
    from toolchain.cluster.probe import pod  # noqa: PLC0415 - used here only

    bench.api.apply(pod("absent", bench.namespace, image, ["sleep", "1"]))
    until(
        "the pod runs",
        lambda: bench.api.get(f"{bench.path}/pods/absent")["status"].get("phase") == "Running",
        seconds=10,
    )


@pytest.mark.usefixtures("api")
def test_a_damaged_blob_is_refused_and_nothing_of_it_is_known(cluster, store, build):
    ref = build("damaged", "5")
    layer = store.layers(ref)[-1]
    place = store.blob_path(layer.digest)
    damaged = bytearray(place.read_bytes())
    damaged[-1] ^= 1
    place.write_bytes(bytes(damaged))
    with pytest.raises(Exception, match="digest"):
        cluster.load_images(store, [ref])
    assert ref.digest.encode() not in cluster.exec(["ctr", "-n", "k8s.io", "images", "ls"]).stdout


@pytest.mark.usefixtures("api")
def test_an_image_that_the_store_has_not_is_refused(cluster, store):
    with pytest.raises(ImagesRefused, match="not in the store"):
        cluster.load_images(store, [f"careops.local/no-such-image:1@sha256:{'0' * 64}"])
