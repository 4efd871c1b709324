"""Training's filestore around a swap: what the next database needs is added, what the last one had is kept.

Files are named by the digest of their content, so nothing is ever overwritten. Odoo removes what its own database no
longer names; the way back therefore keeps every file of its time under another name of the same bytes (a hard link).
"""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from .adopt_marks import DATABASE
from .database import connect
from .errors import StepFailed

if TYPE_CHECKING:
    from .settings import Pod

_HALF = ".new"
_NOTES = "checklist"
"""Odoo's folder of names to look at when it clears its filestore up."""
_SHA1 = 40
_ROWS = 100  # files that are fetched at a time; the largest may have megabytes


def place_files(pod: Pod, store: Path) -> int:
    """Write the files that stand in for those of the source; safe to repeat and to interrupt.

    Args:
        pod: Where the next database is.
        store: The filestore.

    Returns:
        How many were not there yet.

    Raises:
        StepFailed: A file is not what its name says.
    """
    written = 0
    for left in store.glob(f"??/.*{_HALF}"):
        left.unlink(missing_ok=True)  # of an adoption that was killed; there is one at a time
    with closing(connect(pod, DATABASE)) as connection:
        connection.autocommit = False
        with connection.cursor(name="careops_files") as cursor:
            cursor.itersize = _ROWS
            cursor.execute("SELECT sha1, content FROM careops_refresh.file ORDER BY sha1")
            for sha1, content in cursor:
                data, place = bytes(content), store / sha1[:2] / sha1
                # An earlier run's, which Odoo may have been told to remove: this one needs it.
                (store / _NOTES / sha1[:2] / sha1).unlink(missing_ok=True)
                # Odoo's own name for a file, not a protection: the data came over a connection that is one.
                if hashlib.sha1(data, usedforsecurity=False).hexdigest() != sha1:
                    raise StepFailed(
                        f"the file {sha1} is not what its name says",
                        why="the masking program handed over something else",
                        action="report this; training is as it was",
                    )
                if not place.exists():
                    with journal(store).open("a", encoding="ascii") as notes:
                        notes.write(f"{sha1}\n")
                written += _write(place, data)
    return written


def journal(store: Path) -> Path:
    """Return the list of files that were written for a database which is not live yet, beside the filestore."""
    return store.with_name(f".{DATABASE}.written")


def hand_back(store: Path) -> int:
    """Tell Odoo to look whether the files of a run that came to nothing are needed; it removes those that are not.

    Odoo decides, as it may have stored the same content meanwhile. After a swap the files are needed, and stay.

    Returns:
        How many there were.
    """
    notes = journal(store)
    if not notes.exists():
        return 0
    names = [name for name in notes.read_text(encoding="ascii").split() if len(name) == _SHA1 and name.isalnum()]
    for name in names:
        place = store / _NOTES / name[:2] / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    notes.unlink()
    return len(names)


def missing_files(pod: Pod, store: Path) -> list[str]:
    """Return the names that rows of the next database give to files that are not there."""
    with closing(connect(pod, DATABASE)) as connection:
        connection.autocommit = False
        with connection.cursor(name="careops_names") as cursor:
            cursor.execute("SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname IS NOT NULL")
            return sorted(name for (name,) in cursor if not (store / name).is_file())


def keep(store: Path, kept: Path) -> int:
    """Give every file of a filestore a second name; returns how many new ones there are."""
    added = 0
    for folder, _, names in os.walk(store):
        here = Path(folder)
        if _NOTES in here.relative_to(store).parts:
            continue  # Odoo's notes on what it may remove
        place = kept / here.relative_to(store)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            if name.startswith(".") or (place / name).exists():
                continue
            os.link(here / name, place / name)
            added += 1
    return added


def forget(kept: Path, store: Path) -> int:
    """Remove from the kept files what the filestore does not have; returns how many."""
    gone = [path for path in kept.rglob("*") if path.is_file() and not (store / path.relative_to(kept)).exists()]
    for path in gone:
        path.unlink()
    return len(gone)


def link(store: Path, name: Path) -> None:
    """Let Odoo find the filestore under the next database's name, and keep its notes apart from the live database's.

    Odoo notes each file that it writes, and its clearing up removes what stands in the notes and in no row. With one
    folder for both, training's own clearing up removed files that the adoption had just written.
    """
    unlink(name)
    name.mkdir(parents=True)
    for folder in (f"{number:02x}" for number in range(256)):
        (store / folder).mkdir(parents=True, exist_ok=True)
        (name / folder).symlink_to(Path("..") / store.name / folder)


def unlink(name: Path) -> None:
    """Remove the next database's way into the filestore."""
    if name.is_symlink():
        name.unlink()
    elif name.exists():
        shutil.rmtree(name)


def empty_sessions(data: Path) -> None:
    """End everybody's session: each names a user of the database that was."""
    sessions = data / "sessions"
    if sessions.is_dir():
        for entry in sessions.iterdir():
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink(missing_ok=True)


def _write(place: Path, data: bytes) -> int:
    if place.exists() and place.stat().st_size == len(data):
        return 0
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f".{place.name}{_HALF}")
    try:
        with temporary.open("wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)  # half a file would keep the room that was lacking
        raise
    temporary.rename(place)
    return 1
