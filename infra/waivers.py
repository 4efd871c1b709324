"""Waivers: the only way to weaken a control, each with a reason, an approver and an end."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads this annotation at run time
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from infra.problems import SettingsError, from_validation
from infra.sources import as_json, read_yaml

if TYPE_CHECKING:
    from pathlib import Path

WAIVERS_FILE = "policies/waivers.yaml"


class Waiver(BaseModel):
    """Permission to leave one rule unmet on one resource until a day."""

    # The policies read the same file and may know more about a waiver than the settings do.
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    rule: str = Field(min_length=1, description="The rule that is not met, such as database-standby.")
    resource: str = Field(min_length=1, description="What it is not met on; an environment is <site>/<environment>.")
    reason: str = Field(min_length=10, description="Why the risk is taken.")
    approver: str = Field(min_length=1, description="Who took it.")
    expires: date = Field(description="Last day it holds, such as 2027-01-31.")


class _WaiverFile(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    waivers: tuple[Waiver, ...] = Field(description="Every waiver.")


def load_waivers(root: Path) -> tuple[Waiver, ...]:
    """Read the waivers; none where there is no file.

    Raises:
        SettingsError: The file is not a list of complete waivers.
    """
    path = root / WAIVERS_FILE
    if not path.exists():
        return ()
    try:
        return _WaiverFile.model_validate_json(as_json(read_yaml(path))).waivers
    except ValidationError as error:
        raise SettingsError(from_validation(error, _WaiverFile, WAIVERS_FILE)) from error


def find_waiver(waivers: tuple[Waiver, ...], rule: str, resource: str) -> Waiver | None:
    """Return the waiver of a rule on a resource that ends last, expired or not; None where there is none."""
    matching = [waiver for waiver in waivers if (waiver.rule, waiver.resource) == (rule, resource)]
    return max(matching, key=lambda waiver: waiver.expires, default=None)
