"""`careops up`: from whatever is there to running environments, in phases that each do only what is missing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from operations.environments import choose
from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode
from operations.machine import judge
from operations.phases import Phase, Record, run_phases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from operations.environments import Environment
    from operations.lock import PlatformLock
    from operations.machine import Machine
    from toolchain.progress import Reporter, Step

PLATFORM_STACK = "platform"
"""The stack of what all environments share: operators, storage, priority classes."""


class ClusterPart(Protocol):
    """What `up` asks of a cluster, embedded or existing."""

    embedded: bool

    def ready(self, reporter: Reporter) -> str:
        """Make sure the cluster answers (and, when existing, enforces NetworkPolicy); return a line about it."""
        ...

    def images(self, reporter: Reporter) -> str:
        """Make sure the cluster's nodes have the images; return a line about it."""
        ...

    def facts(self) -> str:
        """Write the facts the settings read; return a line about them."""
        ...

    def terminating(self, namespaces: Sequence[str]) -> tuple[str, ...]:
        """Return those of the namespaces that are half-deleted."""
        ...


@dataclass(frozen=True, kw_only=True)
class UpParts:
    """Everything `up` acts through; tests give it fakes.

    Attributes:
        environments: Validates every stack and site file and returns the environments; raises all problems at once.
        machine: Reads the facts of this machine.
        check_passphrase: Raises when state is encrypted with a passphrase that is gone.
        lock: The platform's lock.
        install_packages: Installs the Debian packages that are missing; returns a line about it.
        build: Builds or fetches the toolchain and the images; returns a line about it.
        cluster: The cluster to deploy to.
        deploy: Runs Pulumi on one stack with the policy pack; returns a line about it.
        answers: Whether the environment's login page answers through its edge: None, or what is wrong.
        record: Keeps the record of this run.
    """

    environments: Callable[[], Sequence[Environment]]
    machine: Callable[[], Machine]
    check_passphrase: Callable[[], None]
    lock: PlatformLock
    install_packages: Callable[[Reporter], str]
    build: Callable[[Reporter], str]
    cluster: ClusterPart
    deploy: Callable[[str, Step], str]
    answers: Callable[[Environment], str | None]
    record: Callable[[Record], None]


class Up:
    """One run of `careops up`."""

    def __init__(self, asked: Sequence[str], command: str, parts: UpParts, reporter: Reporter) -> None:
        self._asked = asked
        self._command = command
        self._parts = parts
        self._reporter = reporter
        self._locked = False
        self.environments: tuple[Environment, ...] = ()

    def run(self) -> Record:
        """Run every phase and return the record.

        Raises:
            OperationError: For everything that is known to go wrong, with its exit code.
            KeyboardInterrupt: When interrupted; what is done is kept and a second run continues.
        """
        with ExitStack() as held:

            def announce(phase: Phase) -> AbstractContextManager[Step]:
                return self._reporter.step(phase.title)

            return run_phases(
                self._phases(held),
                command=self._command,
                announce=announce,
                record=self._record,
            )

    def _record(self, record: Record) -> None:
        """Keep the record, but only of a run that holds the lock: a refused one must not overwrite its holder's."""
        if self._locked:
            self._parts.record(record)

    def _phases(self, held: ExitStack) -> Iterator[Phase]:
        """Yield the phases in order; those of the environments are known once the settings are read."""
        parts, reporter, cluster = self._parts, self._reporter, self._parts.cluster
        yield Phase(name="settings", title="Validate the settings", run=self._validate)
        yield Phase(name="machine", title="Check this machine", run=self._check_machine)
        held.enter_context(parts.lock)
        self._locked = True
        if cluster.embedded:
            yield Phase(
                name="packages",
                title="Debian packages",
                run=lambda _: parts.install_packages(reporter),
            )
        yield Phase(name="toolchain", title="Toolchain and images", run=lambda _: parts.build(reporter))
        yield Phase(name="cluster", title="Cluster", run=lambda _: cluster.ready(reporter))
        yield Phase(name="remains", title="Look for half-deleted environments", run=self._refuse_half_deleted)
        yield Phase(name="images", title="Images on the nodes", run=lambda _: cluster.images(reporter))
        yield Phase(name="facts", title="Facts about the cluster", run=lambda _: cluster.facts())
        for stack in (PLATFORM_STACK, *(environment.stack for environment in self.environments)):
            yield Phase(name=f"deploy:{stack}", title=f"Deploy {stack}", run=self._deployment(stack))
        yield Phase(name="health", title="Log-in pages answer through their edges", run=self._check_health)

    def _validate(self, _step: Step) -> str:
        known = self._parts.environments()
        self.environments = choose(known, self._asked)
        self._parts.check_passphrase()
        return ", ".join(environment.stack for environment in self.environments)

    def _check_machine(self, _step: Step) -> str:
        self._parts.lock.refuse_if_held()
        if not self._parts.cluster.embedded:
            return "an existing cluster asks nothing of this machine"
        problems = judge(self._parts.machine(), self.environments)
        if problems:
            raise OperationError(ExitCode.MACHINE_UNFIT, *problems)
        return "fit"

    def _refuse_half_deleted(self, _step: Step) -> str:
        """Refuse before any environment is touched: a deployment into a dying namespace fails in odd ways, late."""
        namespaces = {environment.namespace: environment for environment in self.environments}
        problems = [
            half_deleted(namespaces[name].stack, name) for name in self._parts.cluster.terminating(tuple(namespaces))
        ]
        if problems:
            raise OperationError(ExitCode.DEPLOYMENT, *problems)
        return "none"

    def _deployment(self, stack: str) -> Callable[[Step], str]:
        return lambda step: self._parts.deploy(stack, step)

    def _check_health(self, step: Step) -> str:
        problems = []
        for environment in self.environments:
            step.note(environment.stack)
            complaint = self._parts.answers(environment)
            if complaint is not None:
                problems.append(unhealthy(environment, complaint))
        if problems:
            raise OperationError(ExitCode.UNHEALTHY, *problems)
        return f"{len(self.environments)} of {len(self.environments)}"


def half_deleted(stack: str, namespace: str) -> Problem:
    """Return the problem of an environment whose namespace is being deleted."""
    return Problem(
        what=f"The environment {stack} is half-deleted: its namespace {namespace} is being removed",
        why="a `down` was interrupted, or something in the namespace cannot be deleted",
        action=f"finish it with `./careops down {stack}`; if it stays, see what holds it: "
        f"`./careops kubectl get namespace {namespace} -o yaml` (status.conditions)",
    )


def unhealthy(environment: Environment, complaint: str) -> Problem:
    """Return the problem of an environment that is deployed and does not answer."""
    return Problem(
        what=f"The log-in page of {environment.stack} does not answer through its edge",
        why=complaint,
        action=f"`./careops status {environment.stack}`, then "
        f"`./careops kubectl -n {environment.namespace} logs deployment/odoo-web`",
    )
