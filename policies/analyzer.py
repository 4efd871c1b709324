"""The policy pack as Pulumi's engine talks to it.

The SDK's own servicer decodes each resource once per policy, takes the secret marks off before a validation sees the
values, and turns the first unknown value into the end of a policy. The rules need all three differently, so `Analyzer`
replaces exactly those two calls (`Analyze`, `AnalyzeStack`) and inherits the rest of the protocol. The rules still are
policies of the SDK by name, severity and framework, so `pulumi` lists and counts them as it does any other.
"""
# ruff: noqa: N802  # the protocol names its methods

from __future__ import annotations

import sys
from concurrent import futures
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf import json_format
from pulumi.runtime import proto
from pulumi.runtime.proto import analyzer_pb2_grpc
from pulumi_policy import EnforcementLevel, PolicyComplianceFramework, ResourceValidationPolicy, Severity
from pulumi_policy.deserialize import SPECIAL_SECRET_SIG, SPECIAL_SIG_KEY
from pulumi_policy.policy import StackValidationPolicy, _PolicyAnalyzerServicer
from pulumi_policy.proxy import (
    UNKNOWN_ARCHIVE_VALUE,
    UNKNOWN_ARRAY_VALUE,
    UNKNOWN_ASSET_VALUE,
    UNKNOWN_BOOLEAN_VALUE,
    UNKNOWN_NUMBER_VALUE,
    UNKNOWN_OBJECT_VALUE,
    UNKNOWN_STRING_VALUE,
)

from policies import engine, waivers
from policies.report import citations, diagnose
from policies.resources import Provider, from_pulumi
from policies.rule import Context
from policies.rules import RULES
from policies.values import UNKNOWN, Sealed
from policies.verdicts import Finding, NotApplicable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from google.protobuf.message import Message

    from policies.engine import Judgement
    from policies.packs import Pack
    from policies.resources import Resource
    from policies.rule import Level, Rule
    from policies.waivers import Register

_MAX_MESSAGE: Final = 400 * 1024 * 1024
"""Bytes; the SDK's own limit, so that a stack with large manifests arrives here too."""
_WORKERS: Final = 4
"""Threads; the SDK's own number."""
_UNKNOWNS: Final = frozenset(
    {
        UNKNOWN_ARCHIVE_VALUE,
        UNKNOWN_ARRAY_VALUE,
        UNKNOWN_ASSET_VALUE,
        UNKNOWN_BOOLEAN_VALUE,
        UNKNOWN_NUMBER_VALUE,
        UNKNOWN_OBJECT_VALUE,
        UNKNOWN_STRING_VALUE,
    }
)
_LEVELS: Final = {
    "advisory": proto.ADVISORY,
    "mandatory": proto.MANDATORY,
}


class ResourcePolicy(ResourceValidationPolicy):
    """Name and metadata of a rule that sees one resource; `Analyzer` runs the rule."""


class StackPolicy(StackValidationPolicy):
    """Name and metadata of a rule that sees the whole stack; `Analyzer` runs the rule."""


class Analyzer(_PolicyAnalyzerServicer):
    """Judge what the engine sends.

    Args:
        pack: Which rules, how strictly.
        register: The waivers.
        today: Returns the day of judgement, UTC.
    """

    def __init__(self, pack: Pack, register: Register, today: Callable[[], date] | None = None) -> None:
        super().__init__(
            name=pack.name,
            version="0.0.1",  # the engine shows the version in PulumiPolicy.yaml
            policies=[_policy(rule, pack) for rule in pack.rules],
            enforcement_level=EnforcementLevel.MANDATORY,
            description=pack.title,
        )
        self._pack = pack
        self._register = register
        self._today = today or _today
        self._preview = False
        self._weakened: tuple[Finding, ...] = ()

    def ConfigureStack(self, request: proto.AnalyzerStackConfigureRequest, _context: grpc.ServicerContext) -> Message:
        """Learn whether this is a preview."""
        self._preview = request.dry_run
        return super().ConfigureStack(request, _context)

    def Configure(self, request: proto.ConfigureAnalyzerRequest, _context: grpc.ServicerContext) -> Message:
        """Note which levels the configuration lowers; they are not lowered, waivers are the only exception."""
        self._weakened = tuple(
            Finding(path=name, message="the policy configuration weakens this rule: register a waiver instead")
            for name, settings in sorted(request.policyConfig.items())
            if self._pack.levels.get(name) == "mandatory"
            and settings.enforcementLevel not in (proto.MANDATORY, proto.REMEDIATE)
        )
        return super().Configure(request, _context)

    def Analyze(self, request: proto.AnalyzeRequest, _context: grpc.ServicerContext) -> proto.AnalyzeResponse:
        """Judge one resource before it is created or changed."""
        resources = _resources(request)
        judgements = engine.judge(self._pack.rules, resources, Context(today=self._today()), self._register, "resource")
        return self._respond(judgements)

    def AnalyzeStack(self, request: proto.AnalyzeStackRequest, _context: grpc.ServicerContext) -> proto.AnalyzeResponse:
        """Judge the stack as a whole, and the register of waivers."""
        resources = tuple(resource for each in request.resources for resource in _resources(each))
        today = self._today()
        exceptions = (*self._register.findings(today), *self._weakened)
        context = Context(today=today, stack=resources, exceptions=exceptions)
        judgements = engine.judge(self._pack.rules, resources, context, self._register, "stack")
        return self._respond([*judgements, *engine.judge(self._pack.rules, (), context, self._register, "run")])

    def _respond(self, judgements: Sequence[Judgement]) -> proto.AnalyzeResponse:
        response = proto.AnalyzeResponse()
        for judgement in judgements:
            level: Level = self._pack.levels[judgement.rule.id]
            diagnostic = diagnose(judgement, level=level, preview=self._preview)
            if diagnostic is not None:
                response.diagnostics.append(
                    proto.AnalyzeDiagnostic(
                        policyName=diagnostic.rule,
                        policyPackName=self._pack.name,
                        policyPackVersion="0.0.1",
                        description=judgement.rule.title,
                        message=diagnostic.message,
                        urn=diagnostic.urn,
                        enforcementLevel=_LEVELS[diagnostic.level],
                        severity=self._map_severity(Severity(judgement.rule.severity)),
                    )
                )
        for rule, reason in _without_subject(judgements).items():
            response.not_applicable.append(proto.PolicyNotApplicable(policy_name=rule, reason=reason))
        return response


def serve(pack: Pack) -> None:
    """Serve a pack to the engine that started this process, until that ends it.

    Args:
        pack: The pack.
    """
    server = grpc.server(
        futures.ThreadPoolExecutor(max_workers=_WORKERS),
        options=[("grpc.max_receive_message_length", _MAX_MESSAGE)],
    )
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(pack, waivers.load(waivers.REGISTER, RULES)), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    server.wait_for_termination()


def decode(value: object) -> object:
    """Turn a property as the engine sends it into what rules read.

    Args:
        value: JSON with the engine's marks for secrets and unknown values.

    Returns:
        The same with `Sealed` and `UNKNOWN` in place of the marks; other marked values stay as they are.
    """
    if isinstance(value, str):
        return UNKNOWN if value in _UNKNOWNS else value
    if isinstance(value, list):
        return [decode(item) for item in value]
    if isinstance(value, dict):
        if value.get(SPECIAL_SIG_KEY) == SPECIAL_SECRET_SIG:
            return Sealed(decode(value.get("value")))
        return {key: decode(item) for key, item in value.items()}
    return value


def _resources(request: proto.AnalyzeRequest | proto.AnalyzerResource) -> tuple[Resource, ...]:
    provider = None
    if request.HasField("provider"):
        provider = Provider(type=request.provider.type, name=request.provider.name)
    return from_pulumi(
        type_=request.type,
        name=request.name,
        urn=request.urn,
        properties={key: decode(value) for key, value in json_format.MessageToDict(request.properties).items()},
        provider=provider,
    )


def _policy(rule: Rule, pack: Pack) -> ResourcePolicy | StackPolicy:
    kind = ResourcePolicy if rule.scope == "resource" else StackPolicy
    cited = citations(rule)
    return kind(
        name=rule.id,
        description=rule.title,
        enforcement_level=EnforcementLevel(pack.levels[rule.id]),
        severity=Severity(rule.severity),
        framework=PolicyComplianceFramework(
            name="HIPAA Security Rule",
            version="45 CFR Part 164 Subpart C",
            reference=cited[0],
            specification=", ".join(cited),
        ),
        tags=list(rule.controls),
        remediation_steps=rule.remediation,
    )


def _without_subject(judgements: Iterable[Judgement]) -> dict[str, str]:
    """Return the rules that applied to nothing in this call, each with a reason; Pulumi counts the others as passed."""
    applied: set[str] = set()
    reasons: dict[str, str] = {}
    for judgement in judgements:
        if isinstance(judgement.verdict, NotApplicable):
            reasons.setdefault(judgement.rule.id, judgement.verdict.reason)
        else:
            applied.add(judgement.rule.id)
    return {rule: reason for rule, reason in reasons.items() if rule not in applied}


def _today() -> date:
    return datetime.now(tz=UTC).date()
