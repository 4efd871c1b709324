"""What a killed engine leaves behind in its backend: a lock, and notes of operations it had begun."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_SCHEME: Final = "file://"


@dataclass(frozen=True, kw_only=True, slots=True)
class LockHolder:
    """Who locked a stack: process, host, time as the engine wrote it."""

    pid: int
    host: str
    since: str


def lock_holders(backend_url: str, project: str, stack: str) -> list[LockHolder]:
    """Return who holds the locks of a stack in a backend of files; none for other backends, which do it themselves."""
    if not backend_url.startswith(_SCHEME):
        return []
    folder = Path(backend_url.removeprefix(_SCHEME)) / ".pulumi" / "locks"
    found = []
    for file in folder.glob(f"**/{project}/{stack}/*.json"):
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            # Killed while writing it: nobody who runs holds it.
            content = {}
        found.append(
            LockHolder(
                pid=int(content.get("pid") or 0),
                host=str(content.get("hostname") or ""),
                since=str(content.get("timestamp") or "at an unknown time"),
            )
        )
    return found


def is_running(holder: LockHolder) -> bool:
    """Tell whether a lock's owner still runs; on another host nobody can tell from here, so it counts as running."""
    if holder.pid <= 0:
        return False
    if holder.host and holder.host != socket.gethostname():
        return True
    try:
        command = Path(f"/proc/{holder.pid}/cmdline").read_bytes()
        state = Path(f"/proc/{holder.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    # The kernel reuses process ids: another program under the same one is no engine.
    return state != "Z" and b"pulumi" in command.split(b"\0")[0].rpartition(b"/")[2]


def has_pending(state_file: Path) -> bool:
    """Tell whether a stack's state in a backend of files notes operations that were begun and not ended."""
    try:
        checkpoint = json.loads(state_file.read_text(encoding="utf-8"))["checkpoint"]
    except (OSError, ValueError, KeyError):
        return False
    return bool((checkpoint.get("latest") or {}).get("pending_operations"))


def without_pending(state: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return the state without begun operations (None when there are none), and the resources being created."""
    deployment = state.get("deployment") or {}
    pending = deployment.get("pending_operations") or []
    if not pending:
        return None, []
    created = [item["resource"]["urn"] for item in pending if item.get("type") == "creating"]
    return {**state, "deployment": {**deployment, "pending_operations": []}}, created
