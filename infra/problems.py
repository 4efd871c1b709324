"""What is wrong with settings, in words: one `Problem` per fault, all of them at once."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One fault.

    Attributes:
        path: Where, for example `Pulumi.prod.yaml: network.client_cidrs[0]`.
        message: What is wrong and why it matters.
        action: What to do about it.
    """

    path: str
    message: str
    action: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}\n    {self.action}"


class SettingsError(Exception):
    """Settings, site files, waivers or facts that cannot be used; carries every problem found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(problems)
        count = len(self.problems)
        title = f"{count} problem{'s' if count != 1 else ''} in the settings; nothing was touched"
        super().__init__("\n".join([title, *(f"- {problem}" for problem in self.problems)]))


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like a misspelt one, or None where nothing is near."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggestion(word: str, known: Sequence[str]) -> str:
    """Return the advice for a word that is not one of the known."""
    near = nearest(word, known)
    listed = ", ".join(known)
    return f"Did you mean {near!r}? Known: {listed}." if near else f"Use one of: {listed}."


def from_validation(error: ValidationError, model: type[BaseModel], source: str) -> list[Problem]:
    """Turn a pydantic report into problems.

    Args:
        error: The report.
        model: The model that was validated; its fields are what misspelt settings are compared with.
        source: The file the values came from.
    """
    details = error.errors(include_url=False)
    return [_problem(detail, model, source) for detail in details if not _follows_from_an_item(detail, details)]


def join(location: Sequence[str | int]) -> str:
    """Return a field path as people write it, for example `network.partners[0].cidr`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _follows_from_an_item(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Return whether a list is called too short only because its faulty items were not counted."""
    place = detail["loc"]
    return detail["type"] == "too_short" and any(
        other["loc"][: len(place)] == place and len(other["loc"]) > len(place) for other in details
    )


def _problem(detail: ErrorDetails, model: type[BaseModel], source: str) -> Problem:
    location = detail["loc"]
    path = f"{source}: {join(location)}" if location else source
    known = _fields_at(model, location[:-1])
    last = str(location[-1]) if location else ""
    context: dict[str, Any] = detail.get("ctx", {})
    kind = detail["type"]
    if kind == "extra_forbidden":
        return Problem(path=path, message=f"unknown setting {last!r}", action=suggestion(last, known))
    if kind == "missing":
        return Problem(path=path, message="is missing", action=_describe(model, location))
    if kind == "literal_error":
        return Problem(path=path, message=f"{detail['input']!r} is not one of its values", action=_choice(detail))
    if "action" in context:
        return Problem(path=path, message=detail["msg"], action=str(context["action"]))
    message = f"{detail['msg'][:1].lower()}{detail['msg'][1:]}, not {detail['input']!r}"
    return Problem(path=path, message=message, action=_describe(model, location))


def _choice(detail: ErrorDetails) -> str:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    values = [part.strip().strip("'") for part in expected.replace(" or ", ", ").split(",")]
    return suggestion(str(detail["input"]), [value for value in values if value])


def _describe(model: type[BaseModel], location: Sequence[str | int]) -> str:
    owner = _model_at(model, location[:-1])
    field = None if owner is None or not location else owner.model_fields.get(str(location[-1]))
    if field is not None and field.description:
        return f"It holds: {field.description}"
    return "See `careops config schema` for its form."


def _fields_at(model: type[BaseModel], location: Sequence[str | int]) -> tuple[str, ...]:
    owner = _model_at(model, location)
    return () if owner is None else tuple(owner.model_fields)


def _model_at(model: type[BaseModel], location: Sequence[str | int]) -> type[BaseModel] | None:
    current: type[BaseModel] | None = model
    for part in location:
        if isinstance(part, int):
            continue
        field = None if current is None else current.model_fields.get(part)
        current = None if field is None else _first_model(field.annotation)
    return current


def _first_model(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in get_args(annotation):
        found = _first_model(argument)
        if found is not None:
            return found
    return None
