"""Reading resource properties without ever mistaking an unknown value for an absent one.

`Node` is a value with its path. Walking from an unknown value gives an unknown value, from a secret one a secret
one, from an absent one an absent one, and from a value of the wrong shape a `MalformedValue`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from policies.verdicts import Doubt, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from policies.verdicts import Observation


class MalformedValue(Exception):  # noqa: N818  # the name says what it is about, and it is never shown as a Python error
    """A property has a shape that Kubernetes does not accept, so no rule can judge it."""


class _Unknown(Enum):
    """Type of `UNKNOWN`; an enumeration, so that a copy is the same object and identity can be relied on."""

    UNKNOWN = auto()


UNKNOWN: Final = _Unknown.UNKNOWN
"""A value that Pulumi will only know after something else has been created."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A value marked as a Pulumi secret: encrypted in the state, hidden in output.

    Attributes:
        value: What is inside.
    """

    value: Any


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands.

    Attributes:
        value: The plain value, `None` when absent, `UNKNOWN` when not known yet.
        path: Property path from the resource's root, as in `spec.containers[0].image`.
        secret: True when the value or one around it is marked as a Pulumi secret.
    """

    value: Any
    path: str = ""
    secret: bool = False

    @property
    def unknown(self) -> bool:
        """Tell whether the value is not known yet."""
        return self.value is UNKNOWN

    @property
    def absent(self) -> bool:
        """Tell whether there is no value."""
        return self.value is None

    def _child(self, value: object, path: str) -> Node:
        if isinstance(value, Sealed):
            return Node(value.value, path, secret=True)
        return Node(value, path, secret=self.secret)

    def at(self, *keys: str) -> Node:
        """Walk into nested mappings.

        Args:
            *keys: Names, outermost first.

        Returns:
            The node there; absent or unknown as soon as a step is.

        Raises:
            MalformedValue: If a step stands on something that is not a mapping.
        """
        node = self
        for key in keys:
            path = f"{node.path}.{key}" if node.path else key
            if node.unknown or node.absent:
                node = Node(node.value, path, secret=node.secret)
            else:
                node = node._child(node._mapping().get(key), path)
        return node

    def entries(self) -> Iterator[tuple[str, Node]]:
        """Yield the names and nodes of a mapping; nothing when absent, `("", unknown)` when unknown.

        Yields:
            Pairs of name and node.

        Raises:
            MalformedValue: If the value is not a mapping.
        """
        if self.unknown:
            yield "", self
        elif not self.absent:
            for key, value in self._mapping().items():
                yield str(key), self._child(value, f"{self.path}.{key}" if self.path else str(key))

    def each(self) -> Iterator[Node]:
        """Yield the items of a list; nothing when absent, one unknown node when the list is unknown.

        Yields:
            A node for each item.

        Raises:
            MalformedValue: If the value is not a list.
        """
        if self.unknown:
            yield self
        elif not self.absent:
            if isinstance(self.value, str) or not isinstance(self.value, Sequence):
                raise MalformedValue(f"{self.path or 'the resource'} is {_shape(self.value)} where a list belongs")
            for position, value in enumerate(self.value):
                yield self._child(value, f"{self.path}[{position}]")

    def strings(self) -> Iterator[Node]:
        """Yield every text (and every unknown value) in and below this node.

        Yields:
            Nodes whose value is a `str` or `UNKNOWN`.
        """
        if self.unknown or isinstance(self.value, str):
            yield self
        elif isinstance(self.value, Mapping):
            for _, child in self.entries():
                yield from child.strings()
        elif isinstance(self.value, Sequence):
            for child in self.each():
                yield from child.strings()

    def _mapping(self) -> Mapping[str, Any]:
        if not isinstance(self.value, Mapping):
            raise MalformedValue(f"{self.path or 'the resource'} is {_shape(self.value)} where a mapping belongs")
        return self.value


def _shape(value: object) -> str:
    """Name a value's shape without showing it: it may be a credential."""
    names = {"str": "text", "bool": "true or false", "int": "a number", "float": "a number", "list": "a list"}
    return names.get(type(value).__name__, "something else")


def doubt(node: Node) -> Doubt:
    """Say that a node's value is not known yet.

    Args:
        node: The unknown node.

    Returns:
        The observation.
    """
    return Doubt(path=node.path, reason="the value is not known yet")


def require(node: Node, accept: Callable[[Any], bool], message: str) -> Iterator[Observation]:
    """Check one value: a doubt when unknown, a finding when not accepted, nothing when right.

    Args:
        node: The value; `accept` gets `None` when it is absent, so that unset never passes by accident.
        accept: Decides on the plain value.
        message: What is wrong when it is not accepted.

    Yields:
        At most one observation.
    """
    if node.unknown:
        yield doubt(node)
    elif not accept(node.value):
        yield Finding(path=node.path, message=message)
