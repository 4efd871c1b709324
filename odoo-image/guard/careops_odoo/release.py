"""Which of two versions is older, and the refusal to run an older image on a newer database.

Checksums tell that modules differ, not which came first. Odoo records each module's version when it installs or updates
it, and a migration records the version of Odoo's package; both are compared with the image's. Two builds with equal
versions cannot be told apart in time: between them a migration goes either way, as it does forward.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from .errors import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from .database import Content


@dataclass(frozen=True, kw_only=True)
class Release:
    """Versions in an image.

    Attributes:
        package: Of Odoo's package, for example ``19.0.0+dfsg-1``.
        versions: Module -> version as Odoo records it, for example ``19.0.1.3``.
    """

    package: str
    versions: Mapping[str, str]


def read_release(share: Path) -> Release:
    """Read release.json, which the image's build wrote."""
    return Release(**json.loads((share / "release.json").read_text(encoding="utf-8")))


def refuse_downgrade(content: Content, release: Release) -> None:
    """Refuse an image that is older than what the database was last migrated with.

    Raises:
        Refused: With the versions on both sides.
    """
    older = [
        f"{name} {release.versions[name]} < {version}"
        for name, version in sorted(content.versions.items())
        if name in release.versions and is_older(release.versions[name], version)
    ]
    if content.release and is_older(release.package, content.release):
        older.insert(0, f"Odoo {release.package} < {content.release}")
    if older:
        more = f" and {len(older) - 5} more" if len(older) > 5 else ""  # noqa: PLR2004 - what fits a line
        raise Refused(
            "this image is older than the database",
            why=f"{', '.join(older[:5])}{more}: older code cannot read what newer code has written",
            action="use the image of the last migration or a newer one; "
            "going back to an older image needs the database of that time as well",
        )


def is_older(left: str, right: str) -> bool:
    """Compare two versions in Debian's order, which for dotted numbers is the numeric one."""
    return _order(left) < _order(right)


def _order(version: str) -> _Version:
    epoch, _, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return _Version(int(epoch or 0), _Part(upstream), _Part(revision))


@dataclass(frozen=True, order=True)
class _Version:
    epoch: int
    upstream: _Part
    revision: _Part


class _Part:
    """A version's part: alternating text and numbers; ``~`` before the end, the end before letters, others last."""

    def __init__(self, text: str) -> None:
        self._pieces = re.findall(r"(\D*)(\d*)", text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and not (self < other or other < self)

    def __hash__(self) -> int:
        return hash(tuple(self._pieces))

    def __lt__(self, other: _Part) -> bool:
        for (text, number), (text2, number2) in zip_longest(self._pieces, other._pieces, fillvalue=("", "")):
            ranks, ranks2 = _ranks(text), _ranks(text2)
            if ranks != ranks2:
                return ranks < ranks2
            if int(number or 0) != int(number2 or 0):
                return int(number or 0) < int(number2 or 0)
        return False


def _ranks(text: str) -> list[int]:
    # The closing 0 is the end of the text.
    return [*(-1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256 for char in text), 0]
