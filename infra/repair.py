"""Leaving faulty settings out, so that the checks on the others still run and all problems come at once."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from infra.model import EnvironmentSettings
from infra.sources import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

_SIZE = {"cpu_request": "100m", "cpu_limit": "1", "memory_request": "256Mi", "memory_limit": "512Mi"}
# Fills the place of what is faulty or missing. No check that reads a filled place runs, so the values do not matter.
_NEUTRAL: dict[str, Any] = {
    "environment": "dev",
    "site": "none",
    "odoo": {"replicas": 1, "workers": 0, "resources": _SIZE, "cron": {"dedicated": False, "threads": 1}},
    "database": {"instances": 1, "storage": "1Gi", "resources": _SIZE},
    "filestore": {"size": "1Gi"},
    "data": {"accepts_demo_data": False, "baseline": "standard"},
    "quota": {"cpu_requests": "100", "memory_limits": "1Ti", "storage": "1Ti"},
}


def without_faults(values: dict[str, Any], error: ValidationError) -> EnvironmentSettings | None:
    """Return the settings with neutral values in place of faulty ones; None where even that is not valid."""
    remaining = copy.deepcopy(values)
    for detail in sorted(error.errors(), key=lambda detail: len(detail["loc"]), reverse=True):
        _remove(remaining, detail["loc"])
    try:
        return EnvironmentSettings.model_validate_json(as_json(_merge(_NEUTRAL, remaining)))
    except ValidationError:
        return None


def _remove(values: Any, location: Sequence[str | int]) -> None:  # noqa: ANN401 - any YAML value
    """Remove a faulty value; inside a list the whole list goes, since positions would shift."""
    for index, part in enumerate(location):
        child = values.get(part) if isinstance(values, dict) else None
        last = index == len(location) - 1
        if last or not isinstance(child, dict):
            if isinstance(values, dict):
                values.pop(part, None)
            return
        values = child


def _merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged
