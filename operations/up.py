"""`careops up`: from whatever is there to running environments, in phases that each do only what is missing."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from operations.environments import choose
from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode
from operations.machine import judge
from operations.phases import Phase, Record, Together, run_phases

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from operations.environments import Environment
    from operations.lock import PlatformLock
    from operations.machine import Machine
    from toolchain.progress import Reporter, Step

PLATFORM_STACK = "platform"
"""The stack of what all environments share: operators, storage, priority classes."""

WAVES: tuple[frozenset[str], ...] = (frozenset({"dev", "test"}), frozenset({"training", "prod"}))
"""Environments that may be deployed at the same time. What fails in dev or test never reaches training or prod."""

WIDTH = 2
"""How many deployments run at once. One spends most of its time waiting for pods to start, which costs no core here."""


class ClusterPart(Protocol):
    """What `up` asks of a cluster, embedded or existing."""

    embedded: bool

    def ready(self, reporter: Reporter) -> str:
        """Make sure the cluster answers (and, when existing, enforces NetworkPolicy); return a line about it."""
        ...

    def images(self, reporter: Reporter, roles: Collection[str] | None = None) -> str:
        """Make sure the cluster's nodes have the images of these roles, or all; return a line about it."""
        ...

    def facts(self) -> str:
        """Write the facts the settings read; return a line about them."""
        ...

    def terminating(self, namespaces: Sequence[str]) -> tuple[str, ...]:
        """Return those of the namespaces that are half-deleted."""
        ...


@dataclass(frozen=True, kw_only=True)
class Built:
    """What came of building the toolchain and the images.

    Attributes:
        note: One line about it, for people.
        made: How many artifacts were built now.
        found: How many were in the cache before.
    """

    note: str
    made: int
    found: int


@dataclass(frozen=True, kw_only=True)
class UpParts:
    """Everything `up` acts through; tests give it fakes.

    Attributes:
        environments: Validates every stack and site file and returns the environments; raises all problems at once.
        machine: Reads the facts of this machine.
        check_passphrase: Raises when state is encrypted with a passphrase that is gone.
        lock: The platform's lock.
        existing: What is there before anything is changed, for the record.
        install_packages: Installs the Debian packages that are missing; returns a line about it.
        build: Builds or fetches the toolchain and the images; returns what came of it.
        cluster: The cluster to deploy to.
        check_networks: Raises when settings name addresses of the cluster itself; all problems at once.
        deploy: Runs Pulumi on one stack with the policy pack; returns a line about it.
        answers: Whether the environment's login page answers through its edge: None, or what is wrong.
        record: Keeps the record of this run.
    """

    environments: Callable[[], Sequence[Environment]]
    machine: Callable[[], Machine]
    check_passphrase: Callable[[], None]
    lock: PlatformLock
    existing: Callable[[], Mapping[str, Any]]
    install_packages: Callable[[Reporter], str]
    build: Callable[[Reporter], Built]
    cluster: ClusterPart
    check_networks: Callable[[Sequence[Environment]], None]
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
        self._circumstances: dict[str, Any] = {}
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
                circumstances=lambda: dict(self._circumstances),
            )

    def _record(self, record: Record) -> None:
        """Keep the record, but only of a run that holds the lock: a refused one must not overwrite its holder's."""
        if self._locked:
            self._parts.record(record)

    def _phases(self, held: ExitStack) -> Iterator[Phase | Together]:
        """Yield the phases in order; those of the environments are known once the settings are read."""
        parts, reporter, cluster = self._parts, self._reporter, self._parts.cluster
        yield Phase(name="settings", title="Validate the settings", run=self._validate)
        yield Phase(name="machine", title="Check this machine", run=self._check_machine)
        held.enter_context(parts.lock)
        self._locked = True
        self._circumstances |= parts.existing()
        if cluster.embedded:
            yield Phase(
                name="packages",
                title="Debian packages",
                run=lambda _: parts.install_packages(reporter),
            )
        yield Phase(name="toolchain", title="Toolchain and images", run=self._build)
        yield Phase(name="cluster", title="Cluster", run=lambda _: cluster.ready(reporter))
        yield Phase(name="remains", title="Look for half-deleted environments", run=self._refuse_half_deleted)
        yield Phase(name="facts", title="Facts about the cluster", run=lambda _: cluster.facts())
        yield Phase(name="networks", title="Networks of the settings", run=self._check_networks)
        yield from self._deployments()
        yield Phase(name="health", title="Log-in pages answer through their edges", run=self._check_health)

    def _deployments(self) -> Iterator[Phase | Together]:
        """Yield the platform, then the environments in waves; the nodes get the images while the platform starts."""
        from infra.facts import PLATFORM_IMAGES

        reporter, cluster = self._reporter, self._parts.cluster
        yield Phase(
            name="images:platform",
            title="Images of the platform on the nodes",
            run=lambda _: cluster.images(reporter, PLATFORM_IMAGES),
        )
        images = Phase(name="images", title="Images on the nodes", run=lambda _: cluster.images(reporter))
        yield Together(phases=(images, self._deployment(PLATFORM_STACK)), width=WIDTH)
        for wave in WAVES:
            stacks = [one.stack for one in self.environments if one.name in wave]
            yield Together(phases=tuple(self._deployment(stack) for stack in stacks), width=WIDTH)

    def _build(self, _step: Step) -> str:
        built = self._parts.build(self._reporter)
        self._circumstances |= {"artifacts_built": built.made, "artifacts_found": built.found}
        return built.note

    def _check_networks(self, _step: Step) -> str:
        self._parts.check_networks(self.environments)
        return "none of them is the cluster's own"

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

    def _deployment(self, stack: str) -> Phase:
        return Phase(name=f"deploy:{stack}", title=f"Deploy {stack}", run=lambda step: self._parts.deploy(stack, step))

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
