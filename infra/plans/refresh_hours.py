"""When training is not to be refreshed, as the API server judges it: in approved class hours, and in a release freeze.

The jobs of a refresh have no access to the Kubernetes API, and the schedule starts them without anybody's command. What
they all have in common is that somebody creates a Job: there the API server compares the Job's own time, from its
creation to its deadline, with the requests that are kept and with the freezes of the settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from infra import naming
from infra.plans.sandbox import GRANTED, GROUP, KIND, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from infra.model import Freeze
    from infra.plans.manifest import Manifest

REQUEST_ANNOTATION = f"{GROUP}/sandbox-request"
"""On a Job that carries out a request: whose class hours do not stand in its way."""

STOP_SECONDS = 60
"""How long a pod may take to end at its Job's deadline: twice the grace that Kubernetes gives it."""

CLOCKS_SECONDS = 30
"""How much later than planned a Job may be made: the request's way, and clocks that do not agree to the second."""

LONGEST_CLASS_DAYS = 31
"""Days of a class at most, as the kind's own schema has it."""

_NO_DEADLINE = 48 * 3600  # the longest that refresh.deadline_hours allows
_LAST = "params.history.filter(e, e.number == params.history.size())[0]"
_OWN = (
    "has(object.metadata.annotations) && "
    f"'{REQUEST_ANNOTATION}' in object.metadata.annotations && "
    f"object.metadata.annotations['{REQUEST_ANNOTATION}'] == params.metadata.name"
)
# What a freeze begins and ends with, and what a class's hours are written as, is the clock on the wall. So moments are
# turned into what that clock shows, written as if it were UTC, and compared with each other as such.
_TIMES = {
    "begin": "timestamp(object.metadata.creationTimestamp)",
    "end": "variables.begin + duration(string("
    f"(has(object.spec.activeDeadlineSeconds) ? object.spec.activeDeadlineSeconds : {_NO_DEADLINE}) + {STOP_SECONDS}"
    ") + 's')",
}


def _on_the_wall(moment: str, zone: str) -> str:
    """Return an expression (CEL) for what the clock of a time zone shows at a moment."""
    asked = {name: f"{moment}.{name}({zone})" for name in ("getFullYear", "getDayOfYear", "getHours", "getMinutes")}
    minutes = f"({asked['getDayOfYear']} * 24 + {asked['getHours']}) * 60 + {asked['getMinutes']}"
    seconds = f"({minutes}) * 60 + {moment}.getSeconds({zone})"
    year = f"timestamp(string({asked['getFullYear']}) + '-01-01T00:00:00Z')"
    return f"{year} + duration(string({seconds}) + 's')"


def classes_policy(site: str) -> Manifest:
    """Return the spec of the policy that no refresh of a site may last into class hours that were approved.

    It is judged once for each request. The hours of the request that the Job carries out do not count.
    """
    at, zone = "timestamp(params.spec.firstDay + 'T' + params.spec.{} + ':00Z')", "params.spec.timeZone"
    variables = {
        **_TIMES,
        "starts": _on_the_wall("variables.begin", zone),
        "stops": _on_the_wall("variables.end", zone),
        "first": at.format("begins"),
        "length": f"{at.format('ends')} - variables.first",
        "days": "(timestamp(params.spec.lastDay + 'T00:00:00Z') - timestamp(params.spec.firstDay + 'T00:00:00Z'))"
        ".getHours() / 24",
    }
    day = "variables.first + duration(string(n * 24) + 'h')"
    meets = f"n <= variables.days && variables.starts < {day} + variables.length && variables.stops > {day}"
    holds = (
        f"!({_LAST}.state in {list(GRANTED)!r}) || ({_OWN}) || !{list(range(LONGEST_CLASS_DAYS))!r}.exists(n, {meets})"
    )
    said = (
        "'training belongs to the class ' + params.spec.course + ' (' + params.metadata.name + '), ' + "
        "params.spec.firstDay + ' to ' + params.spec.lastDay + ', ' + params.spec.begins + '-' + params.spec.ends + "
        "' (' + params.spec.timeZone + '); this refresh could last until ' + string(variables.end)"
    )
    return {
        "failurePolicy": "Fail",
        "paramKind": {"apiVersion": f"{GROUP}/{VERSION}", "kind": KIND},
        **_judged(site, variables),
        "validations": [{"expression": holds, "messageExpression": said, "reason": "Forbidden"}],
    }


def freezes_policy(site: str, freezes: Sequence[Freeze], time_zone: str) -> Manifest:
    """Return the spec of the policy that no refresh of a site may last into a release freeze.

    Args:
        site: The site.
        freezes: Its freezes.
        time_zone: Its time zone.
    """
    zone = f"'{time_zone}'"
    variables = {
        **_TIMES,
        "starts": _on_the_wall("variables.begin", zone),
        "stops": _on_the_wall("variables.end", zone),
    }
    return {
        "failurePolicy": "Fail",
        **_judged(site, variables),
        "validations": [_outside(freeze) for freeze in freezes],
    }


def _outside(freeze: Freeze) -> dict[str, str]:
    over = f"timestamp('{freeze.last_day}T00:00:00Z') + duration('24h')"
    meets = f"variables.starts < {over} && variables.stops > timestamp('{freeze.first_day}T00:00:00Z')"
    said = f"release freeze {freeze.first_day} to {freeze.last_day}: {' '.join(freeze.reason.split())}"
    return {"expression": f"!({meets})", "message": said, "reason": "Forbidden"}


def _judged(site: str, variables: Mapping[str, str]) -> Manifest:
    """Return what both policies have in common: the Jobs that fill training; a rollback undoes, and is no refresh."""
    jobs = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    parts = [naming.REFRESH_EXPORT, naming.REFRESH_MASK, naming.REFRESH_ADOPT]
    return {
        "matchConstraints": {
            "resourceRules": [jobs],
            "objectSelector": {
                "matchLabels": {naming.SITE_LABEL: site},
                "matchExpressions": [{"key": naming.NAME_LABEL, "operator": "In", "values": parts}],
            },
        },
        "variables": [{"name": name, "expression": text} for name, text in variables.items()],
    }


def classes_binding(policy: str, namespace: str) -> Manifest:
    """Return the spec of the binding: every request of a training counts, and none is fine as well.

    Args:
        policy: The policy's name.
        namespace: Training's.
    """
    requests = {"namespace": namespace, "selector": {}, "parameterNotFoundAction": "Allow"}
    return {"policyName": policy, "validationActions": ["Deny"], "paramRef": requests}


def freezes_binding(policy: str) -> Manifest:
    """Return the spec of the binding of the freezes."""
    return {"policyName": policy, "validationActions": ["Deny"]}
