"""Drives the Pulumi engine on one project: its stacks, previews, updates, and what to do after a crash."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from toolchain.errors import MissingTool, ToolchainError
from toolchain.pulumi import crash
from toolchain.pulumi.engine import watch
from toolchain.pulumi.errors import DeploymentFailed, StackBusy
from toolchain.pulumi.events import (
    UNCHANGED_OPERATIONS,
    Diagnostic,
    EngineEvent,
    Phase,
    PolicyViolation,
    ResourceEvent,
    Summary,
    name_of,
)
from toolchain.pulumi.run_folder import run_folder
from toolchain.pulumi.workspace import KUBERNETES_PLUGIN, is_stand_in

__all__ = [
    "DeploymentFailed",
    "Diagnostic",
    "Phase",
    "PolicyViolation",
    "Pulumi",
    "ResourceEvent",
    "Result",
    "StackBusy",
]

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_CLOSING_WORDS: Final = frozenset({"preview failed", "update failed"})
OnEvent = Callable[[EngineEvent], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a run did.

    Attributes:
        command: up, preview, destroy or refresh.
        stack: on which stack.
        changes: number of resources by operation (create, update, replace, delete, same).
        seconds: how long it took.
        diagnostics: what was said that still matters.
        violations: what the policies found.
    """

    command: str
    stack: str
    changes: Mapping[str, int]
    seconds: float
    diagnostics: tuple[Diagnostic, ...] = ()
    violations: tuple[PolicyViolation, ...] = ()

    @property
    def is_unchanged(self) -> bool:
        """Whether nothing was, or would be, changed."""
        return not any(count for operation, count in self.changes.items() if operation not in UNCHANGED_OPERATIONS)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pulumi:
    """The engine on one project.

    Attributes:
        folder: the project: where Pulumi.yaml is.
        environ: the whole environment of the engine; `workspace.environment` makes what it needs.
        run_folder: where the files of a run are, its event log among them, while it lasts; for the owner alone.
        config_folder: where this machine's salt of each stack is kept, so that the committed stack files stay as they
            are; None keeps it in the project, as plain Pulumi does.
        program: the engine's name or path.
    """

    folder: Path
    environ: Mapping[str, str]
    run_folder: Path
    config_folder: Path | None = None
    program: str = "pulumi"

    def up(
        self,
        stack: str,
        *,
        policy_pack: Path | None = None,
        preview: bool = True,
        refresh: bool = False,
        on_event: OnEvent = lambda _: None,
    ) -> Result:
        """Make the stack what the program says.

        Args:
            stack: which; it is made when it does not exist.
            policy_pack: judged in the preview already, so that a violation stops the run before anything is touched.
            preview: judge first.
            refresh: look at the live objects first, not only at the state.
            on_event: called with every event as it comes.

        Raises:
            DeploymentFailed: when it did not succeed.
            StackBusy: when another update is running.
        """
        self.ensure_stack(stack)
        recovered = self.recover(stack)
        environ = {"PULUMI_K8S_UPSERT_EXISTING_OBJECTS": "true"} if recovered and not self._has_stand_in() else {}
        flags = ["--policy-pack", str(policy_pack)] if policy_pack else []
        flags += ["--refresh=true"] if refresh else []
        if preview:
            self._run("preview", stack, flags, on_event=lambda _: None, environ=environ)
        return self._run("up", stack, ["--yes", "--skip-preview", *flags], on_event=on_event, environ=environ)

    def preview(
        self, stack: str, *, policy_pack: Path | None = None, refresh: bool = False, on_event: OnEvent = lambda _: None
    ) -> Result:
        """Tell what `up` would do; nothing is changed.

        Raises:
            DeploymentFailed: when the program or a policy says no.
        """
        self.ensure_stack(stack)
        flags = ["--policy-pack", str(policy_pack)] if policy_pack else []
        return self._run("preview", stack, [*flags, *(["--refresh=true"] if refresh else [])], on_event=on_event)

    def destroy(self, stack: str, *, remove: bool = False, on_event: OnEvent = lambda _: None) -> Result:
        """Delete every resource of the stack; with `remove`, the stack itself too.

        Raises:
            DeploymentFailed: when something could not be deleted.
        """
        self.recover(stack)
        result = self._run("destroy", stack, ["--yes", "--skip-preview"], on_event=on_event)
        if remove:
            self.remove(stack)
        return result

    def refresh(self, stack: str, *, on_event: OnEvent = lambda _: None) -> Result:
        """Bring the state in line with the live objects; nothing of theirs is changed.

        Raises:
            DeploymentFailed: when an object could not be read, or is not ready.
        """
        self.recover(stack)
        return self._run("refresh", stack, ["--yes", "--skip-preview"], on_event=on_event)

    def stacks(self) -> list[str]:
        """Return the names of the project's stacks, sorted."""
        listed = json.loads(self._ask("stack", "ls", "--json"))
        return sorted(item["name"].rsplit("/", 1)[-1] for item in listed)

    def ensure_stack(self, stack: str) -> None:
        """Make the stack when it does not exist.

        Raises:
            ToolchainError: when its name cannot be one.
        """
        if not _NAME.fullmatch(stack):
            raise ToolchainError(
                f"{stack!r} cannot be a stack's name.",
                why="Pulumi allows letters, digits, '.', '-' and '_', at most 100 of them.",
                action="Use a name such as dev or north.prod.",
            )
        if self._state_file(stack).exists() or stack in self.stacks():
            return
        if self.config_folder is None:
            self._ask("stack", "init", stack, "--no-select")
            return
        self._write_project(self.config_folder)
        self._ask("stack", "init", stack, "--no-select", folder=self.config_folder)

    def _write_project(self, folder: Path) -> None:
        """Write the project file beside the salts, whole: another stack's engine may be reading it just now."""
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".Pulumi.{os.getpid()}.{threading.get_ident()}"
        draft.write_text(yaml.safe_dump({"name": self.project, "runtime": "python"}), encoding="utf-8")
        draft.replace(folder / "Pulumi.yaml")

    def remove(self, stack: str) -> None:
        """Forget an empty stack."""
        self._ask("stack", "rm", stack, "--yes", "--preserve-config")
        if self.config_folder is not None:
            for name in (f"Pulumi.{stack}.yaml", f"merged/Pulumi.{stack}.yaml"):
                (self.config_folder / name).unlink(missing_ok=True)

    def outputs(self, stack: str, *, show_secrets: bool = False) -> dict[str, Any]:
        """Return the stack's outputs; secret ones read `[secret]` unless asked for."""
        flags = ["--show-secrets"] if show_secrets else []
        return json.loads(self._ask("stack", "output", "--json", "--stack", stack, *flags) or "{}")

    def export(self, stack: str) -> dict[str, Any]:
        """Return the stack's state; secrets stay encrypted."""
        return json.loads(self._ask("stack", "export", "--stack", stack))

    def recover(self, stack: str) -> list[str]:
        """Make a stack usable again after its engine was killed.

        Removes the dead engine's lock and the notes of operations it had begun: an object that was being created is
        taken over by the next update, everything else is compared anew.

        Returns:
            The URNs of resources whose creation was interrupted.

        Raises:
            StackBusy: when the lock's owner is alive.
        """
        holders = crash.lock_holders(self.environ.get("PULUMI_BACKEND_URL", ""), self.project, stack)
        for holder in holders:
            if crash.is_running(holder):
                raise StackBusy(
                    f"Stack {stack} is being changed by another run.",
                    why=f"Process {holder.pid} on {holder.host}, started {holder.since}, holds its lock.",
                    action="Wait until it ends, or end it, then run the command again.",
                )
        if not holders and not crash.has_pending(self._state_file(stack)):
            return []
        if holders:
            self._ask("cancel", stack, "--yes")
        if not self._state_file(stack).exists():
            return []
        cleaned, creations = crash.without_pending(self.export(stack))
        if cleaned is not None:
            with run_folder(self.run_folder, stack) as folder:
                file = folder / "state.json"
                file.write_text(json.dumps(cleaned), encoding="utf-8")
                self._ask("stack", "import", "--stack", stack, "--file", str(file))
        return creations

    @property
    def project(self) -> str:
        """The project's name."""
        return yaml.safe_load((self.folder / "Pulumi.yaml").read_text(encoding="utf-8"))["name"]

    def _has_stand_in(self) -> bool:
        home = Path(self.environ.get("PULUMI_HOME", ""))
        return any(is_stand_in(plugin) for plugin in home.glob(f"plugins/resource-kubernetes-*/{KUBERNETES_PLUGIN}"))

    def _state_file(self, stack: str) -> Path:
        backend = self.environ.get("PULUMI_BACKEND_URL", "").removeprefix("file://")
        return Path(backend) / ".pulumi" / "stacks" / self.project / f"{stack}.json"

    def _config_flags(self, stack: str) -> list[str]:
        """Return the flags that add this machine's salt to the committed settings."""
        if self.config_folder is None:
            return []
        committed = self.folder / f"Pulumi.{stack}.yaml"
        settings = yaml.safe_load(committed.read_text(encoding="utf-8")) if committed.exists() else None
        salted = self.config_folder / f"Pulumi.{stack}.yaml"
        settings = settings or {}
        if "encryptionsalt" not in settings and salted.exists():
            settings["encryptionsalt"] = yaml.safe_load(salted.read_text(encoding="utf-8"))["encryptionsalt"]
        merged = self.config_folder / "merged" / f"Pulumi.{stack}.yaml"
        merged.parent.mkdir(parents=True, exist_ok=True)
        merged.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        return ["--config-file", str(merged)]

    def _ask(self, *arguments: str, folder: Path | None = None) -> str:
        """Return what a short command prints."""
        command = [self.program, *arguments, "--non-interactive", "--color", "never"]
        environ = dict(self.environ)
        try:
            done = subprocess.run(
                command,
                cwd=folder or self.folder,
                env=environ,
                capture_output=True,
                text=True,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise self._missing(error) from error
        if done.returncode:
            raise ToolchainError(
                f"`pulumi {' '.join(arguments)}` failed.",
                why=(done.stderr or done.stdout).strip() or f"It ended with code {done.returncode} and said nothing.",
                action="Correct what it names, then run the command again.",
            )
        return done.stdout

    def _missing(self, error: OSError) -> MissingTool:
        return MissingTool(
            f"The Pulumi engine {self.program!r} cannot be started.",
            why=str(error),
            action="Run `careops up`, which gets it, or install Pulumi.",
        )

    def _run(
        self, command: str, stack: str, flags: list[str], *, on_event: OnEvent, environ: Mapping[str, str] | None = None
    ) -> Result:
        # The log holds inputs and outputs, secrets blanked; it is gone when the run is over.
        with run_folder(self.run_folder, stack) as folder:
            log = folder / "events.json"
            arguments = [self.program, command, "--stack", stack, "--non-interactive", "--color", "never"]
            arguments += ["--event-log", str(log), *self._config_flags(stack), *flags]
            # The engine hides --event-log, which its own automation API lives on, behind this variable.
            full = {**self.environ, **(environ or {}), "PULUMI_DEBUG_COMMANDS": "true"}
            collected = _Collected()
            started = time.monotonic()
            try:
                code, text = watch(arguments, self.folder, full, log, (collected.add, on_event))
            except OSError as error:
                raise self._missing(error) from error
        result = Result(
            command=command,
            stack=stack,
            changes=collected.changes,
            seconds=time.monotonic() - started,
            diagnostics=tuple(collected.diagnostics),
            violations=tuple(collected.violations),
        )
        if code:
            raise _failure(result, code, text)
        return result


@dataclass(kw_only=True, slots=True)
class _Collected:
    """The events of a run that its result keeps."""

    changes: dict[str, int] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    violations: list[PolicyViolation] = field(default_factory=list)

    def add(self, event: EngineEvent) -> None:
        if isinstance(event, Summary):
            self.changes = dict(event.changes)
        elif isinstance(event, PolicyViolation):
            self.violations.append(event)
        elif isinstance(event, Diagnostic) and not event.passing:
            self.diagnostics.append(event)


def _failure(result: Result, code: int, text: str) -> DeploymentFailed:
    mandatory = [item for item in result.violations if item.is_mandatory]
    errors = list(dict.fromkeys(_said(item) for item in result.diagnostics if item.is_error))
    # The engine's own closing words say nothing more once a cause is named.
    errors = [text for text in errors if text not in _CLOSING_WORDS] or ([] if mandatory else errors)
    lines = [f"{name_of(item.urn) or 'the stack'}: policy {item.policy}: {item.text}" for item in mandatory] + errors
    if not lines:
        lines = [text.removeprefix("error: ") or f"the engine ended with code {code} and said nothing"]
    action = "Correct what is named above, then run the command again: it does only what is missing."
    if mandatory:
        # Rules on the stack as a whole, and values unknown until then, are judged when an update has begun.
        touched = "nothing was touched" if result.command == "preview" else "what was made before it stays"
        action = f"Change the resources so that they comply, or get a waiver for the rule; {touched}."
    verb = {"up": "deployed", "preview": "previewed", "destroy": "destroyed", "refresh": "refreshed"}[result.command]
    return DeploymentFailed(
        f"Stack {result.stack} could not be {verb}.", why="\n".join(lines), action=action, result=result
    )


def _said(item: Diagnostic) -> str:
    return f"{name_of(item.urn)}: {item.text}" if item.urn else item.text
