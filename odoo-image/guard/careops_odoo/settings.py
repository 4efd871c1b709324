"""The environment's settings as a pod gets them: odoo.json, a few variables and the mounted secrets."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

BASELINES = ("standard", "demo")
SETTINGS_FILE = Path("/etc/careops/odoo.json")
SECRETS_FOLDER = Path("/run/careops/secrets")
DATA_FOLDER = Path("/var/lib/odoo")
RUN_FOLDER = Path("/run/odoo")
SHARE = Path("/usr/share/careops")
BASELINE_FOLDER = Path("/baseline")


@dataclass(frozen=True, kw_only=True)
class Company:
    """The company of an environment; country and currency are ISO codes, the time zone an IANA name."""

    name: str
    country: str
    time_zone: str
    currency: str | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resource limits of the container Odoo runs in."""

    memory_bytes: int
    cpu_millicores: int


@dataclass(frozen=True, kw_only=True)
class Smtp:
    """Where outgoing mail goes."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True)
class Settings:
    """odoo.json.

    Attributes:
        modules: Odoo modules that must be installed.
        languages: Locale codes, the first is the default.
        company: The environment's company.
        base_url: Address users see.
        baseline: What an empty database is restored from.
        workers: HTTP worker processes; None means from the limits.
        cron_threads: Threads of the cron deployment.
        limits: Of the web container.
        smtp: Mail relay; None leaves the mail servers in the database alone.
        banner: Text on every page; None for none.
        data_classification: Whether the data may be real; for labels.
    """

    modules: tuple[str, ...]
    languages: tuple[str, ...]
    company: Company
    base_url: str
    baseline: str
    workers: int | None
    cron_threads: int
    limits: Limits
    smtp: Smtp | None
    banner: str | None
    data_classification: str

    def personal_digest(self) -> str:
        """Return a digest of what a migration writes into the database, so that it notices a change."""
        written = {
            "languages": self.languages,
            "company": asdict(self.company),
            "base_url": self.base_url,
            "smtp": asdict(self.smtp) if self.smtp else None,
            "banner": self.banner,
        }
        return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Pod:
    """What a pod's variables say.

    Attributes:
        identity: ``<site>/<environment>``.
        host: PostgreSQL host or socket folder.
        port: PostgreSQL port.
        user: Database role.
        database: Database name.
        sslmode: How libpq verifies the server.
        acts_as: Role that sessions act as from their start; None for the one that logs in.
    """

    identity: str
    host: str
    port: int
    user: str
    database: str
    sslmode: str
    acts_as: str | None = None


def read_pod(environ: Mapping[str, str]) -> Pod:
    """Read the pod's variables.

    Raises:
        Refused: One is missing or malformed.
    """
    names = ("CAREOPS_SITE", "CAREOPS_ENVIRONMENT", "PGHOST", "PGUSER", "PGDATABASE", "PGSSLMODE")
    missing = [name for name in names if not environ.get(name)]
    if missing:
        raise _refused("the pod's environment", f"{', '.join(missing)} not set")
    port = environ.get("PGPORT", "5432")
    if not port.isdigit():
        raise _refused("PGPORT", f"{port!r} is no port number")
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,40}", environ["PGDATABASE"]):
        raise _refused("PGDATABASE", f"{environ['PGDATABASE']!r} is no plain database name of at most 41 characters")
    return Pod(
        identity=f"{environ['CAREOPS_SITE']}/{environ['CAREOPS_ENVIRONMENT']}",
        host=environ["PGHOST"],
        port=int(port),
        user=environ["PGUSER"],
        database=environ["PGDATABASE"],
        sslmode=environ["PGSSLMODE"],
    )


def image_modules(share: Path = SHARE) -> dict[str, str]:
    """Return module -> checksum of everything in this image."""
    return json.loads((share / "modules.json").read_text(encoding="utf-8"))


def read_settings(path: Path = SETTINGS_FILE) -> Settings:
    """Read odoo.json.

    Raises:
        Refused: It is absent, malformed, or a key is unknown, missing or of the wrong type; all problems at once.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(str(path), str(error)) from error
    return parse_settings(document)


def parse_settings(document: object) -> Settings:
    """Turn the JSON document into settings; see `read_settings`."""
    problems: list[str] = []
    values = _fields(document, "", _SETTINGS, problems)
    if problems:
        raise _refused("odoo.json", "; ".join(problems))
    smtp = values["smtp"]
    typed: dict[str, Any] = {
        "modules": tuple(sorted(set(values["modules"]))),
        "languages": tuple(dict.fromkeys(values["languages"])),
        "company": Company(**values["company"]),
        "limits": Limits(**values["limits"]),
        "smtp": Smtp(**smtp) if smtp else None,
    }
    return Settings(**{**values, **typed})


def _text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _names(pattern: str) -> Any:  # noqa: ANN401 - a predicate
    return lambda value: (
        isinstance(value, list) and all(isinstance(item, str) and re.fullmatch(pattern, item) for item in value)
    )


def _optional(check: Any) -> Any:  # noqa: ANN401 - predicates
    return lambda value: value is None or check(value)


_COMPANY = {
    "name": (_text, "a text"),
    "country": (lambda value: isinstance(value, str) and re.fullmatch(r"[A-Z]{2}", value), "an ISO country code"),
    "time_zone": (_text, "a time zone"),
    "currency": (
        _optional(lambda value: isinstance(value, str) and re.fullmatch(r"[A-Z]{3}", value)),
        "an ISO currency code or null",
    ),
}
_LIMITS = {"memory_bytes": (_count, "a number of bytes"), "cpu_millicores": (_count, "a number of millicores")}
_SMTP = {"host": (_text, "a host name"), "port": (_count, "a port number")}
_SETTINGS = {
    "modules": (_names(r"[a-z][a-z0-9_]*"), "a list of module names"),
    "languages": (lambda v: bool(v) and _names(r"[a-z]{2,3}(_[A-Z]{2})?(@[a-z]+)?")(v), "a list of locale codes"),
    "company": (_COMPANY, ""),
    "base_url": (lambda value: _text(value) and re.match(r"https?://[^/\s]+", str(value)), "a web address"),
    "baseline": (lambda value: value in BASELINES, f"one of {', '.join(BASELINES)}"),
    "workers": (_optional(_count), "a number or null"),
    "cron_threads": (_count, "a number"),
    "limits": (_LIMITS, ""),
    "smtp": (_optional(lambda value: isinstance(value, dict)), "an object or null"),
    "banner": (_optional(_text), "a text or null"),
    "data_classification": (_text, "a text"),
}
_MAY_BE_ABSENT = {"currency", "workers", "smtp", "banner"}


def _fields(document: object, path: str, schema: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    if not isinstance(document, dict):
        problems.append(f"{path or 'the document'} is no object")
        return {}
    problems.extend(f"{path}{key} is unknown" for key in document if key not in schema)
    values: dict[str, Any] = {}
    for key, (check, wanted) in schema.items():
        if key not in document and key not in _MAY_BE_ABSENT:
            problems.append(f"{path}{key} is missing")
            continue
        value = document.get(key)
        if isinstance(check, dict):
            value = _fields(value, f"{path}{key}.", check, problems)
        elif not check(value):
            problems.append(f"{path}{key} is {value!r}, not {wanted}")
        elif key == "smtp" and value is not None:
            value = _fields(value, "smtp.", _SMTP, problems)
        values[key] = value
    return values


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """The environment's secret values, as mounted."""

    identity: str
    admin_login: str
    admin_password: str
    master_password: str


def read_secrets(folder: Path = SECRETS_FOLDER) -> Secrets:
    """Read the mounted Secret.

    Raises:
        Refused: A key is missing or empty.
    """
    values: dict[str, str] = {}
    for field in fields(Secrets):
        try:
            values[field.name] = (folder / field.name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise _refused(str(folder / field.name), str(error)) from error
        if not values[field.name]:
            raise _refused(str(folder / field.name), "it is empty")
    return Secrets(**values)


def _refused(what: str, why: str) -> Refused:
    return Refused(f"{what} cannot be used", why=why, action="correct the environment's settings and apply them again")
