"""Waivers never hide: a valid one is shown with approver and expiry, any other covers nothing and is a finding."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
import yaml

import policies
from policies import engine, report
from policies.rule import Context
from policies.rules import RULES
from policies.verdicts import Pass
from policies.waivers import MAX_DAYS, Register, load, parse

RULE = RULES["pods-have-read-only-root"]
ENTRY = {
    "rule": RULE.id,
    "resource": "kubernetes:core/v1:Pod::riverside-dev/odoo-*",
    "reason": "The vendor's agent writes beside its binary until release 4.",
    "approver": "security officer",
    "expires": "2027-01-31",
}


def register(*entries):
    return parse(yaml.safe_dump({"waivers": list(entries)}), RULES)


def problems(found):
    return " | ".join(finding.message for finding in found.problems)


@pytest.fixture
def violating(body, resource):
    pod = body("core/Pod")
    pod["spec"]["containers"][0].pop("securityContext")
    return resource(pod)


def covered(violating, found, today):
    [judgement] = engine.judge([RULE], [violating], Context(today=today), found, "resource")
    return judgement


def test_a_waived_violation_is_shown_with_approver_expiry_and_reason(violating, today):
    judgement = covered(violating, register(ENTRY), today)
    diagnostic = report.diagnose(judgement, level="mandatory", preview=False)
    assert diagnostic is not None, "a waiver never hides"
    assert diagnostic.level == "advisory"
    assert diagnostic.message.startswith("WAIVED until 2027-01-31 by security officer: ")
    assert "readOnlyRootFilesystem is not true" in diagnostic.message
    assert "Reason: The vendor's agent" in diagnostic.message


@pytest.mark.parametrize(
    "name",
    [
        "kubernetes:core/v1:Pod::odoo-web",
        "kubernetes:core/v1:Pod::riverside-dev/odoo-web",
        "kubernetes:core/v1:Pod::riverside-*/odoo-web",
        "urn:pulumi:dev::careops::kubernetes:core/v1:Pod::odoo-web",
    ],
)
def test_a_waiver_names_a_resource_by_urn_or_by_type_and_name(name, violating, today):
    assert covered(violating, register({**ENTRY, "resource": name}), today).waiver is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("resource", "kubernetes:core/v1:Pod::odoo"),
        ("resource", "kubernetes:apps/v1:Deployment::odoo-web"),
        ("resource", "urn:pulumi:prod::careops::kubernetes:core/v1:Pod::odoo-web"),
        ("resource", "kubernetes:core/v1:Pod::riverside.dev/odoo-web"),
        ("rule", "pods-have-resource-limits"),
    ],
)
def test_a_waiver_covers_nothing_else(field, value, violating, today):
    found = register({**ENTRY, field: value})
    assert found.problems == ()
    assert covered(violating, found, today).waiver is None


def test_a_waiver_holds_through_its_last_day_and_not_a_day_longer(violating):
    last = date(2027, 1, 31)
    found = register(ENTRY)
    assert covered(violating, found, last).waiver is not None
    assert found.findings(last) == ()
    assert covered(violating, found, last + timedelta(days=1)).waiver is None
    [finding] = found.findings(last + timedelta(days=1))
    assert "approved by security officer, expired on 2027-01-31" in finding.message


def test_a_waiver_that_ends_too_far_ahead_is_a_finding(today):
    assert register({**ENTRY, "expires": str(today + timedelta(days=MAX_DAYS))}).findings(today) == ()
    [finding] = register({**ENTRY, "expires": "9999-12-31"}).findings(today)
    assert "choose a day to review it on" in finding.message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "pods-run-as-root"}, "there is no rule pods-run-as-root"),
        ({"rule": "secrets-are-never-plaintext"}, "accepts no exception"),
        ({"rule": "exceptions-are-registered"}, "accepts no exception"),
        ({"reason": ""}, "reason is missing"),
        ({"reason": "later"}, "shorter than"),
        ({"approver": None}, "approver is missing"),
        ({"expires": "next year"}, "not a day"),
        ({"expires": 20270131}, "not a day"),
        ({"resource": "odoo-web"}, "neither a URN nor type::name"),
        ({"resource": "kubernetes:core/v1:Pod::*"}, "may not be only *"),
        ({"resource": "kubernetes:core/v1:*::odoo-web"}, "type must be whole"),
        ({"resource": "kubernetes:core/v1:Pod::*/*"}, "may not be only *"),
        ({"resource": "urn:pulumi:*"}, "holds no *"),
        ({"forever": True}, "field forever is unknown"),
    ],
)
def test_a_malformed_waiver_covers_nothing_and_is_a_finding(change, message, violating, today):
    found = register({**ENTRY, **change})
    assert message in problems(found)
    assert covered(violating, found, today).waiver is None


def test_every_problem_of_an_entry_is_told_at_once():
    found = register({**ENTRY, "rule": "nothing", "resource": "nothing", "reason": "short", "expires": "never"})
    assert len(found.problems) == 4


def test_one_bad_entry_does_not_take_the_good_ones_with_it(violating, today):
    assert covered(violating, register({"rule": "nothing"}, ENTRY), today).waiver is not None


@pytest.mark.parametrize(
    "text", ["", "waivers", "[]", "waivers: {}", "waivers: []\nother: 1", "waivers: [", "waivers: [1]"]
)
def test_a_register_that_cannot_be_read_is_a_finding_and_not_an_empty_register(text):
    assert parse(text, RULES).problems


def test_a_missing_register_is_a_finding(tmp_path):
    assert "cannot be read" in problems(load(tmp_path / "waivers.yaml", RULES))


def test_a_rule_that_is_not_waivable_is_never_covered_whatever_the_register_holds(violating, today):
    strict = replace(RULE, waivable=False)
    [judgement] = engine.judge([strict], [violating], Context(today=today), register(ENTRY), "resource")
    assert judgement.waiver is None


def test_what_is_wrong_with_the_register_is_a_finding_of_its_own_rule(today):
    expired = register({**ENTRY, "expires": "2020-01-01"})
    context = Context(today=today, exceptions=expired.findings(today))
    [judgement] = engine.judge(RULES.values(), [], context, expired, "run")
    diagnostic = report.diagnose(judgement, level="mandatory", preview=True)
    assert diagnostic is not None
    assert (diagnostic.rule, diagnostic.level) == ("exceptions-are-registered", "mandatory")
    assert "expired on 2020-01-01" in diagnostic.message


def test_an_empty_register_passes(today):
    [judgement] = engine.judge(RULES.values(), [], Context(today=today), Register(), "run")
    assert judgement.verdict == Pass()


def test_the_committed_register_is_well_formed():
    assert load(Path(policies.__file__).with_name("waivers.yaml"), RULES).problems == ()
