"""Typed settings of every stack and site: read, checked in full, refused with every problem at once.

The same models serve the Pulumi program, fed from `pulumi.Config`, and every command that runs without Pulumi.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from infra import naming
from infra.checks import Subject, check_against_facts, check_environment, check_site
from infra.facts import ClusterFacts, facts_path, load_facts
from infra.model import EnvironmentSettings, PlatformSettings, SiteSettings, StackSettings
from infra.naming import PLATFORM_STACK, PROJECT
from infra.problems import Problem, SettingsError, from_validation, join, suggestion
from infra.repair import without_faults
from infra.sources import as_json, read_yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

__all__ = [
    "AllSettings",
    "ClusterFacts",
    "EnvironmentSettings",
    "PlatformSettings",
    "Problem",
    "SettingsError",
    "SiteSettings",
    "StackSettings",
    "check_against_facts",
    "environment_from_values",
    "facts_path",
    "json_schema",
    "load_all",
    "load_facts",
    "load_platform",
    "load_sites",
    "load_stack",
    "platform_from_values",
    "stack_names",
]

SITES_FOLDER = "sites"
DEFAULT_PROVIDERS_KEY = "pulumi:disable-default-providers"
# What Pulumi itself keeps in a stack file beside `config`.
_Value = TypeVar("_Value")
_PULUMI_KEYS = ("config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment")


@dataclass(frozen=True, kw_only=True)
class AllSettings:
    """Everything a checkout declares.

    Attributes:
        platform: The shared platform.
        environments: Every environment stack, in the order dev, test, training, prod of each site.
    """

    platform: PlatformSettings
    environments: tuple[StackSettings, ...]


def stack_names(root: Path) -> tuple[str, ...]:
    """Return the names of the environment stacks that have a file, in alphabetical order."""
    names = (path.name.removeprefix("Pulumi.").removesuffix(".yaml") for path in root.glob("Pulumi.*.yaml"))
    return tuple(sorted(name for name in names if name != PLATFORM_STACK))


def load_stack(root: Path, stack: str, *, today: date | None = None) -> StackSettings:
    """Read and check one environment stack with its site.

    Args:
        root: The checkout.
        stack: `dev`, or `<site>.dev`.
        today: The day waivers are judged on; the current one by default.

    Raises:
        SettingsError: Lists every problem.
    """
    path = root / f"Pulumi.{stack}.yaml"
    if not path.is_file():
        raise SettingsError([_unknown_stack(root, stack)])
    problems: list[Problem] = []
    values = _collect(lambda: _stack_values(path, problems), problems)
    if values is None:
        raise SettingsError(problems)
    loaded = _collect(lambda: environment_from_values(root, stack, values, today=today), problems)
    if problems or loaded is None:
        raise SettingsError(problems)
    return loaded


def environment_from_values(
    root: Path, stack: str, values: Mapping[str, Any], *, today: date | None = None
) -> StackSettings:
    """Check an environment's values, wherever they come from, with its site's file.

    Raises:
        SettingsError: Lists every problem.
    """
    source = f"Pulumi.{stack}.yaml"
    given = dict(values)
    problems: list[Problem] = []
    sites = _collect(lambda: load_sites(root), problems) or {}
    name = given.get("site")
    site = sites.get(name) if isinstance(name, str) else None
    day = today or datetime.now(tz=UTC).date()
    settings, found = _checked_environment(given, source, site, day)
    problems += found
    if isinstance(name, str) and site is None and not any(each.path.startswith(SITES_FOLDER) for each in problems):
        problems.append(_missing_site(source, name, sites))
    if settings is not None:
        problems += _stack_name_problems(stack, settings)
    if problems or settings is None or site is None:
        raise SettingsError(problems)
    return StackSettings(stack=stack, settings=settings, site=site)


def load_platform(root: Path) -> PlatformSettings:
    """Read and check the shared platform's settings.

    Raises:
        SettingsError: Lists every problem.
    """
    path = root / f"Pulumi.{PLATFORM_STACK}.yaml"
    if not path.is_file():
        raise SettingsError([_unknown_stack(root, PLATFORM_STACK)])
    problems: list[Problem] = []
    values = _stack_values(path, problems)
    settings = _collect(lambda: platform_from_values(values), problems)
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


def platform_from_values(values: Mapping[str, Any]) -> PlatformSettings:
    """Check the platform's values, wherever they come from.

    Raises:
        SettingsError: Lists every problem.
    """
    try:
        return PlatformSettings.model_validate_json(as_json(dict(values)))
    except ValidationError as error:
        raise SettingsError(from_validation(error, PlatformSettings, f"Pulumi.{PLATFORM_STACK}.yaml")) from error


def load_sites(root: Path) -> dict[str, SiteSettings]:
    """Read and check every site.

    Raises:
        SettingsError: Lists every problem, two files for one site among them.
    """
    problems: list[Problem] = []
    sites: dict[str, SiteSettings] = {}
    files: dict[str, str] = {}
    for path in sorted((root / SITES_FOLDER).glob("*.yaml")):
        source = f"{SITES_FOLDER}/{path.name}"
        site = _collect(lambda path=path, source=source: _read_site(path, source), problems)
        if site is None:
            continue
        if site.name in files:
            message = f"site {site.name!r} is also declared by {files[site.name]}: their namespaces would be the same"
            action = "Rename one of the two, or delete it."
            problems.append(Problem(path=f"{source}: name", message=message, action=action))
        problems += [
            Problem(path=f"{source}: {each.path}", message=each.message, action=each.action)
            for each in check_site(site, path.stem)
        ]
        files.setdefault(site.name, source)
        sites[site.name] = site
    if problems:
        raise SettingsError(problems)
    return sites


def load_all(root: Path, *, today: date | None = None) -> AllSettings:
    """Read and check everything a checkout declares, and that no two stacks declare the same environment.

    Raises:
        SettingsError: Lists every problem of every file.
    """
    problems: list[Problem] = []
    platform = _collect(lambda: load_platform(root), problems)
    loaded = [
        _collect(lambda stack=stack: load_stack(root, stack, today=today), problems) for stack in stack_names(root)
    ]
    environments = [stack for stack in loaded if stack is not None]
    first: dict[str, StackSettings] = {}
    for stack in environments:
        other = first.setdefault(stack.identity, stack)
        if other is not stack:
            message = f"declares {stack.identity}, as Pulumi.{other.stack}.yaml does"
            action = "Delete one of the two files."
            problems.append(Problem(path=f"Pulumi.{stack.stack}.yaml", message=message, action=action))
    if problems or platform is None:
        raise SettingsError(dict.fromkeys(problems))
    order = {environment: position for position, environment in enumerate(naming.ENVIRONMENTS)}
    environments.sort(key=lambda stack: (stack.site.name, order[stack.settings.environment]))
    return AllSettings(platform=platform, environments=tuple(environments))


def json_schema() -> dict[str, Any]:
    """Return the JSON schemas of a site file and of the `careops:` values of stack files."""
    models = {"site": SiteSettings, "environment": EnvironmentSettings, "platform": PlatformSettings}
    return {name: model.model_json_schema() for name, model in models.items()}


def _collect(read: Callable[[], _Value], problems: list[Problem]) -> _Value | None:
    """Return what a reader reads; where it fails, keep its problems and return None."""
    try:
        return read()
    except SettingsError as error:
        problems += error.problems
        return None


def _read_site(path: Path, source: str) -> SiteSettings:
    try:
        return SiteSettings.model_validate_json(as_json(read_yaml(path)))
    except ValidationError as error:
        raise SettingsError(from_validation(error, SiteSettings, source)) from error


def _checked_environment(
    values: dict[str, Any], source: str, site: SiteSettings | None, today: date
) -> tuple[EnvironmentSettings | None, list[Problem]]:
    problems: list[Problem] = []
    faulty: tuple[str, ...] = ()
    settings: EnvironmentSettings | None = None
    try:
        settings = EnvironmentSettings.model_validate_json(as_json(values))
        checked = settings
    except ValidationError as error:
        problems += from_validation(error, EnvironmentSettings, source)
        faulty = tuple(join(detail["loc"]) for detail in error.errors())
        checked = without_faults(values, error)
    if checked is not None:
        waivers, refresh = ((), None) if site is None else (site.waivers, site.refresh)
        subject = Subject(settings=checked, waivers=waivers, today=today, refresh=refresh)
        found = check_environment(subject, faulty=faulty)
        problems += [Problem(path=f"{source}: {each.path}", message=each.message, action=each.action) for each in found]
    return settings, problems


def _stack_values(path: Path, problems: list[Problem]) -> dict[str, Any]:
    """Return the `careops:` values of a stack file, and add the problems of the file around them."""
    document = read_yaml(path)
    problems += [
        Problem(path=f"{path.name}: {key}", message="unknown key", action=suggestion(key, _PULUMI_KEYS))
        for key in document
        if key not in _PULUMI_KEYS
    ]
    config = document.get("config")
    if not isinstance(config, dict):
        message, action = "is missing", f"Write the settings below it, as {PROJECT}:environment and so on."
        problems.append(Problem(path=f"{path.name}: config", message=message, action=action))
        return {}
    values = {}
    for key, value in config.items():
        namespace, _, name = str(key).partition(":")
        if namespace == PROJECT and name:
            values[name] = value
        elif key != DEFAULT_PROVIDERS_KEY:
            action = f"Settings of this project begin with {PROJECT}: (did you mean {PROJECT}:{name or namespace}?)."
            problems.append(Problem(path=f"{path.name}: config.{key}", message="unknown setting", action=action))
    if "kubernetes" not in (config.get(DEFAULT_PROVIDERS_KEY) or ()):
        message = "does not list kubernetes: a resource without our provider could land in another cluster"
        action = f"Write {DEFAULT_PROVIDERS_KEY}: [kubernetes] below config."
        problems.append(Problem(path=f"{path.name}: config.{DEFAULT_PROVIDERS_KEY}", message=message, action=action))
    return values


def _unknown_stack(root: Path, stack: str) -> Problem:
    known = (PLATFORM_STACK, *stack_names(root))
    return Problem(path=stack, message=f"there is no Pulumi.{stack}.yaml", action=suggestion(stack, known))


def _missing_site(source: str, name: str, sites: Mapping[str, SiteSettings]) -> Problem:
    message = f"there is no {SITES_FOLDER}/{name}.yaml"
    action = suggestion(name, tuple(sites)) if sites else f"Write {SITES_FOLDER}/{name}.yaml."
    return Problem(path=f"{source}: site", message=message, action=action)


def _stack_name_problems(stack: str, settings: EnvironmentSettings) -> list[Problem]:
    allowed = naming.stack_names(settings.site, settings.environment)
    if stack in allowed:
        return []
    message = f"stack {stack!r} declares {settings.site}/{settings.environment}"
    action = f"Call the file Pulumi.{allowed[0]}.yaml or Pulumi.{allowed[1]}.yaml, or correct environment and site."
    return [Problem(path=f"Pulumi.{stack}.yaml: environment", message=message, action=action)]
