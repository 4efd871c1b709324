"""What can go wrong between this plugin and an API server, said so that a person can act on it."""

# ruff: noqa: N818  the names say what happened; all end in the root class PluginError

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


class PluginError(Exception):
    """An operation failed; the text is shown to the person as it is."""


class RefusedToken(PluginError):
    """The program uses a type or a function that only the official plugin serves."""


class NameRequired(PluginError):
    """Autonaming is switched off for this project and the object has no name."""


class BadAnnotation(PluginError):
    """An annotation that steers this plugin holds something it cannot act on."""


class BadConfiguration(PluginError):
    """The provider's configuration cannot be used."""


class Unreachable(PluginError):
    """No API server answers where the kubeconfig points."""


class NoSuchKind(PluginError):
    """The API server does not serve this kind (any more, or yet)."""


class Cancelled(PluginError):
    """The engine asked for an end while the operation was waiting."""


class NotReady(PluginError):
    """The object exists but did not become ready.

    Attributes:
        reasons: what was seen, one sentence each; the first is the summary.
        live: the object as last seen.
    """

    def __init__(self, reasons: list[str], live: dict[str, Any]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons
        self.live = live


class Unfinished(PluginError):
    """The object exists, its state must be recorded, and it did not become ready.

    Attributes:
        reasons: why, one sentence each.
        resource_id: the object's id.
        state: what to record.
        inputs: the inputs behind it.
    """

    def __init__(self, reasons: list[str], resource_id: str, state: dict[str, Any], inputs: dict[str, Any]) -> None:
        super().__init__("\n".join(reasons))
        self.reasons = reasons
        self.resource_id = resource_id
        self.state = state
        self.inputs = inputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """One part of the API server's reason: which field, and what about it."""

    field: str
    reason: str
    message: str


class ApiFailure(PluginError):
    """The API server refused a request.

    Attributes:
        status: HTTP status.
        reason: the server's reason word, e.g. `AlreadyExists`.
        message: its sentence.
        causes: the parts of it.
        kind: what kind of object the message is about (a plural name such as `namespaces`).
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        self.status = status
        self.reason: str = body.get("reason") or ""
        self.message: str = body.get("message") or f"the API server answered with status {status}"
        details = body.get("details") or {}
        self.kind: str = details.get("kind") or ""
        self.causes = tuple(
            Cause(field=item.get("field", ""), reason=item.get("reason", ""), message=item.get("message", ""))
            for item in details.get("causes") or ()
        )
        super().__init__(self.message)

    @property
    def not_found(self) -> bool:
        """The object, or the path to it, does not exist."""
        return self.status == _NOT_FOUND

    @property
    def namespace_missing(self) -> bool:
        """The namespace of a namespaced object does not exist."""
        return self.not_found and self.kind == "namespaces"

    @property
    def is_conflict(self) -> bool:
        """Server-side apply found fields that another manager owns."""
        return self.status == _CONFLICT and any(cause.reason == "FieldManagerConflict" for cause in self.causes)

    @property
    def is_transient(self) -> bool:
        """The same request may succeed in a moment."""
        if self.status in _BUSY:
            return True
        if self.status == _SERVER_ERROR:
            return any(sign in self.message for sign in _STARTING)
        return self.status == _CONFLICT and self.reason == "Conflict" and not self.is_conflict


_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_SERVER_ERROR: Final = 500
_BUSY: Final = frozenset({429, 502, 503, 504})
# What an API server says while a webhook's pod or etcd's leader is still on its way.
_STARTING: Final = ("failed calling webhook", "etcdserver:", "connection refused", "leader changed")
