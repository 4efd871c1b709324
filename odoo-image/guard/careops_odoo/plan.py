"""What a migration has to do: pure decisions over what was found."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import Refused, StepFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .database import Content, Facts
    from .settings import Settings

Recovery = Literal["nothing", "discard the copy", "swap the copy in", "rename the copy", "bring the previous one back"]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Changes to an existing database.

    Attributes:
        install: Modules listed by the settings and not installed.
        update: Installed modules whose content differs from what the last migration recorded.
        personal: Whether languages, company, address, mail relay or banner changed.
    """

    install: tuple[str, ...]
    update: tuple[str, ...]
    personal: bool

    @property
    def nothing(self) -> bool:
        """True when the database is as the settings and the image want it."""
        return not (self.install or self.update or self.personal)

    def __str__(self) -> str:
        parts = [
            f"install {', '.join(self.install)}" if self.install else "",
            f"update {', '.join(self.update)}" if self.update else "",
            "write changed settings" if self.personal else "",
        ]
        return "; ".join(part for part in parts if part) or "nothing to do"


def plan(content: Content, settings: Settings, image: Mapping[str, str]) -> Plan:
    """Compare a database with the settings and the image.

    Args:
        content: What the database holds.
        settings: What the environment wants.
        image: Module -> checksum of everything the image brings.

    Raises:
        Refused: A listed or an installed module is not in this image.
    """
    wanted = set(settings.modules)
    absent = sorted((wanted | content.installed) - image.keys())
    if absent:
        raise Refused(
            f"modules {', '.join(absent)} are not in this image",
            why="the settings list them, or the database has them installed; Odoo would ignore or break them",
            action="use an image that has them, or correct the list of modules",
        )
    changed = {name for name in content.installed if content.checksums.get(name) != image[name]}
    return Plan(
        install=tuple(sorted(wanted - content.installed)),
        # Modules left half-way by an interrupted Odoo are finished by the same run.
        update=tuple(sorted(changed | (content.unfinished & image.keys()))),
        personal=content.personal != settings.personal_digest() or not set(settings.languages) <= content.languages,
    )


def refuse_unfinished(after: Content, todo: Plan, *, untouched: str) -> None:
    """Refuse what Odoo left undone: it only warns about a module it cannot install, and ends well.

    Args:
        after: What the database holds after Odoo worked on it.
        todo: What Odoo was told to do.
        untouched: What is as it was before, for the error.

    Raises:
        StepFailed: A module was not installed, or is half-way.
    """
    absent, stuck = sorted(set(todo.install) - after.installed), sorted(after.unfinished)
    if absent or stuck:
        raise StepFailed(
            "Odoo did not finish installing and updating modules",
            why=f"not installed: {', '.join(absent) or 'none'}; half-way: {', '.join(stuck) or 'none'}",
            action=f"{untouched}; see Odoo's output above",
        )


def fingerprint(identity: str, settings: Settings, image: Mapping[str, str]) -> str:
    """Return what a complete copy is complete *for*: another image or other settings make it useless."""
    wanted = [identity, settings.modules, settings.personal_digest(), settings.baseline, dict(image)]
    return hashlib.sha256(json.dumps(wanted, sort_keys=True).encode()).hexdigest()


def recovery(main: Facts | None, copy: Facts | None, previous: Facts | None, wanted: str) -> Recovery:
    """Decide what an earlier, interrupted migration left to be finished or undone.

    A complete copy counts only while main is still closed: once main has been opened, it may have changed since.

    Args:
        main: The environment's database, None when it does not exist.
        copy: The copy the interrupted migration worked on.
        previous: The database before the last swap.
        wanted: Fingerprint of what this migration wants.
    """
    complete = copy is not None and copy.ready_for == wanted
    if main is None:
        if complete:
            return "rename the copy"
        return "bring the previous one back" if previous is not None else "nothing"
    if copy is None:
        return "nothing"
    return "swap the copy in" if complete and not main.open else "discard the copy"
