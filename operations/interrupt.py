"""Ctrl-C for the programs that this process has started."""

from __future__ import annotations

import contextlib
import os
import signal


def interrupt_children() -> None:
    """Send SIGINT to every child in this process's group, as a terminal does on Ctrl-C.

    Whoever signals this process alone has not reached them. The embedded cluster is in a group of its own and lives on.
    """
    from toolchain.cluster.processes import children

    for child in children(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(child) == os.getpgrp():
                os.kill(child, signal.SIGINT)
