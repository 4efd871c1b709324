"""Whose data this is: the marks in database, filestore and secret, and what follows when they disagree."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .errors import Refused

if TYPE_CHECKING:
    from pathlib import Path

PARAMETER = "careops.identity"
FILE = ".careops-identity"
INITIALISED = ".careops-initialised"

Part = Literal["database", "filestore", "secret"]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What one part of an environment says about its owner.

    Attributes:
        part: Which part.
        empty: It holds nothing yet, so a missing mark is no reason for doubt.
        identity: The owner it names, None when it names none.
    """

    part: Part
    empty: bool
    identity: str | None


def check(mark: Mark, identity: str) -> None:
    """Refuse a part that belongs to somebody else, or to nobody known although it holds something.

    Raises:
        Refused: With what was found and what to do.
    """
    if mark.identity == identity or (mark.empty and mark.identity is None):
        return
    if mark.identity is None:
        raise Refused(
            f"the {mark.part} holds data that no environment has marked as its own",
            why=f"{identity} would take over, and change, data of unknown origin",
            action="attach the right one; data restored on purpose gets its mark from the restore",
        )
    raise Refused(
        f"the {mark.part} belongs to {mark.identity}, not to {identity}",
        why="environments never share data: a start would mix their patients' records",
        action=f"attach the {mark.part} of {identity}, or remove the wrong claim or secret",
    )


def filestore_mark(data: Path) -> Mark:
    """Read the filestore's mark; sessions and caches of Odoo do not count as content."""
    try:
        identity = (data / FILE).read_text(encoding="utf-8").strip() or None
    except FileNotFoundError:
        identity = None
    store = data / "filestore"
    content = store.is_dir() and any(path.is_file() for path in store.rglob("*"))
    return Mark(part="filestore", empty=not content, identity=identity)


def secret_mark(identity: str) -> Mark:
    """Return the mark of the mounted secret, which is never empty."""
    return Mark(part="secret", empty=False, identity=identity)


def write_filestore_mark(data: Path, identity: str) -> None:
    """Mark the filestore, at once or not at all."""
    _write(data / FILE, f"{identity}\n")


def is_initialised(data: Path) -> bool:
    """Tell whether a first migration has ever ended well on this filestore."""
    return (data / INITIALISED).exists()


def write_initialised(data: Path) -> None:
    """Remember that the first migration has ended well."""
    _write(data / INITIALISED, "")


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    temporary.write_text(text, encoding="utf-8")
    with temporary.open("rb") as handle:
        os.fsync(handle.fileno())
    temporary.rename(path)
