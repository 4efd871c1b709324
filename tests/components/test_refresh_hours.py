"""No refresh in class hours or freezes: what training declares against it, and when it declares nothing."""

from __future__ import annotations

import pytest

from infra import naming
from tests import declared

CLASSES, FREEZES = (naming.refresh_guard("riverside", against) for against in ("classes", "freezes"))
POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"


def guards(recording):
    return {each.metadata["name"] for each in recording.of(POLICY)}


def test_training_alone_declares_when_it_is_not_refreshed():
    for name in naming.ENVIRONMENTS:
        wanted = {CLASSES, FREEZES} if name == "training" else set()
        assert guards(declared.environment(name)) == wanted, name


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"freezes": []}, {CLASSES}),
        ({"sandbox": None}, {FREEZES}),
        ({"sandbox": None, "freezes": []}, set()),
        ({"sandbox": None, "refresh": None}, set()),
    ],
)
def test_a_site_declares_what_it_has(changes, wanted):
    recording = declared.declare(declared.with_site(declared.settings("training"), **changes))
    assert guards(recording) == wanted
    assert {each.metadata["name"] for each in recording.of(BINDING)} == wanted


@pytest.mark.parametrize("name", [CLASSES, FREEZES])
def test_what_cannot_be_judged_is_refused_and_every_part_that_fills_training_is_judged(name):
    training = declared.environment("training")
    policy, binding = training.named(POLICY, name), training.named(BINDING, name)
    assert policy.spec["failurePolicy"] == "Fail"
    assert binding.spec["validationActions"] == ["Deny"]
    assert binding.spec["policyName"] == name
    assert policy.urn in binding.dependencies
    selector = policy.spec["matchConstraints"]["objectSelector"]
    (names,) = selector["matchExpressions"]
    for environment in ("prod", "training"):
        for template in declared.environment(environment).of("CronJob"):
            labels = template.spec["jobTemplate"]["metadata"]["labels"]
            assert labels[naming.SITE_LABEL] == selector["matchLabels"][naming.SITE_LABEL] == "riverside"
            judged = labels[naming.NAME_LABEL] in names["values"]
            assert judged is (labels[naming.NAME_LABEL] != naming.REFRESH_ROLLBACK)


def test_every_request_of_training_counts_and_none_is_fine():
    found = declared.environment("training").named(BINDING, CLASSES).spec["paramRef"]
    assert found == {"namespace": "riverside-training", "selector": {}, "parameterNotFoundAction": "Allow"}


def test_each_freeze_is_refused_with_its_days_and_its_reason():
    (one,) = declared.environment("training").named(POLICY, FREEZES).spec["validations"]
    assert one["message"] == "release freeze 2026-12-21 to 2027-01-03: Year-end closing"
