"""The expressions of `pulumi.com/waitFor`: `condition=Ready[=True]` and `jsonpath={.status.phase}[=Running]`."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from toolchain.pulumi.kubernetes_plugin.errors import BadAnnotation
from toolchain.pulumi.kubernetes_plugin.steering import WAIT_FOR
from toolchain.pulumi.kubernetes_plugin.values import dig

_CONDITION: Final = re.compile(r"condition=(?P<type>[^=\s]+)(?:=(?P<status>\S+))?$")
_JSONPATH: Final = re.compile(r"jsonpath='?(?:\{(?P<braced>[^}]+)\}|(?P<plain>[^={}']+))'?(?:=(?P<value>.*))?$")
_STEP: Final = re.compile(
    r"""\.(?P<field>(?:[^.\[\]\\]|\\.)+)
      | \[(?P<index>-?\d+)\]
      | \[(?P<all>\*)\]
      | \[(?P<quote>['"])(?P<key>.*?)(?P=quote)\]
      | \[\?\(@\.(?P<test>[\w.]+)\s*==\s*(?P<q2>['"])(?P<want>.*?)(?P=q2)\)\]""",
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """One expression and whether an object fulfils it."""

    text: str
    holds: Callable[[Mapping[str, Any]], bool]


def expectation(text: str) -> Expectation:
    """Return the expectation an expression states.

    Raises:
        BadAnnotation: when it is neither form, or its path is malformed.
    """
    if match := _CONDITION.match(text):
        wanted = match["type"].lower(), (match["status"] or "True").lower()
        return Expectation(text=text, holds=lambda obj: condition_holds(obj, *wanted))
    if match := _JSONPATH.match(text):
        steps = _steps(match["braced"] or match["plain"], text)
        value = match["value"]
        return Expectation(text=text, holds=lambda obj: _matches(_follow([obj], steps), value))
    raise BadAnnotation(
        f"{WAIT_FOR} is {text!r}: write condition=TYPE, condition=TYPE=STATUS, jsonpath={{.path}} or "
        "jsonpath={.path}=VALUE."
    )


def condition_holds(obj: Mapping[str, Any], kind: str, status: str) -> bool:
    """Tell whether the object reports a condition for its present generation, as `kubectl wait` does."""
    for condition in dig(dict(obj), "status", "conditions") or []:
        if condition.get("type", "").lower() == kind.lower():
            seen = condition.get("observedGeneration", dig(dict(obj), "status", "observedGeneration"))
            current = dig(dict(obj), "metadata", "generation")
            if seen is not None and current is not None and seen < current:
                return False
            return condition.get("status", "").lower() == status.lower()
    return False


def _steps(path: str, text: str) -> list[re.Match[str]]:
    path = path if path.startswith((".", "[")) else f".{path}"
    steps, position = [], 0
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            raise BadAnnotation(f"{WAIT_FOR} is {text!r}: the path is not understood from {path[position:]!r} on.")
        steps.append(match)
        position = match.end()
    return steps


def _follow(values: list[Any], steps: list[re.Match[str]]) -> list[Any]:
    for step in steps:
        values = [found for value in values for found in _next(value, step)]
    return values


def _next(value: Any, step: re.Match[str]) -> list[Any]:
    key = step["field"] or step["key"]
    if key is not None:
        key = re.sub(r"\\(.)", r"\1", key) if step["field"] else key
        return [value[key]] if isinstance(value, Mapping) and key in value else []
    if not isinstance(value, list):
        return []
    if step["all"]:
        return value
    if step["index"] is not None:
        index = int(step["index"])
        return [value[index]] if -len(value) <= index < len(value) else []
    path = step["test"].split(".")
    return [item for item in value if str(dig(item, *path)) == step["want"]]


def _matches(found: list[Any], value: str | None) -> bool:
    if value is None:
        return bool(found)
    return any(_text(item) == value.strip("'\"") for item in found)


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
