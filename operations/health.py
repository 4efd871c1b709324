"""Whether an environment's log-in page answers through its edge, over verified TLS."""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from infra.naming import EDGE_TLS, ODOO_SECRETS_JOB

if TYPE_CHECKING:
    from collections.abc import Callable

    from operations.certificates import Certificate

LOGIN_PAGE = "/web/login"
LOGIN_FORM = 'name="login"'
ATTEMPTS_SECONDS = 180.0
"""A renewed certificate takes the longest: the kubelet brings it to the edge within 90 s, nginx reads it within 10."""
PAUSE_SECONDS = 2.0
HTTP_OK = 200


def judge_certificate(certificate: Certificate | None, host: str, now: datetime | None = None) -> str | None:
    """Return why no browser would accept the edge's certificate, which waiting does not mend; None when it would.

    Args:
        certificate: What its Secret holds.
        host: The name the environment is opened by.
        now: Time of the judgement; this moment by default.
    """
    now = now or datetime.now(UTC)
    if certificate is None:
        return f"its Secret {EDGE_TLS} holds no certificate that can be read; once it is deleted, `up` makes a new one"
    if certificate.ends <= now or host not in certificate.names:
        renewal = f"the job {ODOO_SECRETS_JOB} should have made it anew: see its log"
        theirs = "your own authority signed it: replace it there"
        fault = certificate.fault(host, now)
        return f"the certificate in its Secret {EDGE_TLS} {fault}; {renewal if certificate.own else theirs}"
    return None


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
    """Ask for the log-in page until it is there; return None then, or the last complaint after three minutes.

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


def fetch_login(host: str, port: int, authority: str) -> tuple[int, str]:
    """Get the log-in page from a forwarded edge; the certificate must be the environment's own, for its own name.

    Args:
        host: The name the environment is opened by; it need not be known to this machine's resolver.
        port: Port on 127.0.0.1.
        authority: PEM certificate of the environment's authority.

    Raises:
        OSError: No connection, or a certificate that does not verify.
    """
    import httpx

    from operations.loopback import LoopbackTransport

    transport = LoopbackTransport(verify=ssl.create_default_context(cadata=authority))
    try:
        with httpx.Client(transport=transport, timeout=30.0, trust_env=False, follow_redirects=True) as client:
            answer = client.get(f"https://{host}:{port}{LOGIN_PAGE}")
    except httpx.HTTPError as error:
        raise OSError(str(error)) from error
    return answer.status_code, answer.text
