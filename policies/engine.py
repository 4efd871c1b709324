"""Run rules over resources. Fails closed: a rule that raises is a finding, an unknown value is never a pass."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from policies.values import MalformedValue
from policies.verdicts import Doubt, Fail, Finding, NotApplicable, Undetermined

if TYPE_CHECKING:
    from collections.abc import Iterable

    from policies.resources import Resource
    from policies.rule import Context, Rule, Scope
    from policies.verdicts import Verdict
    from policies.waivers import Register, Waiver


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """One rule's verdict on one resource.

    Attributes:
        rule: The rule.
        resource: The resource, `None` when the stack as a whole is meant.
        verdict: What the rule said.
        waiver: The valid waiver that covers a failing or undetermined verdict, if there is one.
    """

    rule: Rule
    resource: Resource | None
    verdict: Verdict
    waiver: Waiver | None = None


def verdict_of(rule: Rule, resource: Resource | None, context: Context) -> Verdict:
    """Let one rule judge one resource.

    Args:
        rule: The rule.
        resource: The resource; `None` for a rule of scope `run`.
        context: What else the rule may know.

    Returns:
        The rule's verdict; `Fail` with `broken` set when the rule raised.
    """
    if rule.kinds is not None and resource is not None:
        if resource.kind not in rule.kinds:
            return NotApplicable(reason=f"judges no {resource.kind or resource.type}")
        if resource.partial:
            reason = "a patch shows only a part of the object; declare the whole object instead"
            return Undetermined(doubts=(Doubt(path="", reason=reason),))
    try:
        return rule.check(resource, context)
    except MalformedValue as error:
        return Fail(findings=(Finding(path="", message=f"cannot be judged: {error}"),))
    except Exception as error:  # whatever a rule raises must come out as a finding of that rule
        return Fail(findings=(Finding(path="", message=_explain(error)),), broken=True)


def judge(
    rules: Iterable[Rule], resources: Iterable[Resource], context: Context, register: Register, scope: Scope
) -> list[Judgement]:
    """Let every rule of a scope judge every resource, or once for scope `run`.

    Args:
        rules: The rules; those of other scopes are left out.
        resources: The resources; not looked at for scope `run`.
        context: What else the rules may know.
        register: The waivers.
        scope: Which rules to run.

    Returns:
        A judgement for each rule and resource, `NotApplicable` ones included.
    """
    chosen = [rule for rule in rules if rule.scope == scope]
    if scope == "run":
        return [Judgement(rule=rule, resource=None, verdict=verdict_of(rule, None, context)) for rule in chosen]
    return [_judge_one(rule, resource, context, register) for resource in resources for rule in chosen]


def _judge_one(rule: Rule, resource: Resource, context: Context, register: Register) -> Judgement:
    verdict = verdict_of(rule, resource, context)
    waiver = None
    if isinstance(verdict, Undetermined) or (isinstance(verdict, Fail) and not verdict.broken):
        waiver = register.covering(rule, resource, context.today)
    return Judgement(rule=rule, resource=resource, verdict=verdict, waiver=waiver)


def _explain(error: Exception) -> str:
    """Say where a rule broke, without the error's text: it may quote a property's value."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else "an unknown place"
    return (
        f"the rule itself failed with {type(error).__name__} in {place}, so nothing is proven. "
        "This is a defect of the rule: report it with this line"
    )
