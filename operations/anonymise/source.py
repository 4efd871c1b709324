"""Where a refresh takes its data from: one interface, whatever is behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from operations.anonymise.sessions import Endpoint


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a source without reading it.

    Attributes:
        identity: Whose data it is, such as ``riverside/prod``.
        source_time: The moment whose data it holds, ISO 8601 in UTC.
        release: Version of Odoo's package that last migrated it.
        modules: Module -> checksum that the last migration recorded.
        size: Bytes of the database.
    """

    identity: str
    source_time: str
    release: str
    modules: Mapping[str, str]
    size: int

    def as_json(self) -> dict[str, Any]:
        """Return plain values for a mark."""
        return {
            "identity": self.identity,
            "source_time": self.source_time,
            "release": self.release,
            "modules": dict(self.modules),
            "bytes": self.size,
        }


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file of the source's filestore that a row names.

    Attributes:
        store_fname: Its name in `ir_attachment`.
        place: Where its bytes can be read; they never leave the program.
    """

    store_fname: str
    place: Path


class Opened(Protocol):
    """A source at one moment: everything it gives belongs together."""

    @property
    def facts(self) -> Facts:
        """Return what is known of it."""
        ...

    def load(self, isolated: Endpoint) -> None:
        """Write the whole database into an empty one.

        Raises:
            TransferError: It could not be done.
        """
        ...

    def files(self) -> Iterator[StoredFile]:
        """Yield each file once that a row names; whether it exists is for the reader to see."""
        ...


class Source(Protocol):
    """Where the data comes from: a snapshot of the live database, or a restored backup."""

    def open(self) -> AbstractContextManager[Opened]:
        """Return the source at one moment, held until the context ends.

        Raises:
            Refused: It is not the environment's that it should be, or holds what no rule reaches.
        """
        ...
