"""Waiting: until an object is ready, or until it is gone."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from toolchain.pulumi.kubernetes_plugin.errors import Cancelled, NotReady, PluginError
from toolchain.pulumi.kubernetes_plugin.values import dig
from toolchain.pulumi.kubernetes_plugin.verdicts import State

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from toolchain.pulumi.kubernetes_plugin.cluster import Cluster, Ref
    from toolchain.pulumi.kubernetes_plugin.readiness import Rule

# Seconds between looks: short at first, because most objects are ready at once. What waits in a row (secrets, database,
# migration, Odoo) loses half of the longest pause each time, and a look is one small request.
FIRST_PAUSE: Final = 0.2
LONGEST_PAUSE: Final = 1.0
_GROWTH: Final = 1.4


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiter:
    """The means to wait.

    Attributes:
        cluster: where to look.
        say: shows a passing message beside the resource.
        cancelled: set when the engine asks for an end.
    """

    cluster: Cluster
    say: Callable[[str], None]
    cancelled: Event

    def until_ready(self, ref: Ref, live: dict[str, Any], rule: Rule, seconds: float) -> dict[str, Any]:
        """Return the object once its rule calls it ready.

        Raises:
            NotReady: when it failed, or is not ready after `seconds`.
            Cancelled: when the engine asked for an end.
        """
        deadline, pause, shown = time.monotonic() + seconds, FIRST_PAUSE, ""
        while True:
            verdict = rule.judge(live, self.cluster)
            if verdict.state is State.READY:
                return live
            if verdict.state is State.FAILED:
                raise NotReady([f"{ref} failed: {verdict.text}", *self._explain(rule, live)], live)
            if time.monotonic() >= deadline:
                summary = f"{ref} is not ready after {seconds:.0f} s: {verdict.text}"
                raise NotReady([summary, *self._explain(rule, live)], live)
            shown = self._show(shown, verdict.text, rule, live, slow=pause >= LONGEST_PAUSE)
            self.pause(min(pause, max(deadline - time.monotonic(), 0)), ref)
            pause = min(pause * _GROWTH, LONGEST_PAUSE)
            found = self.cluster.get(ref)
            if found is None:
                raise NotReady([f"{ref} was deleted by someone else while it was waited for"], live)
            live = found

    def _show(self, shown: str, text: str, rule: Rule, live: dict[str, Any], *, slow: bool) -> str:
        # Once an object takes long, the reasons matter more than the count.
        if slow and (why := self._explain(rule, live)):
            text = f"{text}; {why[0]}"
        if text != shown:
            self.say(text)
        return text

    def _explain(self, rule: Rule, live: dict[str, Any]) -> list[str]:
        if rule.explain is None:
            return []
        try:
            return rule.explain(live, self.cluster)
        except PluginError as error:
            return [f"the reasons could not be read: {error}"]

    def until_gone(self, ref: Ref, uid: str | None, seconds: float) -> None:
        """Return once the object no longer exists, or another one has its name.

        Raises:
            NotReady: when it is still there after `seconds`, with what holds it back.
            Cancelled: when the engine asked for an end.
        """
        deadline, pause, shown = time.monotonic() + seconds, FIRST_PAUSE, ""
        while True:
            live = self.cluster.get(ref)
            if live is None or (uid and dig(live, "metadata", "uid") != uid):
                return
            holds = holding_back(live)
            if time.monotonic() >= deadline:
                raise NotReady([f"{ref} still exists {seconds:.0f} s after its deletion", *holds], live)
            if holds and holds[0] != shown:
                shown = holds[0]
                self.say(shown)
            self.pause(pause, ref)
            pause = min(pause * _GROWTH, LONGEST_PAUSE)

    def pause(self, seconds: float, what: object) -> None:
        """Wait a moment.

        Raises:
            Cancelled: when the engine asked for an end.
        """
        if self.cancelled.wait(seconds):
            raise Cancelled(f"waiting for {what} was cancelled")


def holding_back(live: dict[str, Any]) -> list[str]:
    """Return what keeps a deleted object from going: finalizers, and a namespace's own account of its contents."""
    found = []
    finalizers = [*(dig(live, "metadata", "finalizers") or []), *(dig(live, "spec", "finalizers") or [])]
    # These two are Kubernetes' own steps of every foreground or namespace deletion.
    stuck = [name for name in finalizers if name not in {"foregroundDeletion", "kubernetes"}]
    if stuck:
        found.append(
            f"finalizers still on it: {', '.join(stuck)}. Their controller must remove them; is it running, or was it "
            "deleted before this object?"
        )
    if live.get("kind") == "Namespace":
        found += [
            item["message"]
            for item in dig(live, "status", "conditions") or []
            if item.get("status") == "True" and item.get("message")
        ]
    return found
