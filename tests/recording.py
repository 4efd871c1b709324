"""A Pulumi engine that records what a program declares, and raises on a type it does not know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pulumi
from pulumi.runtime.mocks import MockMonitor, MockResourceArgs

if TYPE_CHECKING:
    from collections.abc import Callable

# Outputs of each type a program may declare. Kubernetes answers with what it was given; nothing here is computed.
_ECHO: Callable[[dict[str, Any]], dict[str, Any]] = dict
KUBERNETES_TYPES = {
    "kubernetes:core/v1:Namespace": _ECHO,
    "kubernetes:core/v1:ConfigMap": _ECHO,
    "kubernetes:core/v1:LimitRange": _ECHO,
    "kubernetes:core/v1:PersistentVolumeClaim": _ECHO,
    "kubernetes:core/v1:ResourceQuota": _ECHO,
    "kubernetes:core/v1:Service": _ECHO,
    "kubernetes:core/v1:ServiceAccount": _ECHO,
    "kubernetes:apps/v1:Deployment": _ECHO,
    "kubernetes:batch/v1:CronJob": _ECHO,
    "kubernetes:batch/v1:Job": _ECHO,
    "kubernetes:networking.k8s.io/v1:NetworkPolicy": _ECHO,
    "kubernetes:policy/v1:PodDisruptionBudget": _ECHO,
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole": _ECHO,
    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding": _ECHO,
    "kubernetes:rbac.authorization.k8s.io/v1:Role": _ECHO,
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": _ECHO,
    "kubernetes:scheduling.k8s.io/v1:PriorityClass": _ECHO,
    "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition": _ECHO,
    "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration": _ECHO,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy": _ECHO,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding": _ECHO,
    "kubernetes:admissionregistration.k8s.io/v1:ValidatingWebhookConfiguration": _ECHO,
    "kubernetes:postgresql.cnpg.io/v1:Cluster": _ECHO,
    "pulumi:providers:kubernetes": _ECHO,
}


class UnlistedTypeError(Exception):
    """A program declared a type that nobody decided it may declare."""


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One registered resource."""

    type: str
    name: str
    urn: str
    parent: str
    provider: str
    dependencies: tuple[str, ...]
    protect: bool
    inputs: dict[str, Any]

    @property
    def kind(self) -> str:
        return self.type.rsplit(":", 1)[-1]

    @property
    def component(self) -> bool:
        return self.type.startswith("careops:")

    @property
    def metadata(self) -> dict[str, Any]:
        return self.inputs["metadata"]

    @property
    def spec(self) -> dict[str, Any]:
        return self.inputs["spec"]


@dataclass
class Recording:
    """What a program declared, in the order it was registered."""

    resources: list[Declared] = field(default_factory=list)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    result: Any = None

    def of(self, kind: str) -> list[Declared]:
        return [resource for resource in self.resources if resource.kind == kind]

    def named(self, kind: str, name: str) -> Declared:
        found = [resource for resource in self.of(kind) if resource.metadata["name"] == name]
        assert len(found) == 1, f"{kind} {name}: {[resource.name for resource in self.of(kind)]}"
        return found[0]

    def pods(self) -> dict[str, dict[str, Any]]:
        """Return the pod templates of everything that makes pods, by workload."""
        templates = [
            resource.spec["jobTemplate"]["spec"]["template"]
            if resource.kind == "CronJob"
            else resource.spec["template"]
            for resource in self.resources
            if resource.kind in ("Deployment", "Job", "CronJob")
        ]
        return {template["spec"]["containers"][0]["name"]: template for template in templates}

    def urns(self) -> list[str]:
        return sorted(resource.urn for resource in self.resources)


class _Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if args.typ.startswith("careops:"):
            return "", dict(args.inputs)
        if args.typ not in KUBERNETES_TYPES:
            message = f"{args.typ} ({args.name}) is not among the types a program may declare"
            raise UnlistedTypeError(message)
        return f"{args.name}-id", KUBERNETES_TYPES[args.typ](args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        message = f"{args.token}: a program reads nothing from a cluster"
        raise UnlistedTypeError(message)


class _Monitor(MockMonitor):
    """Keeps what `Mocks` does not see: parents, dependencies, protection, and registered outputs."""

    def __init__(self, recording: Recording) -> None:
        super().__init__(_Mocks())
        self.recording = recording

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name for it
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            inputs = _whole(pulumi.runtime.rpc.deserialize_properties(request.object))
            self.recording.resources.append(
                Declared(
                    type=request.type,
                    name=request.name,
                    urn=response.urn,
                    parent=request.parent,
                    provider=request.provider,
                    dependencies=tuple(sorted(request.dependencies)),
                    protect=request.protect,
                    inputs=inputs,
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's name for it
        self.recording.outputs[request.urn] = pulumi.runtime.rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)


def _whole(value: Any) -> Any:
    """Return whole numbers as such: the wire knows only floating point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    return [_whole(each) for each in value] if isinstance(value, list) else value


def record(program: Callable[[], Any], *, stack: str = "dev", preview: bool = False) -> Recording:
    """Run a program on a fresh engine until nothing is outstanding, and return what it declared."""
    recording = Recording()
    asyncio.set_event_loop(asyncio.new_event_loop())
    monitor = _Monitor(recording)
    pulumi.runtime.set_mocks(monitor.mocks, project="careops", stack=stack, preview=preview, monitor=monitor)

    def run() -> None:
        recording.result = program()

    pulumi.runtime.test(run)()
    return recording
