"""Requests for a training sandbox, as plain data: their kind, who may write what into them, and the rules in force.

A request is an object of a kind of its own rather than a ConfigMap: rights in Kubernetes go by kind, and whoever may
create ConfigMaps in training could write Odoo's settings as well. Its history only grows; that each entry is written by
the user it names, and that nobody approves what they asked for, is checked by the API server, not by the command line.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, get_args

from infra.naming import SANDBOX_APPROVER, SANDBOX_RULES, SANDBOX_TRAINER

if TYPE_CHECKING:
    from infra.facts import ClusterFacts
    from infra.model import Sandbox, StackSettings
    from infra.plans.manifest import Manifest

GROUP = "careops.io"
VERSION = "v1"
KIND = "SandboxRequest"
PLURAL = "sandboxrequests"
CRD_NAME = f"{PLURAL}.{GROUP}"

# Verbs of our own that the admission policy asks the API server's authorizer about, as Kubernetes itself does for the
# signers of certificates. Nobody but a cluster administrator has `rebuild`.
APPROVE = "approve"
REBUILD = "rebuild"

RULES_KEY = "rules.json"

State = Literal["requested", "approved", "ready", "expired", "rejected", "withdrawn"]
STATES: tuple[State, ...] = get_args(State)

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "requested": ("approved", "rejected", "withdrawn", "expired"),
    # Back to requested: an approval that met another one for the same hours is taken back.
    "approved": ("ready", "requested", "withdrawn", "expired"),
    "ready": ("ready", "withdrawn", "expired"),
    "expired": (),
    "rejected": (),
    "withdrawn": (),
}

GRANTED: tuple[State, ...] = ("approved", "ready")
"""States whose class hours are taken."""

# Enough for years of rebuilding one class; a bound is what keeps the checks' cost bounded.
LONGEST_HISTORY = 64
COURSE_LENGTH = 80
REASON_LENGTH = 500
MOST_TRAINEES = 50
MOST_ROLES = 20
_USER_LENGTH = 253
# No control characters, line breaks or marks that turn text around: others read it in a terminal and a calendar.
ONE_LINE = r"^[^\p{C}\p{Zl}\p{Zp}]*$"

Plain = dict[str, Any]


def definition() -> Manifest:
    """Return the spec of the CustomResourceDefinition."""
    columns = [
        ("Course", ".spec.course"),
        ("First day", ".spec.firstDay"),
        ("Last day", ".spec.lastDay"),
        ("State", ".history[-1:].state"),
        ("Asked by", ".history[0].who"),
    ]
    return {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"kind": KIND, "listKind": f"{KIND}List", "plural": PLURAL, "singular": KIND.lower()},
        "versions": [
            {
                "name": VERSION,
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": _schema()},
                "additionalPrinterColumns": [
                    {"name": name, "type": "string", "jsonPath": path} for name, path in columns
                ],
            }
        ],
    }


def _schema() -> Plain:
    spec, entry = _asked(), _entry()
    needed = [name for name in entry if name != "run"]
    own = [
        ("self == oldSelf", "a request does not change: withdraw it and ask anew"),
        (
            "self.lastDay >= self.firstDay && self.lastDay - self.firstDay <= duration('720h')",
            "a class goes forward in time, and lasts 31 days at most",
        ),
        ("self.ends > self.begins", "a class ends after it begins"),
    ]
    return {
        "type": "object",
        "required": ["spec", "history"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "description": "What is asked for.",
                "required": list(spec),
                "properties": spec,
                "x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in own],
            },
            "history": {
                "type": "array",
                "description": "Who did what, when and why; it only grows.",
                "minItems": 1,
                "maxItems": LONGEST_HISTORY,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["number"],
                "items": {"type": "object", "required": needed, "properties": entry},
            },
        },
    }


def _asked() -> Plain:
    day, hour = {"type": "string", "format": "date", "maxLength": 10}, _text(5, r"^([01]\d|2[0-3]):[0-5]\d$")
    return {
        "course": _text(COURSE_LENGTH, ONE_LINE),
        "release": _text(63, ONE_LINE),
        "firstDay": day,
        "lastDay": day,
        "begins": hour,
        "ends": hour,
        "timeZone": _text(64, r"^[A-Za-z0-9_+/-]+$"),
        "trainees": {
            "type": "object",
            "minProperties": 1,
            "maxProperties": MOST_ROLES,
            "additionalProperties": {"type": "integer", "minimum": 1, "maximum": MOST_TRAINEES},
        },
    }


def _entry() -> Plain:
    return {
        "number": {"type": "integer", "minimum": 1, "maximum": LONGEST_HISTORY},
        "state": {"type": "string", "enum": list(STATES)},
        "who": _text(_USER_LENGTH),
        "when": {"type": "string", "format": "date-time", "maxLength": 32},
        "why": {"type": "string", "maxLength": REASON_LENGTH, "pattern": ONE_LINE},
        "run": {"type": "string", "maxLength": 63, "pattern": ONE_LINE},
    }


def _text(longest: int, pattern: str | None = None) -> Plain:
    return {"type": "string", "minLength": 1, "maxLength": longest, **({"pattern": pattern} if pattern else {})}


def access_rules(role: str) -> Manifest:
    """Return what a trainer, or an approver, may do in training's namespace; both read the rules in force.

    Args:
        role: The Role's name.
    """
    verbs = {
        SANDBOX_TRAINER: ["get", "list", "watch", "create", "update"],
        SANDBOX_APPROVER: ["get", "list", "watch", "update", APPROVE],
    }[role]
    return [
        {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": verbs},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": [SANDBOX_RULES], "verbs": ["get"]},
    ]


def groups_of(sandbox: Sandbox) -> dict[str, tuple[str, ...]]:
    """Return the groups of people that each Role is bound to."""
    return {SANDBOX_TRAINER: sandbox.trainers, SANDBOX_APPROVER: sandbox.approvers}


def subjects(groups: tuple[str, ...]) -> Manifest:
    """Return the subjects of a RoleBinding."""
    return [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": group} for group in groups]


def rules_document(stack: StackSettings, facts: ClusterFacts) -> str:
    """Return the rules that requests are judged by, so that everybody judges by what is deployed; JSON."""
    site = stack.site
    if site.sandbox is None or site.refresh is None:
        msg = f"{site.name} takes no requests: it lacks `sandbox` or `refresh`"
        raise ValueError(msg)
    document = {
        "schema": 1,
        "time_zone": site.time_zone,
        "release": release_of(facts),
        "roles": {role.name: role.trainees for role in site.refresh.roles},
        "freezes": [freeze.model_dump(mode="json") for freeze in site.freezes],
        **site.sandbox.model_dump(mode="json", exclude={"trainers", "approvers"}),
    }
    return json.dumps(document, indent=2, sort_keys=True) + "\n"


def release_of(facts: ClusterFacts) -> str:
    """Return the release that training runs: the tag of Odoo's image."""
    return facts.images["odoo"].partition("@")[0].rpartition(":")[2]
