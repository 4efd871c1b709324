"""The provider: configuration, the pure decisions (check, diff), and the operations behind them."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any, Final, Protocol

from toolchain.pulumi.kubernetes_plugin import configuration, naming, steering
from toolchain.pulumi.kubernetes_plugin.checkpoint import last_inputs, marked
from toolchain.pulumi.kubernetes_plugin.cluster import Cluster, Ref, connect
from toolchain.pulumi.kubernetes_plugin.conditions import expectation
from toolchain.pulumi.kubernetes_plugin.configuration import ProviderConfig
from toolchain.pulumi.kubernetes_plugin.diff import Change, Kind, changes, parse_path, path_text
from toolchain.pulumi.kubernetes_plugin.errors import BadConfiguration, NoSuchKind, PluginError, Unreachable
from toolchain.pulumi.kubernetes_plugin.immutable import immutable_paths
from toolchain.pulumi.kubernetes_plugin.operations import Operations
from toolchain.pulumi.kubernetes_plugin.tokens import Gvk, gvk_of_token
from toolchain.pulumi.kubernetes_plugin.values import UNKNOWN, dig, with_value, without
from toolchain.pulumi.kubernetes_plugin.verdicts import State
from toolchain.pulumi.kubernetes_plugin.waiting import Waiter
from toolchain.pulumi.kubernetes_plugin.workloads import job

if TYPE_CHECKING:
    from collections.abc import Mapping

# Settings whose change may mean another cluster.
_WHERE: Final = ("kubeconfig", "context", "cluster")
_READ_ONLY: Final = (
    *("creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields"),
    *("resourceVersion", "uid"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """What an update would do to a resource.

    Attributes:
        changes: the fields that differ.
        replaces: paths of those (or of an annotation) that need a new object.
        delete_first: whether the old object must go before the new one can have its name.
    """

    changes: list[Change] = field(default_factory=list)
    replaces: list[str] = field(default_factory=list)
    delete_first: bool = False


class Log(Protocol):
    """Shows a message beside a resource."""

    def __call__(self, urn: str, severity: str, text: str, *, passing: bool = False) -> None:
        """Show a text; one that is passing disappears with the next. `severity` is info or warning."""
        ...


@dataclass(kw_only=True, slots=True)
class KubernetesProvider:
    """One configured provider; `configure` comes before everything that needs a cluster.

    Attributes:
        log: shows messages beside resources.
        cancelled: set when the engine asks for an end.
        environ: the process's environment.
    """

    log: Log
    cancelled: Event = field(default_factory=Event)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    config: ProviderConfig = field(default_factory=ProviderConfig)
    _cluster: Cluster | None = None
    _unreachable: str = ""

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Connect to the cluster the settings lead to.

        Raises:
            BadConfiguration: when the settings cannot be used.
            Unreachable: when no API server answers, unless the settings say to go on without one.
        """
        self.config = configuration.parse(settings, self.environ)
        cluster = connect(self.config, self.environ)
        try:
            cluster.probe()
        except Unreachable as error:
            if not (self.config.delete_unreachable or self.config.skip_update_unreachable):
                raise
            self._unreachable = str(error)
            self.log("", "warning", self._unreachable)
        self._cluster = cluster

    @property
    def is_unreachable(self) -> bool:
        """Whether the cluster did not answer and the settings say to go on."""
        return bool(self._unreachable)

    @property
    def cluster(self) -> Cluster:
        """The connected cluster."""
        if self._cluster is None:
            raise PluginError("the provider is not configured: its settings depend on something not known yet")
        return self._cluster

    def operations(self, urn: str) -> Operations:
        """Return the operations for one resource, talking beside it.

        Raises:
            Unreachable: when the cluster did not answer.
        """
        if self._unreachable:
            raise Unreachable(self._unreachable)
        waiter = Waiter(
            cluster=self.cluster,
            say=lambda text: self.log(urn, "info", text, passing=True),
            cancelled=self.cancelled,
        )
        return Operations(
            cluster=self.cluster,
            config=self.config,
            waiter=waiter,
            state_location=self.environ.get("PULUMI_BACKEND_URL", ""),
            await_all=self.environ.get("PULUMI_K8S_AWAIT_ALL") == "true",
            warn=lambda text: self.log(urn, "warning", text),
        )

    def check(
        self,
        urn: str,
        token: str,
        old: dict[str, Any],
        new: dict[str, Any],
        *,
        seed: bytes,
        proposal: tuple[str, str] | None,
    ) -> dict[str, Any]:
        """Return the inputs as they will be used: named, in a namespace, without read-only fields, secrets marked.

        Raises:
            RefusedToken: for a type only the official plugin serves.
            PluginError: for inputs that contradict the type.
        """
        gvk = gvk_of_token(token)
        if self._unreachable and self.config.skip_update_unreachable and old:
            return old
        inputs = _typed(gvk, new)
        for name in _READ_ONLY:
            inputs = without(inputs, ("metadata", name))
        if dig(inputs, "metadata", "generateName") is not None:
            raise PluginError(
                "metadata.generateName is not supported in Server-Side Apply mode: leave metadata.name out to get a "
                "name made from the resource's, or set it."
            )
        inputs = naming.named(inputs, old, base=urn.rsplit("::", 1)[-1], seed=seed, proposal=proposal)
        steering.timeout_seconds(inputs, 0, 0)
        for text in steering.wait_expressions(inputs):
            expectation(text)
        inputs = self._in_namespace(gvk, inputs)
        return marked(inputs, new)

    def _in_namespace(self, gvk: Gvk, inputs: dict[str, Any]) -> dict[str, Any]:
        if dig(inputs, "metadata") is UNKNOWN or naming.metadata_of(inputs).get("namespace") is not None:
            return inputs
        # An unknown kind is most likely a custom resource of a definition still to come; creation corrects the guess.
        if self._namespaced(gvk) is False:
            return inputs
        return with_value(inputs, ("metadata", "namespace"), self.cluster.default_namespace)

    def _namespaced(self, gvk: Gvk) -> bool | None:
        """Tell whether objects of a kind live in namespaces; None when nobody knows."""
        if (gvk.group, gvk.kind) in _CLUSTER_WIDE:
            return False
        if self._unreachable:
            return None
        try:
            return self.cluster.resource(gvk).namespaced
        except NoSuchKind:
            return None

    def diff(
        self,
        urn: str,
        token: str,
        *,
        state: dict[str, Any],
        old: dict[str, Any],
        new: dict[str, Any],
        ignored: list[str],
    ) -> Difference:
        """Return what an update from the last inputs to the new ones would do."""
        gvk = gvk_of_token(token)
        before = last_inputs(state, old)
        for name in _READ_ONLY:
            before = without(before, ("metadata", name))
        if dig(new, "metadata", "namespace") is None or self._namespaced(gvk) is False:
            before, new = without(before, ("metadata", "namespace")), without(new, ("metadata", "namespace"))
        frozen = immutable_paths(
            gvk,
            new,
            mutable_config_maps=self.config.mutable_config_maps,
            mutable_secrets=self.config.mutable_secrets,
        )
        found = changes(before, new, immutable=frozen, ignored=tuple(parse_path(text) for text in ignored))
        replaces = [path_text(change.path) for change in found if change.replaces]
        if steering.is_true(new, steering.REPLACE_UNREADY) and self._is_unready(urn, gvk, state):
            replaces.append(f'metadata.annotations["{steering.REPLACE_UNREADY}"]')
        return Difference(
            changes=found, replaces=replaces, delete_first=bool(replaces) and _keeps_name(state, before, new)
        )

    def _is_unready(self, urn: str, gvk: Gvk, state: dict[str, Any]) -> bool:
        if gvk.kind != "Job":
            text = f"{steering.REPLACE_UNREADY} is supported for jobs only"
            self.log(urn, "warning", text)
            return False
        if self._unreachable or not naming.metadata_of(state):
            return False
        metadata = naming.metadata_of(state)
        live = self.cluster.get(Ref(gvk=gvk, namespace=metadata.get("namespace"), name=metadata["name"]))
        return live is not None and job(live, self.cluster).state is not State.READY

    def config_replaces(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
        """Return the settings that lead to another cluster, so that every object must be made anew there.

        As in the official plugin: with `clusterIdentifier`, only its change counts; without, a changed kubeconfig,
        context or cluster counts when the address of the active cluster differs.
        """
        first, second = old.get("clusterIdentifier"), new.get("clusterIdentifier")
        if first or second:
            return ["clusterIdentifier"] if first and second and first != second else []
        changed = [name for name in _WHERE if old.get(name) != new.get(name)]
        if not changed or any(new.get(name) is UNKNOWN for name in _WHERE):
            return []
        addresses = [self._address(old), self._address(new)]
        return changed if None not in addresses and addresses[0] != addresses[1] else []

    def _address(self, settings: Mapping[str, Any]) -> str | None:
        try:
            config = configuration.parse(settings, self.environ)
            active = configuration.active(configuration.kubeconfig_document(config, self.environ))
        except BadConfiguration:
            return None
        return active.get("settings", {}).get("server")


# Known without asking, so that a cluster that is not there yet needs no guess.
_CLUSTER_WIDE: Final = frozenset(
    {
        *(("", kind) for kind in ("Namespace", "Node", "PersistentVolume")),
        *(("rbac.authorization.k8s.io", kind) for kind in ("ClusterRole", "ClusterRoleBinding")),
        *(("storage.k8s.io", kind) for kind in ("StorageClass", "CSIDriver", "VolumeAttachment")),
        ("scheduling.k8s.io", "PriorityClass"),
        ("node.k8s.io", "RuntimeClass"),
        ("networking.k8s.io", "IngressClass"),
        ("apiextensions.k8s.io", "CustomResourceDefinition"),
        ("apiregistration.k8s.io", "APIService"),
        *(
            ("admissionregistration.k8s.io", kind)
            for kind in (
                *("MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"),
                *("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
            )
        ),
    }
)


def _typed(gvk: Gvk, inputs: dict[str, Any]) -> dict[str, Any]:
    for name, expected in (("apiVersion", gvk.api_version), ("kind", gvk.kind)):
        given = inputs.get(name)
        if given is not None and given is not UNKNOWN and given != expected:
            raise PluginError(f"{name} is {given!r}, but the resource's type says {expected!r}: make them the same.")
    metadata = inputs.get("metadata")
    return {**inputs, "apiVersion": gvk.api_version, "kind": gvk.kind, "metadata": {} if metadata is None else metadata}


def _keeps_name(state: dict[str, Any], before: dict[str, Any], new: dict[str, Any]) -> bool:
    """Tell whether the new object must have the old one's name, so that both cannot exist at once."""
    old_metadata, metadata = naming.metadata_of(state) or naming.metadata_of(before), naming.metadata_of(new)
    return (
        metadata.get("name") is not None
        and not naming.is_autonamed(new)
        and metadata.get("name") == old_metadata.get("name")
        and (metadata.get("namespace") or "default")
        == (old_metadata.get("namespace") or metadata.get("namespace") or "default")
    )


__all__ = ["Difference", "Kind", "KubernetesProvider"]
