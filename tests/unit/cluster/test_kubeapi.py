"""The small view of the Kubernetes API, against a server on loopback."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import yaml

import toolchain.cluster
from toolchain.cluster.addons import apply_all
from toolchain.cluster.errors import ApiRefused, ApiUnreachable
from toolchain.cluster.kubeapi import KubeApi

RESOURCES = {
    "/api/v1": [
        {"kind": "Namespace", "name": "namespaces", "namespaced": False},
        {"kind": "Namespace", "name": "namespaces/status", "namespaced": False},
        {"kind": "ConfigMap", "name": "configmaps", "namespaced": True},
    ],
    "/apis/apps/v1": [{"kind": "Deployment", "name": "deployments", "namespaced": True}],
}


class Server(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[tuple[str, str, str, str]] = []
        self.answers: dict[tuple[str, str], list[tuple[int, object]]] = {}


class Handler(BaseHTTPRequestHandler):
    def _answer(self):
        path = self.path.partition("?")[0]
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.server.seen.append((self.command, self.path, self.headers.get("Content-Type", ""), body))
        planned = self.server.answers.get((self.command, path))
        if planned:
            status, document = planned.pop(0)
        elif path in RESOURCES:
            status, document = 200, {"resources": RESOURCES[path]}
        else:
            status, document = 200, {"done": True}
        data = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PATCH = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, *_):
        """Keep the test's output clean."""


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def write_kubeconfig(path, port):
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"token": "let-me-in"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
    }
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture
def api(server, tmp_path):
    return KubeApi(write_kubeconfig(tmp_path / "config", server.server_address[1]), "c")


def manifest(kind="ConfigMap", version="v1", **metadata):
    return {"apiVersion": version, "kind": kind, "metadata": {"name": "a", **metadata}}


@pytest.mark.parametrize(
    ("document", "path"),
    [
        (manifest(namespace="n"), "/api/v1/namespaces/n/configmaps/a"),
        (manifest(), "/api/v1/namespaces/default/configmaps/a"),
        (manifest("Namespace"), "/api/v1/namespaces/a"),
        (manifest("Deployment", "apps/v1", namespace="n"), "/apis/apps/v1/namespaces/n/deployments/a"),
    ],
)
def test_a_manifest_has_the_path_that_the_server_tells_of_its_kind(api, document, path):
    assert api.path_of(document) == path


def test_a_kind_that_the_server_has_not_is_refused(api):
    with pytest.raises(ApiRefused, match="Unicorn") as refused:
        api.path_of(manifest("Unicorn"))
    assert refused.value.status == 404


def test_an_apply_is_a_server_side_apply_in_the_name_of_careops(api, server):
    api.apply(manifest(namespace="n"))
    method, path, content_type, body = server.seen[-1]
    assert method == "PATCH"
    assert "fieldManager=careops" in path
    assert content_type == "application/apply-patch+yaml"
    assert json.loads(body) == manifest(namespace="n")


def test_what_is_not_there_is_none_and_deleted_already(api, server):
    server.answers["GET", "/x"] = [(404, {"message": "not found"})]
    server.answers["DELETE", "/x"] = [(404, {"message": "not found"})]
    assert api.get("/x") is None
    api.delete("/x")


def test_a_refusal_carries_the_servers_own_words(api, server):
    server.answers["GET", "/x"] = [(403, {"message": "you may not"})]
    with pytest.raises(ApiRefused, match="403") as refused:
        api.get("/x")
    assert refused.value.why == "you may not"


def test_an_answer_that_is_no_json_is_text(api, server):
    server.answers["GET", "/readyz"] = [(200, "ok")]
    assert api.request("GET", "/readyz") == "ok"


def test_a_server_that_does_not_answer_is_unreachable(server, tmp_path):
    port = server.server_address[1]
    api = KubeApi(write_kubeconfig(tmp_path / "config", port))
    server.shutdown()
    server.server_close()
    with pytest.raises(ApiUnreachable, match=str(port)):
        api.get("/x")


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine_itself(server, tmp_path, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    api = KubeApi(write_kubeconfig(tmp_path / "config", server.server_address[1]))
    assert api.get("/x") == {"done": True}


@pytest.mark.parametrize("text", ["", "clusters: [", "apiVersion: v1\nkind: Config\n"])
def test_a_kubeconfig_that_leads_nowhere_is_refused_by_name(tmp_path, text):
    (tmp_path / "config").write_text(text)
    with pytest.raises(ApiUnreachable, match="config"):
        KubeApi(tmp_path / "config", "c")


def test_a_kind_that_is_served_a_moment_later_is_waited_for(api, server):
    path = "/api/v1/namespaces/n/configmaps/a"
    server.answers["PATCH", path] = [(404, {"message": "not yet"}), (503, {"message": "not yet"}), (200, {})]
    apply_all(api, [manifest(namespace="n")])
    assert server.answers["PATCH", path] == []


def test_an_apply_that_is_refused_for_good_is_not_repeated(api, server):
    path = "/api/v1/namespaces/n/configmaps/a"
    server.answers["PATCH", path] = [(422, {"message": "invalid"}), (200, {})]
    with pytest.raises(ApiRefused, match="422"):
        apply_all(api, [manifest(namespace="n")])
    assert len(server.answers["PATCH", path]) == 1


def test_looking_at_the_package_does_not_load_the_kubernetes_client():
    """Commands that need no cluster must not pay a second for it."""
    code = "import sys, toolchain.cluster; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_package_gives_what_it_names():
    for name in toolchain.cluster.__all__:
        assert getattr(toolchain.cluster, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute"):
        toolchain.cluster.__getattr__("nothing")
