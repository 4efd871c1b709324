"""Creating, reading, changing and deleting objects: the part of the plugin that acts."""

# ruff: noqa: ANN401  values are whatever JSON or the generated stubs hold

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential

from toolchain.pulumi.kubernetes_plugin import checkpoint, naming, preview, steering
from toolchain.pulumi.kubernetes_plugin.cluster import Applied, Cluster, Ref
from toolchain.pulumi.kubernetes_plugin.conflicts import conflict_text, may_take_over
from toolchain.pulumi.kubernetes_plugin.diff import Path, parse_path
from toolchain.pulumi.kubernetes_plugin.errors import (
    ApiFailure,
    Cancelled,
    NoSuchKind,
    NotReady,
    PluginError,
    Unfinished,
)
from toolchain.pulumi.kubernetes_plugin.inputs import imported, refreshed
from toolchain.pulumi.kubernetes_plugin.readiness import FIVE_MINUTES, TEN_MINUTES, rule_for
from toolchain.pulumi.kubernetes_plugin.tokens import Gvk
from toolchain.pulumi.kubernetes_plugin.values import contains_unknown, dig, reveal, without
from toolchain.pulumi.kubernetes_plugin.verdicts import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from toolchain.pulumi.kubernetes_plugin.configuration import ProviderConfig
    from toolchain.pulumi.kubernetes_plugin.waiting import Waiter

# Objects of one program may be declared out of order: a namespace, or a definition's new kind, may come in a moment.
ORDER_SECONDS: Final = 20.0
_NAMESPACE: Final = Gvk(group="", version="v1", kind="Namespace")
_FORBIDDEN: Final = 403
_BAD_REQUEST: Final = 400
_INVALID: Final = 422

# Kinds whose deletion is not waited for with skipAwait, as in the official plugin.
_MAY_SKIP_DELETE_WAIT: Final = frozenset(
    {
        *("Namespace", "Pod", "ReplicationController", "DaemonSet", "Deployment", "StatefulSet", "Job"),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Operations:
    """Operations on one cluster.

    Attributes:
        cluster: where.
        config: the provider's configuration.
        waiter: waits on that cluster.
        state_location: where the stack's state is kept, so that a field manager is this stack's own.
        await_all: judge kinds without a readiness rule by their Ready condition.
        warn: shows a warning beside a resource.
    """

    cluster: Cluster
    config: ProviderConfig
    waiter: Waiter
    state_location: str
    await_all: bool
    warn: Callable[[str], None]

    def create(self, urn: str, gvk: Gvk, inputs: dict[str, Any], timeout: float) -> tuple[str, dict[str, Any]]:
        """Create an object, wait until it is ready and return its id and state.

        Raises:
            Unfinished: when it exists and is not ready.
            PluginError: when it was not created.
        """
        body = checkpoint.to_api(reveal(inputs))
        manager = self._manager(urn, inputs, {})
        retrying = Retrying(
            retry=retry_if_exception(lambda error: _out_of_order(error, gvk)),
            stop=stop_after_delay(ORDER_SECONDS),
            wait=wait_exponential(multiplier=0.5, max=4),
            sleep=lambda seconds: self.waiter.pause(seconds, f"what {gvk.kind} {dig(body, 'metadata', 'name')} needs"),
            reraise=True,
        )
        try:
            ref, applied = retrying(self._create_once, gvk, body, manager)
        except ApiFailure as failure:
            raise PluginError(_refusal(gvk, body, failure)) from failure
        return self._settled(ref, applied, inputs, manager=manager, api_version=gvk.api_version, timeout=timeout)

    def _create_once(self, gvk: Gvk, body: dict[str, Any], manager: str) -> tuple[Ref, Applied]:
        ref, body = self._scoped(gvk, body)
        live = self.cluster.get(ref)
        if live is not None and dig(live, "metadata", "deletionTimestamp"):
            self.waiter.say("waiting for its predecessor of the same name to be gone")
            self.waiter.until_gone(ref, dig(live, "metadata", "uid"), FIVE_MINUTES)
        elif live is not None and not self.config.upsert and not _is_ours(live, body, manager):
            raise PluginError(
                f"{ref} already exists and is not this resource's. To manage it here, import it (resource option "
                "import_, or `pulumi import`); if the resource was renamed in the program, give it an alias; to take "
                "over whatever exists, set the provider's upsertExistingObjects."
            )
        return ref, self._apply(ref, body, manager, dry_run=False)

    def preview_create(self, urn: str, gvk: Gvk, inputs: dict[str, Any]) -> dict[str, Any]:
        """Return the outputs an object would have, by a dry run where the server can be asked."""
        if contains_unknown(inputs):
            return preview.planned_creation(gvk, inputs, None)
        try:
            ref, body = self._scoped(gvk, checkpoint.to_api(reveal(inputs)))
            live = self.cluster.get(ref)
            if live is not None:
                return self._preview_beside(ref, body, inputs)
            applied = self.cluster.apply(ref, body, manager=self._manager(urn, inputs, {}), force=True, dry_run=True)
        except NoSuchKind:
            return preview.planned_creation(gvk, inputs, None)
        except ApiFailure as failure:
            # Forbidden: an account may be allowed to create what it may not dry-run; so may a namespace that is ending.
            if failure.namespace_missing or failure.status == _FORBIDDEN or _cannot_dry_run(failure):
                return preview.planned_creation(gvk, inputs, None)
            raise PluginError(_refusal(gvk, reveal(inputs), failure)) from failure
        return preview.planned_creation(gvk, inputs, applied.object)

    def _preview_beside(self, ref: Ref, body: dict[str, Any], inputs: dict[str, Any]) -> dict[str, Any]:
        # The name is taken, as it is whenever an object will be deleted and made anew: try the new one under a name
        # nobody has. Its refusal may come from the twin (a port or address in use), so only a malformed object counts.
        twin = Ref(gvk=ref.gvk, namespace=ref.namespace, name=f"{ref.name[:240]}-preview")
        twin_body = {**body, "metadata": {**body["metadata"], "name": twin.name}}
        try:
            applied = self.cluster.apply(twin, twin_body, manager="pulumi-kubernetes", force=True, dry_run=True)
        except ApiFailure as failure:
            if failure.status == _BAD_REQUEST and not _cannot_dry_run(failure):
                raise PluginError(_refusal(ref.gvk, body, failure)) from failure
            return preview.planned_creation(ref.gvk, inputs, None)
        found = {**applied.object, "metadata": {**applied.object["metadata"], "name": ref.name}}
        return preview.planned_creation(ref.gvk, inputs, found)

    def update(
        self,
        urn: str,
        gvk: Gvk,
        state: dict[str, Any],
        inputs: dict[str, Any],
        *,
        ignored: list[str],
        timeout: float,
        dry_run: bool,
    ) -> dict[str, Any]:
        """Change an object in place, wait until it is ready and return its new state; with `dry_run`, its outputs.

        Raises:
            Unfinished: when it was changed and is not ready.
            PluginError: when it was not changed.
        """
        if dry_run and contains_unknown(inputs):
            return preview.planned_update(state, inputs, None)
        manager, before = self._manager(urn, inputs, state), str(state.get(checkpoint.FIELD_MANAGER) or "")
        try:
            ref, body = self._scoped(gvk, checkpoint.to_api(reveal(inputs)))
            if ignored:
                body = _without_ignored(body, self.cluster.get(ref), manager, [parse_path(text) for text in ignored])
            applied = self._apply(ref, body, manager, dry_run=dry_run)
            if before and before != manager and not dry_run:
                self.cluster.apply(ref, _identity(body), manager=before, force=False, dry_run=False)
        except NoSuchKind:
            if dry_run:
                return preview.planned_update(state, inputs, None)
            raise
        except ApiFailure as failure:
            if dry_run and (failure.status == _FORBIDDEN or failure.namespace_missing or _cannot_dry_run(failure)):
                return preview.planned_update(state, inputs, None)
            raise PluginError(_refusal(gvk, reveal(inputs), failure)) from failure
        if dry_run:
            return preview.planned_update(state, inputs, applied.object)
        version = str(state.get(checkpoint.API_VERSION) or gvk.api_version)
        return self._settled(ref, applied, inputs, manager=manager, api_version=version, timeout=timeout)[1]

    def read(
        self, urn: str, gvk: Gvk, resource_id: str, state: dict[str, Any], inputs: dict[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """Return the state and the inputs of a live object, or None when it is gone.

        Raises:
            Unfinished: when it exists and a readiness rule says that it is not ready.
        """
        namespace, name = naming.split_identifier(resource_id)
        ref = Ref(gvk=gvk, namespace=namespace or "default", name=name)
        try:
            live = self.cluster.get(ref)
        except NoSuchKind:
            return None
        known = bool(naming.metadata_of(inputs))
        if live is None:
            return None
        if known and self._is_ending(live):
            # Its end cannot be called back: an update must make it anew, and creation waits until the name is free.
            self.warn(f"{ref} is being deleted by someone else")
            return None
        now = refreshed(inputs, live) if known else imported(gvk, live)
        version = str(state.get(checkpoint.API_VERSION) or gvk.api_version)
        manager = self._manager(urn, inputs, state)
        found = checkpoint.checkpoint(live, now, api_version=version, manager=manager)
        rule = rule_for(gvk, inputs, await_all=False) if known else None
        if rule is not None and rule.on_read:
            verdict = rule.judge(live, self.cluster)
            if verdict.state is not State.READY:
                explained = rule.explain(live, self.cluster) if rule.explain else []
                raise Unfinished([f"{ref} is not ready: {verdict.text}", *explained], resource_id, found, now)
        return found, now

    def _is_ending(self, live: dict[str, Any]) -> bool:
        """Tell whether an object, or the namespace around it, is on its way out."""
        if dig(live, "metadata", "deletionTimestamp"):
            return True
        namespace = dig(live, "metadata", "namespace")
        if not namespace:
            return False
        try:
            around = self.cluster.get(Ref(gvk=_NAMESPACE, namespace=None, name=namespace))
        except ApiFailure:
            # An account of one namespace may not look at it; then the object's own word counts.
            return False
        return bool(dig(around, "metadata", "deletionTimestamp"))

    def delete(self, gvk: Gvk, resource_id: str, inputs: dict[str, Any], timeout: float) -> None:
        """Delete an object and wait until it is gone; one that is gone already is no error."""
        namespace, name = naming.split_identifier(resource_id)
        ref = Ref(gvk=gvk, namespace=namespace or "default", name=name)
        plain = reveal(inputs)
        try:
            live = self.cluster.get(ref)
            if live is None:
                return
            self.cluster.delete(ref, propagation=steering.deletion_policy(plain))
        except NoSuchKind:
            return
        if steering.skips_delete_wait(plain) and gvk.kind in _MAY_SKIP_DELETE_WAIT:
            return
        default = TEN_MINUTES if gvk.group == "apps" else FIVE_MINUTES
        self.waiter.until_gone(ref, dig(live, "metadata", "uid"), steering.timeout_seconds(plain, timeout, default))

    def _settled(
        self, ref: Ref, applied: Applied, inputs: dict[str, Any], *, manager: str, api_version: str, timeout: float
    ) -> tuple[str, dict[str, Any]]:
        for warning in applied.warnings:
            self.warn(warning)
        plain, live = reveal(inputs), applied.object

        def state(obj: dict[str, Any]) -> dict[str, Any]:
            return checkpoint.checkpoint(obj, inputs, api_version=api_version, manager=manager)

        resource_id = naming.identifier(live)
        try:
            rule = rule_for(ref.gvk, plain, await_all=self.await_all)
            if rule is not None:
                seconds = steering.timeout_seconds(plain, timeout, rule.seconds)
                live = self.waiter.until_ready(ref, live, rule, seconds)
                self.waiter.say("")
        except NotReady as error:
            raise Unfinished(error.reasons, resource_id, state(error.live), inputs) from error
        except (Cancelled, PluginError) as error:
            raise Unfinished([str(error)], resource_id, state(live), inputs) from error
        return resource_id, state(live)

    def _apply(self, ref: Ref, body: dict[str, Any], manager: str, *, dry_run: bool) -> Applied:
        force = steering.is_true(body, steering.PATCH_FORCE) or self.config.patch_force
        try:
            return self.cluster.apply(ref, body, manager=manager, force=force, dry_run=dry_run)
        except ApiFailure as failure:
            if not failure.is_conflict:
                raise
            if not may_take_over(failure, manager):
                raise PluginError(f"{ref}: {conflict_text(failure, manager)}") from failure
        return self.cluster.apply(ref, body, manager=manager, force=True, dry_run=dry_run)

    def _scoped(self, gvk: Gvk, body: dict[str, Any]) -> tuple[Ref, dict[str, Any]]:
        metadata = body["metadata"]
        if not self.cluster.resource(gvk).namespaced:
            return Ref(gvk=gvk, namespace=None, name=metadata["name"]), without(body, ("metadata", "namespace"))
        namespace = metadata.get("namespace") or self.cluster.default_namespace
        scoped = {**body, "metadata": {**metadata, "namespace": namespace}}
        return Ref(gvk=gvk, namespace=namespace, name=metadata["name"]), scoped

    def _manager(self, urn: str, inputs: Mapping[str, Any], state: Mapping[str, Any]) -> str:
        chosen = steering.text(dict(inputs), steering.FIELD_MANAGER) or state.get(checkpoint.FIELD_MANAGER)
        return str(chosen) if chosen else naming.field_manager(urn, self.state_location)


def _is_ours(live: dict[str, Any], body: dict[str, Any], manager: str) -> bool:
    """Tell whether an interrupted run of the same resource made the object: its manager is in the fields' record."""
    entries = dig(live, "metadata", "managedFields") or []
    if not entries:
        # Applying an object that has nothing but a name leaves no record, and creating one in any other way does.
        return body == _identity(body)
    return any(entry.get("manager") == manager and entry.get("operation") == "Apply" for entry in entries)


def _identity(body: dict[str, Any]) -> dict[str, Any]:
    metadata = {key: body["metadata"][key] for key in ("name", "namespace") if key in body["metadata"]}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata}


def _out_of_order(error: BaseException, gvk: Gvk) -> bool:
    if isinstance(error, NoSuchKind):
        return not gvk.is_built_in
    return isinstance(error, ApiFailure) and error.not_found


def _cannot_dry_run(failure: ApiFailure) -> bool:
    return "does not support dry run" in failure.message


def _refusal(gvk: Gvk, body: Mapping[str, Any], failure: ApiFailure) -> str:
    where = "/".join(filter(None, (dig(dict(body), "metadata", "namespace"), dig(dict(body), "metadata", "name"))))
    details = [f"  {cause.field}: {cause.message}" for cause in failure.causes if cause.field]
    return "\n".join([f"{gvk.kind} {where} was refused by the Kubernetes API server: {failure.message}", *details])


def _without_ignored(
    body: dict[str, Any], live: dict[str, Any] | None, manager: str, paths: list[Path]
) -> dict[str, Any]:
    """Return the body so that ignored fields stay as they are: left to their other owner, or kept at the live value."""
    for path in paths:
        if live is None or not all(isinstance(step, str) for step in path):
            continue
        steps = tuple(str(step) for step in path)
        current = dig(live, *steps)
        owners = {entry["manager"] for entry in dig(live, "metadata", "managedFields") or [] if _owns(entry, steps)}
        if owners and manager not in owners:
            body = without(body, steps)
        elif current is not None:
            body = _replaced(body, steps, current)
    return body


def _owns(entry: Mapping[str, Any], steps: tuple[str, ...]) -> bool:
    fields = entry.get("fieldsV1") or {}
    for step in steps:
        if f"f:{step}" not in fields:
            return False
        fields = fields[f"f:{step}"]
    return True


def _replaced(body: dict[str, Any], steps: tuple[str, ...], value: Any) -> dict[str, Any]:
    head, *rest = steps
    below = body.get(head)
    if not rest:
        return {**body, head: value}
    return {**body, head: _replaced(below if isinstance(below, dict) else {}, tuple(rest), value)}
