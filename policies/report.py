"""Turn judgements into diagnostics: what is wrong, why it matters, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from policies.controls import CONTROLS
from policies.verdicts import Fail, Undetermined

if TYPE_CHECKING:
    from policies.engine import Judgement
    from policies.rule import Level, Rule
    from policies.verdicts import Doubt, Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnostic:
    """One line group of output.

    Attributes:
        rule: Id of the rule.
        level: How it is enforced here; a mandatory one stops the run.
        urn: The resource's URN, empty when the run as a whole is meant.
        message: Text for people.
    """

    rule: str
    level: Level
    urn: str
    message: str


def citations(rule: Rule) -> tuple[str, ...]:
    """Return the HIPAA citations a rule serves, without repetition.

    Args:
        rule: The rule.

    Returns:
        Paragraphs of 45 CFR Part 164.
    """
    return tuple(dict.fromkeys(cited for control in rule.controls for cited in CONTROLS[control].hipaa))


def diagnose(judgement: Judgement, *, level: Level, preview: bool) -> Diagnostic | None:
    """Render one judgement.

    Args:
        judgement: The judgement.
        level: The pack's level for its rule.
        preview: True while values may be unknown because nothing has been created yet.

    Returns:
        Nothing for a pass or a rule that does not apply. A waived violation is advisory and says who approved it until
        when. An undetermined verdict is advisory in a preview, which judges nothing finally, and keeps its level after.
    """
    verdict, rule = judgement.verdict, judgement.rule
    if isinstance(verdict, Fail):
        lines = [*map(_finding, verdict.findings), *map(_doubt, verdict.doubts)]
        heading = rule.title
    elif isinstance(verdict, Undetermined):
        lines = [*map(_doubt, verdict.doubts)]
        heading = f"{'NOT EVALUATED in this preview' if preview else 'UNDETERMINED, which is no pass'}: {rule.title}"
        level = "advisory" if preview else level
    else:
        return None
    if judgement.waiver is not None:
        waiver = judgement.waiver
        heading = f"WAIVED until {waiver.expires} by {waiver.approver}: {rule.title}"
        lines.append(f"Reason: {waiver.reason}")
        level = "advisory"
    elif isinstance(verdict, Undetermined) and preview:
        lines.append("The update judges it again and stops while it is unknown.")
    else:
        lines.append(f"Do: {rule.remediation}")
    lines.append(f"Controls: {', '.join(rule.controls)} (HIPAA {', '.join(citations(rule))})")
    urn = judgement.resource.urn if judgement.resource is not None else ""
    return Diagnostic(
        rule=rule.id, level=level, urn=urn, message="\n".join([heading, *(f"  {line}" for line in lines)])
    )


def _finding(finding: Finding) -> str:
    return f"- {finding.path}: {finding.message}" if finding.path else f"- {finding.message}"


def _doubt(doubt: Doubt) -> str:
    return f"- {doubt.path or 'the resource'}: not judged, {doubt.reason}"
