"""No refresh of training in approved class hours or in a release freeze, whoever or whatever starts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pulumi
import pulumi_kubernetes as kubernetes

from infra.components.declaring import metadata
from infra.naming import refresh_guard, type_token
from infra.plans import refresh_hours as plans

if TYPE_CHECKING:
    from infra.model import Freeze
    from infra.naming import Naming
    from infra.plans.manifest import Manifest


@dataclass(frozen=True, kw_only=True)
class RefreshHoursArgs:
    """Arguments of `RefreshHours`.

    Attributes:
        naming: Training's names.
        requests: Training's namespace, in which requests are kept; None where it takes none.
        freezes: The site's release freezes.
        time_zone: The site's time zone.
    """

    naming: Naming
    requests: str | None
    freezes: tuple[Freeze, ...]
    time_zone: str


class RefreshHours(pulumi.ComponentResource):
    """Have the API server refuse the Jobs of a refresh that could last into class hours or a release freeze.

    Creates a ValidatingAdmissionPolicy and its binding for class hours and for freezes, as far as the site has them.
    Implements 45 CFR 164.308(a)(8), evaluation before changes, and 164.312(a)(1), access control.
    """

    guards: tuple[str, ...]
    """Names of the policies."""

    def __init__(self, name: str, args: RefreshHoursArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(type_token("refresh", "RefreshHours"), name, None, opts)
        site, guards = args.naming.site, []
        if args.requests is not None:
            guard = refresh_guard(site, "classes")
            binding = plans.classes_binding(guard, args.requests)
            self._guard(f"{name}-classes", args.naming, guard, plans.classes_policy(site), binding)
            guards.append(guard)
        if args.freezes:
            guard = refresh_guard(site, "freezes")
            policy = plans.freezes_policy(site, args.freezes, args.time_zone)
            self._guard(f"{name}-freezes", args.naming, guard, policy, plans.freezes_binding(guard))
            guards.append(guard)
        self.guards = tuple(guards)
        self.register_outputs({"guards": guards})

    def _guard(self, logical_name: str, names: Naming, guard: str, policy: Manifest, binding: Manifest) -> None:
        described = metadata(guard, None, names.labels(guard, "refresh"))
        made = kubernetes.admissionregistration.v1.ValidatingAdmissionPolicy(
            logical_name, metadata=described, spec=policy, opts=pulumi.ResourceOptions(parent=self)
        )
        kubernetes.admissionregistration.v1.ValidatingAdmissionPolicyBinding(
            f"{logical_name}-binding",
            metadata=described,
            spec=binding,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[made]),
        )
