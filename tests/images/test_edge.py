"""The edge in front of a backend that tells what reached it."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from tests.images.support import EDGE_UID, ODOO_UID, paths, unpack
from toolchain.images.sandbox import Bind, Inside, Session, Tree, scratch

pytestmark = pytest.mark.live


CLOSED_PATHS = (
    "/web/database/manager",
    "/fr/web/database/manager",
    "/web//database/manager",
    "/web/database",
    "/WEB/database/selector",
    "/%77eb/database/manager",
    "/xmlrpc/2/db",
    "/xmlrpc/db",
    "/jsonrpc",
    "/careops/ready",
    "/%63areops/live",
)
"""The database manager, the services that create, copy, dump and drop databases, and the kubelet's probes."""


UNSERVED_PATHS = ("/503", "/gone")
"""Odoo's answer while its database is closed, and no answer at all."""


@pytest.fixture(scope="module")
def trees():
    with scratch(paths().cache, "test-edge") as folder:
        for name in ("edge", "odoo"):  # the client and the backend are Python programs: the odoo image has one
            unpack(name, folder / name)
        yield folder


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edge-tls")
    write_certificate(folder)
    folder.chmod(0o755)
    return folder


def write_certificate(folder):
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=edge",
            "-keyout",
            folder / "tls.key",
            "-out",
            folder / "tls.crt",
        ],
        check=True,
        capture_output=True,
    )
    (folder / "tls.key").chmod(0o644)


NAME = "riverside-dev.localhost"
VARIABLES = {
    "UPSTREAM_HTTP": "127.0.0.1:8069",
    "UPSTREAM_WEBSOCKET": "127.0.0.1:8072",
    "EDGE_NAMES": f"edge dev.riverside.example.org {NAME}",
}


def edge(trees, certificate, *argv, **env):
    binds = (Bind(source=str(certificate), target="/run/careops/edge-tls"),)
    tree = str(trees / "edge")
    with Session([Tree(root=tree, binds=binds)]) as session:
        return session.run(Inside(tree=tree, argv=argv, uid=EDGE_UID, env=env))


def test_the_rendered_edge_configuration_is_valid(trees, certificate):
    done = edge(trees, certificate, "/usr/local/bin/careops-edge", "test", **VARIABLES)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stderr


@pytest.mark.parametrize(
    "change",
    [
        {"UPSTREAM_HTTP": ""},
        {"UPSTREAM_HTTP": "odoo"},
        {"UPSTREAM_WEBSOCKET": "a:1; return 200"},
        {"EDGE_NAMES": ""},
        {"EDGE_NAMES": "a; return 200"},
        {"WATCH_SECONDS": "1.5"},
        {"MAX_BODY_MIB": "1g"},
    ],
)
def test_the_edge_refuses_variables_that_could_be_configuration(trees, certificate, change):
    done = edge(trees, certificate, "/usr/local/bin/careops-edge", "test", **{**VARIABLES, **change})
    assert done.returncode == 78, done.stderr


BACKEND = """
import http.server, json, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/gone": self.close_connection = True; return
        if self.path in ("/503", "/500"): self.send_error(int(self.path[1:])); return
        body = json.dumps([self.path, dict(self.headers), self.server.server_port]).encode()
        self.send_response(200); self.send_header("Set-Cookie", "session_id=x; HttpOnly"); self.end_headers()
        self.wfile.write(body)
    do_POST = do_GET
    def log_message(self, *_): pass
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler) for port in (8069, 8072)]
for server in servers[1:]: threading.Thread(target=server.serve_forever, daemon=True).start()
servers[0].serve_forever()
"""

CLIENT = """
import json, ssl, time, urllib.error, urllib.request, socket
context = ssl._create_unverified_context()
class Keep(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_): return None
opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), Keep)
def ask(url, **headers):
    try:
        answer = opener.open(urllib.request.Request(url, headers=headers), timeout=5)
    except urllib.error.HTTPError as error:
        answer = error
    return [answer.status, dict(answer.headers), answer.read().decode()]
for _ in range(100):
    try: ask("http://127.0.0.1:8080/healthz"); ask("http://127.0.0.1:8069/"); break
    except OSError: time.sleep(0.1)
base, name = "https://127.0.0.1:8443", "riverside-dev.localhost:8443"
paths = json.loads(input())
forged = {"X-Forwarded-For": "6.6.6.6", "X-Forwarded-Proto": "http"}
answers = {path: ask(path, **forged) for path in paths if "://" in path}
answers |= {path: ask(base + path, Host=name, **forged) for path in paths if "://" not in path}
print(json.dumps(answers))
"""


def python(trees, text):
    return Inside(tree=str(trees / "odoo"), argv=("/usr/bin/python3", "-c", text), uid=ODOO_UID)


@pytest.fixture(scope="module")
def edge_answers(trees, certificate, tmp_path_factory):
    """Answers of a running edge before a backend that tells what reached it; the client runs from the odoo image."""
    asked = [
        "http://127.0.0.1:8080/healthz",
        "http://127.0.0.1:8080/web?a=1",
        "https://127.0.0.1:8443/web/login",
        "https://localhost:8443/web/login",
        "https://127.0.0.1:8443/healthz",
        "/healthz",
        "/web/login",
        "/web/search?name=Ada",
        "/websocket",
        "/web/static/x.js",
        *CLOSED_PATHS,
        "/xmlrpc/2/common",
        "/json/2/res.partner/search",
        "/web/databases-of-plants",
        *UNSERVED_PATHS,
        "/500",
    ]
    binds = (Bind(source=str(certificate), target="/run/careops/edge-tls"),)
    mounted = [Tree(root=str(trees / "edge"), binds=binds), Tree(root=str(trees / "odoo"))]
    log = tmp_path_factory.mktemp("edge-log") / "access"
    with Session(mounted) as session, log.open("a+") as sink:
        os.fchown(sink.fileno(), EDGE_UID, EDGE_UID)  # as a container runtime gives its output to the user
        nginx = Inside(tree=str(trees / "edge"), argv=("/usr/local/bin/careops-edge",), uid=EDGE_UID, env=VARIABLES)
        started = [
            subprocess.Popen(session.command(python(trees, BACKEND)), stdout=subprocess.DEVNULL),
            subprocess.Popen(session.command(nginx), stdout=sink, stderr=sink),
        ]
        done = session.run(python(trees, CLIENT), stdin=json.dumps(asked) + "\n", seconds=60)
        for process in started:
            process.kill()
            process.wait()
    assert done.returncode == 0, done.stderr + log.read_text()
    return {**json.loads(done.stdout), "log": log.read_text()}


def test_plain_http_answers_the_probe_and_redirects_everything_else(edge_answers):
    assert edge_answers["http://127.0.0.1:8080/healthz"][0] == 200
    status, headers, _ = edge_answers["http://127.0.0.1:8080/web?a=1"]
    assert (status, headers["Location"]) == (301, "https://127.0.0.1/web?a=1")


def test_tls_reaches_odoo_with_forwarded_headers_that_a_client_cannot_set(edge_answers):
    status, headers, body = edge_answers["/web/login"]
    assert status == 200
    assert "max-age=31536000" in headers["Strict-Transport-Security"]
    assert "Secure" in headers["Set-Cookie"] or "secure" in headers["Set-Cookie"]
    assert '"X-Forwarded-Proto": "https"' in body
    assert "6.6.6.6" not in body
    assert f'"X-Forwarded-Host": "{NAME}:8443"' in body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_name_that_all_environments_share_is_misdirected(edge_answers, host):
    status, headers, body = edge_answers[f"https://{host}:8443/web/login"]
    assert status == 421
    assert "./careops open" in body
    assert "Set-Cookie" not in headers
    assert edge_answers["https://127.0.0.1:8443/healthz"][0] == 200, "a probe knows only the address"


def test_the_websocket_goes_to_the_long_poll_port_and_all_else_to_http(edge_answers):
    assert edge_answers["/websocket"][2].endswith("8072]")
    assert edge_answers["/web/static/x.js"][2].endswith("8069]")


@pytest.mark.parametrize(
    "path",
    CLOSED_PATHS,
)
def test_the_database_manager_and_database_services_are_closed(edge_answers, path):
    assert edge_answers[path][0] == 403


@pytest.mark.parametrize("path", ["/xmlrpc/2/common", "/json/2/res.partner/search", "/web/databases-of-plants"])
def test_what_integrations_use_stays_open(edge_answers, path):
    assert edge_answers[path][0] == 200


@pytest.mark.parametrize("path", UNSERVED_PATHS)
def test_a_closed_database_and_a_missing_odoo_are_a_maintenance_page_that_says_when_to_come_back(edge_answers, path):
    status, headers, body = edge_answers[path]
    assert (status, "Under maintenance" in body) == (503, True)
    assert int(headers["Retry-After"]) > 0
    assert headers["Cache-Control"] == "no-store"
    assert "max-age=31536000" in headers["Strict-Transport-Security"], "a location with headers loses the server's"


def test_an_error_of_odoo_itself_is_not_called_maintenance(edge_answers):
    status, _, body = edge_answers["/500"]
    assert (status, "maintenance" in body) == (500, False)


def test_the_edge_does_not_tell_its_version(edge_answers):
    assert edge_answers["/web/database"][1]["Server"] == "nginx"


def test_the_log_tells_who_asked_for_what_and_not_with_which_words(edge_answers):
    assert '"GET /web/login" 200' in edge_answers["log"]
    assert "name=Ada" not in edge_answers["log"]
    assert "healthz" not in edge_answers["log"]


SEEN = """
import ssl, sys, time
def served():
    for _ in range(100):
        try: return ssl.get_server_certificate(("127.0.0.1", 8443))
        except OSError: time.sleep(0.1)
first = served()
print("first", flush=True)
input()
for _ in range(200):
    # Asked once: a worker of the old configuration may still answer the next connection.
    latest = served()
    if latest != first: break
    time.sleep(0.1)
print(latest)
"""


def test_a_renewed_certificate_is_served_without_a_restart(trees, tmp_path):
    tmp_path.chmod(0o755)
    write_certificate(tmp_path)
    renewed = tmp_path / "renewed"
    renewed.mkdir()
    mounted = [
        Tree(root=str(trees / "edge"), binds=(Bind(source=str(tmp_path), target="/run/careops/edge-tls"),)),
        Tree(root=str(trees / "odoo")),
    ]
    env = VARIABLES | {"WATCH_SECONDS": "1"}
    with Session(mounted) as session:
        nginx = Inside(tree=str(trees / "edge"), argv=("/usr/local/bin/careops-edge",), uid=EDGE_UID, env=env)
        server = subprocess.Popen(session.command(nginx), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        client = subprocess.Popen(
            session.command(python(trees, SEEN)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert client.stdout is not None
        assert client.stdout.readline() == "first\n"
        write_certificate(renewed)
        for name in ("tls.key", "tls.crt"):
            (renewed / name).rename(tmp_path / name)
        seen, _ = client.communicate("\n", timeout=60)
        running = server.poll() is None
        server.kill()
        server.wait()
    assert seen.strip() == (tmp_path / "tls.crt").read_text().strip()
    assert running, "nginx read the new certificate and went on serving"
