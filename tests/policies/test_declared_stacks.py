"""Every stack of this repository complies with the pack, exceptions only as registered."""

from __future__ import annotations

from pathlib import Path

import pytest

import policies
from infra.naming import ENVIRONMENTS
from policies import engine, report, waivers
from policies.analyzer import decode
from policies.packs import HEALTHCARE
from policies.resources import Provider, from_pulumi
from policies.rule import Context
from policies.rules import RULES
from policies.verdicts import Fail, Pass
from tests import declared

REGISTER = waivers.load(Path(policies.__file__).with_name("waivers.yaml"), RULES)


@pytest.fixture(params=[*ENVIRONMENTS, "platform"])
def recording(request, tmp_path):
    return declared.platform(tmp_path) if request.param == "platform" else declared.environment(request.param)


def provider(reference):
    """Read the engine's provider reference, `<urn>::<id>`."""
    return Provider(type="pulumi:providers:kubernetes", name=reference.split("::")[-2]) if reference else None


@pytest.fixture
def judgements(recording, today):
    resources = [
        resource
        for each in recording.resources
        for resource in from_pulumi(
            type_=each.type,
            name=each.name,
            urn=each.urn,
            properties={key: decode(value) for key, value in each.inputs.items()},
            provider=provider(each.provider),
        )
    ]
    context = Context(today=today, stack=tuple(resources))
    return [
        found
        for scope in ("resource", "stack")
        for found in engine.judge(HEALTHCARE.rules, resources, context, REGISTER, scope)
    ]


def test_no_declared_resource_violates_a_rule_without_a_waiver(judgements):
    rendered = [report.diagnose(each, level="mandatory", preview=False) for each in judgements]
    assert [f"{each.urn}\n{each.message}" for each in rendered if each and each.level == "mandatory"] == []


def test_the_rules_had_something_to_judge(judgements):
    passed = {each.rule.id for each in judgements if isinstance(each.verdict, Pass)}
    expected = {rule.id for rule in HEALTHCARE.rules if rule.scope != "run"}
    assert passed == expected, "a rule that judged nothing proves nothing"


def test_the_same_stack_without_its_default_denial_fails(recording, today):
    resources = [
        resource
        for each in recording.resources
        if each.kind != "NetworkPolicy"
        for resource in from_pulumi(
            type_=each.type, name=each.name, urn=each.urn, properties=each.inputs, provider=None
        )
    ]
    context = Context(today=today, stack=tuple(resources))
    found = engine.judge(HEALTHCARE.rules, resources, context, REGISTER, "stack")
    assert [each for each in found if isinstance(each.verdict, Fail)]
