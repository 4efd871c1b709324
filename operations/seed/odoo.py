"""Odoo's own API as its web client uses it: JSON-RPC over the environment's edge, with a user's session."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from operations.errors import OperationError, failure
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import httpx

REQUEST_SECONDS = 290.0
"""Above Odoo's own limit of 240 s for a request, so that Odoo gives the answer."""

TOKEN = re.compile(r'name="csrf_token" value="([^"]+)"')
LONGEST_COMPLAINT = 400


class Api(Protocol):
    """What loading needs of Odoo."""

    @property
    def user(self) -> int:
        """The number of the user who is logged in."""
        ...

    def call(
        self,
        model: str,
        method: str,
        *arguments: Any,  # noqa: ANN401 - plain values of any shape
        context: Mapping[str, Any] | None = None,
        **named: Any,  # noqa: ANN401 - plain values of any shape
    ) -> Any:  # noqa: ANN401 - whatever the method returns
        """Call a public method of a model."""
        ...


class RefusedError(OperationError):
    """Odoo answered a call with an error.

    Attributes:
        complaint: What Odoo said; may quote data, so it is shown only for generated data.
    """

    def __init__(self, model: str, method: str, complaint: str) -> None:
        from operations.errors import Problem

        self.complaint = complaint
        super().__init__(
            ExitCode.UNHEALTHY,
            Problem(
                what=f"Odoo refused {model}.{method}",
                why=complaint[:LONGEST_COMPLAINT],
                action="mend the cause in Odoo, then run the same command again: it continues where it stopped",
            ),
        )


@dataclass(frozen=True, kw_only=True)
class Odoo:
    """A logged-in session.

    Attributes:
        http: Client whose base address is the environment's edge.
        user: Number of the user who is logged in.
    """

    http: httpx.Client
    user: int

    def call(
        self,
        model: str,
        method: str,
        *arguments: Any,  # noqa: ANN401 - plain values of any shape
        context: Mapping[str, Any] | None = None,
        **named: Any,  # noqa: ANN401 - plain values of any shape
    ) -> Any:  # noqa: ANN401 - whatever the method returns
        """Call a public method of a model.

        Args:
            model: Name of the model.
            method: Name of the method; for one on records, the first argument is the list of their numbers.
            arguments: By position.
            context: Odoo context on top of the user's own.
            named: By name.

        Raises:
            OperationError: With `UNHEALTHY`, when there is no connection or Odoo refuses.
        """
        import httpx

        keywords = {**named, "context": dict(context)} if context else named
        body = {
            "jsonrpc": "2.0",
            "method": "call",
            "params": {"model": model, "method": method, "args": arguments, "kwargs": keywords},
        }
        try:
            answer = self.http.post(f"/web/dataset/call_kw/{model}/{method}", json=body)
            answer.raise_for_status()
            document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise _unreachable(f"{model}.{method}: {error}") from error
        if "error" in document:
            raise RefusedError(model, method, _complaint(document["error"]))
        return document["result"]


def _complaint(error: Mapping[str, Any]) -> str:
    data = error.get("data") or {}
    return str(data.get("message") or error.get("message") or "no reason given").strip()


def _unreachable(why: str) -> OperationError:
    return failure(
        ExitCode.UNHEALTHY,
        "The connection to Odoo ended",
        why,
        "see that the environment is well (./careops status), then run the same command again: it continues",
    )


def log_in(host: str, port: int, authority: str, login: str, password: str) -> Odoo:
    """Log in through a forwarded edge; the certificate must be the environment's own.

    Args:
        host: The name the environment is opened by; it need not be known to this machine's resolver.
        port: Port on 127.0.0.1.
        authority: PEM certificate of the environment's authority.
        login: Name of a user.
        password: Its password.

    Raises:
        OperationError: With `UNHEALTHY`, when there is no connection or the log-in fails.
    """
    import httpx

    from operations.loopback import LoopbackTransport

    client = httpx.Client(
        base_url=f"https://{host}:{port}",
        transport=LoopbackTransport(verify=ssl.create_default_context(cadata=authority)),
        timeout=REQUEST_SECONDS,
        trust_env=False,
        follow_redirects=True,
    )
    try:
        token = TOKEN.search(client.get("/web/login").text)
        form = {"login": login, "password": password, "csrf_token": token.group(1) if token else ""}
        page = client.post("/web/login", data=form)
        about = client.post("/web/session/get_session_info", json={"jsonrpc": "2.0", "params": {}}).json()
    except (httpx.HTTPError, ValueError) as error:
        raise _unreachable(str(error)) from error
    user = (about.get("result") or {}).get("uid")
    if "/web/login" in str(page.url) or not user:
        raise failure(
            ExitCode.UNHEALTHY,
            f"{login} cannot log in",
            "Odoo does not take the password of the environment's Secret",
            "if the password was changed inside Odoo, put it back; the Secret is the one that counts",
        )
    return Odoo(http=client, user=int(user))


def batches(items: Sequence[Any], size: int) -> Generator[Sequence[Any]]:
    """Yield the items in groups of at most a size."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
