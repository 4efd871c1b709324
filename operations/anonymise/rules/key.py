"""The secret of one run: everything that is made up depends on it, and it ends with the process."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field

_BYTES = 32


def _fresh() -> bytearray:
    return bytearray(secrets.token_bytes(_BYTES))


@dataclass(frozen=True, kw_only=True)
class RunKey:
    """The key of one run.

    It is never written anywhere: two runs differ, and nobody can make the same fakes again, or tell from a fake which
    of some candidates it was made of.

    Attributes:
        secret: 32 random bytes, in memory that can be overwritten; given only by tests.
    """

    secret: bytearray = field(default_factory=_fresh, repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != _BYTES or not any(self.secret):
            msg = f"the key of a run has {_BYTES} bytes, not all of them zero"
            raise ValueError(msg)

    @property
    def destroyed(self) -> bool:
        """Whether nothing can be derived from it any more."""
        return not any(self.secret)

    def destroy(self) -> None:
        """Overwrite the secret, from which nothing can be derived any more.

        The keys of domains that were derived before are text in this program's memory and in the sessions that were
        given them; those sessions have ended by then, and the memory goes with the program.
        """
        for place in range(len(self.secret)):
            self.secret[place] = 0

    def domain(self, name: str) -> str:
        """Return the key of one kind of thing as PostgreSQL reads a bytea.

        Each domain has its own key, so digests of the same text in two domains have nothing in common.

        Raises:
            ValueError: The key is destroyed.
        """
        if self.destroyed:
            msg = "the key of this run is destroyed"
            raise ValueError(msg)
        return "\\x" + hashlib.sha256(self.secret + b"\0" + name.encode()).hexdigest()

    def fingerprint(self) -> str:
        """Return what a certificate may say of the key: which one it was, and nothing else."""
        return hashlib.sha256(b"fingerprint\0" + self.secret).hexdigest()[:16]
