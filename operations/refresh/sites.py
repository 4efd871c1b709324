"""Which site a refresh is about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.refresh.plan import no_refresh

if TYPE_CHECKING:
    from pathlib import Path

    from infra.settings import StackSettings


def training_of(root: Path, site: str | None) -> StackSettings:
    """Return the training stack of a site, whose settings say how it is refreshed.

    Args:
        root: The checkout.
        site: Its name; None for the first site, whose stacks have no prefix.

    Raises:
        SettingsError: The settings are not valid.
        OperationError: With `USAGE` for an unknown site, with `SETTINGS_INVALID` for one without a refresh.
    """
    from infra.settings import load_all
    from operations.catalogue import environments_of
    from operations.errors import failure

    settings = load_all(root)
    stacks = {one.stack: one for one in settings.environments}
    found = {one.site: stacks[one.stack] for one in environments_of(settings) if one.name == "training"}
    name = site or next(iter(found), "")
    if name not in found:
        raise failure(
            ExitCode.USAGE,
            f"There is no site `{name}` with a training environment",
            f"known: {', '.join(found) or 'none'}",
            "name one of them with --site",
        )
    if found[name].site.refresh is None:
        raise OperationError(ExitCode.SETTINGS_INVALID, no_refresh(name))
    return found[name]
