"""Reading settings files: YAML in which nothing is lost or guessed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import yaml

from infra.problems import Problem, SettingsError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path


class _StrictLoader(yaml.SafeLoader):
    """YAML's own rule is that keys are unique; PyYAML keeps the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - PyYAML's signature
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                problem = f"the setting {key!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping.

    Raises:
        SettingsError: The file cannot be read, is not YAML, repeats a key, or does not hold a mapping.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        message = f"cannot be read: {error.strerror}"
        raise SettingsError([Problem(path=path.name, message=message, action="Check its name and rights.")]) from error
    except yaml.YAMLError as error:
        raise SettingsError([_not_yaml(path, error)]) from error
    if not isinstance(document, dict):
        message = "does not hold settings"
        action = "Write names and values, one a line, as `name: value`."
        raise SettingsError([Problem(path=path.name, message=message, action=action)])
    return {str(key): value for key, value in document.items()}


def as_json(value: object) -> str:
    """Return plain values as JSON text; a date becomes its ISO form, which the models read back."""
    return json.dumps(value, default=str)


def _not_yaml(path: Path, error: yaml.YAMLError) -> Problem:
    mark = getattr(error, "problem_mark", None)
    place = path.name if mark is None else f"{path.name}: line {mark.line + 1}"
    return Problem(path=place, message=getattr(error, "problem", None) or str(error), action="Correct that line.")
