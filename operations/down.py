"""`careops down`: what would be destroyed, who has to agree, and doing it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from operations.errors import OperationError, Problem
from operations.exit_codes import ExitCode
from operations.up import PLATFORM_STACK

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from operations.environments import Environment
    from operations.kube_api import Read
    from toolchain.progress import Reporter


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One data volume that goes with an environment.

    Attributes:
        name: Name of the claim.
        size: Its size as Kubernetes writes it: `10Gi`.
    """

    name: str
    size: str


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """What the destruction of one environment takes away.

    Attributes:
        environment: The environment.
        resources: Resources in its Pulumi stack; None when there is no stack.
        volumes: Its data volumes; empty when there are none, or the cluster does not answer.
        half_deleted: Whether an earlier deletion has not come to its end.
        unseen: Whether the cluster that may hold its data could not be looked into.
    """

    environment: Environment
    resources: int | None
    volumes: tuple[Volume, ...] = ()
    half_deleted: bool = False
    unseen: bool = False

    @property
    def needs_name(self) -> bool:
        """Whether its exact name has to be given: it holds data that cannot be made again, and is or may be there."""
        return self.environment.holds_data and bool(self.resources or self.volumes or self.unseen)


@dataclass(frozen=True, kw_only=True)
class DownPlan:
    """What `down` would do.

    Attributes:
        doomed: The environments, last in promotion order first.
        platform: Whether the shared platform goes too.
        embedded: Whether the embedded cluster is stopped and wiped with it.
        keep_cache: Whether builds and downloads stay for the next `up`.
        notes: What could not be found out, for the reader.
    """

    doomed: tuple[Doomed, ...]
    platform: bool
    embedded: bool
    keep_cache: bool = True
    notes: tuple[str, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain values."""
        return {
            "schema": 1,
            "environments": [
                {
                    "name": doomed.environment.stack,
                    "namespace": doomed.environment.namespace,
                    "resources": doomed.resources,
                    "volumes": [{"name": volume.name, "size": volume.size} for volume in doomed.volumes],
                    "needs_name": doomed.needs_name,
                }
                for doomed in self.doomed
            ],
            "platform": self.platform,
            "cluster": "wiped" if self.platform and self.embedded else "kept",
            "cache": "kept" if self.keep_cache else "removed",
            "notes": list(self.notes),
        }


class DownParts(Protocol):
    """What `down` acts through."""

    def destroy(self, stack: str, reporter: Reporter) -> None:
        """Destroy a stack's resources and remove the stack."""
        ...

    def wait_gone(self, namespace: str, reporter: Reporter) -> None:
        """Wait until a namespace is gone; raise when something keeps it."""
        ...

    def wipe(self, reporter: Reporter) -> None:
        """Stop the embedded cluster and remove everything of it and of the Pulumi state."""
        ...

    def forget(self) -> None:
        """Remove what this checkout knows of a platform that is gone, so that the next one may be anywhere."""
        ...

    def drop_cache(self, reporter: Reporter) -> None:
        """Remove builds and downloads."""
        ...


def read_volumes(read: Read, namespace: str) -> tuple[Volume, ...]:
    """Return the data volumes of a namespace."""
    claims = read(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims") or {}
    return tuple(
        Volume(
            name=claim["metadata"]["name"],
            size=claim.get("status", {}).get("capacity", {}).get("storage")
            or claim["spec"]["resources"]["requests"]["storage"],
        )
        for claim in claims.get("items", [])
    )


def names_to_confirm(plan: DownPlan, given: Sequence[str]) -> tuple[str, ...]:
    """Return the names of environments that hold data and were not confirmed by name."""
    return tuple(
        doomed.environment.stack
        for doomed in plan.doomed
        if doomed.needs_name and doomed.environment.stack not in given
    )


def all_named(plan: DownPlan, given: Sequence[str]) -> bool:
    """Return whether every environment of the plan was confirmed by its exact name, so that nothing is left to ask."""
    return bool(plan.doomed) and all(doomed.environment.stack in given for doomed in plan.doomed)


def refuse_unconfirmed(missing: Sequence[str]) -> None:
    """Raise when data-bearing environments were not confirmed.

    Raises:
        OperationError: With `NOT_CONFIRMED`, one problem for each name.
    """
    if missing:
        raise OperationError(
            ExitCode.NOT_CONFIRMED,
            *(
                Problem(
                    what=f"The destruction of {stack} was not confirmed; nothing was destroyed",
                    why=f"{stack} holds data that cannot be generated again",
                    action=f"if you mean it: ./careops down {stack} --confirm {stack}",
                )
                for stack in missing
            ),
        )


def dead_cluster(*, embedded: bool) -> Problem:
    """Return the problem of a cluster that does not answer while something has to be destroyed in it."""
    ours = "start it (./careops start), then run this again; or take all down: ./careops down --all"
    theirs = (
        "bring that cluster back with its own tools, then run this again; when it is gone for good, so is all that was "
        "in it: remove this platform's state folder (.careops, or $CAREOPS_STATE), and ./careops up starts anew"
    )
    return Problem(
        what="The cluster does not answer; nothing was destroyed",
        why="the environments' objects can only be deleted through it",
        action=ours if embedded else theirs,
    )


def carry_out(plan: DownPlan, parts: DownParts, reporter: Reporter, *, alive: Callable[[], bool]) -> None:
    """Destroy what the plan says, the environments first.

    With everything on the embedded cluster going, the cluster is removed whole: it holds nothing else, that takes
    seconds instead of minutes, and it also works on a cluster that no longer answers.

    Args:
        plan: What to destroy; confirmed.
        parts: What acts.
        reporter: Shows progress.
        alive: Whether the cluster answers.

    Raises:
        OperationError: With `CLUSTER`, when a part has to be destroyed in a cluster that does not answer.
    """
    if plan.platform and plan.embedded:
        parts.wipe(reporter)
    else:
        if not alive():
            raise OperationError(ExitCode.CLUSTER, dead_cluster(embedded=plan.embedded))
        for doomed in plan.doomed:
            parts.destroy(doomed.environment.stack, reporter)
            parts.wait_gone(doomed.environment.namespace, reporter)
        if plan.platform:
            parts.destroy(PLATFORM_STACK, reporter)
            parts.forget()
    if not plan.keep_cache:
        parts.drop_cache(reporter)
