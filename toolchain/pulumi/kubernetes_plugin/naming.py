"""Names, identifiers and field managers: what an object is called, and who owns its fields."""

from __future__ import annotations

import hashlib
import random
from typing import Any, Final

from toolchain.pulumi.kubernetes_plugin.errors import NameRequired
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, dig, with_value

AUTONAMED: Final = "pulumi.com/autonamed"
# The official plugin's autonames end in eight hexadecimal digits.
_SUFFIX_DIGITS: Final = 8


def metadata_of(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the object's metadata, or nothing when it is unknown or absent."""
    metadata = dig(inputs, "metadata")
    return metadata if isinstance(metadata, dict) else {}


def is_autonamed(inputs: dict[str, Any]) -> bool:
    """Tell whether this plugin chose the object's name."""
    return dig(inputs, "metadata", "annotations", AUTONAMED) == "true"


def named(
    inputs: dict[str, Any], old_inputs: dict[str, Any], *, base: str, seed: bytes, proposal: tuple[str, str] | None
) -> dict[str, Any]:
    """Return the inputs with a name: their own, the one chosen before, or a new one.

    Args:
        inputs: what the program asks for.
        old_inputs: what it asked for last time; empty for a new object.
        base: the resource's name in the program, the start of an autoname.
        seed: the engine's random seed, so that preview and update agree on a name.
        proposal: the engine's autonaming mode ("propose", "enforce" or "disable") and name, when configured.

    Raises:
        NameRequired: when the object has no name and the project switched autonaming off.
    """
    if dig(inputs, "metadata") is UNKNOWN:
        return inputs
    if metadata_of(inputs).get("name") is not None or metadata_of(inputs).get("generateName") is not None:
        return inputs
    if old_inputs and is_autonamed(old_inputs):
        name = metadata_of(old_inputs)["name"]
    elif proposal and proposal[0] == "disable":
        raise NameRequired("autonaming is disabled for this project: set metadata.name.")
    elif proposal and proposal[1]:
        name = proposal[1]
    else:
        name = f"{base}-{_suffix(seed)}"
    return with_value(with_value(inputs, ("metadata", "name"), name), ("metadata", "annotations", AUTONAMED), "true")


def _suffix(seed: bytes) -> str:
    # Not for secrecy: the seed only makes two calls for one resource agree.
    generator = random.Random(seed) if seed else random.SystemRandom()  # noqa: S311 - see above
    return f"{generator.getrandbits(4 * _SUFFIX_DIGITS):0{_SUFFIX_DIGITS}x}"


def identifier(obj: dict[str, Any]) -> str:
    """Return the resource id of an object: `namespace/name`, or `name` for a cluster-wide one."""
    metadata = obj["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}" if metadata.get("namespace") else metadata["name"]


def split_identifier(resource_id: str) -> tuple[str | None, str]:
    """Return namespace (None when the id has none) and name of a resource id."""
    namespace, _, name = resource_id.rpartition("/")
    return namespace or None, name


def field_manager(urn: str, state_location: str) -> str:
    """Return the server-side-apply manager of a resource that has none recorded.

    The official plugin draws a random name. A name derived from the resource and from where its state is kept tells,
    after a crash, "this object was made by the interrupted run of this very resource" from "somebody else's object".
    """
    digest = hashlib.sha256(f"{state_location}\0{urn}".encode()).hexdigest()
    return f"pulumi-kubernetes-{digest[:_SUFFIX_DIGITS]}"
