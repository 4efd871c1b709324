"""What undoes a denial by default, in every way the API lets somebody write it."""

from __future__ import annotations

import pytest

from policies.values import UNKNOWN
from policies.verdicts import Fail, Pass, Undetermined

DENY = "namespaces-deny-by-default"
CLOSED = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
EDGE = {"matchLabels": {"app.kubernetes.io/name": "edge"}}
DNS = {
    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}},
    "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}},
}


def policy(name="added", **spec):
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": "riverside-dev"},
        "spec": {"podSelector": {}, **spec},
    }


def block(*cidrs, **more):
    return [{"ipBlock": {"cidr": cidr, **more}} for cidr in cidrs]


@pytest.fixture
def verdict(body, judged):
    """Return a function that judges a closed namespace with more policies in it."""

    def judge(*policies):
        closed = policy("default-deny", **CLOSED)
        return judged(DENY, body("core/Namespace"), body("apps/Deployment"), closed, *policies)

    return judge


EVERYBODY = [
    None,
    [],
    [{}],
    [DNS, {}],
    block("0.0.0.0/0"),
    block("::/0"),
    block("0.0.0.0/0", **{"except": ["10.0.0.0/8"]}),
    block("0.0.0.0/1", "128.0.0.0/1"),
    block("0.0.0.0/2", "64.0.0.0/2", "10.0.0.0/8", "128.0.0.0/1"),
    block("::/1", "8000::/1"),
    [{"namespaceSelector": {}}],
    [{"namespaceSelector": {}, "podSelector": {}}],
    [{"namespaceSelector": {"matchLabels": {}, "matchExpressions": []}}],
]


@pytest.mark.parametrize("selector", [{}, EDGE])
@pytest.mark.parametrize(("direction", "key"), [("Ingress", "from"), ("Egress", "to")])
@pytest.mark.parametrize("peers", EVERYBODY)
def test_a_rule_that_leaves_nobody_out_undoes_the_denial(peers, direction, key, selector, verdict):
    rules = [{key: [DNS], "ports": [{"port": 53}]}, {} if peers is None else {key: peers}]
    found = verdict(policy(podSelector=selector, policyTypes=[direction], **{direction.lower(): rules}))
    assert isinstance(found, Fail)
    [finding] = found.findings
    assert "added" in finding.message, "which policy"
    assert f"spec.{direction.lower()}[1]" in finding.message, "which rule"
    assert f"spec.{direction.lower()}[0]" not in finding.message


@pytest.mark.parametrize(
    "ports", [[], [{}], [{"protocol": "TCP"}], [{"port": 1, "endPort": 65535}], [{"port": 443}, {"protocol": "UDP"}]]
)
def test_ports_that_leave_none_out_are_no_restriction(ports, verdict):
    assert isinstance(verdict(policy(podSelector=EDGE, ingress=[{"ports": ports}])), Fail)


def test_the_halves_of_the_internet_in_two_rules_or_two_policies_are_the_internet(verdict):
    halves = [{"to": block("0.0.0.0/1")}, {"to": block("128.0.0.0/1")}]
    assert isinstance(verdict(policy(policyTypes=["Egress"], egress=halves)), Fail)
    one, two = (policy(name, policyTypes=["Egress"], egress=[half]) for name, half in zip("ab", halves, strict=True))
    [finding] = verdict(one, two).findings
    assert "a.spec.egress[0] and b.spec.egress[0]" in finding.message
    assert verdict(one) == Pass()


def test_halves_that_are_open_on_different_ports_are_no_whole(verdict):
    rules = [
        {"to": block("0.0.0.0/1"), "ports": [{"port": 443.0}]},
        {"to": block("128.0.0.0/1"), "ports": [{"port": 80}]},
    ]
    assert verdict(policy(policyTypes=["Egress"], egress=rules)) == Pass()
    rules[1]["ports"].append({"port": 443, "protocol": "TCP"})
    assert "on TCP/443" in verdict(policy(policyTypes=["Egress"], egress=rules)).findings[0].message


def test_everybody_on_one_port_is_a_decision_for_named_pods_and_none_for_every_pod(verdict):
    rules = [{"from": block("0.0.0.0/0"), "ports": [{"port": 8443}]}]
    assert verdict(policy(podSelector=EDGE, ingress=rules)) == Pass()
    assert isinstance(verdict(policy(ingress=rules)), Fail)


@pytest.mark.parametrize(
    "peers",
    [
        [DNS],
        [{"podSelector": {}}],
        [
            {
                "namespaceSelector": {},
                "podSelector": {"matchExpressions": [{"key": "cnpg.io/cluster", "operator": "Exists"}]},
            }
        ],
        block("0.0.0.0/1"),
        block("10.0.0.0/8", "fd00::/8"),
    ],
)
def test_peers_that_are_a_choice_leave_the_denial_in_force(peers, verdict):
    assert (
        verdict(policy(policyTypes=["Ingress", "Egress"], ingress=[{"from": peers}], egress=[{"to": peers}])) == Pass()
    )


def test_policy_types_that_are_left_out_mean_what_the_api_server_makes_of_them(verdict, body, judged):
    assert isinstance(verdict(policy(egress=[{}])), Fail), "an egress rule makes it an Egress policy"
    assert isinstance(verdict(policy(policyTypes=[], ingress=[{}])), Fail)
    assert verdict(policy(policyTypes=["Ingress"], ingress=[{"from": [DNS]}], egress=[{}])) == Pass(), "without effect"
    only = policy(ingress=[], egress=[])
    found = judged(DENY, body("core/Namespace"), body("apps/Deployment"), only)
    assert "no NetworkPolicy denies egress" in found.findings[0].message, "an empty list of egress rules closes nothing"


@pytest.mark.parametrize(
    "rule",
    [
        UNKNOWN,
        {"from": UNKNOWN},
        {"from": [UNKNOWN]},
        {"from": block(UNKNOWN)},
        {"from": [{"ipBlock": UNKNOWN}]},
        {"from": [{"namespaceSelector": UNKNOWN}]},
        {"from": [{"namespaceSelector": {"matchLabels": UNKNOWN}}]},
        {"from": [{"namespaceSelector": {}, "podSelector": UNKNOWN}]},
    ],
)
@pytest.mark.parametrize("selector", [{}, EDGE])
def test_a_rule_that_is_not_known_yet_leaves_the_namespace_undetermined(rule, selector, verdict):
    assert isinstance(verdict(policy(podSelector=selector, ingress=[rule])), Undetermined)


def test_a_port_that_is_not_known_yet_leaves_it_open_only_where_it_decides(verdict):
    rule = {"from": [], "ports": [{"port": UNKNOWN}]}
    assert isinstance(verdict(policy(podSelector=EDGE, ingress=[rule])), Undetermined)
    assert isinstance(verdict(policy(ingress=[rule])), Fail), "of every pod no port may be open to everybody"


def test_what_is_certain_is_a_finding_whatever_else_is_unknown(verdict):
    assert isinstance(verdict(policy(ingress=[{"from": [UNKNOWN, {}]}, UNKNOWN])), Fail)


def test_a_range_that_is_none_cannot_be_judged(verdict):
    [finding] = verdict(policy(ingress=[{"from": block("the internet")}])).findings
    assert "spec.ingress[0].from[0].ipBlock.cidr is not an address range" in finding.message


@pytest.mark.parametrize("version", ["crd.projectcalico.org/v1", "projectcalico.org/v3"])
def test_a_policy_in_the_plug_in_s_own_language_leaves_the_namespace_undetermined(version, verdict):
    foreign = {**policy("by-hand"), "apiVersion": version, "spec": {"ingress": [{"action": "Allow"}]}}
    found = verdict(foreign)
    assert isinstance(found, Undetermined)
    assert "by-hand" in found.doubts[0].reason
    foreign["metadata"]["namespace"] = "elsewhere"
    assert verdict(foreign) == Pass()
