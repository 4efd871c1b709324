"""The refresh of training from prod, as plain data: what is decided, who may talk to whom, and how jobs start."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from infra import naming
from infra.naming import Naming
from infra.plans.database import ROLE, ManagedRole
from infra.plans.jobs import job_spec
from infra.plans.network import INSTANCES, POSTGRESQL_PORT, Flow, Pods, dns_flow
from infra.quantities import cpu_millicores, format_cpu, format_memory, memory_bytes

if TYPE_CHECKING:
    from infra.facts import ClusterFacts
    from infra.model import RefreshSizes, StackSettings
    from infra.plans.manifest import Manifest
    from infra.plans.pods import Pod

# A CronJob needs a schedule even where it only serves as a template; it is suspended then.
NO_SCHEDULE = "0 0 1 1 *"
ROLLBACK_SECONDS = 3600
# Room beside a run's pod for one that proves with packets what the run can reach.
PROBE_MEMORY, PROBE_CPU = 64 * 2**20, 50


@dataclass(frozen=True, kw_only=True)
class RefreshPlan:
    """How training is filled from prod.

    Attributes:
        site: The site.
        schedule: When, or None for only when somebody asks.
        time_zone: The schedule's time zone.
        deadline_seconds: After how long a run is given up.
        k_anonymity: Smallest group of people with one combination of quasi-identifiers.
        quasi_identifiers: The site's own sets of quasi-identifiers, as the program takes them (JSON).
        roles: Training's logins, as the program takes them (JSON).
        sizes: What a run takes.
        image: The image of export and mask, by digest.
        postgresql_image: The image of the throw-away PostgreSQL, by digest.
    """

    site: str
    schedule: str | None
    time_zone: str
    deadline_seconds: int
    k_anonymity: int
    quasi_identifiers: str
    roles: str
    sizes: RefreshSizes
    image: str
    postgresql_image: str

    @property
    def source(self) -> Naming:
        """Where the data comes from."""
        return Naming(site=self.site, environment="prod")

    @property
    def target(self) -> Naming:
        """Where the masked data goes."""
        return Naming(site=self.site, environment="training")

    @property
    def namespace(self) -> str:
        """Where the data is masked."""
        return naming.refresh_namespace(self.site)


def plan_refresh(stack: StackSettings, facts: ClusterFacts) -> RefreshPlan | None:
    """Decide the refresh of a site; None where its settings have none."""
    refresh, site = stack.site.refresh, stack.site
    if refresh is None:
        return None
    return RefreshPlan(
        site=site.name,
        schedule=refresh.schedule,
        time_zone=site.time_zone,
        deadline_seconds=refresh.deadline_hours * 3600,
        k_anonymity=refresh.k_anonymity,
        quasi_identifiers=json.dumps([each.model_dump(mode="json") for each in refresh.quasi_identifiers]),
        roles=json.dumps([role.model_dump(mode="json") for role in refresh.roles], sort_keys=True),
        sizes=refresh.sizes,
        image=facts.images["refresh"],
        postgresql_image=facts.images["postgresql"],
    )


# -- who may talk to whom ------------------------------------------------------------------------------------------


def _pods(workload: str, namespace: str | None = None) -> Pods:
    return Pods(name=workload, labels=((naming.NAME_LABEL, workload),), namespace=namespace)


def source_flows(plan: RefreshPlan) -> tuple[Flow, ...]:
    """Return what a refresh opens in prod: its export reads the database and reaches the throw-away PostgreSQL."""
    export = _pods(naming.REFRESH_EXPORT)
    isolated = _pods(naming.REFRESH_MASK, plan.namespace)
    return (
        Flow(name="refresh-export-to-postgresql", source=export, target=INSTANCES, ports=(POSTGRESQL_PORT,)),
        Flow(name="refresh-export-to-isolated", source=export, target=isolated, ports=(POSTGRESQL_PORT,)),
    )


def isolated_flows(plan: RefreshPlan, facts: ClusterFacts) -> tuple[Flow, ...]:
    """Return everything that may talk in the namespace where data is masked."""
    export = _pods(naming.REFRESH_EXPORT, plan.source.namespace)
    mask, training = _pods(naming.REFRESH_MASK), dataclasses.replace(INSTANCES, namespace=plan.target.namespace)
    return (
        dns_flow(facts),
        Flow(name="refresh-export-to-isolated", source=export, target=mask, ports=(POSTGRESQL_PORT,)),
        Flow(name="refresh-mask-to-training", source=mask, target=training, ports=(POSTGRESQL_PORT,)),
    )


def target_flows(plan: RefreshPlan) -> tuple[Flow, ...]:
    """Return what a refresh opens in training: its database, to the masking program and to training's own jobs."""
    clients = (
        _pods(naming.REFRESH_MASK, plan.namespace),
        _pods(naming.REFRESH_ADOPT),
        _pods(naming.REFRESH_ROLLBACK),
    )
    return tuple(
        Flow(name=f"{client.name}-to-postgresql", source=client, target=INSTANCES, ports=(POSTGRESQL_PORT,))
        for client in clients
    )


# -- the databases' roles ------------------------------------------------------------------------------------------


def source_role() -> ManagedRole:
    """Return the role that reads prod: every table, and nothing else."""
    return ManagedRole(
        name=naming.REFRESH_SOURCE_ROLE,
        password_secret=naming.REFRESH_SOURCE_ROLE_SECRET,
        member_of=("pg_read_all_data",),
    )


def target_role() -> ManagedRole:
    """Return the role that makes training's next database and swaps it in, on behalf of the application's role."""
    return ManagedRole(
        name=naming.REFRESH_TARGET_ROLE, password_secret=naming.REFRESH_ROLE_SECRET, member_of=(ROLE,), createdb=True
    )


# -- limits and the service ----------------------------------------------------------------------------------------


def isolated_limits(plan: RefreshPlan) -> dict[str, str]:
    """Return the hard limits of the masking namespace: one run's pod and a probe.

    A second run's pod does not fit, so two runs never share the service's name.
    """
    containers = (plan.sizes.isolated, plan.sizes.mask)
    cpu = sum(cpu_millicores(each.cpu_request) for each in containers) + PROBE_CPU
    memory = sum(memory_bytes(each.memory_limit) for each in containers) + PROBE_MEMORY
    return {
        "pods": "2",
        "requests.cpu": format_cpu(cpu),
        "limits.memory": format_memory(memory),
        "requests.storage": "0",
        "services.nodeports": "0",
        "services.loadbalancers": "0",
    }


def isolated_service() -> Manifest:
    """Return the service in front of the throw-away PostgreSQL; its port is a number, as a sidecar has it."""
    port = {"name": "postgresql", "port": POSTGRESQL_PORT, "targetPort": POSTGRESQL_PORT, "protocol": "TCP"}
    return {"type": "ClusterIP", "selector": {naming.NAME_LABEL: naming.REFRESH_MASK}, "ports": [port]}


# -- the templates -------------------------------------------------------------------------------------------------


def cron_spec(plan: RefreshPlan, pod: Pod, *, scheduled: bool = True) -> Manifest:
    """Return a CronJob that starts one pod; it is a template alone where nothing is scheduled.

    A run is never continued: a broken pod, a drained node's among them, would meet partners of a run that has ended.
    """
    job = job_spec(pod, deadline_seconds=plan.deadline_seconds if scheduled else ROLLBACK_SECONDS, attempts=1)
    del job["podFailurePolicy"]
    on = scheduled and plan.schedule is not None
    return {
        "schedule": plan.schedule if on else NO_SCHEDULE,
        "timeZone": plan.time_zone,
        "suspend": not on,
        "concurrencyPolicy": "Forbid",
        # A run that cannot start at its time is left out: its three jobs would start at three times.
        "startingDeadlineSeconds": 600,
        "successfulJobsHistoryLimit": 2,
        "failedJobsHistoryLimit": 2,
        "jobTemplate": {"metadata": {"labels": dict(pod.labels)}, "spec": job},
    }
