"""The engine fails closed and says where."""

from __future__ import annotations

from dataclasses import replace

import pytest

from policies import engine, report
from policies.controls import CONTROLS
from policies.resources import from_object
from policies.rule import Context
from policies.rules import RULES
from policies.values import UNKNOWN, MalformedValue, Node
from policies.verdicts import Doubt, Fail, Finding, Pass, Undetermined, conclude
from policies.waivers import Register, Waiver

RULE = RULES["pods-have-read-only-root"]
FINDING = Finding(path="spec", message="wrong")
DOUBT = Doubt(path="spec", reason="unseen")


def broken(_resource, _context):
    raise KeyError("hunter2")


@pytest.mark.parametrize(
    ("observations", "verdict"),
    [
        ([], Pass()),
        ([DOUBT], Undetermined(doubts=(DOUBT,))),
        ([FINDING], Fail(findings=(FINDING,))),
        ([DOUBT, FINDING], Fail(findings=(FINDING,), doubts=(DOUBT,))),
    ],
)
def test_a_doubt_never_becomes_a_pass_and_never_hides_a_finding(observations, verdict):
    assert conclude(observations) == verdict


def test_a_rule_that_raises_is_a_finding_of_that_rule_without_the_errors_text(resource, body, today):
    verdict = engine.verdict_of(replace(RULE, check=broken), resource(body("core/Pod")), Context(today=today))
    assert isinstance(verdict, Fail)
    assert verdict.broken
    assert "KeyError in test_engine.py" in verdict.findings[0].message
    assert "hunter2" not in verdict.findings[0].message, "an error may quote a credential"


def test_a_rule_that_raises_does_not_stop_the_others(resource, body, today):
    rules = [replace(RULE, check=broken), RULES["data-is-classified"]]
    first, second = engine.judge(rules, [resource(body("core/Pod"))], Context(today=today), Register(), "resource")
    assert isinstance(first.verdict, Fail)
    assert second.verdict == Pass()


def test_no_waiver_covers_a_rule_that_raises(resource, body, today):
    pod = resource(body("core/Pod"))
    waiver = Waiver(rule=RULE.id, resource=pod.urn, reason="r" * 20, approver="a", expires=today)
    register = Register(waivers=(waiver,))
    [judgement] = engine.judge([replace(RULE, check=broken)], [pod], Context(today=today), register, "resource")
    assert judgement.waiver is None


def test_a_resource_of_a_wrong_shape_is_a_finding_that_does_not_quote_it(resource, today):
    pod = resource({"apiVersion": "v1", "kind": "Pod", "metadata": {}, "spec": "hunter2"})
    verdict = engine.verdict_of(RULE, pod, Context(today=today))
    assert isinstance(verdict, Fail)
    assert verdict.findings[0].message == "cannot be judged: spec is text where a mapping belongs"


@pytest.mark.parametrize(
    ("node", "unknown", "absent"),
    [
        (Node({"a": {"b": 1}}).at("a", "b"), False, False),
        (Node({"a": UNKNOWN}).at("a", "b", "c"), True, False),
        (Node({}).at("a", "b"), False, True),
        (Node(UNKNOWN).at("a"), True, False),
    ],
)
def test_walking_keeps_unknown_and_absent_apart(node, unknown, absent):
    assert (node.unknown, node.absent) == (unknown, absent)


@pytest.mark.parametrize(
    "call", [lambda: Node(1).at("a"), lambda: list(Node("x").each()), lambda: list(Node([]).entries())]
)
def test_walking_into_the_wrong_shape_raises(call):
    with pytest.raises(MalformedValue):
        call()


@pytest.mark.parametrize("found", [{}, {"kind": "Pod"}, {"apiVersion": "v1"}])
def test_an_object_of_no_kind_is_refused(found):
    with pytest.raises(MalformedValue, match="apiVersion or kind"):
        from_object(found)


def test_a_diagnostic_says_what_is_wrong_what_to_do_and_which_control_it_serves(resource, body, today):
    pod = body("core/Pod")
    pod["spec"]["containers"][0].pop("securityContext")
    [judgement] = engine.judge([RULE], [resource(pod)], Context(today=today), Register(), "resource")
    diagnostic = report.diagnose(judgement, level="mandatory", preview=False)
    assert diagnostic is not None
    assert diagnostic.level == "mandatory"
    assert diagnostic.message.splitlines() == [
        RULE.title,
        "  - spec.containers[0].securityContext.readOnlyRootFilesystem: container web can change its own software: "
        "readOnlyRootFilesystem is not true",
        f"  Do: {RULE.remediation}",
        f"  Controls: software-integrity (HIPAA {', '.join(CONTROLS['software-integrity'].hipaa)})",
    ]
