"""Requests for a training sandbox: who may ask and decide, declared for training alone."""

from __future__ import annotations

import dataclasses
import json

import pytest

from infra import naming
from infra.model import SiteSettings
from infra.plans.sandbox import CRD_NAME, release_of
from tests import declared

ROLES = (naming.SANDBOX_TRAINER, naming.SANDBOX_APPROVER)


def rules_of(role):
    return declared.environment("training").named("Role", role).inputs["rules"]


def test_training_alone_takes_requests():
    for name in naming.ENVIRONMENTS:
        roles = {role.metadata["name"] for role in declared.environment(name).of("Role")} & set(ROLES)
        assert roles == (set(ROLES) if name == "training" else set()), name


def test_no_role_of_people_is_for_the_whole_cluster(platform):
    for recording in (platform, *(declared.environment(name) for name in naming.ENVIRONMENTS)):
        for binding in recording.of("ClusterRoleBinding"):
            assert all(subject["kind"] != "Group" for subject in binding.inputs["subjects"]), binding.name


@pytest.mark.parametrize("role", ROLES)
def test_people_get_requests_and_the_rules_and_nothing_else(role):
    requests, rules = rules_of(role)
    assert (requests["apiGroups"], requests["resources"]) == (["careops.io"], ["sandboxrequests"])
    assert rules == {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "resourceNames": [naming.SANDBOX_RULES],
        "verbs": ["get"],
    }
    assert "*" not in json.dumps(rules_of(role))


def test_who_asks_does_not_approve_and_nobody_deletes_or_says_ready():
    verbs = {role: set(rules_of(role)[0]["verbs"]) for role in ROLES}
    assert verbs[naming.SANDBOX_TRAINER] == {"get", "list", "watch", "create", "update"}
    assert verbs[naming.SANDBOX_APPROVER] == {"get", "list", "watch", "update", "approve"}


def test_each_role_is_bound_to_the_groups_of_the_settings():
    training = declared.environment("training")
    bound = {
        role: [subject["name"] for subject in training.named("RoleBinding", role).inputs["subjects"]] for role in ROLES
    }
    sandbox = declared.settings("training").site.sandbox
    assert bound == {ROLES[0]: list(sandbox.trainers), ROLES[1]: list(sandbox.approvers)}


def test_the_rules_in_force_are_those_of_the_settings_and_the_release_that_runs():
    content = declared.environment("training").named("ConfigMap", naming.SANDBOX_RULES).inputs["data"]["rules.json"]
    found = json.loads(content)
    assert found["release"] == release_of(declared.facts()) == "1"
    assert found["roles"] == {"sales": 3, "stores": 3, "personnel": 2}
    assert found["time_zone"] == "Europe/Paris"
    assert found["freezes"][0] == {"first_day": "2026-12-21", "last_day": "2027-01-03", "reason": "Year-end closing"}
    assert "trainers" not in found


@pytest.mark.parametrize("without", ["sandbox", "refresh"])
def test_a_site_without_requests_or_refresh_declares_none(without):
    stack = declared.settings("training")
    values = {**stack.site.model_dump(mode="json"), without: None}
    site = SiteSettings.model_validate_json(json.dumps(values))
    recording = declared.declare(dataclasses.replace(stack, site=site))
    assert not [role for role in recording.of("Role") if role.metadata["name"] in ROLES]


def test_the_kind_is_never_served_without_its_guard(platform):
    kind = platform.named("CustomResourceDefinition", CRD_NAME)
    guard = platform.named("ValidatingAdmissionPolicy", naming.SANDBOX_GUARD)
    binding = platform.named("ValidatingAdmissionPolicyBinding", naming.SANDBOX_GUARD)
    assert binding.urn in kind.dependencies
    assert guard.urn in binding.dependencies
    assert binding.spec["policyName"] == guard.metadata["name"]
    assert binding.spec["validationActions"] == ["Deny"]
    assert guard.spec["failurePolicy"] == "Fail"
