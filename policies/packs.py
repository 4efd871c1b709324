"""Packs bind rules to enforcement levels, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from policies.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from policies.rule import Level, Rule


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """A set of rules and how strictly each is enforced.

    Attributes:
        name: Name in Pulumi's output.
        title: What the pack is for, as a sentence.
        levels: Enforcement level by rule id.
    """

    name: str
    title: str
    levels: Mapping[str, Level]

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The bound rules, in the pack's order."""
        return tuple(RULES[rule] for rule in self.levels)


HEALTHCARE: Final = Pack(
    name="careops-healthcare",
    title="What every careops stack must keep to: HIPAA Security Rule safeguards on Kubernetes resources.",
    levels={
        "pods-run-as-non-root": "mandatory",
        "pods-have-read-only-root": "mandatory",
        "pods-stay-off-the-host": "mandatory",
        "pods-have-resource-limits": "mandatory",
        "images-are-pinned-by-digest": "mandatory",
        "namespaces-deny-by-default": "mandatory",
        "providers-are-explicit": "mandatory",
        "postgresql-requires-tls": "mandatory",
        "data-is-classified": "mandatory",
        "secrets-are-never-plaintext": "mandatory",
        "exceptions-are-registered": "mandatory",
    },
)
