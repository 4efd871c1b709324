"""Pulumi on this platform's stacks: deploy, preview, destroy; the policy pack is always on."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from operations.errors import failure
from operations.exit_codes import ExitCode
from toolchain.pulumi.events import Phase, ResourceEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from operations.session import Session
    from toolchain.progress import Step
    from toolchain.pulumi.events import EngineEvent
    from toolchain.pulumi.runner import Pulumi, Result

POLICY_PACK = "policies"
UNPROTECT_SECONDS = 120


@dataclass
class Progress:
    """Turns the engine's events into one line: how many resources are done, and what is waited for."""

    step: Step
    done: int = 0
    running: dict[str, str] = field(default_factory=dict)

    def __call__(self, event: EngineEvent) -> None:
        """Take one event."""
        if not isinstance(event, ResourceEvent):
            return
        if event.phase is Phase.STARTED:
            self.running[event.urn] = f"{event.type.rpartition(':')[2]} {event.name}"
        else:
            self.running.pop(event.urn, None)
            self.done += 1
        waiting = list(self.running.values())
        self.step.note(f"{self.done} resources" + (f", now {waiting[-1]}" if waiting else ""))


def engine(session: Session) -> Pulumi:
    """Return the runner of this checkout's project."""
    from operations.live import tool_environment
    from toolchain.pulumi.runner import Pulumi

    return Pulumi(
        folder=session.paths.root,
        environ=tool_environment(session),
        run_folder=session.paths.pulumi_runs,
        config_folder=session.paths.pulumi_backend.with_name("config"),
        program=str(session.paths.bin / "pulumi"),
    )


def deploy(
    session: Session,
    stack: str,
    step: Step,
    *,
    refresh: bool = False,
    lost: bool = False,
    pulumi: Pulumi | None = None,
) -> str:
    """Make a stack what its settings say; return a line about what changed.

    A stack whose last deployment came to its end is previewed first; when that shows no change, that is the answer, and
    an unchanged environment costs one preview. After a crash the whole update runs: it also repairs the state.

    Args:
        session: This invocation.
        stack: Which.
        step: Shows progress.
        refresh: Whether its state is compared with the cluster first.
        lost: Whether its objects are known to be gone: then that comparison is needed, and shows a change.
        pulumi: The runner; this checkout's by default.

    Raises:
        DeploymentFailed: The engine, the program or a policy said no.
    """
    pulumi = pulumi or engine(session)
    pack = session.paths.root / POLICY_PACK
    record = deployed_record(session.paths.state, stack)
    finished = record.is_file() and not lost
    if finished:
        step.note("comparing")
        plan = pulumi.preview(stack, policy_pack=pack, refresh=refresh)
        if plan.is_unchanged:
            write_deployed(record)
            return "unchanged"
    record.unlink(missing_ok=True)
    result = pulumi.up(stack, policy_pack=pack, preview=not finished, refresh=refresh or lost, on_event=Progress(step))
    write_deployed(record)
    return describe(result.changes)


def preview(session: Session, stack: str, step: Step) -> Result:
    """Return what `deploy` would change.

    Raises:
        DeploymentFailed: The program or a policy said no.
    """
    step.note("comparing")
    return engine(session).preview(stack, policy_pack=session.paths.root / POLICY_PACK)


def destroy(session: Session, stack: str, step: Step, pulumi: Pulumi | None = None) -> None:
    """Delete a stack's resources and forget the stack; protection ends here, because the loss was confirmed by name.

    Raises:
        DeploymentFailed: Something could not be deleted.
    """
    pulumi = pulumi or engine(session)
    if stack in pulumi.stacks():
        deployed_record(session.paths.state, stack).unlink(missing_ok=True)
        pulumi.recover(stack)
        unprotect(pulumi, stack)
        pulumi.destroy(stack, remove=True, on_event=Progress(step))


def unprotect(pulumi: Pulumi, stack: str, run: Callable[..., subprocess.CompletedProcess] = subprocess.run) -> None:
    """Take Pulumi's protection from every resource of a stack.

    Raises:
        OperationError: With `DEPLOYMENT`.
    """
    done = run(
        [pulumi.program, "state", "unprotect", "--all", "--yes", "--non-interactive", "--stack", stack],
        cwd=pulumi.folder,
        env=dict(pulumi.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=UNPROTECT_SECONDS,
    )
    if done.returncode != 0:
        raise failure(
            ExitCode.DEPLOYMENT,
            f"The protection of {stack} could not be taken off; nothing was destroyed",
            (done.stderr or done.stdout).strip(),
            "correct what it names, then run the command again",
        )


def existing(session: Session) -> dict[str, Any]:
    """Return what is there of the platform, for the record: what an `up` takes depends on it."""
    return {
        "cluster_existed": session.paths.kubeconfig.is_file(),
        "stacks_existed": sorted(path.stem for path in session.paths.pulumi_backend.glob(".pulumi/stacks/*/*.json")),
    }


def count_resources(session: Session, stack: str) -> int | None:
    """Return how many resources a stack holds, without the stack itself; None when there is no such stack."""
    path = session.paths.pulumi_backend / ".pulumi" / "stacks" / "careops" / f"{stack}.json"
    try:
        state = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    latest = (state.get("checkpoint") or {}).get("latest") or {}
    return sum(resource.get("type") != "pulumi:pulumi:Stack" for resource in latest.get("resources") or [])


def describe(changes: Mapping[str, int]) -> str:
    """Return a line about changes: `12 create, 1 update`, or `unchanged`."""
    parts = [f"{count} {word}" for word, count in changes.items() if word != "same" and count]
    return ", ".join(parts) or "unchanged"


def deployed_record(state: Path, stack: str) -> Path:
    """Return the file that exists while a stack's last deployment came to its end."""
    return state / "deployed" / f"{stack}.json"


def write_deployed(record: Path) -> None:
    """Note that a deployment came to its end now."""
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"at": datetime.now(UTC).isoformat(timespec="seconds")}) + "\n")
