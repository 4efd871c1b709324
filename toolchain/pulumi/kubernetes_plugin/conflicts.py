"""Fields that another manager owns: what the API server says about them, and whose they may be taken from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from toolchain.pulumi.kubernetes_plugin.steering import PATCH_FORCE

if TYPE_CHECKING:
    from toolchain.pulumi.kubernetes_plugin.errors import ApiFailure

# Managers of earlier tools, whose fields the official plugin takes over without asking.
_PREDECESSORS: Final = ("pulumi-kubernetes", "pulumi-resource-kubernetes", "kubectl", "before-first-apply")
_QUOTES: Final = 2


def conflict_text(failure: ApiFailure, manager: str) -> str:
    """Return the sentence for a field conflict: each field, who owns it, and the ways out."""
    lines = [f"  {cause.field or '(object)'}: {cause.message}" for cause in failure.causes]
    return "\n".join(
        [
            f"Server-Side Apply field conflict: {manager!r} would change fields that another manager owns.",
            *lines,
            "Either stop setting the field in the program (or list it in ignoreChanges), or take it over with the "
            f'annotation {PATCH_FORCE}: "true".',
        ]
    )


def conflicting_managers(failure: ApiFailure) -> set[str]:
    """Return the managers a conflict names; the server writes `conflict with "NAME" using v1 at …`."""
    return {cause.message.split('"')[1] for cause in failure.causes if cause.message.count('"') >= _QUOTES}


def may_take_over(failure: ApiFailure, manager: str) -> bool:
    """Tell whether every conflicting field belongs to `manager` itself or to an earlier tool."""
    managers = conflicting_managers(failure)
    return bool(managers) and all(name == manager or name.startswith(_PREDECESSORS) for name in managers)
