"""Checks that need more than one setting; each names the settings it reads and what to do about a fault."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from infra.plans.sizes import peak_demand
from infra.problems import Problem
from infra.quantities import cpu_millicores, format_cpu, format_memory, memory_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from infra.facts import ClusterFacts
    from infra.model import EnvironmentSettings, Refresh, Resources, SiteSettings, StackSettings, WaivableRule, Waiver

# The platform sets these; a stack that could set them too could switch encryption or the audit trail off.
RESERVED_PARAMETERS = ("ssl", "pgaudit", "password_encryption", "shared_preload_libraries", "listen_addresses", "log_")

# Each exception is reviewed at least yearly (45 CFR 164.308(a)(8), periodic evaluation).
LONGEST_WAIVER_DAYS = 366
# RFC 3927 and RFC 4291. Every large cloud serves a machine's metadata and credentials at 169.254.169.254.
LINK_LOCAL = ("169.254.0.0/16", "fe80::/10")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a check looks at.

    Attributes:
        settings: The environment's settings.
        waivers: The site's waivers.
        today: The day waivers are judged on.
        refresh: The site's refresh of training.
    """

    settings: EnvironmentSettings
    waivers: tuple[Waiver, ...]
    today: date
    refresh: Refresh | None = None


@dataclass(frozen=True, kw_only=True)
class Check:
    """One check.

    Attributes:
        reads: The settings it reads; it is skipped while one of them is itself faulty.
        find: Returns the faults, with paths inside the settings.
    """

    reads: tuple[str, ...]
    find: Callable[[Subject], Iterator[Problem]]


def check_environment(subject: Subject, *, faulty: tuple[str, ...] = ()) -> list[Problem]:
    """Return every fault the checks find, leaving out checks that read a setting already known to be faulty."""
    problems: list[Problem] = []
    for check in CHECKS:
        if not any(_overlap(path, read) for path in faulty for read in check.reads):
            problems += check.find(subject)
    return problems


def check_site(site: SiteSettings, file_stem: str) -> list[Problem]:
    """Return the faults of a site that need more than one of its settings."""
    problems = []
    if site.name != file_stem:
        message = f"is {site.name!r}, but the file is called {file_stem}.yaml"
        problems.append(Problem(path="name", message=message, action="Give both the same name."))
    if site.region not in site.allowed_regions:
        message = f"{site.region!r} is outside the regions the site's data may be kept in"
        action = f"Choose one of {', '.join(site.allowed_regions)}, or have allowed_regions extended."
        problems.append(Problem(path="region", message=message, action=action))
    for field in ("modules", "languages", "allowed_regions"):
        values: tuple[str, ...] = getattr(site, field)
        twice = sorted({value for value in values if values.count(value) > 1})
        problems += [
            Problem(path=field, message=f"lists {value!r} twice", action="Remove one of them.") for value in twice
        ]
    problems += _sandbox_problems(site)
    return problems + ([] if site.refresh is None else list(_refresh_problems(site.refresh)))


def _sandbox_problems(site: SiteSettings) -> Iterator[Problem]:
    if site.sandbox is not None and site.refresh is None:
        message = "takes requests for a refreshed training, but the site has no refresh"
        yield Problem(path="sandbox", message=message, action="Write refresh: as well, or remove sandbox:.")
    for index, freeze in enumerate(site.freezes):
        if freeze.last_day < freeze.first_day:
            message = f"is {freeze.last_day}, before its first day {freeze.first_day}: it freezes nothing"
            action = "Exchange the two, or correct the year."
            yield Problem(path=f"freezes[{index}].last_day", message=message, action=action)
    days = [freeze.first_day for freeze in site.freezes]
    for day in sorted({day for day in days if days.count(day) > 1}):
        message = f"has two entries that begin on {day}: a calendar could not tell them apart"
        yield Problem(path="freezes", message=message, action="Make them one.")


def _refresh_problems(refresh: Refresh) -> Iterator[Problem]:
    names = [role.name for role in refresh.roles]
    for name in sorted({name for name in names if names.count(name) > 1}):
        message = f"has two roles {name!r}: their logins would be the same"
        yield Problem(path="refresh.roles", message=message, action="Rename one of them.")
    yield from _quasi_identifier_problems(refresh)
    sizes = refresh.sizes
    yield from _size_problems(
        {
            "refresh.sizes.isolated": sizes.isolated,
            "refresh.sizes.mask": sizes.mask,
            "refresh.sizes.export": sizes.export,
        }
    )


def _quasi_identifier_problems(refresh: Refresh) -> Iterator[Problem]:
    seen: dict[tuple[str, frozenset[str]], int] = {}
    for index, each in enumerate(refresh.quasi_identifiers):
        path = f"refresh.quasi_identifiers[{index}]"
        if each.threshold is not None and each.threshold < refresh.k_anonymity:
            message = f"is {each.threshold}, which is weaker than k_anonymity: {refresh.k_anonymity}"
            action = f"Write at least {refresh.k_anonymity}, or leave it out."
            yield Problem(path=f"{path}.threshold", message=message, action=action)
        for column in sorted({column for column in each.columns if each.columns.count(column) > 1}):
            yield Problem(path=f"{path}.columns", message=f"lists {column!r} twice", action="Remove one of them.")
        if each.person is not None and "." in each.person:
            message = f"is {each.person!r}, a column of another table"
            yield Problem(path=f"{path}.person", message=message, action=f"Name a column of {each.table} itself.")
        first = seen.setdefault((each.table, frozenset(each.columns)), index)
        if first != index:
            message = f"is the set of refresh.quasi_identifiers[{first}] again"
            yield Problem(path=path, message=message, action="Remove one of them.")


def check_against_facts(stack: StackSettings, facts: ClusterFacts) -> list[Problem]:
    """Return settings that would open the environment to the cluster itself or to other environments."""
    inside = {
        "the API server": facts.api_server.cidrs,
        "the nodes": facts.node_cidrs,
        "the pods": facts.pod_cidrs,
        "the link itself, where clouds hand out credentials": LINK_LOCAL,
    }
    network = stack.settings.network
    given = [(f"network.client_cidrs[{index}]", cidr) for index, cidr in enumerate(network.client_cidrs)]
    given += [(f"network.partners[{index}].cidr", partner.cidr) for index, partner in enumerate(network.partners)]
    return [
        Problem(
            path=f"Pulumi.{stack.stack}.yaml: {path}",
            message=f"{cidr} contains addresses of {what} ({own}): the rule would cross the environment's boundary",
            action="Name only networks outside the cluster.",
        )
        for path, cidr in given
        for what, cidrs in inside.items()
        for own in cidrs
        if _networks_overlap(cidr, own)
    ]


def _networks_overlap(one: str, other: str) -> bool:
    first, second = ipaddress.ip_network(one), ipaddress.ip_network(other)
    return first.version == second.version and first.overlaps(second)


def _overlap(path: str, read: str) -> bool:
    return path == read or path.startswith((f"{read}.", f"{read}[")) or read.startswith((f"{path}.", f"{path}["))


def _demo_data(subject: Subject) -> Iterator[Problem]:
    data, environment = subject.settings.data, subject.settings.environment
    if environment == "prod" and data.accepts_demo_data:
        message = "is true, but prod holds real records: invented patients and users must never be among them"
        yield Problem(path="data.accepts_demo_data", message=message, action="Set it to false.")
    if data.baseline == "demo" and not data.accepts_demo_data:
        message = "is 'demo', but the environment does not accept demo data"
        action = "Choose baseline standard, or set data.accepts_demo_data to true (never in prod)."
        yield Problem(path="data.baseline", message=message, action=action)


def _training_egress(subject: Subject) -> Iterator[Problem]:
    if subject.settings.environment == "training" and subject.settings.network.partners:
        message = "are set, but training reaches no system outside: trainees' actions must have no effect there"
        yield Problem(path="network.partners", message=message, action="Remove them.")


def _partner_names(subject: Subject) -> Iterator[Problem]:
    names = [partner.name for partner in subject.settings.network.partners]
    for name in sorted({name for name in names if names.count(name) > 1}):
        message = f"lists {name!r} twice"
        yield Problem(path="network.partners", message=message, action="Merge them or rename one.")


def _standby(subject: Subject) -> Iterator[Problem]:
    if subject.settings.environment == "prod" and subject.settings.database.instances < 2:  # noqa: PLR2004 - primary and standby
        message = "is 1: prod without a standby cannot meet its recovery targets (RPO 1 min, RTO 15 min)"
        yield from _unless_waived(subject, "database-standby", "database.instances", message, "Set it to 2.")


def _protection(subject: Subject) -> Iterator[Problem]:
    if subject.settings.environment == "prod" and subject.settings.data.protected is False:
        message = "is false: one command could delete prod's records"
        yield from _unless_waived(subject, "data-protection", "data.protected", message, "Remove it or set it to true.")


def _unless_waived(subject: Subject, rule: WaivableRule, path: str, message: str, action: str) -> Iterator[Problem]:
    environment = subject.settings.environment
    matching = [each for each in subject.waivers if (each.rule, each.environment) == (rule, environment)]
    waiver = max(matching, key=lambda each: each.expires, default=None)
    if waiver is None:
        way_out = f"or add a waiver of {rule} for {environment} to sites/{subject.settings.site}.yaml."
        yield Problem(path=path, message=message, action=f"{action[:-1]}, {way_out}")
    elif waiver.expires < subject.today:
        expired = f"{message}; its waiver expired on {waiver.expires}"
        yield Problem(path=path, message=expired, action=f"{action[:-1]}, or have {waiver.approver} renew the waiver.")
    elif waiver.expires > subject.today + timedelta(days=LONGEST_WAIVER_DAYS):
        far = f"{message}; its waiver ends on {waiver.expires}, more than {LONGEST_WAIVER_DAYS} days ahead"
        yield Problem(path=path, message=far, action="Let it end sooner, on a day it is reviewed.")


def _shared_filestore(subject: Subject) -> Iterator[Problem]:
    if subject.settings.odoo.replicas > 1 and subject.settings.filestore.access == "single-node":
        message = "is 'single-node', but web replicas on different nodes share one filestore"
        yield Problem(path="filestore.access", message=message, action="Use shared, or set odoo.replicas to 1.")


def _reserved_parameters(subject: Subject) -> Iterator[Problem]:
    for name in subject.settings.database.parameters:
        if name.startswith(RESERVED_PARAMETERS):
            message = "is set by the platform: it is part of encryption or of the audit trail"
            yield Problem(path=f"database.parameters.{name}", message=message, action="Remove it.")


def _requests_within_limits(subject: Subject) -> Iterator[Problem]:
    sizes: dict[str, Resources] = {
        "odoo.resources": subject.settings.odoo.resources,
        "odoo.cron.resources": subject.settings.odoo.cron.resources,
        "odoo.migration": subject.settings.odoo.migration,
        "database.resources": subject.settings.database.resources,
    }
    yield from _size_problems(sizes)


def _size_problems(sizes: Mapping[str, Resources]) -> Iterator[Problem]:
    for path, size in sizes.items():
        if memory_bytes(size.memory_request) > memory_bytes(size.memory_limit):
            message = f"{size.memory_request} is more than memory_limit {size.memory_limit}"
            yield Problem(path=f"{path}.memory_request", message=message, action="Lower it or raise the limit.")
        if cpu_millicores(size.cpu_request) > cpu_millicores(size.cpu_limit):
            message = f"{size.cpu_request} is more than cpu_limit {size.cpu_limit}"
            yield Problem(path=f"{path}.cpu_request", message=message, action="Lower it or raise the limit.")


def _quota(subject: Subject) -> Iterator[Problem]:
    demand, quota = peak_demand(subject.settings, subject.refresh), subject.settings.quota
    rows = (
        ("cpu_requests", cpu_millicores(quota.cpu_requests), demand.cpu_requests, format_cpu),
        ("memory_limits", memory_bytes(quota.memory_limits), demand.memory_limits, format_memory),
        ("storage", memory_bytes(quota.storage), demand.storage, format_memory),
    )
    for name, allowed, needed, form in rows:
        if allowed < needed:
            message = f"{form(allowed)} is less than the environment declares during a rolling update: {form(needed)}"
            yield Problem(path=f"quota.{name}", message=message, action="Raise it, or make the workloads smaller.")


_SIZES = ("odoo", "database", "filestore", "environment")
CHECKS: tuple[Check, ...] = (
    Check(reads=("environment", "data.accepts_demo_data", "data.baseline"), find=_demo_data),
    Check(reads=("environment", "network.partners"), find=_training_egress),
    Check(reads=("network.partners",), find=_partner_names),
    Check(reads=("environment", "site", "database.instances"), find=_standby),
    Check(reads=("environment", "site", "data.protected"), find=_protection),
    Check(reads=("odoo.replicas", "filestore.access"), find=_shared_filestore),
    Check(reads=("database.parameters",), find=_reserved_parameters),
    Check(reads=("odoo", "database.resources"), find=_requests_within_limits),
    Check(reads=(*_SIZES, "quota"), find=_quota),
)
