"""The shared platform: the operator behind its own wall, and who is served first."""

from __future__ import annotations

import pytest

from infra.plans.operator import read_manifest
from infra.settings import SettingsError
from tests import declared


def test_the_operator_runs_our_image_and_starts_instances_from_it(platform):
    (container,) = platform.of("Deployment")[0].spec["template"]["spec"]["containers"]
    image = declared.FACTS["images"]["cloudnative-pg"]
    assert container["image"] == image
    assert {"name": "OPERATOR_IMAGE_NAME", "value": image} in container["env"]
    assert container["imagePullPolicy"] == "IfNotPresent"


def test_nothing_of_the_published_image_is_left(platform):
    assert "published/" not in str([resource.inputs for resource in platform.resources])


def test_the_operators_namespace_is_restricted_and_denies_by_default(platform):
    labels = platform.of("Namespace")[0].metadata["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    deny = platform.named("NetworkPolicy", "default-deny")
    assert deny.metadata["namespace"] == "cnpg-system"
    assert deny.spec["policyTypes"] == ["Ingress", "Egress"]


def test_the_operator_starts_after_its_definitions_rights_and_walls(platform):
    (deployment,) = platform.of("Deployment")
    before = [
        resource
        for resource in platform.resources
        if resource.kind in ("CustomResourceDefinition", "ClusterRoleBinding", "NetworkPolicy", "PriorityClass")
    ]
    own = {resource.urn for resource in before if "operator" in resource.name}
    assert own
    assert own <= set(deployment.dependencies)


def test_no_service_is_waited_for_by_the_deployment_behind_it(platform):
    (deployment,), (service,) = platform.of("Deployment"), platform.of("Service")
    assert deployment.urn in service.dependencies
    assert service.urn not in deployment.dependencies


def test_definitions_are_passed_on_as_they_were_published(platform):
    (version,) = platform.named("CustomResourceDefinition", "clusters.postgresql.cnpg.io").spec["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    assert schema["properties"]["spec"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_prod_is_served_before_training_and_only_prod_and_the_operator_push_out_others(platform):
    classes = {each.metadata["name"]: each.inputs for each in platform.of("PriorityClass")}
    order = sorted(classes, key=lambda name: classes[name]["value"], reverse=True)
    assert order == ["careops-platform", "careops-prod", "careops-training", "careops-test", "careops-dev"]
    pushing = {name for name, inputs in classes.items() if inputs["preemptionPolicy"] == "PreemptLowerPriority"}
    assert pushing == {"careops-platform", "careops-prod"}


def test_a_manifest_with_an_unknown_kind_is_refused(tmp_path):
    path = tmp_path / "manifest.yaml"
    path.write_text("apiVersion: v1\nkind: Secret\nmetadata: {name: surprise}\n")
    with pytest.raises(SettingsError, match="Secret"):
        read_manifest(path)


def test_an_empty_manifest_is_refused(tmp_path):
    path = tmp_path / "manifest.yaml"
    path.write_text("")
    with pytest.raises(SettingsError, match="nothing"):
        read_manifest(path)
