"""The jobs of a refresh as data: what they are made from, what they are doing, and what a run came to."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from infra import naming
from infra.naming import Naming, refresh_namespace
from infra.plans.refresh_hours import CLOCKS_SECONDS, REQUEST_ANNOTATION, STOP_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from operations.refresh.cluster import Object

CERTIFICATE_BEGIN = "-----BEGIN CAREOPS CERTIFICATE-----"
CERTIFICATE_END = "-----END CAREOPS CERTIFICATE-----"
EXIT_MEANING = {
    1: "a step failed",
    69: "a database cannot be reached, or its server ended",
    75: "waited in vain for a partner, or another run is under way",
    78: "refused: nothing changes until somebody acts on what it names",
    137: "killed: by its node's end, by hand, or for lack of memory",
    143: "told to stop",
}
"""Of the programs' exit statuses; see operations/anonymise/README.md."""

_ISOLATED_VOLUME = '"isolated-data"'
"""The volume of the isolated copy, as a kubelet quotes it when it has grown over its limit."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of the jobs of a refresh.

    Attributes:
        template: Name of its CronJob; also its container's, and the beginning of its Jobs' names.
        namespace: Where it runs.
        title: What it does, for people.
    """

    template: str
    namespace: str
    title: str

    def job(self, run: str) -> str:
        """Return the name of its Job in a run."""
        return f"{self.template}-{run}"

    def jobs_path(self, name: str = "") -> str:
        """Return the API path of its namespace's Jobs, or of one."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs" + (f"/{name}" if name else "")

    @property
    def template_path(self) -> str:
        """The API path of its CronJob."""
        return f"/apis/batch/v1/namespaces/{self.namespace}/cronjobs/{self.template}"


def run_parts(site: str) -> tuple[Part, ...]:
    """Return the jobs of a run, in the order they are created: who is waited for comes first."""
    prod, training = (Naming(site=site, environment=name).namespace for name in ("prod", "training"))
    return (
        Part(template=naming.REFRESH_MASK, namespace=refresh_namespace(site), title="Mask, and verify what came of it"),
        Part(template=naming.REFRESH_EXPORT, namespace=prod, title="Copy prod into the isolated PostgreSQL"),
        Part(template=naming.REFRESH_ADOPT, namespace=training, title="Make it training's own, and swap it in"),
    )


def rollback_part(site: str) -> Part:
    """Return the job that puts training's previous database back."""
    training = Naming(site=site, environment="training").namespace
    return Part(template=naming.REFRESH_ROLLBACK, namespace=training, title="Put the previous database back")


def run_name(now: datetime) -> str:
    """Return the name of a run that somebody asked for; scheduled ones are plain numbers (minutes since 1970)."""
    return f"{now:%Y%m%dt%H%M%S}"


NOBODY = "nobody: started by the operator"
"""What a certificate says of the approval of a run that carries out no request."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who wants a run, and what for.

    Attributes:
        requested_by: Who asked.
        approved_by: Who approved the trainer's request that it carries out; nobody approves what an operator starts.
        request: The trainer's request it carries out; empty for none.
        until: When class hours or a freeze begin: it has ended before; None when it may take its time.
    """

    requested_by: str
    approved_by: str = NOBODY
    request: str = ""
    until: datetime | None = None

    def variables(self) -> dict[str, str]:
        """Return the variables that tell the program, for the certificate."""
        return {"CAREOPS_REQUESTED_BY": self.requested_by, "CAREOPS_APPROVED_BY": self.approved_by}


def manifest(template: Object, part: Part, run: str, asked: Asked, now: datetime) -> Object:
    """Return a Job as the CronJob's controller would make it, owned by the CronJob, which removes old ones.

    Args:
        template: The CronJob.
        part: Which it is.
        run: The run.
        asked: Who wants it; the template must have the variables that say so.
        now: This moment; what it has to end before shortens its deadline.
    """
    made, variables = template["spec"]["jobTemplate"], asked.variables()
    owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": part.template, "controller": True}
    spec = copy.deepcopy(made["spec"])
    for container in spec["template"]["spec"]["containers"]:
        for variable in container["env"]:
            if variable["name"] in variables:
                variable["value"] = variables[variable["name"]]
    if asked.until is not None:
        room = int((asked.until - now).total_seconds()) - STOP_SECONDS - CLOCKS_SECONDS
        spec["activeDeadlineSeconds"] = max(1, min(spec["activeDeadlineSeconds"], room))
    request = {REQUEST_ANNOTATION: asked.request} if asked.request else {}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": part.job(run),
            "namespace": part.namespace,
            "labels": dict(made["metadata"].get("labels") or {}),
            "annotations": {"cronjob.kubernetes.io/instantiate": "manual", **request},
            "ownerReferences": [owner | {"uid": template["metadata"]["uid"]}],
        },
        "spec": spec,
    }


class Phase(StrEnum):
    """How far a job is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class JobState:
    """What a job is doing.

    Attributes:
        part: Which job it is.
        run: Its run.
        phase: How far it is.
        started: When its pod was wanted first, ISO 8601, UTC; empty before.
        ended: When it was done or failed; empty before.
        why: The reason Kubernetes gives for a failure.
    """

    part: Part
    run: str
    phase: Phase
    started: str = ""
    ended: str = ""
    why: str = ""

    @property
    def seconds(self) -> float | None:
        """How long it took; None while it runs."""
        if not (self.started and self.ended):
            return None
        return (datetime.fromisoformat(self.ended) - datetime.fromisoformat(self.started)).total_seconds()


def job_state(part: Part, job: Object) -> JobState:
    """Return what a Job is doing."""
    status = job.get("status") or {}
    held = {each["type"]: each for each in status.get("conditions") or [] if each.get("status") == "True"}
    failed = held.get("Failed") or held.get("FailureTarget")
    done = held.get("Complete")
    ended = status.get("completionTime") or (failed or {}).get("lastTransitionTime") or ""
    return JobState(
        part=part,
        run=job["metadata"]["name"].rpartition("-")[2],
        phase=Phase.FAILED if failed else Phase.DONE if done else Phase.RUNNING,
        started=status.get("startTime") or "",
        ended=ended if failed or done else "",
        why=" ".join(text for text in (failed or {}).get("message", "").split() if text),
    )


def of_part(part: Part, jobs: Iterable[Object]) -> list[JobState]:
    """Return the states of those jobs of a namespace that are of one part, the newest first."""
    own = [job for job in jobs if job["metadata"]["name"].rpartition("-")[0] == part.template]
    own.sort(key=lambda job: job["metadata"].get("creationTimestamp", ""), reverse=True)
    return [job_state(part, job) for job in own]


def waiting_for(pods: Iterable[Object]) -> str | None:
    """Return what keeps the newest pod of a job from running; None once it runs or has ended."""
    found = sorted(pods, key=lambda pod: pod["metadata"].get("creationTimestamp", ""))
    if not found:
        return "its pod has not been made yet"
    status = found[-1].get("status") or {}
    if status.get("phase") != "Pending":
        return None
    states = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
    for state in states:
        waiting = (state.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") not in (None, "PodInitializing", "ContainerCreating"):
            return f"container {state['name']}: {waiting['reason']} {waiting.get('message', '')}".strip()
    conditions = {each["type"]: each for each in status.get("conditions") or []}
    unscheduled = conditions.get("PodScheduled", {})
    if unscheduled.get("status") == "False":
        return f"no node takes it: {unscheduled.get('message', '')}".strip()
    return "its containers are starting"


def ending(pods: Iterable[Object]) -> list[str]:
    """Return how the containers of a job's pods ended that did not end well, one line each; a pod's own end first."""
    lines = []
    for pod in pods:
        status = pod.get("status") or {}
        if status.get("reason"):
            said = f"the pod was ended ({status['reason']}): {(status.get('message') or 'no reason given').strip()}"
            room = "; raise refresh.sizes.isolated_storage in the site's file" if _ISOLATED_VOLUME in said else ""
            lines.append(f"{said}{room}")
        for state in (*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])):
            over = (
                (state.get("state") or {}).get("terminated") or (state.get("lastState") or {}).get("terminated") or {}
            )
            code = over.get("exitCode", 0)
            if code:
                killed = over.get("reason") == "OOMKilled"
                said = "killed: it needed more memory than its limit" if killed else EXIT_MEANING.get(code, "failed")
                lines.append(f"{state['name']} ended with {code} ({said})")
    return lines


def certificate(log: str) -> str:
    """Return the certificate (JSON) between the marks of the adoption's log; empty when there is none."""
    _, begun, rest = log.rpartition(CERTIFICATE_BEGIN)
    text, ended, _ = rest.partition(CERTIFICATE_END)
    if not (begun and ended):
        return ""
    try:
        found = json.loads(text)
    except ValueError:
        return ""
    return text.strip() if isinstance(found, dict) else ""
