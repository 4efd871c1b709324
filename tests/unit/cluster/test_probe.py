"""The proof of enforcement: what it consists of, and that anything short of it counts as none."""

from __future__ import annotations

from dataclasses import replace

import pytest

from toolchain.cluster.errors import NotEnforced
from toolchain.cluster.probe import STEPS, EnforcementReport, PacketCheck, check_enforcement, pod, policy

PROVEN = EnforcementReport(
    checks=tuple(PacketCheck(name=step.name, expected=step.expected, observed=step.expected) for step in STEPS)
)


def test_a_complete_proof_is_accepted():
    assert PROVEN.enforced
    PROVEN.require()


@pytest.mark.parametrize("position", range(len(STEPS)))
@pytest.mark.parametrize("observed", ["opposite", None])
def test_one_check_that_fails_or_could_not_be_made_means_not_enforced(position, observed):
    checks = list(PROVEN.checks)
    opposite = "closed" if checks[position].expected == "open" else "open"
    checks[position] = replace(checks[position], observed=opposite if observed else None)
    report = EnforcementReport(checks=tuple(checks))
    assert not report.enforced
    with pytest.raises(NotEnforced) as refused:
        report.require()
    assert checks[position].name in refused.value.why


def test_a_proof_that_stopped_half_way_means_not_enforced():
    assert not EnforcementReport(checks=PROVEN.checks[:-1]).enforced
    assert not EnforcementReport(checks=()).enforced
    assert not replace(PROVEN, problem="the namespace could not be removed").enforced


def test_the_proof_starts_with_connections_that_must_work():
    first, second = STEPS[:2]
    assert (first.expected, second.expected) == ("open", "open")
    assert (first.policies, second.policies) == ((), ())
    assert {first.client, second.client} == {"friend", "stranger"}


def test_the_proof_shows_both_directions_closed_and_opened_again():
    applied = [name for step in STEPS for name in step.policies]
    assert applied == ["deny-ingress", "allow-friend", "deny-egress", "allow-egress"]
    assert [step.expected for step in STEPS if step.policies] == ["closed", "open", "closed", "open"]


def test_the_policies_say_what_their_names_say():
    assert policy("deny-ingress", "n")["spec"] == {"podSelector": {}, "policyTypes": ["Ingress"]}
    assert "egress" not in policy("deny-egress", "n")["spec"]
    assert policy("allow-friend", "n")["spec"]["ingress"][0]["from"] == [
        {"podSelector": {"matchLabels": {"role": "friend"}}}
    ]


def test_the_pods_of_the_proof_meet_the_restricted_level():
    spec = pod("server", "n", "image", ["true"])["spec"]
    [container] = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False


def test_a_cluster_that_cannot_be_reached_proves_nothing(tmp_path):
    report = check_enforcement(tmp_path / "absent", "careops", {"probe": "image"})
    assert not report.enforced
    assert "kubeconfig" in report.problem
