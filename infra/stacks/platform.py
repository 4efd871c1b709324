"""What every environment shares: the PostgreSQL operator, the priorities, the kind of trainers' requests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pulumi

from infra.components.postgres_operator import PostgresOperator, PostgresOperatorArgs
from infra.components.priorities import Priorities, PrioritiesArgs
from infra.components.sandbox import SandboxRequests, SandboxRequestsArgs
from infra.plans.network import operator_flows, policies
from infra.plans.operator import MANIFEST, plan_operator, read_manifest
from infra.plans.priorities import PRIORITIES
from infra.problems import Problem, SettingsError

if TYPE_CHECKING:
    import pulumi_kubernetes as kubernetes

    from infra.facts import ClusterFacts
    from infra.model import PlatformSettings


@dataclass(frozen=True, kw_only=True)
class PlatformStack:
    """The components of the shared platform.

    Attributes:
        priorities: Who is served first.
        operator: What runs every environment's PostgreSQL.
        sandbox: What keeps trainers' requests.
    """

    priorities: Priorities
    operator: PostgresOperator
    sandbox: SandboxRequests


def declare_platform(settings: PlatformSettings, facts: ClusterFacts, provider: kubernetes.Provider) -> PlatformStack:
    """Declare the shared platform on a cluster.

    Raises:
        SettingsError: The operator's manifest is not among the facts or cannot be used.
    """
    path = facts.manifests.get(MANIFEST)
    if path is None:
        action = "Run `careops up`, which writes it with the operator's release."
        raise SettingsError([Problem(path=f"facts.json: manifests.{MANIFEST}", message="is missing", action=action)])
    opts = pulumi.ResourceOptions(providers=[provider])
    priorities = Priorities("priorities", PrioritiesArgs(priorities=PRIORITIES), opts)
    documents = plan_operator(read_manifest(Path(path)), facts.images["cloudnative-pg"], settings.operator.resources)
    operator = PostgresOperator(
        "operator",
        PostgresOperatorArgs(documents=documents, policies=policies(operator_flows(facts))),
        # The operator's pods name one of the classes.
        pulumi.ResourceOptions(providers=[provider], depends_on=[priorities]),
    )
    sandbox = SandboxRequests("sandbox", SandboxRequestsArgs(), opts)
    return PlatformStack(priorities=priorities, operator=operator, sandbox=sandbox)
