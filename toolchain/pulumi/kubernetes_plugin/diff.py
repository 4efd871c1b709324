"""What changed between two sets of inputs, path by path, and whether a change needs a new object."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from toolchain.pulumi.kubernetes_plugin.immutable import ANY_ITEM
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, Secret

Path = tuple[str | int, ...]
_MISSING: Final = object()
_NEEDS_QUOTES: Final = re.compile(r'[."\[\]]')


class Kind(Enum):
    """What happened to a field."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One changed field.

    Attributes:
        path: where, from the object's root.
        kind: what happened.
        replaces: whether the API server cannot do it in place.
    """

    path: Path
    kind: Kind
    replaces: bool


def changes(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    immutable: tuple[tuple[str, ...], ...] = (),
    ignored: tuple[Path, ...] = (),
) -> list[Change]:
    """Return the changed fields between two sets of inputs, in the order of their paths.

    Args:
        old: inputs of the last update.
        new: inputs of this one; may hold unknowns, which count as changed.
        immutable: paths whose change needs a new object.
        ignored: paths of the program's `ignoreChanges`.
    """
    found = []
    for path, kind, value in _walk((), old, new):
        if any(_starts_with(path, skipped) for skipped in ignored):
            continue
        found.append(Change(path=path, kind=kind, replaces=any(_touches(path, value, frozen) for frozen in immutable)))
    return found


def _walk(path: Path, old: Any, new: Any) -> Iterator[tuple[Path, Kind, Any]]:
    old, new = _plain(old), _plain(new)
    if old is _MISSING and new is _MISSING:
        return
    if new is UNKNOWN and old is not _MISSING:
        yield path, Kind.UPDATE, old
    elif old is _MISSING:
        yield path, Kind.ADD, new
    elif new is _MISSING:
        yield path, Kind.DELETE, old
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _walk((*path, key), old.get(key, _MISSING), new.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            before = old[index] if index < len(old) else _MISSING
            after = new[index] if index < len(new) else _MISSING
            yield from _walk((*path, index), before, after)
    elif (type(old) is not type(new) and not (_is_number(old) and _is_number(new))) or old != new:
        yield path, Kind.UPDATE, new


def _plain(value: Any) -> Any:
    if isinstance(value, Secret):
        return _plain(value.value)
    # An empty field and an absent one say the same to the API server.
    return _MISSING if value is None else value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _touches(path: Path, value: Any, frozen: tuple[str, ...]) -> bool:
    """Tell whether a change at `path` (to or from `value`) changes something at or below `frozen`."""
    for step, expected in zip(path, frozen, strict=False):
        if expected not in (ANY_ITEM, step):
            return False
        if expected == ANY_ITEM and not isinstance(step, int):
            return False
    if len(path) >= len(frozen):
        return True
    return _holds(value, frozen[len(path) :])


def _holds(value: Any, path: tuple[str, ...]) -> bool:
    value = _plain(value)
    if not path or value is UNKNOWN:
        return True
    head, *rest = path
    if head == ANY_ITEM:
        return isinstance(value, list) and any(_holds(item, tuple(rest)) for item in value)
    return isinstance(value, Mapping) and head in value and _holds(value[head], tuple(rest))


def _starts_with(path: Path, prefix: Path) -> bool:
    if len(prefix) > len(path):
        return False
    return all(want in (ANY_ITEM, step) for step, want in zip(path, prefix, strict=False))


def path_text(path: Path) -> str:
    """Return a path as the engine writes it: `metadata.labels["app.kubernetes.io/name"]`, `spec.ports[0].port`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _NEEDS_QUOTES.search(step):
            escaped = step.replace('"', '\\"')
            text += f'["{escaped}"]'
        else:
            text += f".{step}" if text else step
    return text


_STEP: Final = re.compile(r'\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]|\[(\*)\]')


def parse_path(text: str) -> Path:
    """Return a path the engine wrote, the inverse of `path_text`; `[*]` and `*` mean any item.

    Raises:
        ValueError: when the text is not a property path.
    """
    steps: list[str | int] = []
    position = 0
    while position < len(text):
        match = _STEP.match(text, position)
        if match is None:
            raise ValueError(f"{text!r} is not a property path: stuck at {text[position:]!r}")
        key, index, quoted, any_item = match.groups()
        if index is not None:
            steps.append(int(index))
        elif any_item is not None:
            steps.append(ANY_ITEM)
        else:
            steps.append(key if key is not None else quoted.replace('\\"', '"'))
        position = match.end()
    return tuple(steps)
