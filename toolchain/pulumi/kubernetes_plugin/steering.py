"""The `pulumi.com/…` annotations that steer a single object, with the official plugin's names and meanings."""

from __future__ import annotations

import json
from typing import Any, Final

from toolchain.pulumi.kubernetes_plugin.errors import BadAnnotation
from toolchain.pulumi.kubernetes_plugin.values import dig

PREFIX: Final = "pulumi.com/"
SKIP_AWAIT: Final = PREFIX + "skipAwait"
WAIT_FOR: Final = PREFIX + "waitFor"
TIMEOUT_SECONDS: Final = PREFIX + "timeoutSeconds"
REPLACE_UNREADY: Final = PREFIX + "replaceUnready"
PATCH_FORCE: Final = PREFIX + "patchForce"
FIELD_MANAGER: Final = PREFIX + "patchFieldManager"
DELETION_PROPAGATION: Final = PREFIX + "deletionPropagationPolicy"

_POLICIES: Final = {"orphan": "Orphan", "background": "Background", "foreground": "Foreground"}


def text(obj: dict[str, Any], key: str) -> str:
    """Return an annotation's value, "" when it is absent or unknown."""
    value = dig(obj, "metadata", "annotations", key)
    return value if isinstance(value, str) else ""


def is_true(obj: dict[str, Any], key: str) -> bool:
    """Tell whether an annotation is set to "true"."""
    return text(obj, key) == "true"


def skips_ready_wait(obj: dict[str, Any]) -> bool:
    """Tell whether creation and update return without waiting; `ready` keeps the wait on deletion."""
    return text(obj, SKIP_AWAIT) in {"true", "ready"}


def skips_delete_wait(obj: dict[str, Any]) -> bool:
    """Tell whether deletion returns without waiting."""
    return text(obj, SKIP_AWAIT) == "true"


def timeout_seconds(obj: dict[str, Any], custom: float, default: float) -> float:
    """Return how long to wait, in seconds: `customTimeouts` first, then the annotation, then the default.

    Raises:
        BadAnnotation: when the annotation is not a whole number of seconds.
    """
    if custom:
        return custom
    value = text(obj, TIMEOUT_SECONDS)
    if not value:
        return default
    if not value.isdigit():
        raise BadAnnotation(f'{TIMEOUT_SECONDS} is {value!r}: write a whole number of seconds, e.g. "600".')
    return float(value)


def deletion_policy(obj: dict[str, Any]) -> str:
    """Return the propagation policy of a deletion; foreground unless the annotation says otherwise."""
    return _POLICIES.get(text(obj, DELETION_PROPAGATION).lower(), "Foreground")


def wait_expressions(obj: dict[str, Any]) -> list[str]:
    """Return the expressions of `pulumi.com/waitFor`: one string, or a JSON array of them."""
    value = text(obj, WAIT_FOR)
    if not value:
        return []
    try:
        parsed = json.loads(value)
    except ValueError:
        return [value]
    if not isinstance(parsed, list) or not parsed or not all(isinstance(item, str) for item in parsed):
        raise BadAnnotation(f"{WAIT_FOR} must be one expression or a JSON array of expressions, not {value!r}.")
    return parsed
