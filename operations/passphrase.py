"""The passphrase that encrypts the secrets in Pulumi's state: made once, and missed before anything is touched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.errors import failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.paths import Paths

VARIABLES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")


def check(paths: Paths, environ: Mapping[str, str]) -> None:
    """Raise when there is state to read and nothing to read it with.

    Raises:
        OperationError: With `SETTINGS_INVALID`.
    """
    if not _has_state(paths) or paths.passphrase.is_file() or any(environ.get(name) for name in VARIABLES):
        return
    raise failure(
        ExitCode.SETTINGS_INVALID,
        "The passphrase of this platform's Pulumi state is missing",
        f"{paths.passphrase} is gone, and the secrets in {paths.pulumi_backend} were encrypted with what it held",
        f"put the passphrase back into {paths.passphrase} (mode 0600) or set PULUMI_CONFIG_PASSPHRASE_FILE; if it is "
        "lost for good, the platform can only be removed and made anew: ./careops down --all",
    )


def describe(paths: Paths, environ: Mapping[str, str]) -> str:
    """Return where the passphrase comes from, for people; never what it is."""
    given = next((name for name in VARIABLES if environ.get(name)), None)
    if given is not None:
        return f"from {given}"
    return f"in {paths.passphrase}" if paths.passphrase.is_file() else "not made yet: the first up makes one"


def _has_state(paths: Paths) -> bool:
    """Return whether any stack was ever deployed here; Pulumi keeps one JSON file for each."""
    return any(paths.pulumi_backend.glob(".pulumi/stacks/**/*.json"))
