"""What is kept in Pulumi's state about an object: its live fields, the inputs behind them, secrets marked as such.

The layout is the official plugin's (`__inputs`, `__initialApiVersion`, `__fieldManager` beside the live fields), so a
stack can change from one plugin to the other without touching its state.
"""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from toolchain.pulumi.kubernetes_plugin.values import Secret, contains_secret, dig, reveal

INPUTS: Final = "__inputs"
API_VERSION: Final = "__initialApiVersion"
FIELD_MANAGER: Final = "__fieldManager"

_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"

# Pulumi's property names cannot hold dashes, so CRD schemas spell these with underscores in programs and state.
_DASHED: Final[dict[str, str]] = {
    f"x_kubernetes_{name}": "x-kubernetes-" + name.replace("_", "-")
    for name in (
        *("embedded_resource", "int_or_string", "list_map_keys", "list_type", "map_type", "preserve_unknown_fields"),
        "validations",
    )
}
_UNDERSCORED: Final = {dashed: underscored for underscored, dashed in _DASHED.items()}


def to_api(value: Any) -> Any:
    """Return Pulumi's spelling of an object in the API server's."""
    return _renamed(value, _DASHED)


def from_api(value: Any) -> Any:
    """Return the API server's spelling of an object in Pulumi's."""
    return _renamed(value, _UNDERSCORED)


def pulumi_spelling(key: str) -> str:
    """Return a field's name in Pulumi's spelling, whichever of the two it is in."""
    return _UNDERSCORED.get(key, key)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    return value


def marked(value: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with everything secret that is secret in the inputs, or that Kubernetes calls a Secret.

    A list is secret as a whole as soon as one of its items is: the server may reorder it.
    """
    result = {key: _marked_value(item, inputs.get(key)) for key, item in value.items()}
    if result.get("kind") == "Secret" and str(result.get("apiVersion", "v1")) == "v1":
        for key in ("data", "stringData"):
            if key in result:
                result[key] = Secret(reveal(result[key]))
        _hide_annotation(result)
    elif contains_secret(inputs):
        _hide_annotation(result)
    return result


def _marked_value(value: Any, source: Any) -> Any:
    if isinstance(value, Secret):
        return value
    if isinstance(value, Mapping) and isinstance(source, Mapping):
        return {key: _marked_value(item, source.get(key)) for key, item in value.items()}
    return Secret(value) if source is not None and contains_secret(source) else value


def _hide_annotation(result: dict[str, Any]) -> None:
    # `kubectl apply` copies the whole object, secret fields included, into this annotation.
    annotations = dig(result, "metadata", "annotations")
    if isinstance(annotations, dict) and _LAST_APPLIED in annotations:
        annotations = {**annotations, _LAST_APPLIED: Secret(reveal(annotations[_LAST_APPLIED]))}
        result["metadata"] = {**result["metadata"], "annotations": annotations}


def checkpoint(live: Mapping[str, Any], inputs: Mapping[str, Any], *, api_version: str, manager: str) -> dict[str, Any]:
    """Return the state of an object.

    Args:
        live: the object as the API server returned it.
        inputs: what the program asked for, secrets marked; its `stringData` stays out of the clear.
        api_version: the version the object was created with.
        manager: the server-side-apply manager that owns its fields.
    """
    state = marked(from_api(live), inputs)
    state[INPUTS] = marked(inputs, inputs)
    state[API_VERSION] = api_version
    state[FIELD_MANAGER] = manager
    return state


def live_part(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return the live fields of a state, without what the plugin keeps beside them."""
    return {key: value for key, value in state.items() if key not in {INPUTS, API_VERSION, FIELD_MANAGER}}


def last_inputs(state: Mapping[str, Any], recorded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs of the last update: the engine's record of them, or the copy kept in the state."""
    if recorded:
        return dict(recorded)
    kept = state.get(INPUTS)
    return dict(kept) if isinstance(kept, Mapping) else {}
