"""Whether an environment's log-in page answers through its edge, over verified TLS."""

from __future__ import annotations

import base64
import ssl
import time
from typing import TYPE_CHECKING, Any

from infra.naming import EDGE_TLS

if TYPE_CHECKING:
    from collections.abc import Callable

LOGIN_PAGE = "/web/login"
LOGIN_FORM = 'name="login"'
ATTEMPTS_SECONDS = 120.0
PAUSE_SECONDS = 2.0
HTTP_OK = 200


def certificate_authority(secret: dict[str, Any] | None) -> str | None:
    """Return the environment's own authority (PEM) out of its Secret `edge-tls`, or None when it is not there yet."""
    encoded = (secret or {}).get("data", {}).get("ca.crt")
    return base64.b64decode(encoded).decode() if encoded else None


def edge_tls_path(namespace: str) -> str:
    """Return the API path of the Secret that holds the edge's certificate."""
    return f"/api/v1/namespaces/{namespace}/secrets/{EDGE_TLS}"


def judge_page(status: int, body: str) -> str | None:
    """Return what is wrong with the answer to a request for the log-in page, or None when it is that page."""
    if status != HTTP_OK:
        return f"{LOGIN_PAGE} answered {status}"
    if LOGIN_FORM not in body:
        return f"{LOGIN_PAGE} answered without a log-in form"
    return None


def wait_for_login(
    fetch: Callable[[], tuple[int, str]],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Ask for the log-in page until it is there; return None then, or the last complaint after two minutes.

    Args:
        fetch: Returns status and body; raises OSError while there is no connection.
        clock: Seconds, monotonic.
        sleep: Waits.
    """
    deadline = clock() + ATTEMPTS_SECONDS
    while True:
        try:
            complaint = judge_page(*fetch())
        except (OSError, ssl.SSLError) as error:
            complaint = str(error)
        if complaint is None or clock() >= deadline:
            return complaint
        sleep(PAUSE_SECONDS)


def fetch_login(port: int, authority: str) -> tuple[int, str]:
    """Get the log-in page from a forwarded edge; the certificate must be the environment's own, for localhost.

    Args:
        port: Port on 127.0.0.1.
        authority: PEM certificate of the environment's authority.

    Raises:
        OSError: No connection, or a certificate that does not verify.
    """
    import httpx

    context = ssl.create_default_context(cadata=authority)
    try:
        with httpx.Client(verify=context, timeout=30.0, trust_env=False, follow_redirects=True) as client:
            answer = client.get(f"https://localhost:{port}{LOGIN_PAGE}")
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
    return answer.status_code, answer.text
