from __future__ import annotations

import tarfile

import pytest

from operations import embedded, live, teardown
from operations.environments import Environment
from operations.errors import OperationError
from operations.existing import (
    ExistingCluster,
    ExistingPart,
    images_missing,
    missing_images,
    read_context,
    refuse_change_of_cluster,
    refuse_other_context,
    renamed,
)
from operations.exit_codes import ExitCode
from operations.session import Session
from toolchain.images.oci import ImageConfig, OciStore
from toolchain.paths import Paths

REFERENCE = "careops.local/odoo:19.0@sha256:" + "a" * 64


def test_an_image_in_a_registry_keeps_its_tag_and_its_digest():
    assert renamed(REFERENCE, "registry.example.org/careops/") == (
        "registry.example.org/careops/odoo:19.0@sha256:" + "a" * 64
    )
    assert renamed(REFERENCE, None) == REFERENCE


@pytest.fixture
def kubectl(tmp_path):
    """A kubectl on PATH that answers as told."""

    def make(script: str) -> dict[str, str]:
        program = tmp_path / "kubectl"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    return make


def test_only_the_named_context_is_taken_and_with_its_certificates(kubectl):
    environ = kubectl('echo "$@"')
    assert read_context("kind-a", environ).split() == [
        "config",
        "view",
        "--raw",
        "--minify",
        "--flatten",
        "--context=kind-a",
    ]


def test_an_unknown_context_is_refused_with_the_way_to_list_them(kubectl):
    with pytest.raises(OperationError) as caught:
        read_context("nope", kubectl("echo 'context nope does not exist' >&2; exit 1"))
    assert caught.value.code == ExitCode.CLUSTER
    assert "does not exist" in caught.value.problems[0].why
    assert "get-contexts" in caught.value.problems[0].action


def test_without_kubectl_an_existing_cluster_is_refused_at_once():
    with pytest.raises(OperationError) as caught:
        read_context("kind-a", {"PATH": "/nowhere"})
    assert caught.value.code == ExitCode.TOOLCHAIN


@pytest.mark.parametrize(("kind", "wants_existing"), [("embedded", True), ("existing", False)])
def test_a_platform_does_not_move_to_another_cluster_by_an_option(tmp_path, kind, wants_existing):
    with pytest.raises(OperationError) as caught:
        refuse_change_of_cluster(kind, wants_existing=wants_existing, state=tmp_path)
    assert caught.value.code == ExitCode.USAGE
    refuse_change_of_cluster(None, wants_existing=wants_existing, state=tmp_path)
    refuse_change_of_cluster(kind, wants_existing=not wants_existing, state=tmp_path)


def test_missing_images_name_the_archive_and_both_ways_to_bring_them(tmp_path):
    problem = images_missing(ExistingCluster(context="kind-a"), tmp_path / "images.tar", ["odoo"]).problems[0]
    assert "images.tar" in problem.action
    assert "--registry" in problem.action


def test_an_image_that_the_store_lost_is_named_and_no_archive_is_written_without_it(tmp_path, monkeypatch):
    paths = Paths(root=tmp_path, state=tmp_path / "state", cache=tmp_path / "cache")
    paths.state.mkdir()
    store = OciStore(paths.oci)
    one, probe = (store.add_image(f"careops.local/{name}:1", ImageConfig(), []) for name in ("edge", "probe"))
    monkeypatch.setattr(embedded, "probe_image", lambda _: probe)
    part = ExistingPart(
        Session(paths=paths, environ={}, command="careops up", api_port=1), ExistingCluster(context="kind-a")
    )
    monkeypatch.setattr(embedded, "image_refs", lambda _: {"edge": str(one), "odoo": REFERENCE})
    with pytest.raises(OperationError) as caught:
        part._export()
    assert caught.value.code == ExitCode.TOOLCHAIN
    assert caught.value.problems[0].what == f"The store of images does not have {REFERENCE}"
    assert list(paths.state.iterdir()) == []
    monkeypatch.setattr(embedded, "image_refs", lambda _: {"edge": str(one)})
    with tarfile.open(part._export()) as archive:
        assert {f"blobs/sha256/{ref.digest.removeprefix('sha256:')}" for ref in (one, probe)} <= set(archive.getnames())


def node(*references: str, more: int = 0) -> dict:
    images = [{"names": [reference]} for reference in references]
    images += [{"names": [f"example.org/other{number}:1"]} for number in range(more)]
    return {"status": {"images": images}}


def test_images_are_looked_for_by_digest_so_that_an_old_one_of_the_same_tag_does_not_count():
    digest = REFERENCE.partition("@")[2]
    images = {"odoo": REFERENCE}
    assert missing_images([node(f"careops.local/odoo@{digest}")], images) == ()
    assert missing_images([node("careops.local/odoo:19.0", "careops.local/odoo@sha256:" + "b" * 64)], images) == (
        "odoo",
    )
    assert missing_images([], images) == ("odoo",)


def test_a_node_with_more_images_than_it_reports_is_given_the_benefit_of_the_doubt():
    assert missing_images([node(more=50)], {"odoo": REFERENCE}) == ()
    assert missing_images([node(more=49)], {"odoo": REFERENCE}) == ("odoo",)


def test_a_platform_does_not_move_to_another_existing_cluster_by_another_context(tmp_path):
    refuse_other_context(None, "kind-a", tmp_path)
    refuse_other_context("kind-a", "kind-a", tmp_path)
    with pytest.raises(OperationError) as refused:
        refuse_other_context("kind-a", "kind-b", tmp_path)
    assert refused.value.code == ExitCode.USAGE
    assert "--context kind-a" in refused.value.problems[0].action


def test_data_whose_settings_file_is_gone_are_in_the_plan_of_down_all(monkeypatch):

    site = {"site": "north", "namespace": "north-x", "port": 1}
    named = Environment(stack="dev", name="dev", **site)
    gone = Environment(stack="north.prod", name="prod", **site)
    monkeypatch.setattr(live, "environments_or_none", lambda _: (named,))
    monkeypatch.setattr(teardown, "remembered", lambda _: (named, gone))
    assert teardown._everything(None) == (named, gone)
