"""Plugins end with the engine that started them, also when it was killed and could not say so."""

from __future__ import annotations

import os
import threading
import time
from typing import Final

# Short enough that a killed run's plugins are gone before a person starts the next one.
INTERVAL_SECONDS: Final = 0.5


def exit_with_parent() -> None:
    """Watch the parent process from a thread and end this process when it is gone.

    The kernel's own signal for this (PR_SET_PDEATHSIG) follows the parent's thread, and Go ends threads at will.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(INTERVAL_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="parent").start()
