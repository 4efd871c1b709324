"""A small view of the Kubernetes API: requests by path, server-side apply by manifest. No generated model is needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import kubernetes.client
import kubernetes.config
import urllib3.exceptions
import yaml
from kubernetes.config.config_exception import ConfigException

from toolchain.cluster.errors import ApiRefused, ApiUnreachable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

FIELD_MANAGER = "careops"
TIMEOUT_SECONDS = 15.0
_OK = range(200, 300)
_NOT_FOUND = 404
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

Manifest = dict[str, Any]


class KubeApi:
    """One cluster's API.

    Args:
        kubeconfig: file with the access.
        context: which of its contexts; its current one when None.

    Raises:
        ApiUnreachable: the file or the context does not exist.
    """

    def __init__(self, kubeconfig: Path, context: str | None = None) -> None:
        configuration = kubernetes.client.Configuration()
        try:
            kubernetes.config.load_kube_config(
                config_file=str(kubeconfig),
                context=context,
                client_configuration=configuration,
                persist_config=False,
            )
        except (ConfigException, OSError, ValueError, TypeError, yaml.YAMLError) as error:
            raise ApiUnreachable(
                f"The kubeconfig {kubeconfig} has no usable context{f' {context!r}' if context else ''}.",
                why=str(error),
                action="List the contexts with `kubectl config get-contexts` and name one of them.",
            ) from error
        if urlsplit(configuration.host).hostname in _LOOPBACK:
            configuration.proxy = None  # a proxy of the environment cannot reach this machine's own loopback
        self.client = kubernetes.client.ApiClient(configuration)
        self.host: str = configuration.host
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
        timeout: float = TIMEOUT_SECONDS,
    ) -> Any:  # noqa: ANN401 - the shape is the API's
        """Send one request and return the decoded JSON, or the text when it is none.

        Raises:
            ApiUnreachable: there was no answer.
            ApiRefused: the answer is an error.
        """
        url = f"{self.host}{path}{'?' + urlencode(query) if query else ''}"
        headers = {"Accept": "application/json", "Content-Type": content_type}
        self.client.update_params_for_auth(headers, {}, ["BearerToken"], path, method, body)
        try:
            response = self.client.rest_client.request(
                method, url, headers=headers, body=body, _request_timeout=timeout
            )
            raw = response.read()
        except (urllib3.exceptions.HTTPError, OSError, kubernetes.client.ApiException) as error:
            raise ApiUnreachable(
                f"The API server {self.host} does not answer.", why=str(error), action="Check that the cluster runs."
            ) from error
        text = raw.decode(errors="replace")
        if response.status not in _OK:
            raise ApiRefused(
                f"The API server refused {method} {path} with {response.status}.",
                why=_message(text),
                action="Correct the request or the rights of the user in the kubeconfig.",
                status=response.status,
            )
        try:
            return json.loads(text)
        except ValueError:
            return text

    def get(self, path: str, **query: str) -> Any:  # noqa: ANN401 - the shape is the API's
        """Return the object or list at a path, or None when there is none."""
        try:
            return self.request("GET", path, query=query)
        except ApiRefused as error:
            if error.status == _NOT_FOUND:
                return None
            raise

    def apply(self, manifest: Manifest) -> Manifest:
        """Make one object what the manifest says, by server-side apply; fields it does not name stay as they are.

        Returns:
            The object as the API server has it now.
        """
        return self.request(
            "PATCH",
            self.path_of(manifest),
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
            body=json.dumps(manifest),
            content_type="application/apply-patch+yaml",
        )

    def delete(self, path: str, *, grace_seconds: int | None = None) -> None:
        """Delete the object at a path; one that is not there is deleted already."""
        body: Manifest = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        if grace_seconds is not None:
            body["gracePeriodSeconds"] = grace_seconds
        try:
            self.request("DELETE", path, body=body)
        except ApiRefused as error:
            if error.status != _NOT_FOUND:
                raise

    def path_of(self, manifest: Manifest) -> str:
        """Return the path of the object that a manifest describes.

        Raises:
            ApiRefused: the API server has no such kind.
        """
        version, kind, metadata = manifest["apiVersion"], manifest["kind"], manifest["metadata"]
        base = f"/apis/{version}" if "/" in version else f"/api/{version}"
        plural, namespaced = self._resource(base, kind)
        folder = f"{base}/namespaces/{metadata.get('namespace', 'default')}" if namespaced else base
        return f"{folder}/{plural}/{metadata['name']}"

    def _resource(self, base: str, kind: str) -> tuple[str, bool]:
        known = self._resources.get(base, {})
        if kind not in known:
            listed = self.request("GET", base)["resources"]
            known = {
                entry["kind"]: (entry["name"], entry["namespaced"]) for entry in listed if "/" not in entry["name"]
            }
            self._resources[base] = known
        if kind not in known:
            raise ApiRefused(
                f"The API server has no {kind} in {base}.",
                why="The kind is not served by this version of the cluster.",
                action="Install what defines it first.",
                status=_NOT_FOUND,
            )
        return known[kind]


def _message(text: str) -> str:
    """Return the message of a Status object, or the start of what came instead."""
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:500] or "no explanation"
