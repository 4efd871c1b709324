"""The Pulumi program: settings from Pulumi's configuration, facts of the cluster, then one stack."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
from pulumi.runtime.config import get_config_env

from infra.naming import PLATFORM_STACK, PROJECT
from infra.settings import (
    SettingsError,
    check_against_facts,
    environment_from_values,
    facts_path,
    load_facts,
    platform_from_values,
)
from infra.stacks.environment import declare_environment
from infra.stacks.platform import declare_platform

_ROOT = Path(__file__).resolve().parent.parent
_PLAIN_TEXT_SETTINGS = ("environment", "site")


def run() -> None:
    """Declare the selected stack; every problem with its settings is one error, before anything is registered."""
    try:
        declare(pulumi.get_stack(), _ROOT)
    except SettingsError as error:
        raise pulumi.RunError(str(error)) from error


def declare(stack: str, root: Path) -> None:
    """Declare a stack from Pulumi's configuration.

    Raises:
        SettingsError: Lists every problem of the settings or the facts.
    """
    values, facts = configured_values(), load_facts(facts_path(root))
    if stack == PLATFORM_STACK:
        platform = platform_from_values(values)
        declare_platform(platform, facts, _provider(facts.context))
        return
    settings = environment_from_values(root, stack, values)
    problems = check_against_facts(settings, facts)
    if problems:
        raise SettingsError(problems)
    declared = declare_environment(settings, facts, _provider(facts.context))
    pulumi.export("identity", settings.identity)
    pulumi.export("namespace", declared.boundary.namespace)
    pulumi.export("url", settings.base_url)
    pulumi.export("edge", declared.edge.host)


def configured_values() -> dict[str, Any]:
    """Return this project's values from `pulumi.Config`, all of them, so that a misspelt one is noticed."""
    config = pulumi.Config(PROJECT)
    names = [key.removeprefix(f"{PROJECT}:") for key in get_config_env() if key.startswith(f"{PROJECT}:")]
    return {name: _decoded(name, config.require(name)) for name in names}


def _decoded(name: str, text: str) -> object:
    """Return a value as it was written: Pulumi hands structured values over as JSON text."""
    if name in _PLAIN_TEXT_SETTINGS:
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _provider(context: str) -> kubernetes.Provider:
    # The kubeconfig is the ambient one: its content, credentials included, stays out of Pulumi's state.
    return kubernetes.Provider(
        "kubernetes",
        context=context,
        enable_server_side_apply=True,
        # Pods restart by the checksum of what they read; a replaced ConfigMap would leave them none for a moment.
        enable_config_map_mutable=True,
    )
