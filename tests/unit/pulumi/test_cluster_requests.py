"""Requests to an API server that is busy, starting, or not there."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from kubernetes import client

from toolchain.pulumi.kubernetes_plugin.cluster import Cluster, Ref
from toolchain.pulumi.kubernetes_plugin.errors import ApiFailure, NoSuchKind, Unreachable
from toolchain.pulumi.kubernetes_plugin.tokens import Gvk

NAMESPACE = Gvk(group="", version="v1", kind="Namespace")
GADGET = Gvk(group="example.com", version="v1", kind="Gadget")
KINDS = {"resources": [{"name": "namespaces", "kind": "Namespace", "namespaced": False}]}


@pytest.fixture
def server():
    """Serve answers from a list; each request takes the next one for its path, the last one stays."""
    answers, seen = {}, []

    class Handler(BaseHTTPRequestHandler):
        def answer(self):
            size = int(self.headers.get("Content-Length") or 0)
            seen.append((self.command, self.path, self.headers.get("Content-Type"), self.rfile.read(size)))
            queue = answers.get(self.path.split("?")[0], [(404, {"reason": "NotFound", "message": "none"})])
            status, body = queue.pop(0) if len(queue) > 1 else queue[0]
            data = json.dumps(body).encode()
            self.send_response(status)
            if status == 200 and "warn" in body:
                self.send_header("Warning", f'299 - "{body["warn"]}"')
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_PATCH = do_DELETE = answer  # noqa: N815 - the handler's names

        def log_message(self, *_):
            return

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    configuration = client.Configuration()
    configuration.host, configuration.retries = f"http://127.0.0.1:{listener.server_port}", 0
    cluster = Cluster(client.ApiClient(configuration), "default")
    yield cluster, answers, seen
    listener.shutdown()
    listener.server_close()


def test_a_busy_server_is_asked_again(server):
    cluster, answers, seen = server
    answers["/version"] = [(503, {}), (429, {}), (200, {"gitVersion": "v1.35.4"})]
    assert cluster.probe() == "v1.35.4"
    assert len(seen) == 3


def test_a_webhook_that_is_still_starting_is_waited_for(server):
    cluster, answers, _ = server
    answers["/api/v1"] = [(200, KINDS)]
    starting = {"message": 'failed calling webhook "w": connect: connection refused'}
    answers["/api/v1/namespaces/a"] = [(500, starting), (200, {"metadata": {"name": "a"}})]
    ref = Ref(gvk=NAMESPACE, namespace=None, name="a")
    assert cluster.apply(ref, {}, manager="m", force=False, dry_run=False).object["metadata"]["name"] == "a"


def test_a_refusal_is_final(server):
    cluster, answers, seen = server
    answers["/version"] = [(403, {"reason": "Forbidden", "message": "no"})]
    with pytest.raises(ApiFailure, match="no"):
        cluster.probe()
    assert len(seen) == 1


def test_nobody_at_the_address_is_said_with_the_address_and_the_way_out():
    configuration = client.Configuration()
    configuration.host, configuration.retries = "http://127.0.0.1:1", 0
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:1 does not answer.*\. Start the cluster"):
        Cluster(client.ApiClient(configuration), "default").probe(0.3)


def test_kinds_are_asked_for_once_and_unknown_ones_each_time(server):
    cluster, answers, seen = server
    answers["/api/v1"] = [(200, KINDS)]
    for _ in range(3):
        assert not cluster.resource(NAMESPACE).namespaced
    assert len(seen) == 1
    for _ in range(2):
        with pytest.raises(NoSuchKind, match="CustomResourceDefinition"):
            cluster.resource(GADGET)
    assert len(seen) == 3
    answers["/apis/example.com/v1"] = [
        (200, {"resources": [{"name": "gadgets", "kind": "Gadget", "namespaced": True}]})
    ]
    assert cluster.resource(GADGET).namespaced


def test_an_apply_names_its_manager_and_asks_for_strict_validation_of_built_in_kinds_only(server):
    cluster, answers, seen = server
    answers["/api/v1"] = [(200, KINDS)]
    answers["/api/v1/namespaces/a"] = [(200, {"warn": "deprecated"})]
    ref = Ref(gvk=NAMESPACE, namespace=None, name="a")
    applied = cluster.apply(ref, {"kind": "Namespace"}, manager="m", force=True, dry_run=True)
    assert applied.warnings == ("deprecated",)
    method, path, content, body = seen[-1]
    assert (method, content) == ("PATCH", "application/apply-patch+yaml")
    assert path.split("?")[1] == "fieldManager=m&force=true&fieldValidation=Strict&dryRun=All"
    assert json.loads(body) == {"kind": "Namespace"}


def test_deleting_what_is_not_there_is_no_error(server):
    cluster, answers, _ = server
    answers["/api/v1"] = [(200, KINDS)]
    ref = Ref(gvk=NAMESPACE, namespace=None, name="a")
    cluster.delete(ref, propagation="Foreground")
    assert cluster.get(ref) is None
