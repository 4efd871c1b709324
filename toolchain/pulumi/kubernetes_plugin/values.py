"""Property values as they travel between the engine and this plugin.

The SDK's `PropertyValue` can neither read nor write an unknown value (marshalling `Computed` raises), and a provider
that previews needs unknowns in both directions. Values are therefore plain Python data with two markers: `UNKNOWN`
for a value known only after the update, `Secret` for one the engine must encrypt.
"""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.struct_pb2 import NULL_VALUE, Struct, Value  # ty: ignore[missing-module-member]  protobuf makes it at run time

SIGNATURE_KEY: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a type marker, public
OUTPUT_SIGNATURE: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_STRING: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# The engine marks an unknown by the type it expects there: bool, number, string, array, object.
UNKNOWN_SENTINELS: Final = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        UNKNOWN_STRING,
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


class _Unknown:
    """The one value that is not known before the update has run."""

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth value: test it with `is UNKNOWN`")


UNKNOWN: Final = _Unknown()


@dataclass(frozen=True, slots=True)
class Secret:
    """A value the engine encrypts in its state and hides on screen. `repr` never shows it."""

    value: Any

    def __repr__(self) -> str:
        return "Secret(…)"


def decode(message: Struct) -> dict[str, Any]:
    """Return the engine's struct as Python data; nulls are left out, integral numbers become `int`."""
    return {key: value for key, item in message.fields.items() if (value := _decode_value(item)) is not None}


def _decode_value(message: Value) -> Any:
    kind = message.WhichOneof("kind")
    if kind == "string_value":
        text = message.string_value
        return UNKNOWN if text in UNKNOWN_SENTINELS else text
    if kind == "number_value":
        number = message.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return message.bool_value
    if kind == "list_value":
        return [_decode_value(item) for item in message.list_value.values]
    if kind == "struct_value":
        return _decode_struct(message.struct_value)
    return None


def _decode_struct(message: Struct) -> Any:
    signature = message.fields[SIGNATURE_KEY].string_value if SIGNATURE_KEY in message.fields else None
    if signature is None:
        return decode(message)
    if signature == SECRET_SIGNATURE:
        return Secret(_decode_value(message.fields["value"]))
    if signature == OUTPUT_SIGNATURE:
        value = _decode_value(message.fields["value"]) if "value" in message.fields else UNKNOWN
        return Secret(value) if message.fields["secret"].bool_value else value
    raise ValueError(
        "a Kubernetes object cannot hold an asset, an archive or a reference to another resource; "
        "pass the text or the field that is meant"
    )


def encode(data: Mapping[str, Any]) -> Struct:
    """Return Python data as the engine's struct; the inverse of `decode`."""
    message = Struct()
    for key, value in data.items():
        _encode_into(message.fields[key], value)
    return message


def _encode_into(message: Value, value: Any) -> None:
    if value is None:
        message.null_value = NULL_VALUE
    elif value is UNKNOWN:
        message.string_value = UNKNOWN_STRING
    elif isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, int | float):
        message.number_value = value
    elif isinstance(value, Secret):
        fields = message.struct_value.fields
        fields[SIGNATURE_KEY].string_value = SECRET_SIGNATURE
        _encode_into(fields["value"], value.value)
    elif isinstance(value, Mapping):
        fields = message.struct_value.fields
        message.struct_value.SetInParent()
        for key, item in value.items():
            _encode_into(fields[key], item)
    else:
        message.list_value.SetInParent()
        for item in value:
            _encode_into(message.list_value.values.add(), item)


def reveal(value: Any) -> Any:
    """Return the value with every `Secret` replaced by what it holds: what the API server is sent."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item) for item in value]
    return value


def contains_unknown(value: Any) -> bool:
    """Tell whether any part of the value is known only after the update."""
    if value is UNKNOWN:
        return True
    if isinstance(value, Secret):
        return contains_unknown(value.value)
    if isinstance(value, Mapping):
        return any(contains_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_unknown(item) for item in value)
    return False


def contains_secret(value: Any) -> bool:
    """Tell whether any part of the value is secret."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, Mapping):
        return any(contains_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_secret(item) for item in value)
    return False


def dig(value: Any, *path: str | int) -> Any:
    """Return the value at a path, or None when any step is missing, unknown or of another shape."""
    for step in path:
        value = value.value if isinstance(value, Secret) else value
        if (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        ):
            value = value[step]
        else:
            return None
    return value


def with_value(data: Mapping[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """Return a copy of `data` with `path` set to `value`; only the maps on the way are copied."""
    head, *rest = path
    copy = dict(data)
    if not rest:
        copy[head] = value
        return copy
    below = copy.get(head)
    if below is UNKNOWN or isinstance(below, Secret):
        return copy
    copy[head] = with_value(below if isinstance(below, Mapping) else {}, tuple(rest), value)
    return copy


def without(data: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return a copy of `data` without `path`; a missing path is no error."""
    head, *rest = path
    copy = dict(data)
    if not rest:
        copy.pop(head, None)
    elif isinstance(copy.get(head), Mapping):
        copy[head] = without(copy[head], tuple(rest))
    return copy
