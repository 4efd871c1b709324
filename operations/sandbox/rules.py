"""The rules that requests are judged by, as training's stack deployed them: the same for everybody who asks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Freeze:
    """Days on which training is not to change.

    Attributes:
        first_day: First day, in the site's time zone.
        last_day: Last day, itself included.
        reason: Why.
    """

    first_day: date
    last_day: date
    reason: str


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is allowed.

    Attributes:
        time_zone: The site's.
        release: What training runs.
        roles: Trainees with a login, by role.
        freezes: Days without classes.
        longest_hours: Class hours of one day at most.
        longest_days: Days of a class at most.
        ahead_days: How many days ahead may be asked for.
        keep_days: Days after the last class until a sandbox expires.
    """

    time_zone: str
    release: str
    roles: Mapping[str, int]
    freezes: tuple[Freeze, ...]
    longest_hours: int
    longest_days: int
    ahead_days: int
    keep_days: int

    @property
    def zone(self) -> ZoneInfo:
        """The site's time zone."""
        return ZoneInfo(self.time_zone)


def parse(text: str) -> Rules:
    """Read the rules.

    Raises:
        ValueError: They are not what this version of careops writes.
    """
    try:
        found = json.loads(text)
        if found.pop("schema") != 1:
            msg = "they have another form than this version of careops reads"
            raise ValueError(msg)
        freezes = tuple(
            Freeze(
                first_day=date.fromisoformat(each["first_day"]),
                last_day=date.fromisoformat(each["last_day"]),
                reason=each["reason"],
            )
            for each in found.pop("freezes")
        )
        return Rules(freezes=freezes, **found)
    except (KeyError, TypeError) as error:
        msg = f"they lack or have too much: {error}"
        raise ValueError(msg) from error
