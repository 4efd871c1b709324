"""The mail sink: takes every mail, delivers none, and keeps nothing but counts and a few headers in memory."""

from __future__ import annotations

import email.parser
import email.policy
import http.server
import importlib
import json
import signal
import threading
from collections import deque
from typing import Any

HEADERS = ("From", "To", "Subject", "Date", "Message-ID")
KEPT = 200
"""How many of the newest mails' headers are kept, for a look while testing."""
LARGEST_BYTES = 32 * 1024 * 1024


class Sink:
    """Counts mails; an aiosmtpd handler."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._newest: deque[dict[str, str]] = deque(maxlen=KEPT)

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:  # noqa: N802, ANN401 - aiosmtpd's
        """Take a mail; the body is not even parsed."""
        parser = email.parser.BytesParser(policy=email.policy.default)
        parsed = parser.parsebytes(envelope.content, headersonly=True)
        headers = {name: str(parsed[name]) for name in HEADERS if parsed[name] is not None}
        with self._lock:
            self._count += 1
            self._newest.append(headers)
        return "250 taken; nothing is delivered from here"

    def report(self, *, with_headers: bool) -> dict[str, Any]:
        """Return the count and, on request, the newest mails' headers."""
        with self._lock:
            document: dict[str, Any] = {"status": "pass", "mails": self._count}
            if with_headers:
                document["newest"] = list(self._newest)
        return document


def http_server(sink: Sink, host: str, port: int) -> http.server.ThreadingHTTPServer:
    """Return a server for ``/health`` and ``/mails``, not yet serving."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path not in ("/health", "/mails"):
                self.send_error(404)
                return
            body = json.dumps(sink.report(with_headers=self.path == "/mails")).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay quiet: probes come every few seconds."""

    return http.server.ThreadingHTTPServer((host, port), Handler)


def serve(host: str = "0.0.0.0", smtp_port: int = 1025, http_port: int = 8025) -> None:  # noqa: S104 - a pod's address
    """Serve until SIGTERM or SIGINT."""
    controller = importlib.import_module("aiosmtpd.controller")
    sink = Sink()
    smtp = controller.Controller(sink, hostname=host, port=smtp_port, data_size_limit=LARGEST_BYTES, ident="careops")
    web = http_server(sink, host, http_port)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    smtp.start()
    threading.Thread(target=web.serve_forever, daemon=True).start()
    print(f"careops-odoo: mail sink on {smtp_port}, health on {http_port}", flush=True)
    ended.wait()
    web.shutdown()
    smtp.stop()
