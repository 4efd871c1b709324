"""Reaching an environment: the forward to its edge, and the check of its log-in page."""

from __future__ import annotations

import datetime as dt
import os
import socket
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.forward import forward_command, forwarded, refuse_taken_port
from operations.health import fetch_login, judge_page, wait_for_login

HOST = "riverside-dev.localhost"
PAGE = '<form><input name="login"/></form>'


def test_a_taken_port_is_refused_with_another_to_try():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(OperationError) as caught:
            refuse_taken_port(port)
    assert caught.value.code == ExitCode.MACHINE_UNFIT
    assert f"--port {port + 100}" in caught.value.problems[0].action
    refuse_taken_port(port)  # free again


def test_the_forward_goes_to_the_edge_on_loopback_only(tmp_path):
    command = forward_command(tmp_path / "kubectl", tmp_path / "kubeconfig", "riverside-dev", 8441)
    assert command[-2:] == ["service/edge", "8441:8443"]
    assert "--address=127.0.0.1" in command
    assert "--namespace=riverside-dev" in command


def test_a_forward_tells_its_port_and_ends_with_its_block():
    script = "echo 'Forwarding from 127.0.0.1:40123 -> 8443'; exec sleep 60"
    with forwarded(["sh", "-c", script], os.environ) as forward:
        assert forward.port == 40123
        assert forward.process.poll() is None
    assert forward.process.poll() is not None


def test_a_forward_that_does_not_start_says_what_kubectl_said():
    with (
        pytest.raises(OperationError) as caught,
        forwarded(["sh", "-c", "echo 'error: services \"edge\" not found'; exit 1"], os.environ),
    ):
        pass
    assert caught.value.code == ExitCode.UNHEALTHY
    assert "not found" in caught.value.problems[0].why


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [(200, PAGE, None), (502, PAGE, "502"), (200, "<h1>database manager</h1>", "log-in form")],
)
def test_only_a_real_log_in_page_counts_as_an_answer(status, body, complaint):
    found = judge_page(status, body)
    assert found is None if complaint is None else complaint in str(found)


def test_waiting_ends_with_the_page_or_after_three_minutes_with_the_last_complaint():
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    answers = iter([(502, ""), (200, PAGE)])
    assert wait_for_login(lambda: next(answers), clock=lambda: now[0], sleep=sleep) is None

    def refuse() -> tuple[int, str]:
        raise ConnectionRefusedError("refused")

    assert wait_for_login(refuse, clock=lambda: now[0], sleep=sleep) == "refused"
    assert now[0] >= 180


@pytest.fixture(scope="module")
def tls_server(tmp_path_factory):
    """A server on loopback with a certificate of its own authority for one environment's name, and for that alone."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    folder = tmp_path_factory.mktemp("tls")
    (folder / "both.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + pem
    )

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.headers["Host"].partition(":")[0]
            if self.path == "/web/login":
                self.send_response(303)
                self.send_header("Location", "/web/login?once")
            else:
                self.send_response(200 if (self.path, name) == ("/web/login?once", HOST) else 404)
            self.end_headers()
            self.wfile.write(PAGE.encode())

        def log_message(self, *_arguments):
            pass

    server = HTTPServer(("127.0.0.1", 0), Page)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1], pem.decode()
    server.shutdown()


def test_the_log_in_page_is_fetched_by_the_environments_name_which_no_resolver_needs_to_know(tls_server, monkeypatch):
    port, authority = tls_server
    asked = []
    look_up = socket.getaddrinfo

    def noted(host, *rest, **more):
        asked.append(host)
        return look_up(host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", noted)
    assert judge_page(*fetch_login(HOST, port, authority)) is None, "also after a redirect"
    assert set(asked) <= {"127.0.0.1"}


def test_a_certificate_of_another_environment_is_refused(tls_server):
    port, authority = tls_server
    for other in ("riverside-prod.localhost", "localhost"):
        with pytest.raises(OSError, match=r"(?i)certificate"):
            fetch_login(other, port, authority)


def test_a_certificate_of_another_authority_is_refused(tls_server):
    port, _ = tls_server
    other = next(iter(ssl.create_default_context().get_ca_certs(binary_form=True)), None)
    assert other is not None, "this machine trusts no authority at all"
    with pytest.raises(OSError, match=r"(?i)certificate"):
        fetch_login(HOST, port, ssl.DER_cert_to_PEM_cert(other))
