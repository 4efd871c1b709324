"""How live tests talk to the running platform: its API, its pods, and its Odoo through the edge."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from kubernetes import client, config
from kubernetes.stream import stream
from tenacity import retry, stop_after_delay, wait_fixed

from infra.naming import EDGE_TLS, ODOO_SECRETS, Naming
from operations.loopback import LoopbackTransport
from toolchain.paths import Paths

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).resolve().parents[2]
SITE = "riverside"


@dataclass(frozen=True, kw_only=True)
class Platform:
    """Handles on the running platform: its folders, its API and the names of its environments."""

    paths: Paths
    api: client.CoreV1Api
    apis: client.ApiClient

    def naming(self, environment: str) -> Naming:
        return Naming(site=SITE, environment=environment)

    def pods(self, namespace: str, *, running: bool = True) -> list[client.V1Pod]:
        pods = self.api.list_namespaced_pod(namespace).items
        return [
            pod
            for pod in pods
            if not running or (pod.status.phase == "Running" and not pod.metadata.deletion_timestamp)
        ]

    def pod_named(self, namespace: str, name: str) -> client.V1Pod:
        """Return one running pod of a workload, for example `odoo-web`."""
        found = [pod for pod in self.pods(namespace) if pod.metadata.name.startswith(f"{name}-")]
        assert found, f"{namespace} runs no pod of {name}"
        return found[0]

    def run_in(self, pod: client.V1Pod, argv: Sequence[str], *, container: str | None = None) -> str:
        """Run a command in a pod and return what it printed on both channels."""
        # stream() swaps the client's request method while it runs, so each call gets a client of its own.
        own = client.CoreV1Api(config.new_client_from_config(config_file=str(self.paths.kubeconfig)))
        return stream(
            own.connect_get_namespaced_pod_exec,
            pod.metadata.name,
            pod.metadata.namespace,
            command=list(argv),
            container=container or pod.spec.containers[0].name,
            stderr=True,
            stdin=False,
            stdout=True,
            tty=False,
        )

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        data = self.api.read_namespaced_secret(name, namespace).data or {}
        return {key: base64.b64decode(value).decode() for key, value in data.items()}

    def careops(self, *argv: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run the entry script as a user would, against this platform."""
        return subprocess.run(
            [str(ROOT / "careops"), *argv],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(
        self, *argv: str, own_session: bool = False, stdout: int = subprocess.PIPE, stderr: int = subprocess.PIPE
    ) -> subprocess.Popen[str]:
        """Start the entry script as `careops` runs it, and do not wait; in a session of its own to be killed whole."""
        return subprocess.Popen(
            [str(ROOT / "careops"), *argv],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            text=True,
            start_new_session=own_session,
        )

    def _environment(self) -> dict[str, str]:
        return os.environ | {"CAREOPS_STATE": str(self.paths.state)}


@dataclass(frozen=True, kw_only=True)
class Browser:
    """An HTTPS client of one environment, through its edge, that trusts that environment's own CA and no other."""

    http: httpx.Client
    login: str
    password: str

    def log_in(self) -> httpx.Response:
        page = self.http.get("/web/login")
        token = page.text.split('name="csrf_token" value="')[1].split('"')[0]
        form = {"login": self.login, "password": self.password, "csrf_token": token}
        return self.http.post("/web/login", data=form)

    def call(self, model: str, method: str, *args: object, **kwargs: object) -> object:
        """Call a model's method as the web client does."""
        answer = self.http.post(
            f"/web/dataset/call_kw/{model}/{method}",
            json={
                "jsonrpc": "2.0",
                "method": "call",
                "params": {"model": model, "method": method, "args": args, "kwargs": kwargs},
            },
        )
        answer.raise_for_status()
        body = answer.json()
        assert "error" not in body, body["error"]["data"]["message"]
        return body["result"]


@contextmanager
def forwarded(platform: Platform, namespace: str, target: str, port: int) -> Iterator[int]:
    """Forward a port of a Service to a free port of 127.0.0.1 for the duration of the block."""
    kubectl = platform.paths.state / "bin" / "kubectl"
    process = subprocess.Popen(
        [
            str(kubectl),
            "--kubeconfig",
            str(platform.paths.kubeconfig),
            "-n",
            namespace,
            "port-forward",
            target,
            f":{port}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        assert "Forwarding from 127.0.0.1:" in line, line + process.stdout.read()
        yield int(line.split("127.0.0.1:")[1].split(" ")[0])
    finally:
        process.terminate()
        process.wait()


@contextmanager
def browser(platform: Platform, environment: str, tmp: Path) -> Iterator[Browser]:
    namespace = platform.naming(environment).namespace
    authority = tmp / f"{environment}.crt"
    authority.write_text(platform.secret(namespace, EDGE_TLS)["ca.crt"])
    login = platform.secret(namespace, ODOO_SECRETS)
    with (
        forwarded(platform, namespace, "service/edge", 8443) as port,
        httpx.Client(
            base_url=f"https://{platform.naming(environment).local_host}:{port}",
            transport=LoopbackTransport(verify=ssl.create_default_context(cafile=str(authority))),
            follow_redirects=True,
            timeout=60,
        ) as http,
    ):
        yield Browser(http=http, login=login["admin_login"], password=login["admin_password"])


@retry(stop=stop_after_delay(60), wait=wait_fixed(1), reraise=True)
def eventually(check) -> None:
    check()
