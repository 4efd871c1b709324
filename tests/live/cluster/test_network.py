"""NetworkPolicy shown with packets, DNS, and the closed system namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from operations.exit_codes import ExitCode
from tests.live.cluster.conftest import ROOT
from tests.live.cluster.support import inside, until
from toolchain import builds
from toolchain.cluster import node, render
from toolchain.cluster.errors import NotEnforced
from toolchain.cluster.facts import discover, embedded_facts
from toolchain.cluster.kubeapi import KubeApi
from toolchain.cluster.probe import STEPS, check_enforcement, policy
from toolchain.cluster.services import script
from toolchain.progress import NullReporter

pytestmark = pytest.mark.live

GREETING = "careops-probe"


def images_of(cluster):
    return {name: str(ref) for name, ref in cluster.system_images().items()}


def test_packets_prove_that_the_cluster_enforces_policies(api, cluster):
    report = check_enforcement(cluster.kubeconfig, cluster.context, images_of(cluster))
    assert report.problem == ""
    assert [check.name for check in report.checks if not check.passed] == []
    assert report.enforced
    until(
        "the proof's namespace is gone",
        lambda: (
            [
                item["metadata"]["name"]
                for item in api.get("/api/v1/namespaces")["items"]
                if item["metadata"]["name"].startswith("careops-probe-")
            ]
            == []
        ),
    )


def test_the_same_proof_fails_when_enforcement_is_switched_off(unenforced):
    report = check_enforcement(unenforced.kubeconfig, unenforced.context, images_of(unenforced))
    assert [check.observed for check in report.checks[:2]] == ["open", "open"], "packets can pass at all"
    assert not report.enforced
    assert report.checks[-1].name == STEPS[2].name, "the first closed door that stood open ends the proof"
    with pytest.raises(NotEnforced):
        report.require()


@pytest.fixture(scope="module")
def up_on(tmp_path_factory):
    """Return a function that runs `careops up dev` on a cluster as somebody else's, from a state folder of its own."""
    state = tmp_path_factory.mktemp("up-on-existing")

    def run(cluster):
        kubectl = builds.ensure(cluster.paths, "kube", NullReporter()) / "bin"
        changed = {
            "CAREOPS_STATE": str(state),
            "CAREOPS_CACHE": str(cluster.paths.cache),
            "KUBECONFIG": str(cluster.kubeconfig),
            "PATH": f"{kubectl}:{os.environ['PATH']}",
        }
        return subprocess.run(
            [str(ROOT / "careops"), "up", "dev", "--context", cluster.context],
            cwd=ROOT,
            env=os.environ | changed,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=800,
            check=False,
        )

    return run


def namespaces(cluster):
    listed = KubeApi(cluster.kubeconfig, cluster.context).get("/api/v1/namespaces")["items"]
    return {item["metadata"]["name"] for item in listed}


def test_up_refuses_an_existing_cluster_that_enforces_nothing_and_leaves_nothing_in_it(unenforced, up_on):
    before = namespaces(unenforced)
    done = up_on(unenforced)
    assert done.returncode == ExitCode.CLUSTER, done.stderr
    assert "does not prove that it enforces NetworkPolicy" in done.stderr
    assert f"{STEPS[2].name}: expected closed, was open" in done.stderr
    assert "Calico or Cilium" in done.stderr
    assert "Traceback" not in done.stderr
    until("the proof's namespace is gone and no other was made", lambda: namespaces(unenforced) <= before)


@pytest.mark.usefixtures("api")
def test_up_accepts_the_enforcement_of_one_that_enforces_and_then_asks_for_its_images(cluster, up_on):
    """What tells it from the refusal above: the proof is behind it, and the next check is the one that stops it."""
    before = namespaces(cluster)
    done = up_on(cluster)
    assert done.returncode == ExitCode.CLUSTER, done.stderr
    assert "does not prove" not in done.stderr
    assert f"The nodes of {cluster.context} do not have the platform's images" in done.stderr
    assert "images.tar" in done.stderr
    until("the proof's namespace is gone and no other was made", lambda: namespaces(cluster) <= before)


@pytest.mark.usefixtures("api")
def test_a_pod_without_an_image_proves_nothing(cluster, monkeypatch):
    monkeypatch.setattr("toolchain.cluster.probe.POD_SECONDS", 5.0)
    report = check_enforcement(cluster.kubeconfig, cluster.context, {"probe": "careops.local/absent:1"})
    assert not report.enforced
    assert "did not start" in report.problem


def test_pods_find_services_by_name(bench):
    bench.pod("client")
    answer = bench.run("client", "nslookup kubernetes.default.svc.cluster.local")
    assert "10.96.0.1" in answer


def test_the_system_namespaces_are_closed_but_for_dns(bench, api):
    bench.pod("client")
    pods = {
        namespace: api.get(f"/api/v1/namespaces/{namespace}/pods")["items"][0]["status"]["podIP"]
        for namespace in ("kube-system", "local-path-storage")
    }
    assert bench.connects("client", pods["kube-system"], 53)
    for port in (8080, 8181):
        assert not bench.connects("client", pods["kube-system"], port), f"CoreDNS answers on {port}"
    bench.pod("server", "nc", "-ll", "-p", "8080", "-e", "/bin/echo", "hello")
    assert bench.connects("client", bench.address("server"), 8080), "a connection that nothing forbids works"


def test_the_node_speaks_no_ipv6_where_no_policy_would_hold_it(bench, cluster):
    """Policies are programmed for IPv4 only: an IPv6 address on the node's end of a pod's link would be open to it."""
    bench.pod("client")
    assert b"link/ether" in inside(cluster, "ip address").stdout
    speaking = {line.split()[1] for line in inside(cluster, "ip -6 -oneline address").stdout.splitlines()}
    assert speaking <= {b"lo"}


def test_a_kept_pod_never_gets_through_before_the_policies_are_in_the_kernel(bench, cluster, monkeypatch):
    """Pods of the last run come up before a policy engine that takes its time."""
    assert GREETING not in _log_of_a_kept_stranger(bench, cluster, monkeypatch)


@pytest.mark.full
def test_the_same_pod_gets_through_without_the_nodes_closed_start(bench, cluster, monkeypatch, tmp_path):
    scripts = shutil.copytree(node.SCRIPTS, tmp_path / "node")
    text = (scripts / "init.sh").read_text()
    unguarded = text.replace("  close_forwarding\n", "").replace("  open_forwarding_when_in_sync &\n", "  true\n")
    assert unguarded.count("\n") == text.count("\n") - 1
    (scripts / "init.sh").write_text(unguarded)
    monkeypatch.setattr(node, "SCRIPTS", scripts)
    assert GREETING in _log_of_a_kept_stranger(bench, cluster, monkeypatch)


def _log_of_a_kept_stranger(bench, cluster, monkeypatch):
    """Return what a pod saw that tried all the time, while the node started again with a slow policy engine."""
    bench.pod("server", "nc", "-ll", "-p", "8080", "-e", "/bin/echo", GREETING)
    address = bench.service("server", 8080)
    loop = "while true; do echo tried; nc -w 1 $0 8080 </dev/null; sleep 0.02; done"
    bench.pod("stranger", "sh", "-c", loop, address)
    until("the stranger gets through before there is a policy", lambda: GREETING in _log(bench))
    bench.api.apply(policy("deny-ingress", bench.namespace))
    cluster.stop()
    monkeypatch.setattr(render, "script", _slow_policy_engine)
    cluster.start()
    bench.ready("server")
    bench.ready("stranger")
    return until("the stranger tries again", lambda: text if "tried" in (text := _log(bench)) else None)


def _slow_policy_engine(service):
    text = script(service)
    return text.replace("\nexec ", "\nsleep 12\nexec ") if service.name == "calico-felix" else text


def _log(bench):
    return bench.api.get(f"{bench.path}/pods/stranger/log")


@pytest.mark.usefixtures("api")
def test_forwarding_is_closed_only_until_the_policies_are_in_the_kernel(cluster):
    assert b"careops_start" not in inside(cluster, "nft list tables").stdout
    assert b"cali" in inside(cluster, "nft list ruleset").stdout


@pytest.mark.usefixtures("api")
def test_discovery_tells_of_the_embedded_cluster_what_was_decided_for_it(cluster):
    found = discover(cluster.kubeconfig, cluster.context, shared_class="careops-shared")
    decided = embedded_facts(cluster.spec)
    assert found.api_server == decided.api_server
    assert found.node_cidrs == decided.node_cidrs
    assert found.node_count == 1
    assert found.dns == decided.dns
    assert found.storage_classes == decided.storage_classes


@pytest.mark.usefixtures("api")
def test_a_context_that_does_not_exist_proves_nothing(cluster):
    report = check_enforcement(cluster.kubeconfig, "no-such-context", images_of(cluster))
    assert not report.enforced
    assert "no-such-context" in report.problem
