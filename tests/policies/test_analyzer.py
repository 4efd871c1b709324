"""The policy pack as Pulumi's engine sees it: over the protocol, in process and as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY
from pulumi_policy.proxy import UNKNOWN_OBJECT_VALUE, UNKNOWN_STRING_VALUE

import policies
from policies.analyzer import Analyzer
from policies.packs import HEALTHCARE
from policies.waivers import Register, Waiver

PACK = Path(policies.__file__).parent
CONTEXT = None  # the servicer does not look at its gRPC context


def secret(value):
    return {SPECIAL_SIG_KEY: SPECIAL_SECRET_SIG, "value": value}


def struct(properties):
    made = struct_pb2.Struct()
    made.update(properties)
    return made


def message(kind, properties, *, token=None, name="thing", provider="riverside"):
    version = properties["apiVersion"]
    token = token or f"kubernetes:{version if '/' in version else 'core/' + version}:{properties['kind']}"
    made = kind(urn=f"urn:pulumi:dev::careops::{token}::{name}", type=token, name=name, properties=struct(properties))
    if provider:
        made.provider.CopyFrom(proto.AnalyzerProviderResource(type="pulumi:providers:kubernetes", name=provider))
    return made


def request(properties, **options):
    return message(proto.AnalyzeRequest, properties, **options)


def stack(*objects):
    return proto.AnalyzeStackRequest(resources=[message(proto.AnalyzerResource, each) for each in objects])


@pytest.fixture
def analyzer(today):
    return Analyzer(HEALTHCARE, Register(), today=lambda: today)


@pytest.fixture
def previewing(analyzer):
    analyzer.ConfigureStack(proto.AnalyzerStackConfigureRequest(stack="dev", dry_run=True), CONTEXT)
    return analyzer


def found(response):
    return {each.policyName: each for each in response.diagnostics}


def test_the_engine_learns_every_rule_by_name_with_level_severity_framework_and_remedy(analyzer):
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty(), CONTEXT)
    assert info.name == "careops-healthcare"
    assert {policy.name for policy in info.policies} == set(HEALTHCARE.levels)
    for policy in info.policies:
        assert policy.enforcementLevel == proto.MANDATORY
        assert policy.severity != proto.POLICY_SEVERITY_UNSPECIFIED
        assert policy.framework.name == "HIPAA Security Rule"
        assert "164.3" in policy.framework.specification
        assert policy.remediation_steps


def test_rules_about_the_whole_stack_are_stack_policies(analyzer):
    info = analyzer.GetAnalyzerInfo(empty_pb2.Empty(), CONTEXT)
    stack_wide = {policy.name for policy in info.policies if policy.policy_type == proto.POLICY_TYPE_STACK}
    assert stack_wide == {"namespaces-deny-by-default", "exceptions-are-registered"}


def test_a_complying_resource_gets_no_diagnostic(analyzer, body):
    assert not analyzer.Analyze(request(body("apps/Deployment")), CONTEXT).diagnostics


def test_numbers_arrive_as_floats_and_are_judged_as_numbers(analyzer, body, pod_of):
    workload = body("apps/Deployment")
    pod_of(workload)["spec"]["securityContext"]["runAsUser"] = 0
    assert "pods-run-as-non-root" in found(analyzer.Analyze(request(workload), CONTEXT))


def test_a_violation_is_mandatory_in_preview_and_update(analyzer, previewing, body, pod_of):
    workload = body("apps/Deployment")
    pod_of(workload)["spec"]["hostNetwork"] = True
    for each in (previewing, analyzer):
        diagnostic = found(each.Analyze(request(workload), CONTEXT))["pods-stay-off-the-host"]
        assert diagnostic.enforcementLevel == proto.MANDATORY
        assert diagnostic.urn == "urn:pulumi:dev::careops::kubernetes:apps/v1:Deployment::thing"


def test_an_unknown_value_is_listed_apart_in_a_preview(previewing, body, pod_of):
    workload = body("apps/Deployment")
    pod_of(workload)["spec"]["containers"][0]["image"] = UNKNOWN_STRING_VALUE
    diagnostic = found(previewing.Analyze(request(workload), CONTEXT))["images-are-pinned-by-digest"]
    assert diagnostic.enforcementLevel == proto.ADVISORY
    assert diagnostic.message.startswith("NOT EVALUATED in this preview: ")


def test_an_unknown_value_fails_an_update(analyzer, body, pod_of):
    workload = body("apps/Deployment")
    pod_of(workload)["spec"]["containers"][0]["image"] = UNKNOWN_STRING_VALUE
    diagnostic = found(analyzer.Analyze(request(workload), CONTEXT))["images-are-pinned-by-digest"]
    assert diagnostic.enforcementLevel == proto.MANDATORY
    assert diagnostic.message.startswith("UNDETERMINED, which is no pass: ")


def test_an_unknown_value_ends_no_other_rule(previewing, body):
    workload = {**body("apps/Deployment"), "spec": UNKNOWN_OBJECT_VALUE, "metadata": {"name": "odoo"}}
    diagnostics = found(previewing.Analyze(request(workload, provider="default"), CONTEXT))
    assert diagnostics["providers-are-explicit"].enforcementLevel == proto.MANDATORY
    assert diagnostics["data-is-classified"].enforcementLevel == proto.MANDATORY
    assert diagnostics["pods-run-as-non-root"].enforcementLevel == proto.ADVISORY


@pytest.mark.parametrize(
    ("content", "clear"),
    [
        ({"stringData": {"password": "hunter2"}}, True),
        ({"stringData": {"password": secret("hunter2")}}, False),
        ({"stringData": secret({"password": "hunter2"})}, False),
        ({"stringData": {"password": secret(UNKNOWN_STRING_VALUE)}}, False),
    ],
)
def test_the_engines_secret_mark_decides_whether_a_secret_is_in_clear(content, clear, analyzer):
    properties = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "odoo"}, **content}
    response = analyzer.Analyze(request(properties), CONTEXT)
    assert ("secrets-are-never-plaintext" in found(response)) is clear
    assert "hunter2" not in str(response)


def test_secret_marks_do_not_hide_violations(analyzer, body):
    workload = body("apps/Deployment")
    workload["spec"] = secret({"template": {"spec": {"containers": [{"name": "web", "image": "busybox"}]}}})
    assert {"pods-run-as-non-root", "images-are-pinned-by-digest"} <= set(
        found(analyzer.Analyze(request(workload), CONTEXT))
    )


def test_components_and_the_stack_itself_are_no_violation(analyzer):
    for token in ("careops:boundary:Environment", "pulumi:pulumi:Stack", "pulumi:providers:kubernetes"):
        component = request({"apiVersion": "v1", "kind": "None"}, token=token, provider=None)
        component.properties.Clear()
        assert not analyzer.Analyze(component, CONTEXT).diagnostics


def test_rules_without_a_subject_are_reported_as_not_applicable_and_not_as_passed(analyzer):
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "edge"}}
    response = analyzer.Analyze(request(service), CONTEXT)
    reasons = {each.policy_name: each.reason for each in response.not_applicable}
    assert "providers-are-explicit" not in reasons
    assert reasons["pods-run-as-non-root"] == "judges no core/Service"


def test_the_stack_is_judged_as_a_whole(analyzer, body):
    closed = stack(body("core/Namespace"), body("apps/Deployment"), body("networking.k8s.io/NetworkPolicy"))
    assert not analyzer.AnalyzeStack(closed, CONTEXT).diagnostics
    opened = analyzer.AnalyzeStack(stack(body("core/Namespace"), body("apps/Deployment")), CONTEXT)
    assert set(found(opened)) == {"namespaces-deny-by-default"}


def test_a_waived_violation_is_printed_and_does_not_stop_the_run(body, today):
    workload = body("apps/Deployment")
    workload["spec"]["template"]["spec"]["hostIPC"] = True
    name = "kubernetes:apps/v1:Deployment::thing"
    waiver = Waiver(rule="pods-stay-off-the-host", resource=name, reason="r" * 20, approver="officer", expires=today)
    analyzer = Analyzer(HEALTHCARE, Register(waivers=(waiver,)), today=lambda: today)
    diagnostic = found(analyzer.Analyze(request(workload), CONTEXT))["pods-stay-off-the-host"]
    assert diagnostic.enforcementLevel == proto.ADVISORY
    assert f"WAIVED until {today} by officer" in diagnostic.message


@pytest.mark.parametrize("level", [proto.ADVISORY, proto.DISABLED])
def test_a_configuration_cannot_weaken_a_mandatory_rule_and_says_so(level, analyzer, body):
    configuration = {"pods-have-read-only-root": proto.PolicyConfig(enforcementLevel=level)}
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig=configuration), CONTEXT)
    workload = body("core/Pod")
    workload["spec"]["containers"][0]["securityContext"].pop("readOnlyRootFilesystem")
    diagnostic = found(analyzer.Analyze(request(workload), CONTEXT))["pods-have-read-only-root"]
    assert diagnostic.enforcementLevel == proto.MANDATORY
    complaint = found(analyzer.AnalyzeStack(stack(), CONTEXT))["exceptions-are-registered"]
    assert "pods-have-read-only-root: the policy configuration weakens this rule" in complaint.message


def test_a_configuration_that_keeps_the_levels_is_fine(analyzer):
    configuration = {name: proto.PolicyConfig(enforcementLevel=proto.MANDATORY) for name in HEALTHCARE.levels}
    analyzer.Configure(proto.ConfigureAnalyzerRequest(policyConfig=configuration), CONTEXT)
    assert not analyzer.AnalyzeStack(stack(), CONTEXT).diagnostics


def test_the_pack_starts_as_the_engine_starts_it_and_answers(body):
    """`python -m pulumi.policy <engine> <folder>` is what the Python language host runs."""
    arguments = [sys.executable, "-u", "-m", "pulumi.policy", "127.0.0.1:1", str(PACK)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                client = analyzer_pb2_grpc.AnalyzerStub(channel)
                assert client.GetAnalyzerInfo(empty_pb2.Empty(), timeout=20).name == "careops-healthcare"
                with pytest.raises(grpc.RpcError) as unanswered:
                    client.Handshake(proto.AnalyzerHandshakeRequest(engine_address="127.0.0.1:1"), timeout=20)
                assert unanswered.value.code() == grpc.StatusCode.UNIMPLEMENTED, "the engine expects exactly this"
                assert not client.Analyze(request(body("apps/Deployment")), timeout=20).diagnostics
                assert client.Analyze(request({**body("core/Pod"), "spec": {}}), timeout=20).diagnostics
        finally:
            process.terminate()


def test_the_entry_point_is_three_statements_because_serving_never_returns():
    lines = [line for line in (PACK / "__main__.py").read_text(encoding="utf-8").splitlines() if line]
    assert len([line for line in lines if not line.startswith('"""')]) == 3
