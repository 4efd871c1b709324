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
                data = bytes(content)
                # Odoo's own name for a file, not a protection: the data came over a connection that is one.
                if hashlib.sha1(data, usedforsecurity=False).hexdigest() != sha1:
                    raise StepFailed(
                        f"the file {sha1} is not what its name says",
                        why="the masking program handed over something else",
                        action="report this; training is as it was",
                    )
                written += _write(store / sha1[:2] / sha1, data)
    return written


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
        if "checklist" in here.relative_to(store).parts:
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
    """Let Odoo find the filestore under the next database's name."""
    store.mkdir(parents=True, exist_ok=True)
    unlink(name)
    name.symlink_to(store.name)


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
