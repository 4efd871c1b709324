"""What the API server checks of every write of a request for a sandbox, whoever writes it and with whatever program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from infra.plans.sandbox import APPROVE, GROUP, PLURAL, REBUILD, TRANSITIONS

if TYPE_CHECKING:
    from infra.plans.manifest import Manifest

_BEFORE = "oldObject.history.filter(e, e.number == oldObject.history.size())[0]"
_FIRST = "oldObject.history.filter(e, e.number == 1)[0]"
_ASKED = f"authorizer.group('{GROUP}').resource('{PLURAL}').namespace(object.metadata.namespace)"
_STEPS = sorted(f"{before}>{after}" for before, afters in TRANSITIONS.items() for after in afters)

VARIABLES = {
    "new": "request.operation == 'CREATE'",
    # By number, not by place: a list may be sent in another order.
    "found": "object.history.filter(e, e.number == object.history.size())",
    "entry": "variables.found[0]",
    "state": "variables.entry.state",
    "before": f"variables.new ? '' : {_BEFORE}.state",
    "requester": f"variables.new ? request.userInfo.username : {_FIRST}.who",
    "decides": "variables.state in ['approved', 'rejected']",
    "takesBack": "variables.before == 'approved' && variables.state == 'requested'",
    "mayApprove": f"{_ASKED}.check('{APPROVE}').allowed()",
    "mayRebuild": f"{_ASKED}.check('{REBUILD}').allowed()",
}
"""Expressions (CEL) by name, each built on those before it."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One thing that has to hold.

    Attributes:
        holds: The expression (CEL).
        otherwise: What the writer is told when it does not.
        reason: `Forbidden` where it is about who writes, `Invalid` where about what.
    """

    holds: str
    otherwise: str
    reason: Literal["Forbidden", "Invalid"] = "Forbidden"


CHECKS = (
    Check(
        holds="variables.new ? object.history.size() == 1 : object.history.size() == oldObject.history.size() + 1 "
        "&& oldObject.history.all(o, object.history.exists(e, e == o))",
        otherwise="a write adds one entry to the history, and changes none",
        reason="Invalid",
    ),
    Check(holds="variables.found.size() == 1", otherwise="entries are numbered from 1", reason="Invalid"),
    Check(
        holds="variables.entry.who == request.userInfo.username",
        otherwise="an entry names the user who writes it",
    ),
    Check(
        holds="variables.new ? variables.state == 'requested' : "
        f"(variables.before + '>' + variables.state) in {_STEPS!r}",
        otherwise="the request is not in a state that allows this",
        reason="Invalid",
    ),
    Check(
        holds=f"variables.new || timestamp(variables.entry.when) >= timestamp({_BEFORE}.when)",
        otherwise="an entry is not older than the one before it: compare this machine's clock",
        reason="Invalid",
    ),
    Check(
        holds="!(variables.decides || variables.takesBack) || variables.mayApprove",
        otherwise="only an approver approves, rejects, or takes an approval back",
    ),
    Check(
        holds="!variables.decides || request.userInfo.username != variables.requester",
        otherwise="a second person decides: nobody approves or rejects what they asked for",
    ),
    Check(
        holds="variables.state != 'withdrawn' || request.userInfo.username == variables.requester || "
        "variables.mayApprove",
        otherwise="only who asked, or an approver, withdraws",
    ),
    Check(
        holds="variables.state != 'ready' || variables.mayRebuild && has(variables.entry.run)",
        otherwise="only who refreshes training says that it is ready, and by which run",
    ),
    Check(
        holds="variables.state != 'expired' || variables.mayApprove || variables.mayRebuild",
        otherwise="only an approver, or who refreshes training, ends a request",
    ),
)


def admission_policy() -> Manifest:
    """Return the spec of the ValidatingAdmissionPolicy; a check that cannot be made refuses the write."""
    rule = {
        "apiGroups": [GROUP],
        "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"],
        "resources": [PLURAL],
    }
    return {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "variables": [{"name": name, "expression": text} for name, text in VARIABLES.items()],
        "validations": [
            {"expression": check.holds, "message": check.otherwise, "reason": check.reason} for check in CHECKS
        ],
    }
