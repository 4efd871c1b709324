"""Volumes of both storage classes."""

from __future__ import annotations

import pytest

from tests.live.cluster.support import until

pytestmark = pytest.mark.live


def volumes(cluster, bench, kind):
    return list(cluster.layout.data("pv").glob(f"{kind}/*_{bench.namespace}_*"))


def test_a_claim_that_names_no_class_gets_a_private_volume_for_its_user(bench, cluster):
    bench.claim("data", None, "ReadWriteOnce")
    bench.pod("writer", claim="data")
    assert "65534" in bench.run("writer", "echo kept > /data/file; stat -c %g /data/file; id -u")
    claim = bench.api.get(f"{bench.path}/persistentvolumeclaims/data")
    assert claim["spec"]["storageClassName"] == "careops-block"
    assert claim["status"]["phase"] == "Bound"
    [folder] = volumes(cluster, bench, "block")
    assert (folder / "file").read_text() == "kept\n"
    assert folder.stat().st_mode & 0o007 == 0, "the folder of a block volume is open to its group only"


def test_two_pods_share_a_volume_of_the_shared_class(bench):
    bench.claim("shared", "careops-shared", "ReadWriteMany")
    for name in ("first", "second"):
        bench.pod(name, claim="shared")
    bench.run("first", "echo from the first > /data/file")
    assert bench.run("second", "cat /data/file; echo and the second >> /data/file") == "from the first\n"
    assert bench.run("first", "cat /data/file") == "from the first\nand the second\n"


def test_the_private_class_refuses_to_be_shared(bench):
    bench.claim("data", "careops-block", "ReadWriteMany")
    bench.api.apply(bench.manifest("waits", "sleep", "3600", claim="data"))

    def refusals():
        events = bench.api.get(f"/api/v1/namespaces/{bench.namespace}/events")["items"]
        return [item["message"] for item in events if item["reason"] == "ProvisioningFailed"]

    [message, *_] = until("the provisioner refuses", refusals)
    assert "only supports ReadWriteOnce" in message
    assert bench.api.get(f"{bench.path}/persistentvolumeclaims/data")["status"]["phase"] == "Pending"


@pytest.mark.parametrize(("storage_class", "kind"), [("careops-block", "block"), ("careops-shared", "shared")])
def test_a_deleted_claim_takes_its_folder_with_it_whoever_owns_the_files(bench, cluster, storage_class, kind):
    mode = "ReadWriteOnce" if kind == "block" else "ReadWriteMany"
    bench.claim("gone", storage_class, mode)
    bench.pod("writer", claim="gone")
    bench.run(
        "writer",
        "mkdir -p /data/closed && touch /data/closed/file && chmod 0500 /data/closed && chmod 0700 /data/closed",
    )
    assert volumes(cluster, bench, kind)
    bench.api.delete(f"{bench.path}/pods/writer", grace_seconds=0)
    bench.api.delete(f"{bench.path}/persistentvolumeclaims/gone")
    until("the folder is gone", lambda: volumes(cluster, bench, kind) == [])


def test_a_volumes_content_outlives_a_restart_of_the_node(bench, cluster):
    bench.claim("data", None, "ReadWriteOnce")
    bench.pod("writer", claim="data")
    bench.run("writer", "echo kept > /data/file; sync")
    cluster.stop()
    cluster.start()
    bench.ready("writer")
    assert until("the pod answers", lambda: _read(bench)) == "kept\n"


def _read(bench):
    try:
        return bench.run("writer", "cat /data/file")
    except Exception:
        return None
