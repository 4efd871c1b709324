"""What the infrastructure is told of a cluster."""

from __future__ import annotations

import json
import stat

import pytest

from infra import settings as infra_settings
from toolchain.cluster.errors import FactsUnusable
from toolchain.cluster.facts import (
    ApiServer,
    Dns,
    api_server_of,
    dns_of,
    embedded_facts,
    node_cidrs_of,
    pod_cidrs_of,
    read_facts,
    storage_classes_of,
    write_facts,
)
from toolchain.cluster.spec import ClusterSpec


def storage_class(name, provisioner="x", *, default=False):
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if default else None
    return {"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner}


def endpoint_slice(*addresses, port=6443):
    return {"endpoints": [{"addresses": list(addresses)}], "ports": [{"port": port}]}


def test_facts_come_back_as_they_were_written(tmp_path):
    facts = embedded_facts(ClusterSpec()).with_content(
        images={"probe": "careops.local/probe:1@sha256:ab"}, manifests={"cloudnative-pg": "/x.yaml"}
    )
    write_facts(tmp_path / "facts.json", facts)
    assert read_facts(tmp_path / "facts.json") == facts
    assert stat.S_IMODE((tmp_path / "facts.json").stat().st_mode) == 0o600


def test_the_embedded_clusters_facts_have_the_agreed_form(tmp_path):
    write_facts(tmp_path / "facts.json", embedded_facts(ClusterSpec()))
    assert json.loads((tmp_path / "facts.json").read_text()) == {
        "schema": 1,
        "kind": "embedded",
        "context": "careops",
        "api_server": {"cidrs": ["10.199.0.2/32"], "port": 6443},
        "node_cidrs": ["10.199.0.2/32"],
        "pod_cidrs": ["10.244.0.0/16"],
        "node_count": 1,
        "dns": {"namespace": "kube-system", "labels": {"k8s-app": "kube-dns"}},
        "storage_classes": {"block": "careops-block", "shared": "careops-shared"},
        "images": {},
        "manifests": {},
    }


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2, "kind": "embedded"}', '{"schema": 1, "kind": "moon"}'])
def test_damaged_facts_are_refused_with_the_way_to_new_ones(tmp_path, text):
    (tmp_path / "facts.json").write_text(text)
    with pytest.raises(FactsUnusable) as refused:
        read_facts(tmp_path / "facts.json")
    assert "careops up" in refused.value.action


def test_absent_facts_are_refused(tmp_path):
    with pytest.raises(FactsUnusable):
        read_facts(tmp_path / "facts.json")


def test_every_api_server_of_a_cluster_is_named():
    found = api_server_of([endpoint_slice("10.0.0.2", "10.0.0.1"), endpoint_slice("fd00::1")])
    assert found == ApiServer(cidrs=("10.0.0.1/32", "10.0.0.2/32", "fd00::1/128"), port=6443)


@pytest.mark.parametrize("slices", [[], [endpoint_slice("10.0.0.1"), endpoint_slice("10.0.0.2", port=443)]])
def test_an_api_server_that_cannot_be_told_is_refused(slices):
    with pytest.raises(FactsUnusable, match="API server"):
        api_server_of(slices)


def test_a_node_is_known_by_its_internal_address():
    addresses = [{"type": "ExternalIP", "address": "203.0.113.7"}, {"type": "InternalIP", "address": "10.0.0.7"}]
    assert node_cidrs_of([{"status": {"addresses": addresses}}]) == ("10.0.0.7/32",)


def test_dns_is_found_by_name_or_by_label():
    selector = {"k8s-app": "kube-dns"}
    other = {"metadata": {"name": "metrics", "namespace": "kube-system"}, "spec": {"selector": {"a": "b"}}}
    labelled = {
        "metadata": {"name": "coredns", "namespace": "kube-system", "labels": selector},
        "spec": {"selector": {"app": "coredns"}},
    }
    named = {"metadata": {"name": "kube-dns", "namespace": "kube-system"}, "spec": {"selector": selector}}
    assert dns_of([other, named]) == Dns(namespace="kube-system", labels=selector)
    assert dns_of([other, labelled]).labels == {"app": "coredns"}
    with pytest.raises(FactsUnusable, match="DNS"):
        dns_of([other])


def test_the_default_class_and_the_only_shared_one_are_chosen():
    classes = [storage_class("gp3", "ebs.csi.aws.com", default=True), storage_class("efs", "efs.csi.aws.com")]
    assert storage_classes_of(classes, block_class=None, shared_class=None) == {"block": "gp3", "shared": "efs"}


def test_a_named_class_wins_over_what_would_be_chosen():
    classes = [
        storage_class("a", default=True),
        storage_class("b"),
        storage_class("c", "rook-ceph.cephfs.csi.ceph.com"),
    ]
    assert storage_classes_of(classes, block_class="b", shared_class="a") == {"block": "b", "shared": "a"}


def test_a_class_that_the_cluster_has_not_is_refused_with_those_it_has():
    with pytest.raises(FactsUnusable) as refused:
        storage_classes_of([storage_class("a", default=True)], block_class="z", shared_class="a")
    assert "z is not among them" in refused.value.why


@pytest.mark.parametrize(
    "shared", [[], [storage_class("e1", "efs.csi.aws.com"), storage_class("e2", "nfs.csi.k8s.io")]]
)
def test_no_shared_class_and_several_are_both_refused_rather_than_guessed(shared):
    with pytest.raises(FactsUnusable, match="shared") as refused:
        storage_classes_of([storage_class("a", default=True), *shared], block_class=None, shared_class=None)
    assert "ReadWriteMany" in refused.value.action


def test_the_facts_that_are_written_let_infra_refuse_a_range_that_holds_pods(tmp_path):
    roles = ("odoo", "baseline-standard", "baseline-demo", "postgresql", "edge", "refresh", "cloudnative-pg", "probe")
    images = {role: f"careops.local/{role}:17.1@sha256:{'a' * 64}" for role in roles}
    facts = embedded_facts(ClusterSpec()).with_content(images=images, manifests={"cloudnative-pg": "/x.yaml"})
    write_facts(tmp_path / "facts.json", facts)
    assert [str(cidr) for cidr in infra_settings.load_facts(tmp_path / "facts.json").pod_cidrs] == ["10.244.0.0/16"]


def test_pods_addresses_of_an_existing_cluster_are_read_from_its_nodes():
    nodes = [{"spec": {"podCIDRs": ["10.1.1.0/24"]}}, {"spec": {"podCIDRs": ["10.1.0.0/24"]}}, {"spec": {}}]
    assert pod_cidrs_of(nodes) == ("10.1.0.0/24", "10.1.1.0/24")
