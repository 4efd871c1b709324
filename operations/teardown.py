"""The real parts behind `careops down`."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING

from operations import deployment, embedded, live
from operations.down import Doomed, DownPlan, read_volumes
from operations.environments import ORDER, Environment, choose, default_port
from operations.errors import OperationError, failure
from operations.exit_codes import ExitCode
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.kube_api import Read
    from operations.session import Session
    from toolchain.progress import Reporter

GONE_SECONDS = 300.0
POLL_SECONDS = 1.0

STATE_OF_A_PLATFORM = (
    "cluster",
    "pulumi/backend",
    "pulumi/config",
    "pulumi/runs",
    "deployed",
    "facts.json",
    "images.tar",
    "images.json",
    "kubeconfig",
    "passphrase",
)
"""What `down --all` removes from the state folder after the cluster. Tools and logs stay."""


def require_choice(asked: Sequence[str], *, everything: bool) -> None:
    """Raise unless the command line says exactly what to destroy.

    Raises:
        OperationError: With `USAGE`.
    """
    if bool(asked) != everything:
        return
    raise failure(
        ExitCode.USAGE,
        "`down` needs to know what to destroy",
        "environments were named together with --all" if asked else "no environment was named, and not --all",
        "./careops down dev; or everything: ./careops down --all; to pause without loss: ./careops stop",
    )


def plan(session: Session, asked: Sequence[str], *, everything: bool, keep_cache: bool) -> DownPlan:
    """Look at what would be destroyed; changes nothing.

    With everything, settings that are not valid (any more) do not stand in the way; the stacks that were deployed tell
    what there is then, so that nobody's data goes without its name.
    """
    known = _everything(session) if everything else live.environments(session)
    chosen = reversed(choose(known, asked))
    notes: list[str] = []
    read = None
    try:
        read = live.cluster_reader(session)
        read("/api/v1/namespaces/kube-system")
    except (OperationError, ToolchainError) as error:
        read = None
        notes.append(f"data volumes could not be looked at: {error}")
    unseen = read is None and session.paths.kubeconfig.is_file()
    doomed = tuple(_doomed(session, environment, read, unseen=unseen) for environment in chosen)
    return DownPlan(
        doomed=doomed,
        platform=everything,
        embedded=live.is_embedded(session),
        keep_cache=keep_cache,
        notes=tuple(notes),
    )


def remembered(session: Session) -> tuple[Environment, ...]:
    """Return the environments Pulumi's state knows; their sites and namespaces are told by nothing but the settings."""
    stacks = (path.stem for path in session.paths.pulumi_backend.glob(".pulumi/stacks/*/*.json"))
    named = [(stack, stack.rpartition(".")[2], stack.rpartition(".")[0]) for stack in stacks]
    found = [
        Environment(stack=stack, site=site, name=name, namespace=f"{site}-{name}", port=default_port(0, name))
        for stack, name, site in named
        if name in ORDER
    ]
    return tuple(sorted(found, key=lambda one: (one.site, ORDER.index(one.name))))


def _everything(session: Session) -> tuple[Environment, ...]:
    """Return what the settings name and what was ever deployed: a stack whose file is gone still holds its data."""
    named = {one.stack: one for one in remembered(session)}
    named |= {one.stack: one for one in live.environments_or_none(session) or ()}
    return tuple(sorted(named.values(), key=lambda one: (one.site, ORDER.index(one.name))))


def _doomed(session: Session, environment: Environment, read: Read | None, *, unseen: bool) -> Doomed:
    return Doomed(
        environment=environment,
        resources=deployment.count_resources(session, environment.stack),
        volumes=read_volumes(read, environment.namespace) if read else (),
        unseen=unseen,
        half_deleted=bool(read and embedded.terminating(read, [environment.namespace])),
    )


class Teardown:
    """Destroys, through Pulumi or with the cluster."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def destroy(self, stack: str, reporter: Reporter) -> None:
        """Destroy a stack's resources and remove the stack."""
        with reporter.step(f"Destroying {stack}") as step:
            deployment.destroy(self._session, stack, step)

    def wait_gone(self, namespace: str, reporter: Reporter) -> None:
        """Wait until a namespace is gone.

        Raises:
            OperationError: With `CLUSTER`, when something keeps it.
        """
        read = live.cluster_reader(self._session)
        with reporter.step(f"Waiting until {namespace} is gone"):
            deadline = time.monotonic() + GONE_SECONDS
            while (found := read(f"/api/v1/namespaces/{namespace}")) is not None:
                if time.monotonic() > deadline:
                    raise stuck(namespace, found)
                time.sleep(POLL_SECONDS)

    def wipe(self, reporter: Reporter) -> None:
        """Stop the embedded cluster and remove everything of it and of the Pulumi state."""
        with reporter.step("Removing the embedded cluster and its data"):
            embedded.cluster(self._session).wipe()
        self.forget()

    def forget(self) -> None:
        """Remove what this checkout knows of a platform that is gone: Pulumi's state, facts, access, passphrase."""
        state = self._session.paths.state
        for name in STATE_OF_A_PLATFORM:
            path = state / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def drop_cache(self, reporter: Reporter) -> None:
        """Remove builds and downloads; Go's module cache is read-only and needs its permissions back first."""
        cache = self._session.paths.cache
        with reporter.step(f"Removing the cache {cache}"):
            if cache.is_dir():
                for folder in (self._session.paths.go_mod, self._session.paths.artifacts):
                    for path in folder.rglob("*"):
                        if path.is_dir() and not path.is_symlink():
                            path.chmod(0o755)
                shutil.rmtree(cache)


def stuck(namespace: str, found: dict) -> OperationError:
    """Return the error of a namespace that does not go, with what Kubernetes says holds it."""
    conditions = found.get("status", {}).get("conditions") or []
    reasons = [one["message"] for one in conditions if one.get("status") == "True" and one.get("message")]
    return failure(
        ExitCode.CLUSTER,
        f"The namespace {namespace} is half-deleted: it does not go",
        "; ".join(reasons) or "Kubernetes does not say what holds it",
        f"look at it: ./careops kubectl get namespace {namespace} -o yaml; then run the same down again",
    )
