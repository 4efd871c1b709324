"""Exceptions to rules exist only as waivers that name their reason, approver and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.rule import Context, Evidence, Rule
from policies.verdicts import Verdict, conclude

if TYPE_CHECKING:
    from policies.resources import Resource


def check(_: Resource | None, context: Context) -> Verdict:
    """Judge the register of waivers and the pack's configuration, once for each run.

    Args:
        context: Holds what is wrong with them today.

    Returns:
        Pass when every entry is complete, current and allowed.
    """
    return conclude(context.exceptions)


RULE: Final = Rule(
    id="exceptions-are-registered",
    title="Exceptions have a reason, an approver and an end, and rules are not weakened otherwise.",
    kinds=None,
    check=check,
    severity="high",
    controls=("managed-exceptions",),
    remediation="Correct, renew or remove the entry in policies/waivers.yaml; its first lines explain each field.",
    evidence=(
        Evidence(
            source="update", shows="Every exception in force was approved by a named person and ends on a set day."
        ),
    ),
    scope="run",
    waivable=False,
)
