"""Why pods do not become ready, in one sentence each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from toolchain.pulumi.kubernetes_plugin.values import dig

if TYPE_CHECKING:
    from collections.abc import Mapping

# A message of a registry or a program can be long; a person needs its beginning.
_MESSAGE_LIMIT: Final = 300
_REASON_LIMIT: Final = 6

_QUIET_WAITS: Final = frozenset({"ContainerCreating", "PodInitializing"})


def pod_problem(pod: Mapping[str, Any]) -> str | None:
    """Return what keeps a pod from being ready, or None when nothing is wrong (yet)."""
    name = pod["metadata"]["name"]
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"pod {name} cannot be scheduled: {_short(condition.get('message') or condition.get('reason'))}"
    containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for container in containers:
        if problem := _container_problem(container):
            return f"pod {name}, {problem}"
    if status.get("phase") == "Failed":
        return f"pod {name} failed: {_short(status.get('message') or status.get('reason') or 'no reason given')}"
    return None


def _container_problem(container: Mapping[str, Any]) -> str | None:
    label = f"container {container['name']}"
    waiting = dig(dict(container), "state", "waiting")
    ended = dig(dict(container), "state", "terminated")
    before = dig(dict(container), "lastState", "terminated")
    if waiting and waiting.get("reason") not in _QUIET_WAITS:
        if waiting.get("reason") == "CrashLoopBackOff" and before:
            return f"{label} keeps ending (CrashLoopBackOff): {_ending(before)}"
        image = f" (image {container['image']})" if "Image" in waiting.get("reason", "") else ""
        return f"{label}{image}: {waiting.get('reason')}: {_short(waiting.get('message'))}"
    if ended and ended.get("exitCode"):
        return f"{label} ended: {_ending(ended)}"
    return None


def _ending(terminated: Mapping[str, Any]) -> str:
    text = f"exit code {terminated.get('exitCode')}"
    if terminated.get("reason") not in (None, "Error", "Completed"):
        text += f", {terminated['reason']}"
    return f"{text}: {_short(terminated['message'])}" if terminated.get("message") else text


def pod_problems(pods: list[dict[str, Any]]) -> list[str]:
    """Return the problems of pods, the same one of several pods once, at most a handful."""
    found: dict[str, tuple[str, int]] = {}
    for pod in pods:
        if problem := pod_problem(pod):
            # Pods of one workload differ only in their names.
            key = problem.replace(pod["metadata"]["name"], "")
            first, count = found.get(key, (problem, 0))
            found[key] = (first, count + 1)
    return [text if count == 1 else f"{text} (and {count - 1} more pods)" for text, count in found.values()][
        :_REASON_LIMIT
    ]


def event_problems(events: list[dict[str, Any]]) -> list[str]:
    """Return the warnings of events about an object, each text once, newest last."""
    ordered = sorted(events, key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    texts = [f"{event.get('reason', 'Warning')}: {_short(event.get('message'))}" for event in ordered]
    return list(dict.fromkeys(texts))[-_REASON_LIMIT:]


def condition_problems(obj: Mapping[str, Any], bad: Mapping[str, str]) -> list[str]:
    """Return the messages of conditions that are in the state `bad` maps their type to."""
    return [
        f"{condition['type']}: {_short(condition.get('message') or condition.get('reason'))}"
        for condition in dig(dict(obj), "status", "conditions") or []
        if bad.get(condition["type"]) == condition.get("status")
    ]


def _short(text: object) -> str:
    clean = " ".join(str(text or "no message").split())
    return clean if len(clean) <= _MESSAGE_LIMIT else f"{clean[:_MESSAGE_LIMIT]}…"
