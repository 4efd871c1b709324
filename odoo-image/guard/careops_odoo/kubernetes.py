"""The few calls of the Kubernetes API that making Secrets needs, with the pod's own service account."""

from __future__ import annotations

import base64
import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_NOT_FOUND, _CONFLICT = 404, 409


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A Secret: its values are bytes by key.

    Attributes:
        name: Its name.
        values: What it holds.
        labels: Its labels.
        kind: Its type.
        version: The API's version of it as it was read; None for one that is to be created.
    """

    name: str
    values: Mapping[str, bytes]
    labels: Mapping[str, str]
    kind: str = "Opaque"
    version: str | None = field(default=None, compare=False)

    def document(self) -> dict[str, Any]:
        """Return the API object."""
        metadata: dict[str, Any] = {"name": self.name, "labels": dict(self.labels)}
        if self.version is not None:
            metadata["resourceVersion"] = self.version
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": metadata,
            "type": self.kind,
            "data": {key: base64.b64encode(value).decode() for key, value in self.values.items()},
        }


@dataclass(frozen=True, kw_only=True)
class Api:
    """An API server and one namespace of it.

    Attributes:
        url: ``https://host:port``.
        namespace: Whose Secrets are meant.
        token: Bearer token.
        ca: CA file of the server's certificate; None trusts the system's.
    """

    url: str
    namespace: str
    token: str
    ca: Path | None

    @classmethod
    def from_pod(cls, environ: Mapping[str, str], account: Path = ACCOUNT) -> Api:
        """Use the mounted service account.

        Raises:
            Refused: The pod has none.
        """
        try:
            host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
            token = (account / "token").read_text(encoding="utf-8").strip()
            namespace = (account / "namespace").read_text(encoding="utf-8").strip()
        except (KeyError, OSError) as error:
            raise Refused(
                "this pod cannot use the Kubernetes API",
                why=f"its service account is not mounted: {error!r}",
                action="run it with the service account that may create Secrets, and mount the token",
            ) from error
        host = f"[{host}]" if ":" in host else host
        return cls(url=f"https://{host}:{port}", namespace=namespace, token=token, ca=account / "ca.crt")

    def read_secret(self, name: str) -> Secret | None:
        """Return a Secret, or None when there is none."""
        status, document = self._call("GET", f"/{name}")
        if status == _NOT_FOUND:
            return None
        values = {key: base64.b64decode(value) for key, value in document.get("data", {}).items()}
        metadata = document["metadata"]
        return Secret(
            name=name,
            values=values,
            labels=metadata.get("labels", {}),
            kind=document["type"],
            version=metadata.get("resourceVersion"),
        )

    def create_secret(self, secret: Secret) -> bool:
        """Create a Secret; False when one of that name exists already, which is left alone."""
        status, _ = self._call("POST", "", secret.document())
        return status != _CONFLICT

    def replace_secret(self, secret: Secret) -> bool:
        """Replace a Secret as it was read; False when it was changed or deleted meanwhile, which is left alone."""
        status, _ = self._call("PUT", f"/{secret.name}", secret.document())
        return status not in (_CONFLICT, _NOT_FOUND)

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        request = urllib.request.Request(  # noqa: S310 - the address is the API server's, https by construction
            f"{self.url}/api/v1/namespaces/{self.namespace}/secrets{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"},
        )
        context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
        try:
            with urllib.request.urlopen(request, timeout=15, context=context) as answer:  # noqa: S310 - see above
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code in (_NOT_FOUND, _CONFLICT):
                return error.code, {}
            raise _unavailable(f"{method} of Secrets was answered with {error.code} {error.reason}") from error
        except OSError as error:
            raise _unavailable(str(error)) from error


def _unavailable(why: str) -> Unavailable:
    return Unavailable(
        "the Kubernetes API did not do what was asked",
        why=why,
        action="check the service account's role and the network policy towards the API server; the job tries again",
    )
