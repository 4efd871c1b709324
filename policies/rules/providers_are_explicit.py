"""Each resource names the provider it goes through, so that no ambient setting decides where it lands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from policies.rule import Context, Evidence, Rule
from policies.verdicts import Fail, Finding, NotApplicable, Pass

if TYPE_CHECKING:
    from policies.resources import Resource
    from policies.verdicts import Verdict

_WITHOUT_TARGET: Final = frozenset({"pulumi", "random", "tls", "time", "std"})
"""Packages that act on nothing outside the Pulumi state, so an implicit provider cannot hit the wrong system."""

_COMPONENTS_ONLY: Final = frozenset({"careops"})
"""Packages whose types are all components: they group resources and have no provider."""


def check(resource: Resource, _: Context) -> Verdict:
    """Judge the provider of one resource.

    Args:
        resource: Any resource.

    Returns:
        Pass when it goes through a named provider.
    """
    if resource.origin == "cluster":
        return NotApplicable(reason="a live object has no Pulumi provider")
    if resource.package in _WITHOUT_TARGET | _COMPONENTS_ONLY:
        return NotApplicable(reason=f"{resource.package} resources act on no system outside Pulumi")
    if resource.provider is None:
        message = "no provider is named, so nothing says which cluster or account it goes to"
        return Fail(findings=(Finding(path="", message=message),))
    if resource.provider.implicit:
        message = "it goes through Pulumi's default provider: the ambient kubeconfig or credentials decide where to"
        return Fail(findings=(Finding(path="", message=message),))
    return Pass()


RULE: Final = Rule(
    id="providers-are-explicit",
    title="Resources go through an explicit provider.",
    kinds=None,
    check=check,
    severity="high",
    controls=("environment-separation",),
    remediation=(
        "Pass provider=… with a provider made for this environment, and list the package in "
        "pulumi:disable-default-providers of the stack's configuration."
    ),
    evidence=(Evidence(source="update", shows="Every change names the cluster or account it goes to."),),
    waivable=False,
)
