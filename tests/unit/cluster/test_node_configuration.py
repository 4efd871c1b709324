"""The node's configuration files and process arguments."""

from __future__ import annotations

import json
import tomllib

import jinja2
import pytest
import yaml

from toolchain.cluster.render import TEMPLATES, node_files, render
from toolchain.cluster.services import schedule, script, services
from toolchain.cluster.spec import ClusterSpec

PAUSE = "careops.local/pause:1"


@pytest.fixture
def files():
    return node_files(ClusterSpec(), pause_image=PAUSE)


def arguments(name, spec=None):
    [service] = [item for item in services(spec or ClusterSpec()) if item.name == name]
    return service.arguments


def test_every_template_is_refused_without_its_values():
    with pytest.raises(jinja2.UndefinedError):
        render("kubelet.yaml", {})


def test_every_file_parses_in_its_own_language(files):
    for name, text in files.items():
        if name.endswith(".yaml"):
            assert yaml.safe_load(text)["kind"], name
        elif name.endswith(".toml"):
            assert tomllib.loads(text)["version"] == 3
        elif name.endswith(".conflist"):
            assert json.loads(text)["plugins"]


def test_a_namespace_that_says_nothing_is_restricted(files):
    [plugin] = yaml.safe_load(files["admission.yaml"])["plugins"]
    assert plugin["configuration"]["defaults"]["enforce"] == "restricted"
    assert plugin["configuration"]["exemptions"] == {"usernames": [], "runtimeClasses": [], "namespaces": []}


def test_the_audit_log_never_holds_a_body(files):
    rules = yaml.safe_load(files["audit-policy.yaml"])["rules"]
    assert {rule["level"] for rule in rules} == {"None", "Metadata"}, "Request and RequestResponse log bodies"


def test_no_audit_rule_silences_secrets(files):
    for rule in yaml.safe_load(files["audit-policy.yaml"])["rules"]:
        groups = [entry for entry in rule.get("resources", []) if entry["group"] == ""]
        if rule["level"] == "Metadata" and groups:
            return
        assert not groups, "a rule that drops core resources comes before the one that keeps Secrets"
    pytest.fail("no rule names Secrets")


def test_the_last_audit_rule_keeps_everything_that_no_other_names(files):
    assert yaml.safe_load(files["audit-policy.yaml"])["rules"][-1] == {"level": "Metadata"}


def test_nobody_in_particular_may_only_ask_for_health(files):
    anonymous = yaml.safe_load(files["authentication.yaml"])["anonymous"]
    assert {entry["path"] for entry in anonymous["conditions"]} == {"/livez", "/readyz", "/healthz"}


def test_the_api_server_encrypts_audits_and_restricts():
    flags = arguments("kube-apiserver")
    assert "--authorization-mode=Node,RBAC" in flags
    assert "--tls-min-version=VersionTLS13" in flags
    assert any(flag.startswith("--encryption-provider-config=") for flag in flags)
    assert any(flag.startswith("--audit-log-path=") for flag in flags)
    assert "NodeRestriction" in next(flag for flag in flags if flag.startswith("--enable-admission-plugins="))
    assert "--allow-privileged=false" in flags
    assert not [flag for flag in flags if flag.startswith("--anonymous-auth")]


def test_etcd_writes_to_the_disk_and_asks_for_a_certificate():
    flags = arguments("etcd")
    assert "--client-cert-auth" in flags
    assert not [flag for flag in flags if "unsafe-no-fsync" in flag]
    assert not [flag for flag in flags if "http://" in flag]


def test_the_kubelet_answers_nobody_without_a_name(files):
    kubelet = yaml.safe_load(files["kubelet.yaml"])
    assert kubelet["authentication"]["anonymous"] == {"enabled": False}
    assert kubelet["authorization"] == {"mode": "Webhook"}
    assert kubelet["readOnlyPort"] == 0
    assert kubelet["seccompDefault"] is True


def test_nothing_that_needs_default_roles_starts_before_the_api_server():
    at_once = {service.name for service in services(ClusterSpec()) if service.after == "none"}
    assert at_once == {"etcd", "containerd", "kube-apiserver"}


def test_the_policy_engine_runs_unless_it_is_switched_off_by_name():
    assert "calico-felix calico\n" in schedule(ClusterSpec())
    assert "felix" not in schedule(ClusterSpec(network_policy="none"))
    plugins = json.loads(node_files(ClusterSpec(), pause_image=PAUSE)["cni/10-pods.conflist"])["plugins"]
    assert plugins[0]["type"] == "calico"


def test_the_pods_of_an_unenforced_node_use_the_cidr_that_the_node_gets():
    files = node_files(ClusterSpec(network_policy="none", pod_cidr="10.250.0.0/16"), pause_image=PAUSE)
    ipam = json.loads(files["cni/10-pods.conflist"])["plugins"][0]["ipam"]
    assert ipam["ranges"] == [[{"subnet": "10.250.0.0/24"}]]


def test_a_script_becomes_its_program_and_shows_one_argument_a_line():
    [kubelet] = [item for item in services(ClusterSpec()) if item.name == "kubelet"]
    lines = script(kubelet).splitlines()
    assert lines[0] == "#!/bin/bash"
    assert lines[1].startswith("exec -a kubelet /opt/careops/kube/bin/kube")
    assert len(lines) == 2 + len(kubelet.arguments)


def test_an_argument_with_shell_characters_stays_one_argument():
    [service] = [item for item in services(ClusterSpec(node_name="a b$(x)")) if item.name == "kubelet"]
    assert "'--hostname-override=a b$(x)'" in script(service)


def test_equal_clusters_have_equal_files():
    assert node_files(ClusterSpec(), pause_image=PAUSE) == node_files(ClusterSpec(), pause_image=PAUSE)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(ValueError, match="TCP port"):
        ClusterSpec(api_port=port)


def test_an_unknown_policy_engine_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="calico, none"):
        ClusterSpec(network_policy="cilium")


def test_every_template_is_used():
    names = {path.name for path in TEMPLATES.glob("*.j2")}
    used = {f"{name}.j2" for name in node_files(ClusterSpec(), pause_image=PAUSE)}
    assert names - used == {"cni-calico.conflist.j2", "cni-none.conflist.j2", "Corefile.j2"}
