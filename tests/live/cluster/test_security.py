"""Encryption at rest, the audit log, admission, and what each identity may not do."""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import stat

import httpx
import pytest
import yaml

from tests.live.cluster.conftest import free_port
from tests.live.cluster.support import until
from toolchain.cluster.errors import ApiRefused
from toolchain.cluster.kubeapi import KubeApi
from toolchain.cluster.pki import kubeconfig
from toolchain.cluster.probe import pod

pytestmark = pytest.mark.live


def etcd_value(cluster, key: str, *, certificate: str = "apiserver-etcd") -> bytes:
    """Read a key from etcd itself, past the API server."""
    pki = cluster.layout.pki
    context = ssl.create_default_context(cafile=str(pki / "etcd-ca.crt"))
    context.load_cert_chain(str(pki / f"{certificate}.crt"), str(pki / f"{certificate}.key"))
    with cluster.forward("127.0.0.1", 2379, host_port=free_port()) as forward:
        body = {"key": base64.b64encode(key.encode()).decode()}
        answer = httpx.post(
            f"https://127.0.0.1:{forward.host_port}/v3/kv/range", json=body, verify=context, trust_env=False
        )
    answer.raise_for_status()
    [entry] = answer.json()["kvs"]
    return base64.b64decode(entry["value"])


def as_identity(cluster, name: str, tmp_path) -> KubeApi:
    """The API as one of the node's own processes sees it."""
    path = tmp_path / f"{name}.conf"
    path.write_text(kubeconfig(cluster.layout.pki, name, f"https://127.0.0.1:{cluster.spec.api_port}", "careops"))
    return KubeApi(path, "careops")


def test_a_secret_is_encrypted_in_etcd_and_a_config_map_is_not(bench, cluster):
    value = f"value-{secrets.token_hex(8)}"
    bench.secret("sealed", value)
    bench.config_map("open", value)
    sealed = etcd_value(cluster, f"/registry/secrets/{bench.namespace}/sealed")
    assert sealed.startswith(b"k8s:enc:secretbox:v1:key1:")
    assert value.encode() not in sealed
    assert value.encode() in etcd_value(cluster, f"/registry/configmaps/{bench.namespace}/open")
    got = bench.api.get(f"{bench.path}/secrets/sealed")["data"]["value"]
    assert base64.b64decode(got).decode() == value


@pytest.mark.usefixtures("api")
def test_the_clusters_own_authority_does_not_open_etcd(cluster):
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        etcd_value(cluster, "/registry", certificate="admin")


def test_the_audit_log_tells_who_made_a_secret_and_never_its_content(bench, cluster):
    value = f"value-{secrets.token_hex(8)}"
    bench.secret("audited", value)
    log = cluster.layout.log / "audit" / "audit.log"

    def entries():
        lines = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        wanted = {"resource": "secrets", "namespace": bench.namespace, "name": "audited"}
        return [item for item in lines if wanted.items() <= (item.get("objectRef") or {}).items()]

    [entry, *_] = until("an audit entry", entries)
    assert entry["user"]["username"] == "careops-admin"
    assert entry["verb"] == "patch"
    assert entry["level"] == "Metadata"
    assert "requestObject" not in entry
    text = log.read_text()
    assert value not in text
    assert base64.b64encode(value.encode()).decode() not in text


AS_ROOT = {"runAsUser": 0, "runAsNonRoot": False}
PRIVILEGED = {"privileged": True, "allowPrivilegeEscalation": True}


def changed_pod(bench, change):
    manifest = pod("changed", bench.namespace, str(bench.images["probe"]), ["sleep", "3600"])
    manifest["spec"]["containers"][0]["securityContext"] |= change
    return manifest


@pytest.mark.parametrize("change", [AS_ROOT, {"capabilities": {"drop": []}}, {"allowPrivilegeEscalation": True}])
def test_a_namespace_that_says_nothing_refuses_what_is_not_restricted(bench, change):
    with pytest.raises(ApiRefused, match="403") as refused:
        bench.api.apply(changed_pod(bench, change))
    assert "restricted" in refused.value.why


def test_a_namespace_may_ask_for_less_in_its_labels_but_never_for_a_privileged_container(bench):
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    bench.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": bench.namespace, "labels": labels}})
    with pytest.raises(ApiRefused, match="422") as refused:
        bench.api.apply(changed_pod(bench, PRIVILEGED))
    assert "privileged" in refused.value.why
    bench.api.apply(changed_pod(bench, AS_ROOT))
    bench.ready("changed")


def test_a_privileged_pod_is_refused_in_a_restricted_namespace(bench):
    with pytest.raises(ApiRefused) as refused:
        bench.api.apply(changed_pod(bench, PRIVILEGED))
    assert refused.value.status in {403, 422}


@pytest.mark.usefixtures("api")
def test_nobody_in_particular_may_ask_for_health_and_nothing_else(cluster):
    context = ssl.create_default_context(cafile=str(cluster.layout.pki / "ca.crt"))
    base = f"https://127.0.0.1:{cluster.spec.api_port}"
    with httpx.Client(base_url=base, verify=context, trust_env=False) as client:
        assert client.get("/readyz").text == "ok"
        for path in ("/version", "/api", "/api/v1/namespaces", "/metrics"):
            assert client.get(path).status_code == 401, path


@pytest.mark.usefixtures("api")
def test_the_kubelet_answers_nobody_without_a_certificate(cluster):
    context = ssl.create_default_context(cafile=str(cluster.layout.pki / "ca.crt"))
    with cluster.forward(cluster.spec.node_address, 10250, host_port=free_port()) as forward:
        base = f"https://127.0.0.1:{forward.host_port}"
        assert httpx.get(f"{base}/pods", verify=context, trust_env=False).status_code == 401


@pytest.mark.parametrize("identity", ["kubelet", "kube-proxy", "kube-scheduler", "calico-felix", "calico-cni"])
def test_no_part_of_the_node_may_read_secrets_that_are_none_of_its_business(bench, cluster, identity, tmp_path):
    bench.secret("private", "x")
    with pytest.raises(ApiRefused) as refused:
        as_identity(cluster, identity, tmp_path).get(f"{bench.path}/secrets/private")
    assert refused.value.status == 403


@pytest.mark.usefixtures("api")
def test_the_kubelet_may_not_change_another_node(cluster, tmp_path):
    other = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}}
    with pytest.raises(ApiRefused, match="403"):
        as_identity(cluster, "kubelet", tmp_path).apply(other)


@pytest.mark.usefixtures("api")
def test_keys_and_access_can_be_read_by_root_only(cluster):
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert stat.S_IMODE(cluster.layout.pki.stat().st_mode) == 0o700
    assert stat.S_IMODE((cluster.layout.pki / "encryption.yaml").stat().st_mode) == 0o600
    assert yaml.safe_load(cluster.kubeconfig.read_text())["current-context"] == "careops"


def test_system_pods_run_without_privileges(api):
    for namespace, name in (("kube-system", "coredns"), ("local-path-storage", "local-path-provisioner")):
        found = api.get(f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}")["spec"]["template"]["spec"]
        [container] = found["containers"]
        assert found["securityContext"]["runAsNonRoot"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
