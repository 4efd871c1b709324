"""The rules, one file each, and the one list of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.rules import (
    data_is_classified,
    exceptions_are_registered,
    images_are_pinned_by_digest,
    namespaces_deny_by_default,
    pods_have_read_only_root,
    pods_have_resource_limits,
    pods_run_as_non_root,
    pods_stay_off_the_host,
    postgresql_requires_tls,
    providers_are_explicit,
    secrets_are_never_plaintext,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.rule import Rule

_MODULES: Final = (
    pods_run_as_non_root,
    pods_have_read_only_root,
    pods_stay_off_the_host,
    pods_have_resource_limits,
    images_are_pinned_by_digest,
    namespaces_deny_by_default,
    providers_are_explicit,
    postgresql_requires_tls,
    data_is_classified,
    secrets_are_never_plaintext,
    exceptions_are_registered,
)

RULES: Final[Mapping[str, Rule]] = {module.RULE.id: module.RULE for module in _MODULES}
"""Every rule by id."""
