"""The folder in which one run of the engine keeps its files; what a killed run left there, the next one removes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextlib.contextmanager
def run_folder(parent: Path, stack: str) -> Generator[Path]:
    """Make an empty folder for one run and remove it when the run is over.

    The engine's event log and a stack's exported state hold inputs and outputs. Whoever runs holds a lock on its
    folder, which the kernel takes away with the process, also from one that was killed: a folder that nobody locks
    belongs to nobody and is removed by the next run, of whichever stack.

    Args:
        parent: Where the folders of all runs are; made for its owner alone.
        stack: Gives the folder its name.

    Yields:
        The folder, mode 0700.
    """
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    parent.chmod(0o700)
    # The lock on the parent covers the moment in which a new folder is not locked yet.
    with _locked(parent, fcntl.LOCK_EX):
        _remove_abandoned(parent)
        folder = Path(tempfile.mkdtemp(prefix=f"{stack}-", dir=parent))
        held = contextlib.ExitStack()
        held.enter_context(_locked(folder, fcntl.LOCK_EX))
    with held:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.iterdir():
        with contextlib.suppress(OSError), _locked(folder, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path, how: int) -> Generator[None]:
    """Hold a lock on a folder; the engine, which the process starts, does not inherit it.

    Raises:
        BlockingIOError: Another run holds it, and `how` says not to wait.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)
