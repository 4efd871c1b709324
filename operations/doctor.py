"""`careops doctor`: what this machine has, lacks and would use. Looks, and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from operations.errors import OperationError
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from operations.certificates import CertificateStatus
    from operations.errors import Problem
    from operations.session import Session
    from toolchain.host import HostFacts

Verdict = Literal["ok", "note", "blocks"]
GIB = 1024**3


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What was looked at.
        verdict: `blocks` when `careops up` would stop on it; `note` when it costs time or is worth knowing.
        found: What is there.
        hint: What to do, or what careops will do about it.
    """

    name: str
    verdict: Verdict
    found: str
    hint: str = ""


def blocked(findings: Sequence[Finding]) -> bool:
    """Return whether something here would stop `careops up`."""
    return any(finding.verdict == "blocks" for finding in findings)


def examine(session: Session) -> tuple[Finding, ...]:
    """Look at everything; a look that fails is a finding of its own, never a reason to stop looking."""
    looks: tuple[tuple[str, Callable[[Session], Iterable[Finding]]], ...] = (
        ("machine", _look_at_machine),
        ("Debian packages", _look_at_packages),
        ("tools", _look_at_tools),
        ("settings", _look_at_settings),
        ("passphrase", _look_at_passphrase),
        ("cluster", _look_at_cluster),
        ("certificates", _look_at_certificates),
        ("cache", _look_at_cache),
        ("lock", _look_at_lock),
    )
    return tuple(finding for name, look in looks for finding in guarded(name, look, session))


def guarded(name: str, look: Callable[[Session], Iterable[Finding]], session: Session) -> list[Finding]:
    """Return what a look finds; what it raises becomes findings."""
    from operations.translate import known

    try:
        return list(look(session))
    except (OperationError, ToolchainError, ValueError, OSError) as error:
        told = known(error)
        if told is None:
            return [Finding(name=name, verdict="blocks", found=str(error), hint="see the message")]
        return [_from_problem(name, problem) for problem in told.problems]


def judge_host(host: HostFacts, problems: Sequence[Problem]) -> list[Finding]:
    """Return what the machine is, and everything that is wrong with it."""
    facts = [
        Finding(name="system", verdict="ok", found=f"{host.system}, kernel {host.kernel}, {host.cpus} cores"),
        Finding(
            name="memory",
            verdict="ok",
            found=f"{host.memory_bytes / GIB:.1f} GiB, {host.memory_available_bytes / GIB:.1f} available",
        ),
        Finding(
            name="disk",
            verdict="ok",
            found=f"free: state {host.state_free_bytes / GIB:.0f} GiB, cache {host.cache_free_bytes / GIB:.0f} GiB"
            + (" (one disk)" if host.same_disk else ""),
        ),
    ]
    return [*facts, *(_from_problem("machine", problem) for problem in problems)]


def judge_certificate(stack: str, status: CertificateStatus) -> Finding:
    """Return what there is to know about one edge's certificate; `up` mends a bad one, so it never blocks."""
    return Finding(
        name=f"certificate of {stack}",
        verdict="note" if status.hint else "ok",
        found=status.wording,
        hint=status.hint,
    )


def _look_at_machine(session: Session) -> Iterable[Finding]:
    from operations import live
    from operations.machine import judge

    machine = live.machine(session)
    return judge_host(machine.host, judge(machine, live.environments_or_none(session)))


def _look_at_packages(_session: Session) -> Iterable[Finding]:
    from operations import toolkit

    wanted = toolkit.debian_packages()
    missing = toolkit.missing_packages(wanted)
    if not missing:
        return [Finding(name="Debian packages", verdict="ok", found=f"all {len(wanted)} present")]
    return [
        Finding(
            name="Debian packages",
            verdict="note",
            found=f"missing: {', '.join(missing)}",
            hint="up installs them: apt-get install " + " ".join(missing),
        )
    ]


def _look_at_tools(session: Session) -> Iterable[Finding]:
    from operations import inventory

    return [
        Finding(name=tool.name, verdict="ok" if tool.present else "note", found=tool.found, hint=tool.hint)
        for tool in inventory.tools(session)
    ]


def _look_at_settings(session: Session) -> Iterable[Finding]:
    from operations import live

    names = ", ".join(environment.stack for environment in live.environments(session))
    return [Finding(name="settings", verdict="ok", found=f"valid: {names}")]


def _look_at_passphrase(session: Session) -> Iterable[Finding]:
    from operations.passphrase import check, describe

    check(session.paths)
    return [Finding(name="passphrase", verdict="ok", found=describe(session.paths))]


def _look_at_cluster(session: Session) -> Iterable[Finding]:
    from operations import live

    found, hint = live.describe_cluster(session)
    return [Finding(name="cluster", verdict="ok", found=found, hint=hint)]


def _look_at_certificates(session: Session) -> Iterable[Finding]:
    """Look at the edges' certificates; a cluster that does not answer is the finding of the look at the cluster."""
    from operations import live
    from operations.certificates import certificate_status, edge_tls_path, read_certificate

    if not live.cluster_answers(session):
        return []
    read = live.cluster_reader(session)
    statuses = (
        (one.stack, certificate_status(read_certificate(read(edge_tls_path(one.namespace))), one))
        for one in live.environments(session)
    )
    return [judge_certificate(stack, status) for stack, status in statuses if status]


def _look_at_cache(session: Session) -> Iterable[Finding]:
    from operations.cache import describe
    from toolchain.cache import survey

    found, hint = describe(survey(session.paths))
    return [Finding(name="cache", verdict="note" if hint else "ok", found=found, hint=hint)]


def _look_at_lock(session: Session) -> Iterable[Finding]:
    from operations import live

    holder = live.platform_lock(session).holder()
    if holder is None:
        return [Finding(name="lock", verdict="ok", found="nobody is changing this platform")]
    return [
        Finding(
            name="lock",
            verdict="note",
            found=f"{holder.command} (process {holder.pid}) since {holder.since}",
            hint="wait until it ends",
        )
    ]


def _from_problem(name: str, problem: Problem) -> Finding:
    return Finding(name=name, verdict="blocks", found=f"{problem.what}: {problem.why}", hint=problem.action)
