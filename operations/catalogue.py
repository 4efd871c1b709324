"""The environments a checkout declares, read from its validated settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.environments import ORDER, Environment, default_port

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from infra.settings import AllSettings, StackSettings


def load(root: Path) -> tuple[Environment, ...]:
    """Validate every stack and site file and return the environments, sites in order, each in promotion order.

    Raises:
        SettingsError: Lists every problem of every file.
    """
    from infra.settings import load_all

    return environments_of(load_all(root))


def environments_of(settings: AllSettings) -> tuple[Environment, ...]:
    """Return the environments of validated settings; the site whose stacks have no prefix comes first."""
    sites = sorted(
        {one.site.name: "." in one.stack for one in settings.environments}.items(), key=lambda item: item[::-1]
    )
    index = {name: position for position, (name, _) in enumerate(sites)}
    found = [_environment(one, index[one.site.name]) for one in settings.environments]
    return tuple(sorted(found, key=lambda one: (index[one.site], ORDER.index(one.name))))


def refuse_own_networks(root: Path, facts: Path, stacks: Collection[str]) -> None:
    """Raise when a stack's settings name addresses of the cluster itself, before anything is deployed to it.

    Args:
        root: The checkout.
        facts: The file with the cluster's facts.
        stacks: The environments to look at.

    Raises:
        SettingsError: Lists every problem of every one of them.
    """
    from infra.settings import SettingsError, check_against_facts, load_all, load_facts

    known = load_facts(facts)
    chosen = [one for one in load_all(root).environments if one.stack in stacks]
    problems = [problem for one in chosen for problem in check_against_facts(one, known)]
    if problems:
        raise SettingsError(problems)


def settings_of(root: Path, stack: str) -> dict[str, Any]:
    """Return the validated settings of one stack with its site as plain values.

    Raises:
        SettingsError: Lists every problem.
    """
    from infra.settings import load_stack

    loaded = load_stack(root, stack)
    return {
        "stack": loaded.stack,
        "identity": loaded.identity,
        "namespace": loaded.namespace,
        "base_url": loaded.base_url,
        "settings": loaded.settings.model_dump(mode="json"),
        "site": loaded.site.model_dump(mode="json"),
    }


def _environment(one: StackSettings, site_index: int) -> Environment:
    name = one.settings.environment
    return Environment(
        stack=one.stack,
        site=one.site.name,
        name=name,
        namespace=one.namespace,
        port=default_port(site_index, name),
        memory_bytes=_guaranteed_memory(one),
        protected=one.protected,
        dedicated_cron=one.settings.odoo.cron.dedicated,
    )


def _guaranteed_memory(one: StackSettings) -> int:
    """Return the bytes Kubernetes must find on the node before it starts the environment's pods."""
    from infra.quantities import memory_bytes

    odoo, database = one.settings.odoo, one.settings.database
    web = odoo.replicas * memory_bytes(odoo.resources.memory_request)
    cron = memory_bytes(odoo.cron.resources.memory_request) if odoo.cron.dedicated else 0
    postgresql = database.instances * memory_bytes(database.resources.memory_request)
    return web + cron + postgresql
