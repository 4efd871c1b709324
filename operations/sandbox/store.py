"""Requests where they are kept: objects in training's namespace, each write bound to the version it was read at."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any, NoReturn, Protocol

from infra.naming import SANDBOX_RULES
from infra.plans.sandbox import GROUP, PLURAL, RULES_KEY, VERSION
from operations.errors import OperationError, failure
from operations.exit_codes import ExitCode
from operations.sandbox import rules as reading
from operations.sandbox.model import from_object, manifest
from toolchain.cluster.errors import ApiRefused

if TYPE_CHECKING:
    from collections.abc import Generator

    from operations.sandbox.model import Asked, Entry, Object, Request
    from operations.sandbox.rules import Rules

_UNAUTHENTICATED, _FORBIDDEN, _NOT_FOUND, _CONFLICT, _INVALID = 401, 403, 404, 409, 422


class Api(Protocol):
    """What is asked of the API server; `KubeApi` does it, tests give a fake."""

    def get(self, path: str, /, **query: str) -> Any:  # noqa: ANN401 - the shape is the API's
        """Return the object or list at a path, or None when there is none."""
        ...

    def request(self, method: str, path: str, /, *, body: object = None) -> Any:  # noqa: ANN401 - as above
        """Send one request and return what comes back."""
        ...


class Store:
    """The requests of one training.

    Args:
        api: The API server, with the access of the person who acts.
        namespace: Training's namespace.

    Attributes:
        unreadable: What is wrong with requests that another program wrote, by name, as of the last look at all.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self.unreadable: dict[str, str] = {}
        self._api = api
        self._namespace = namespace
        self._path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"

    def whoami(self) -> str:
        """Return the user's name as the API server sees it."""
        with self._told():
            answer = self._api.request(
                "POST",
                "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                body={"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"},
            )
        return answer["status"]["userInfo"]["username"]

    def rules(self) -> Rules:
        """Return the rules in force.

        Raises:
            OperationError: With `DEPLOYMENT`, when there are none, with `NOT_ALLOWED` without the right to read them.
        """
        path = f"/api/v1/namespaces/{self._namespace}/configmaps/{SANDBOX_RULES}"
        with self._told():
            found = self._api.get(path)
        if found is None:
            raise self._not_deployed(f"its ConfigMap {SANDBOX_RULES} is not there")
        try:
            return reading.parse(found["data"][RULES_KEY])
        except (KeyError, ValueError) as error:
            raise self._not_deployed(f"its ConfigMap {SANDBOX_RULES} cannot be used: {error}") from error

    def all(self) -> tuple[Request, ...]:
        """Return every request that can be read, in the order of their classes; notes the others in `unreadable`."""
        with self._told():
            found = self._api.get(self._path)
        if found is None:
            raise self._not_deployed("the cluster does not know the kind SandboxRequest")
        requests = []
        self.unreadable = {}
        for each in found["items"]:
            try:
                requests.append(from_object(each))
            except ValueError as error:
                self.unreadable[each["metadata"]["name"]] = str(error)
        return tuple(sorted(requests, key=lambda each: (each.asked.first_day, each.asked.begins, each.id)))

    def one(self, name: str) -> Request:
        """Return one request.

        Raises:
            OperationError: With `USAGE`, when there is none of this name.
        """
        requests = self.all()
        found = next((each for each in requests if each.id == name), None)
        if found is None:
            known = ", ".join(each.id for each in requests) or "none"
            raise failure(
                ExitCode.USAGE,
                f"There is no request {name}",
                f"known: {known}",
                "see them: ./careops sandbox list",
            )
        return found

    def create(self, asked: Asked, entry: Entry) -> Request:
        """Keep a new request; the API server gives it its name."""
        with self._told():
            return from_object(self._api.request("POST", self._path, body=manifest(asked, entry, self._namespace)))

    def append(self, request: Request, entry: Entry) -> Request:
        """Add an entry to a request's history.

        Raises:
            OperationError: With `LOCK_HELD`, when somebody changed it since it was read.
        """
        body: Object = {
            **manifest(request.asked, entry, self._namespace),
            "metadata": {"name": request.id, "namespace": self._namespace, "resourceVersion": request.version},
            "history": [each.as_object() for each in (*request.history, entry)],
        }
        with self._told(request.id):
            return from_object(self._api.request("PUT", f"{self._path}/{request.id}", body=body))

    @contextlib.contextmanager
    def _told(self, name: str = "") -> Generator[None]:
        """Turn what the API server refuses into what a person can do about it."""
        try:
            yield
        except ApiRefused as error:
            self._tell(error, name)

    def _tell(self, error: ApiRefused, name: str) -> NoReturn:
        if error.status in (_UNAUTHENTICATED, _FORBIDDEN):
            raise failure(
                ExitCode.NOT_ALLOWED,
                "You may not do that" if error.status == _FORBIDDEN else "The cluster does not know you",
                _reason(error.why),
                "ask somebody who may; whom you act as: --kubeconfig; the groups: sandbox: in the site's settings",
            ) from error
        if error.status == _CONFLICT:
            raise failure(
                ExitCode.LOCK_HELD,
                f"Somebody else changed the request {name} at this moment",
                "it is not the one any more that was judged",
                f"look at it (./careops sandbox show {name}), then decide again",
            ) from error
        if error.status == _INVALID:
            raise failure(
                ExitCode.USAGE,
                f"The API server refused the request {name}".rstrip(),
                _reason(error.why),
                "correct what it names",
            ) from error
        if error.status == _NOT_FOUND:
            raise self._not_deployed("the cluster does not know the kind SandboxRequest, or the request is gone")
        raise error

    def _not_deployed(self, why: str) -> OperationError:
        return failure(
            ExitCode.DEPLOYMENT,
            f"{self._namespace} takes no requests",
            why,
            "it comes with `sandbox:` in the site's settings and the next ./careops up of the platform and training",
        )


def _reason(text: str) -> str:
    """Return the last part of a refusal: what the guard says, without the names of the objects around it."""
    for mark in ("denied request: ", "is invalid: "):
        _, found, rest = text.partition(mark)
        if found:
            return rest
    with contextlib.suppress(ValueError, TypeError, KeyError):
        return str(json.loads(text)["message"])
    return text
