"""The passphrase that encrypts the secrets in Pulumi's state: missed before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from toolchain.paths import Paths


def check(paths: Paths) -> None:
    """Raise when there is state to read and nothing to read it with.

    Raises:
        OperationError: With `SETTINGS_INVALID`.
    """
    if not has_state(paths) or _is_there(paths):
        return
    raise failure(
        ExitCode.SETTINGS_INVALID,
        "The passphrase of this platform's Pulumi state is missing",
        f"{paths.passphrase} is gone or empty, and the secrets in {paths.pulumi_backend} were encrypted with it",
        "put the file back from where you keep it (mode 0600); if it is lost for good, the platform can only be taken "
        "down with its data and made anew: ./careops down --all",
    )


def describe(paths: Paths) -> str:
    """Return where the passphrase is, for people; never what it is."""
    return f"in {paths.passphrase}" if _is_there(paths) else "not made yet: the first up makes one"


def has_state(paths: Paths) -> bool:
    """Return whether any stack was ever deployed here; Pulumi keeps one JSON file for each."""
    return any(paths.pulumi_backend.glob(".pulumi/stacks/**/*.json"))


def _is_there(paths: Paths) -> bool:
    return paths.passphrase.is_file() and bool(paths.passphrase.read_text(encoding="utf-8").strip())
