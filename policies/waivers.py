"""Waivers: exceptions to a rule, as data, with a reason, an approver and an end.

A waiver changes how a violation is reported (as waived, with approver and expiry), never whether. An entry that is
malformed, expired, names an unknown rule or one that accepts no exception covers nothing and is itself a finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from policies.verdicts import Finding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.resources import Resource
    from policies.rule import Rule

FIELDS: Final = ("rule", "resource", "reason", "approver", "expires")
MAX_DAYS: Final = 366
"""Longest time ahead a waiver may end, in days: each is reviewed at least yearly (45 CFR 164.308(a)(8), periodic)."""
REGISTER: Final = Path(__file__).with_name("waivers.yaml")
"""The register of this checkout."""
MIN_REASON: Final = 20
"""Fewest characters that can hold a justification."""

_URN: Final = "urn:pulumi:"


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiver:
    """One approved exception.

    Attributes:
        rule: Id of the rule it is an exception to.
        resource: A URN, or `type::name` where the name is Pulumi's or `namespace/name` and may hold `*`.
        reason: Why the exception is acceptable.
        approver: Who accepted it.
        expires: Last day it holds, UTC.
    """

    rule: str
    resource: str
    reason: str
    approver: str
    expires: date

    def covers(self, rule: Rule, resource: Resource) -> bool:
        """Tell whether it is about this rule and resource.

        Args:
            rule: The rule.
            resource: The resource.

        Returns:
            True when both match, whatever the date.
        """
        if self.rule != rule.id:
            return False
        pattern = re.compile(".*".join(re.escape(part) for part in self.resource.split("*")))
        return any(pattern.fullmatch(reference) for reference in resource.references)


@dataclass(frozen=True, kw_only=True, slots=True)
class Register:
    """All waivers, and what is wrong with the entries that are none.

    Attributes:
        waivers: The well-formed entries, expired ones included.
        problems: A finding for each entry that covers nothing.
    """

    waivers: tuple[Waiver, ...] = ()
    problems: tuple[Finding, ...] = ()

    def covering(self, rule: Rule, resource: Resource, today: date) -> Waiver | None:
        """Return the waiver in force for a rule and resource.

        Args:
            rule: The rule; one that is not waivable is never covered.
            resource: The resource.
            today: The day to judge on.

        Returns:
            The first waiver that matches and has not expired, or `None`.
        """
        if not rule.waivable:
            return None
        return next((found for found in self.waivers if found.expires >= today and found.covers(rule, resource)), None)

    def findings(self, today: date) -> tuple[Finding, ...]:
        """Return everything that is wrong with the register on a day.

        Args:
            today: The day to judge on.

        Returns:
            The malformed entries, then the expired ones and those that reach too far ahead.
        """
        dated = []
        for position, waiver in enumerate(self.waivers):
            path = f"waivers[{position}]"
            who = f"the waiver of {waiver.rule} for {waiver.resource}, approved by {waiver.approver},"
            if waiver.expires < today:
                dated.append(
                    Finding(path=path, message=f"{who} expired on {waiver.expires}: fix the cause or renew it")
                )
            elif waiver.expires > today + timedelta(days=MAX_DAYS):
                message = (
                    f"{who} ends on {waiver.expires}, more than {MAX_DAYS} days ahead: choose a day to review it on"
                )
                dated.append(Finding(path=path, message=message))
        return (*self.problems, *dated)


def load(path: Path, rules: Mapping[str, Rule]) -> Register:
    """Read the register.

    Args:
        path: The YAML file.
        rules: Known rules by id.

    Returns:
        The register; a file that cannot be read is a problem in it, never an empty register.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        message = (
            f"{path.name} cannot be read ({error.strerror}). Keep the file, with `waivers: []` when there are none"
        )
        return Register(problems=(Finding(path=path.name, message=message),))
    return parse(text, rules)


def parse(text: str, rules: Mapping[str, Rule]) -> Register:
    """Parse the register.

    Args:
        text: YAML with one key, `waivers`, a list of entries.
        rules: Known rules by id.

    Returns:
        The register, every entry either a waiver or a problem.
    """
    import yaml  # noqa: PLC0415  # 20 ms that only a run with a register needs

    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return _broken("the file is not YAML. Correct its syntax")
    if not isinstance(document, dict) or set(document) != {"waivers"} or not isinstance(document["waivers"], list):
        return _broken("the file is not a mapping with the one key `waivers` and a list under it")
    waivers: list[Waiver] = []
    problems: list[Finding] = []
    for position, entry in enumerate(document["waivers"]):
        path = f"waivers[{position}]"
        found = _entry(entry, rules)
        if isinstance(found, Waiver):
            waivers.append(found)
        else:
            problems += [Finding(path=path, message=message) for message in found]
    return Register(waivers=tuple(waivers), problems=tuple(problems))


def _broken(message: str) -> Register:
    return Register(problems=(Finding(path="waivers", message=f"no waiver can be read: {message}"),))


def _entry(entry: object, rules: Mapping[str, Rule]) -> Waiver | list[str]:
    """Return the waiver, or every reason why the entry is none."""
    if not isinstance(entry, dict):
        return [f"the entry is not a mapping. Give it the fields {', '.join(FIELDS)}"]
    problems = [f"the field {field} is missing or empty" for field in FIELDS if entry.get(field) in (None, "")]
    problems += [
        f"the field {field} is unknown; there are {', '.join(FIELDS)}" for field in entry if field not in FIELDS
    ]
    if problems:
        return problems
    problems += _rule_problems(str(entry["rule"]), rules)
    problems += _resource_problems(str(entry["resource"]))
    if len(str(entry["reason"]).strip()) < MIN_REASON:
        problems.append(f"the reason is shorter than {MIN_REASON} characters: say why the exception is acceptable")
    expires = _day(entry["expires"])
    if expires is None:
        problems.append("expires is not a day written as 2027-01-31")
    if problems or expires is None:
        return problems
    texts = {field: str(entry[field]).strip() for field in FIELDS[:-1]}
    return Waiver(**texts, expires=expires)


def _rule_problems(rule: str, rules: Mapping[str, Rule]) -> list[str]:
    if rule not in rules:
        return [f"there is no rule {rule}; the rules are {', '.join(sorted(rules))}"]
    if not rules[rule].waivable:
        return [f"the rule {rule} accepts no exception: {rules[rule].remediation}"]
    return []


def _resource_problems(resource: str) -> list[str]:
    if resource.startswith(_URN):
        return ["a URN names one resource and holds no *"] if "*" in resource else []
    type_, separator, name = resource.partition("::")
    if not separator or not type_ or "*" in type_ or not name.strip("*/"):
        return [
            "resource is neither a URN nor type::name, as in kubernetes:apps/v1:Deployment::cnpg-system/*. "
            "The type must be whole, and the name may not be only *"
        ]
    return []


def _day(value: object) -> date | None:
    """Return the day: YAML gives a date for an unquoted one and text for a quoted one."""
    if type(value) is date:
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
