"""The catalogue is complete in both directions, and adding or removing a control is a reviewed change."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from policies import catalogue
from policies.controls import CONTROLS, HIPAA, ISO27001, NIS2
from policies.packs import HEALTHCARE
from policies.rules import RULES

ROOT = Path(__file__).resolve().parents[2]

# id -> level; a change here changes what the platform promises
HEALTHCARE_RULES = {
    "pods-run-as-non-root": "mandatory",
    "pods-have-read-only-root": "mandatory",
    "pods-stay-off-the-host": "mandatory",
    "pods-have-resource-limits": "mandatory",
    "images-are-pinned-by-digest": "mandatory",
    "namespaces-deny-by-default": "mandatory",
    "providers-are-explicit": "mandatory",
    "postgresql-requires-tls": "mandatory",
    "data-is-classified": "mandatory",
    "secrets-are-never-plaintext": "mandatory",
    "exceptions-are-registered": "mandatory",
}
ACCEPT_NO_EXCEPTION = {
    "namespaces-deny-by-default",
    "providers-are-explicit",
    "postgresql-requires-tls",
    "secrets-are-never-plaintext",
    "exceptions-are-registered",
}


def test_the_healthcare_pack_binds_exactly_these_rules():
    assert dict(HEALTHCARE.levels) == HEALTHCARE_RULES


def test_every_rule_is_bound_by_a_pack():
    assert set(RULES) == set(HEALTHCARE.levels)


def test_exactly_these_rules_accept_no_exception():
    assert {rule.id for rule in RULES.values() if not rule.waivable} == ACCEPT_NO_EXCEPTION


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.id)
def test_every_rule_has_controls_remediation_and_evidence(rule):
    assert rule.controls
    assert set(rule.controls) <= set(CONTROLS)
    assert rule.title.endswith(".")
    assert rule.remediation.endswith(".")
    assert rule.evidence
    assert all(evidence.shows.endswith(".") for evidence in rule.evidence)
    assert re.fullmatch(r"[a-z]+(-[a-z]+)+", rule.id)


@pytest.mark.parametrize("control", CONTROLS.values(), ids=lambda control: control.id)
def test_every_control_has_a_rule_and_a_known_citation(control):
    assert [entry for entry in catalogue.entries() if entry.control == control]
    assert control.hipaa
    assert set(control.hipaa) <= set(HIPAA)
    assert set(control.nis2) <= set(NIS2)
    assert set(control.iso27001) <= set(ISO27001)


def test_no_citation_is_listed_that_no_control_uses():
    used = {cited for control in CONTROLS.values() for cited in (*control.hipaa, *control.nis2, *control.iso27001)}
    assert used == {*HIPAA, *NIS2, *ISO27001}


def test_hipaa_citations_have_the_form_of_the_regulation():
    for cited in HIPAA:
        assert re.fullmatch(r"164\.3(06|08|10|12|14|16)\([a-e]\)\(\d\)(\([ivx]+\)(\([A-D]\))?)?|164\.312\(d\)", cited)


def test_the_page_in_docs_is_what_the_code_says():
    page = (ROOT / "docs" / "controls.md").read_text(encoding="utf-8")
    assert page == catalogue.markdown(), "run: python -m policies.catalogue > docs/controls.md"


def test_the_page_names_every_control_rule_and_citation():
    page = catalogue.markdown()
    for name in (*CONTROLS, *RULES, *HIPAA, *NIS2, *ISO27001):
        assert name in page
