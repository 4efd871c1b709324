"""etcd, API server and controller manager on loopback ports of their own, in a temporary folder."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

START_SECONDS = 90
TOKEN = "test-administrator-token"


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The programs under test and around it."""

    engine: Path
    kube: Path
    exec_script: Path


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class ControlPlane:
    """A Kubernetes without nodes."""

    def __init__(self, kube: Path, folder: Path) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self._port, self._etcd_port, self._peer_port = free_port(), free_port(), free_port()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._bin = folder / "bin"
        self._bin.mkdir()
        for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kubectl"):
            (self._bin / name).symlink_to(kube.resolve())

    def start(self) -> None:
        self._write_certificates()
        self._write_kubeconfig()
        etcd, peer = f"http://127.0.0.1:{self._etcd_port}", f"http://127.0.0.1:{self._peer_port}"
        self._run(
            "etcd",
            *("--data-dir", str(self.folder / "etcd"), "--listen-client-urls", etcd, "--advertise-client-urls", etcd),
            *(
                "--listen-peer-urls",
                peer,
                "--initial-advertise-peer-urls",
                peer,
                "--initial-cluster",
                f"default={peer}",
            ),
            "--unsafe-no-fsync",
        )
        (self.folder / "tokens.csv").write_text(f'{TOKEN},administrator,1,"system:masters"\n')
        self._run("kube-apiserver", *self._api_server_flags(etcd))
        self._until_ready()
        self._run(
            "kube-controller-manager",
            *("--kubeconfig", str(self.kubeconfig), "--leader-elect=false", "--use-service-account-credentials=false"),
            *("--service-account-private-key-file", str(self.folder / "sa.key"), "--secure-port=0"),
            *("--root-ca-file", str(self.folder / "server.crt"), "--bind-address=127.0.0.1"),
            *("--cluster-signing-cert-file", str(self.folder / "server.crt")),
            *("--cluster-signing-key-file", str(self.folder / "server.key")),
        )

    def _api_server_flags(self, etcd: str) -> list[str]:
        key = str(self.folder / "sa.key")
        return [
            *("--etcd-servers", etcd, "--secure-port", str(self._port), "--bind-address", "127.0.0.1"),
            *("--advertise-address", "127.0.0.1", "--service-cluster-ip-range", "10.123.0.0/16"),
            *(
                "--tls-cert-file",
                str(self.folder / "server.crt"),
                "--tls-private-key-file",
                str(self.folder / "server.key"),
            ),
            *("--service-account-key-file", key, "--service-account-signing-key-file", key),
            *("--service-account-issuer", "https://kubernetes.default.svc", "--authorization-mode", "RBAC"),
            *("--client-ca-file", str(self.folder / "server.crt")),
            *("--token-auth-file", str(self.folder / "tokens.csv"), "--endpoint-reconciler-type", "none"),
        ]

    def _run(self, name: str, *flags: str) -> None:
        log = (self.folder / f"{name}.log").open("wb")
        self._processes.append(
            subprocess.Popen([str(self._bin / name), *flags], stdout=log, stderr=subprocess.STDOUT, cwd=self.folder)
        )

    def _until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args[0]} ended: see the logs in {self.folder}")
            try:
                if self.kubectl("get", "--raw", "/readyz").strip() == "ok":
                    return
            except RuntimeError:
                time.sleep(0.5)
        raise RuntimeError(f"the API server is not ready after {START_SECONDS} s: see the logs in {self.folder}")

    def stop(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
        for process in reversed(self._processes):
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()

    def kubectl(self, *arguments: str, data: str | None = None) -> str:
        done = subprocess.run(
            [str(self._bin / "kubectl"), *arguments],
            input=data,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def get(self, *arguments: str) -> dict:
        return json.loads(self.kubectl("get", "-o", "json", *arguments))

    def patch_status(self, kind: str, name: str, namespace: str, status: dict) -> None:
        """Do what a kubelet or a controller would: write an object's status."""
        body = json.dumps({"status": status})
        self.kubectl("patch", kind, name, "-n", namespace, "--subresource=status", "--type=merge", "-p", body)

    def _write_kubeconfig(self) -> None:
        cluster = {"server": f"https://127.0.0.1:{self._port}", "certificate-authority": "server.crt"}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "administrator", "user": {"token": TOKEN}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "administrator"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(json.dumps(document), encoding="utf-8")

    def _write_certificates(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test API server")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        (self.folder / "server.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        (self.folder / "server.key").write_bytes(pem)
        (self.folder / "sa.key").write_bytes(pem)
