"""The API server, spoken to through the official client: discovery, server-side apply, reading, deletion."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

import urllib3
from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.client.exceptions import ApiException
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from toolchain.pulumi.kubernetes_plugin.configuration import ProviderConfig, active, kubeconfig_document
from toolchain.pulumi.kubernetes_plugin.errors import ApiFailure, BadConfiguration, NoSuchKind, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from toolchain.pulumi.kubernetes_plugin.tokens import Gvk

# Long enough for an API server or a webhook to come back after a restart, short enough not to look hung.
RETRY_SECONDS: Final = 30.0
PROBE_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 60.0
# The engine works on as many resources at once as it likes; each wait polls on a connection of its own.
POOL_SIZE: Final = 64
_ERROR: Final = 400
_QUOTES: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiResource:
    """How the API server calls a kind."""

    plural: str
    namespaced: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Ref:
    """Which object: kind, namespace (None for a cluster-wide one) and name."""

    gvk: Gvk
    namespace: str | None
    name: str

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{self.gvk.kind} {where}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Applied:
    """What the server made of an object, and what it warned about."""

    object: dict[str, Any]
    warnings: tuple[str, ...]


class Cluster:
    """One API server. Every method may be called from many threads."""

    def __init__(self, api: kubernetes_client.ApiClient, namespace: str) -> None:
        self._api = api
        self._kinds: dict[tuple[str, str], dict[str, ApiResource]] = {}
        self._lock = threading.Lock()
        self.default_namespace = namespace
        self.address: str = api.configuration.host

    def probe(self, seconds: float = PROBE_SECONDS) -> str:
        """Return the server's version.

        Raises:
            Unreachable: when it does not answer within `seconds`.
        """
        return self.request("GET", "/version", retry_seconds=seconds).object.get("gitVersion", "")

    def resource(self, gvk: Gvk) -> ApiResource:
        """Return how the server calls a kind, asking it once for each group version.

        Raises:
            NoSuchKind: when it does not serve the kind.
        """
        key = (gvk.group, gvk.version)
        found = self._kinds.get(key, {}).get(gvk.kind)
        if found is None:
            with self._lock:
                found = self._kinds.get(key, {}).get(gvk.kind)
                if found is None:
                    self._kinds[key] = self._discover(gvk)
                    found = self._kinds[key].get(gvk.kind)
        if found is None:
            raise NoSuchKind(
                f"the API server serves no kind {gvk.kind} of {gvk.api_version}. If a CustomResourceDefinition of this "
                "program declares it, let the object depend on it."
            )
        return found

    def _discover(self, gvk: Gvk) -> dict[str, ApiResource]:
        try:
            listed = self.request("GET", _root(gvk)).object.get("resources") or []
        except ApiFailure as failure:
            if failure.not_found:
                return {}
            raise
        return {
            item["kind"]: ApiResource(plural=item["name"], namespaced=item["namespaced"])
            for item in listed
            if "/" not in item["name"]
        }

    def path(self, ref: Ref) -> str:
        """Return the URL path of an object."""
        resource = self.resource(ref.gvk)
        return f"{self._collection(ref.gvk, ref.namespace if resource.namespaced else None)}/{quote(ref.name)}"

    def _collection(self, gvk: Gvk, namespace: str | None) -> str:
        scope = f"/namespaces/{quote(namespace)}" if namespace else ""
        return f"{_root(gvk)}{scope}/{self.resource(gvk).plural}"

    def get(self, ref: Ref) -> dict[str, Any] | None:
        """Return the live object, or None when there is none."""
        try:
            return self.request("GET", self.path(ref)).object
        except ApiFailure as failure:
            if failure.not_found:
                return None
            raise

    def select(self, gvk: Gvk, namespace: str | None, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Return the objects of a kind that match label and field selectors."""
        query = {"labelSelector": labels, "fieldSelector": fields}
        listed = self.request("GET", self._collection(gvk, namespace), {k: v for k, v in query.items() if v}).object
        return listed.get("items") or []

    def apply(self, ref: Ref, body: Mapping[str, Any], *, manager: str, force: bool, dry_run: bool) -> Applied:
        """Apply an object server-side.

        Args:
            ref: which object.
            body: the fields to own.
            manager: who will own them.
            force: take over fields of other managers.
            dry_run: compute the result without keeping it.

        Raises:
            ApiFailure: when the server refuses.
        """
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": _validation(ref.gvk)}
        if dry_run:
            query["dryRun"] = "All"
        return self.request("PATCH", self.path(ref), query, body, content_type="application/apply-patch+yaml")

    def delete(self, ref: Ref, *, propagation: str) -> None:
        """Ask for an object's deletion; one that is not there is no error."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        try:
            self.request("DELETE", self.path(ref), body=options)
        except ApiFailure as failure:
            if not failure.not_found:
                raise

    def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        *,
        content_type: str = "application/json",
        retry_seconds: float = RETRY_SECONDS,
    ) -> Applied:
        """Send one request, again while the server is only busy or starting.

        Raises:
            ApiFailure: when the server refuses.
            Unreachable: when none answers.
        """
        retrying = Retrying(
            retry=retry_if_exception(_may_pass),
            stop=stop_after_delay(retry_seconds),
            wait=wait_random_exponential(multiplier=0.2, max=3),
            reraise=True,
        )
        try:
            return retrying(self._send, method, path, query, body, content_type)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unreachable(_unreachable(self.address, error)) from error

    def _send(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Mapping[str, Any] | None, content_type: str
    ) -> Applied:
        headers = {"Accept": "application/json", "User-Agent": "careops-kubernetes-plugin"}
        if body is not None:
            headers["Content-Type"] = content_type
        self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, None)
        url = f"{self.address}{path}" + (f"?{urlencode(query)}" if query else "")
        try:
            response = self._api.call_api(
                method, url, header_params=headers, body=body, _request_timeout=(CONNECT_SECONDS, READ_SECONDS)
            )
        except ApiException as error:  # status 0: the client's wrapping of a TLS failure
            raise Unreachable(_unreachable(self.address, error.reason or error)) from error
        data = response.read()
        try:
            answer = json.loads(data) if data else {}
        except ValueError:
            answer = {"message": data.decode(errors="replace").strip()[:500]}
        if response.status >= _ERROR:
            raise ApiFailure(response.status, answer if isinstance(answer, dict) else {})
        warnings = response.response.headers.getlist("Warning")
        return Applied(object=answer, warnings=tuple(_warning_text(item) for item in warnings))


def _root(gvk: Gvk) -> str:
    return f"/apis/{gvk.group}/{gvk.version}" if gvk.group else f"/api/{gvk.version}"


def _validation(gvk: Gvk) -> str:
    # The official plugin validates built-in kinds against the OpenAPI schema and refuses unknown fields. The schema of
    # a custom resource may be incomplete, so there the server only warns.
    return "Strict" if gvk.is_built_in else "Warn"


def _warning_text(header: str) -> str:
    # `299 - "text"`, RFC 7234 section 5.5.
    return header.split('"')[1] if header.count('"') >= _QUOTES else header


def _may_pass(error: BaseException) -> bool:
    if isinstance(error, ApiFailure):
        return error.is_transient
    return isinstance(error, urllib3.exceptions.HTTPError | ConnectionError | TimeoutError)


def _unreachable(address: str, error: object) -> str:
    cause = getattr(error, "reason", None) or error
    return (
        f"the Kubernetes API server at {address} does not answer: {cause}. "
        "Start the cluster, or correct the kubeconfig and context the provider uses."
    )


def connect(config: ProviderConfig, environ: Mapping[str, str]) -> Cluster:
    """Return the cluster a provider configuration leads to; no request is made yet.

    Raises:
        BadConfiguration: when there is no usable kubeconfig.
    """
    document = kubeconfig_document(config, environ)
    configuration = kubernetes_client.Configuration()
    context = active(document)
    try:
        if document is None:
            kubernetes_config.load_incluster_config(client_configuration=configuration)
        else:
            kubernetes_config.load_kube_config_from_dict(
                document, client_configuration=configuration, persist_config=False
            )
    except (kubernetes_config.ConfigException, OSError) as error:
        raise BadConfiguration(f"the kubeconfig cannot be used: {error}. Correct it.") from error
    configuration.retries = 0
    configuration.connection_pool_maxsize = POOL_SIZE
    namespace = config.namespace or context.get("namespace") or "default"
    return Cluster(kubernetes_client.ApiClient(configuration), namespace)
