"""What a readiness rule answers, and what it may ask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from toolchain.pulumi.kubernetes_plugin.cluster import Ref
    from toolchain.pulumi.kubernetes_plugin.tokens import Gvk


class State(Enum):
    """How far an object is."""

    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A rule's answer and the sentence that goes with it."""

    state: State
    text: str = ""


READY: Final = Verdict(state=State.READY)


def waiting(text: str) -> Verdict:
    """Return the verdict "not yet", with what is missing."""
    return Verdict(state=State.WAITING, text=text)


def failed(text: str) -> Verdict:
    """Return the verdict "and it will not be", with why."""
    return Verdict(state=State.FAILED, text=text)


class Look(Protocol):
    """What a rule may ask of the cluster."""

    def get(self, ref: Ref) -> dict[str, Any] | None:
        """Return an object, or None when there is none."""
        ...

    def select(self, gvk: Gvk, namespace: str | None, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind that match selectors."""
        ...
