"""HTTPS to a forwarded edge by the environment's own name, whatever this machine's resolver knows of that name."""

from __future__ import annotations

import httpx


class LoopbackTransport(httpx.HTTPTransport):
    """Connects every request to 127.0.0.1; the server's name and certificate stay those of the request's address.

    glibc alone does not resolve names under `.localhost`; browsers and systemd-resolved do.
    """

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        return super().handle_request(
            httpx.Request(
                request.method,
                request.url.copy_with(host="127.0.0.1"),
                headers=request.headers,  # its Host is the one of the address already
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": request.url.host},
            )
        )
