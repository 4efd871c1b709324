"""The kinds of value settings hold; each check lives in its type, with what to do about a bad value."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from infra.problems import nearest
from infra.quantities import cpu_millicores, memory_bytes

_DNS_LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
_HOST_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_REGION = re.compile(r"^[a-z]{2,}(-[a-z0-9]+)+$")
_MODULE = re.compile(r"^[a-z][a-z0-9_]*$")
_LANGUAGE = re.compile(r"^[a-z]{2,3}(_[A-Z]{2})?$")
_GROUP = re.compile(r"^[a-z][a-z0-9_]*\.[a-zA-Z0-9_]+$")
_PEOPLE = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._@/:-]{0,127}$")
_CRON_FIELD = re.compile(r"^(\*|[0-9]+(-[0-9]+)?)(/[0-9]+)?$")
# Lowest and highest value of each field of a schedule: minute, hour, day of the month, month, day of the week.
_CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_TABLE = re.compile(r"^([a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*$")
_COLUMN_PATH = re.compile(r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?$")
_POSTGRESQL_PARAMETER = re.compile(r"^[a-z_]+(\.[a-z_]+)?$")

# A namespace is "<site>-<environment>" and at most 63 characters (RFC 1123 label); "-training" takes nine, and
# Kubernetes appends up to 24 to it in host names of services.
SITE_NAME_LENGTH = 30
HOST_NAME_LENGTH = 253
_SMALLEST_REACHABLE_RANGE = 8


def _fault(message: str, action: str) -> PydanticCustomError:
    # Braces would be read as a template by pydantic.
    return PydanticCustomError("careops", "{careops_message}", {"careops_message": message, "action": action})


def _dns_label(value: str) -> str:
    if not _DNS_LABEL.match(value) or len(value) > SITE_NAME_LENGTH:
        message = f"{value!r} cannot be part of a namespace's name"
        raise _fault(message, f"Use at most {SITE_NAME_LENGTH} of a-z, 0-9 and '-', starting with a letter.")
    return value


def _hostname(value: str) -> str:
    labels = value.split(".")
    too_short = len(labels) < 2  # noqa: PLR2004 - a name of one label is not a domain name
    if too_short or len(value) > HOST_NAME_LENGTH or not all(_HOST_LABEL.match(label) for label in labels):
        message = f"{value!r} is not a host name"
        raise _fault(message, "Write a full name in lower case without scheme or port, such as erp.example.org.")
    return value


def _cidr(value: str) -> str:
    try:
        network = ipaddress.ip_network(value)
    except ValueError as error:
        message = f"{value!r} is not a network range: {error}"
        action = "Write address and prefix length with the host bits zero, such as 10.20.0.0/16."
        raise _fault(message, action) from error
    if network.prefixlen < _SMALLEST_REACHABLE_RANGE:
        message = f"{value!r} is so wide that the rule would allow nearly everything"
        raise _fault(message, "Name the ranges that need access; /8 is the widest taken.")
    return value


def _time_zone(value: str) -> str:
    zones = zoneinfo.available_timezones()
    if value not in zones:
        near = nearest(value, zones)
        message = f"{value!r} is not a time zone"
        hint = f"Did you mean {near!r}? " if near else ""
        raise _fault(message, f"{hint}Use a name of the IANA database, such as Europe/Paris.")
    return value


def _region(value: str) -> str:
    if not _REGION.match(value):
        message = f"{value!r} is not a region"
        raise _fault(message, "Write the provider's or your own name of it in lower case, such as eu-west-3.")
    return value


def _memory(value: str) -> str:
    try:
        memory_bytes(value)
    except ValueError as error:
        raise _fault(str(error), "Write, for example, 512Mi or 2Gi.") from error
    return value


def _cpu(value: str) -> str:
    try:
        cpu_millicores(value)
    except ValueError as error:
        raise _fault(str(error), "Write, for example, 250m or 1.5.") from error
    return value


def _module(value: str) -> str:
    if not _MODULE.match(value):
        message = f"{value!r} is not the technical name of an Odoo module"
        raise _fault(message, "Write it as the module's folder is called, such as sale_management.")
    return value


def _language(value: str) -> str:
    if not _LANGUAGE.match(value):
        message = f"{value!r} is not a language of Odoo"
        raise _fault(message, "Write language and country, such as fr_FR or en_US.")
    return value


def _parameter(value: str) -> str:
    if not _POSTGRESQL_PARAMETER.match(value):
        message = f"{value!r} is not the name of a PostgreSQL parameter"
        raise _fault(message, "Write it as PostgreSQL does, such as work_mem.")
    return value


def _table(value: str) -> str:
    if not _TABLE.match(value):
        message = f"{value!r} is not the name of a table"
        raise _fault(message, "Write it as PostgreSQL does, such as hr_employee: a model's name with _ for each dot.")
    return value


def _column_path(value: str) -> str:
    if not _COLUMN_PATH.match(value):
        message = f"{value!r} is not the name of a column"
        action = "Write a column, such as job_id, or one of the row a foreign key points to: employee_id.birthday."
        raise _fault(message, action)
    return value


def _group(value: str) -> str:
    if not _GROUP.match(value):
        message = f"{value!r} is not a group of Odoo"
        raise _fault(message, "Write module and identifier, such as sales_team.group_sale_manager.")
    return value


def _people(value: str) -> str:
    if not _PEOPLE.match(value) or value.startswith("system:"):
        message = f"{value!r} cannot be a group of people"
        action = "Write the group as the cluster knows it, such as riverside-trainers; system: is Kubernetes' own."
        raise _fault(message, action)
    return value


def _schedule(value: str) -> str:
    fields = value.split()
    if len(fields) != len(_CRON_RANGES) or not all(map(_fits, fields, _CRON_RANGES)):
        message = f"{value!r} is not a schedule"
        action = "Write minute, hour, day, month and weekday in numbers, such as `30 1 * * 6` for Saturdays at 1:30."
        raise _fault(message, action)
    return value


def _fits(field: str, allowed: tuple[int, int]) -> bool:
    parts = field.split(",")
    numbers = [int(number) for part in parts for number in re.findall(r"[0-9]+", part.partition("/")[0])]
    lowest, highest = allowed
    return all(map(_CRON_FIELD.match, parts)) and all(lowest <= number <= highest for number in numbers)


SiteName = Annotated[str, AfterValidator(_dns_label)]
Hostname = Annotated[str, AfterValidator(_hostname)]
Cidr = Annotated[str, AfterValidator(_cidr)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
Region = Annotated[str, AfterValidator(_region)]
Memory = Annotated[str, AfterValidator(_memory)]
Cpu = Annotated[str, AfterValidator(_cpu)]
ModuleName = Annotated[str, AfterValidator(_module)]
Language = Annotated[str, AfterValidator(_language)]
ParameterName = Annotated[str, AfterValidator(_parameter)]
TableName = Annotated[str, AfterValidator(_table)]
ColumnPath = Annotated[str, AfterValidator(_column_path)]
GroupName = Annotated[str, AfterValidator(_group)]
PeopleGroup = Annotated[str, AfterValidator(_people)]
Schedule = Annotated[str, AfterValidator(_schedule)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
Port = Annotated[int, Field(ge=1, le=65535)]
