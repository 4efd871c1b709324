"""NetworkPolicy shown with packets, DNS, and the closed system namespaces."""

from __future__ import annotations

import pytest

from tests.live.cluster.support import inside, until
from toolchain.cluster.errors import NotEnforced
from toolchain.cluster.facts import discover, embedded_facts
from toolchain.cluster.probe import STEPS, check_enforcement, policy

pytestmark = pytest.mark.live


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


def test_a_kept_pod_never_gets_through_while_the_node_starts_again(bench, cluster):
    """Pods of the last run come up before the policy engine has its policies in the kernel."""
    bench.pod("server", "nc", "-ll", "-p", "8080", "-e", "/bin/echo", "careops-probe")
    bench.api.apply(policy("deny-ingress", bench.namespace))
    address = bench.address("server")
    bench.pod("stranger", "sh", "-c", "while true; do echo tried; nc -w 1 $0 8080 </dev/null; done", address)
    until("the stranger tries", lambda: "tried" in bench.api.get(f"{bench.path}/pods/stranger/log"))
    cluster.stop()
    cluster.start()
    bench.ready("server")
    bench.ready("stranger")
    # The server's address may be another one now; what counts is that the forwarding itself stayed closed.
    log = bench.api.get(f"{bench.path}/pods/stranger/log")
    assert "tried" in log
    assert "careops-probe" not in log


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
