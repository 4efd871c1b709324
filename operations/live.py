"""The real parts behind the commands: one short function for each thing a command needs to have done."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from operations import catalogue, embedded, passphrase, toolkit
from operations.errors import OperationError, failure
from operations.exit_codes import ExitCode
from operations.kube_api import no_cluster, reader
from operations.lock import PlatformLock
from operations.machine import Machine
from operations.phases import write_record
from operations.up import UpParts
from toolchain.errors import ToolchainError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from operations.environments import Environment
    from operations.existing import ExistingCluster
    from operations.kube_api import Read
    from operations.session import Session
    from toolchain.progress import Reporter

UNWANTED_VARIABLES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_ACCESS_TOKEN", "PULUMI_STACK", "KUBECONFIG")
"""Settings of other Pulumi projects and clusters: the first would even win over this platform's own passphrase file."""


# -- what there is -------------------------------------------------------------------------------------------------


def environments(session: Session) -> tuple[Environment, ...]:
    """Validate every settings file and return the environments."""
    return catalogue.load(session.paths.root)


def environments_or_none(session: Session) -> tuple[Environment, ...]:
    """Return the environments, or none where the settings are not valid (which is told elsewhere)."""
    from infra.problems import SettingsError

    try:
        return environments(session)
    except SettingsError:
        return ()


def settings_of(session: Session, stack: str) -> dict[str, Any]:
    """Return the validated settings of one stack as plain values."""
    return catalogue.settings_of(session.paths.root, stack)


def settings_schema() -> dict[str, Any]:
    """Return the JSON schemas of the settings files."""
    from infra.settings import json_schema

    return json_schema()


def machine(session: Session) -> Machine:
    """Look at this machine."""
    from toolchain.host import read_facts

    running = cluster_runs(session)
    return Machine(
        host=read_facts(session.paths),
        built=toolkit.looks_built(session),
        running=running,
        deployed=deployed_stacks(session),
        port_problem=None if running else embedded.port_problem(session),
    )


def platform_lock(session: Session) -> PlatformLock:
    """Return the lock of this platform for this command."""
    return PlatformLock(session.paths.lock, session.command)


# -- the cluster ---------------------------------------------------------------------------------------------------


def _known_facts(session: Session) -> dict[str, Any]:
    """Return what the facts file says of the platform's cluster; nothing when there is none that can be read."""
    try:
        facts = json.loads(session.paths.facts.read_text())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def facts_kind(session: Session) -> str | None:
    """Return whether the platform is on the embedded or an existing cluster; None when it never got that far."""
    kind = _known_facts(session).get("kind")
    return None if kind is None else str(kind)


def facts_context(session: Session) -> str | None:
    """Return the context of the existing cluster that the platform is on; None when it is on no such cluster."""
    facts = _known_facts(session)
    return str(facts["context"]) if facts.get("kind") == "existing" and "context" in facts else None


def is_embedded(session: Session) -> bool:
    """Return whether the platform is on the embedded cluster, which it is unless told otherwise."""
    return facts_kind(session) != "existing"


def require_embedded(session: Session, verb: str) -> None:
    """Raise when the platform is on a cluster that is not ours to stop or start."""
    if not is_embedded(session):
        raise failure(
            ExitCode.USAGE,
            f"There is nothing to {verb}: this platform is on an existing cluster",
            "careops only stops and starts the cluster it made itself",
            "use that cluster's own tools; `./careops down` removes the environments from it",
        )


def require_platform(session: Session) -> None:
    """Raise when no cluster was ever started or named here."""
    if not session.paths.kubeconfig.is_file():
        raise no_cluster()


def cluster_runs(session: Session) -> bool:
    """Return whether this checkout's embedded cluster has a running node."""
    from toolchain.cluster.node import running
    from toolchain.cluster.spec import Layout

    return running(Layout.of(session.paths.state)) is not None


def cluster_reader(session: Session) -> Read:
    """Return a reader of the platform's cluster; says so when the embedded one is stopped."""
    require_platform(session)
    if is_embedded(session) and not cluster_runs(session):
        raise failure(
            ExitCode.CLUSTER,
            "The embedded cluster is stopped",
            "no process of it runs; its data is kept",
            "continue with: ./careops start",
        )
    return reader(session.paths.kubeconfig)


def cluster_answers(session: Session) -> bool:
    """Return whether the platform's cluster answers now."""
    try:
        return cluster_reader(session)("/api/v1/namespaces/kube-system") is not None
    except (OperationError, ToolchainError):
        return False


def stop_cluster(session: Session, reporter: Reporter) -> None:
    """End every process of the embedded cluster; data stays."""
    with reporter.step("Stopping the embedded cluster"):
        embedded.cluster(session).stop()


def start_cluster(session: Session, reporter: Reporter) -> None:
    """Start the embedded cluster as it was."""
    embedded.cluster(session).start(reporter)


def describe_cluster(session: Session) -> tuple[str, str]:
    """Return what the cluster is doing, and what to do about it; never raises for a cluster that is just absent."""
    if not is_embedded(session):
        return f"existing, {'answers' if cluster_answers(session) else 'does not answer'}", ""
    if not session.paths.kubeconfig.is_file():
        return "not made yet", "./careops up"
    if not cluster_runs(session):
        return "embedded, stopped; data is kept", "./careops start"
    status = embedded.cluster(session).status()
    ill = [part.name for part in status.parts if part.healthy is False]
    text = f"embedded, runs on port {status.api_port}, {status.usage.memory_bytes / 1024**2:.0f} MiB"
    return (text + (f"; not well: {', '.join(ill)}" if ill else ""), "./careops up" if ill else "")


# -- programs ------------------------------------------------------------------------------------------------------


def tool_environment(session: Session) -> dict[str, str]:
    """Return the whole environment for plain pulumi and kubectl on this platform."""
    return child_environment(session) | platform_environment(session)


def platform_environment(session: Session) -> dict[str, str]:
    """Return only the variables that lead plain pulumi and kubectl to this platform; none is a secret."""
    from toolchain.pulumi import workspace

    return workspace.environment(session.paths, session.environ)


def kubectl_environment(session: Session) -> dict[str, str]:
    """Return the whole environment for kubectl on this platform's cluster."""
    return child_environment(session) | {"KUBECONFIG": str(session.paths.kubeconfig)}


def child_environment(session: Session) -> dict[str, str]:
    """Return this process's environment without what belongs to other projects."""
    return {name: value for name, value in session.environ.items() if name not in UNWANTED_VARIABLES}


def kubectl(session: Session) -> Path:
    """Return the kubectl to use: the cluster's own, else the one on PATH.

    Raises:
        OperationError: With `TOOLCHAIN`, when there is neither.
    """
    own = session.paths.bin / "kubectl"
    if own.exists():
        return own
    found = shutil.which("kubectl", path=session.environ.get("PATH", ""))
    if found:
        return Path(found)
    raise failure(
        ExitCode.TOOLCHAIN,
        "There is no kubectl",
        "it comes with the embedded cluster, and there is none on PATH",
        "start the platform (./careops up), or install kubectl",
    )


def pulumi_program(session: Session) -> Path:
    """Return the Pulumi engine in use.

    Raises:
        OperationError: With `TOOLCHAIN`, when the toolchain was not made yet.
    """
    program = session.paths.bin / "pulumi"
    if program.exists():
        return program
    raise failure(
        ExitCode.TOOLCHAIN, "The toolchain is not there yet", f"{program} does not exist", "make it: ./careops up"
    )


def become(program: Path, arguments: Sequence[str], environ: Mapping[str, str], folder: Path | None = None) -> NoReturn:
    """Replace this process by a program; its exit code becomes ours."""
    if folder is not None:
        os.chdir(folder)
    os.execve(program, [str(program), *arguments], dict(environ))  # noqa: S606 - no shell is the point


# -- up ------------------------------------------------------------------------------------------------------------


def up_parts(session: Session, chosen: ExistingCluster | None, *, refresh: bool = False) -> UpParts:
    """Return everything `up` acts through.

    Args:
        session: This invocation.
        chosen: The existing cluster to use; None for the embedded one.
        refresh: Whether every stack's state is compared with the cluster first, so that drift is mended.

    Raises:
        OperationError: With `USAGE`, when this platform is on the other kind of cluster already.
    """
    from operations import deployment, drift
    from operations.existing import ExistingPart, refuse_change_of_cluster, refuse_other_context
    from operations.refresh import links

    refuse_change_of_cluster(facts_kind(session), wants_existing=chosen is not None, state=session.paths.state)
    if chosen:
        refuse_other_context(facts_context(session), chosen.context, session.paths.state)
    cluster = ExistingPart(session, chosen) if chosen else embedded.EmbeddedPart(session)
    return UpParts(
        environments=lambda: environments(session),
        machine=lambda: machine(session),
        check_passphrase=lambda: passphrase.check(session.paths),
        lock=platform_lock(session),
        existing=lambda: deployment.existing(session),
        install_packages=lambda reporter: toolkit.install_packages(session, reporter),
        build=lambda reporter: toolkit.build(session, embedded=cluster.embedded, reporter=reporter),
        cluster=cluster,
        check_networks=lambda chosen: catalogue.refuse_own_networks(
            session.paths.root, session.paths.facts, [one.stack for one in chosen]
        ),
        deploy=lambda stack, step: links.ensure_after(
            session, stack, drift.deploy(session, stack, step, refresh=refresh)
        ),
        answers=lambda environment: login_complaint(session, environment),
        record=write_record(session.last_up),
    )


def is_lost(session: Session, stack: str) -> bool:
    """Return whether an environment's namespace is gone although it was deployed: somebody removed it by hand."""
    namespaces = {one.stack: one.namespace for one in environments(session)}
    if stack not in namespaces or stack not in deployed_stacks(session):
        return False
    return cluster_reader(session)(f"/api/v1/namespaces/{namespaces[stack]}") is None


def login_complaint(session: Session, environment: Environment) -> str | None:
    """Return what is wrong with an environment's log-in page through its edge, or None when it answers."""
    from operations.certificates import certificate_authority, edge_tls_path, read_certificate
    from operations.forward import forward_command, forwarded
    from operations.health import fetch_login, judge_certificate, wait_for_login

    secret = cluster_reader(session)(edge_tls_path(environment.namespace))
    authority = certificate_authority(secret)
    complaint = judge_certificate(read_certificate(secret), environment.host)
    if authority is None or complaint:
        return complaint or "its Secret edge-tls has no certificate authority"
    command = forward_command(kubectl(session), session.paths.kubeconfig, environment.namespace, 0)
    try:
        with forwarded(command, child_environment(session)) as forward:
            return wait_for_login(lambda: fetch_login(environment.host, forward.port, authority))
    except OperationError as error:
        return error.problems[0].why


# -- records -------------------------------------------------------------------------------------------------------


def deployed_stacks(session: Session) -> frozenset[str]:
    """Return the stacks that were deployed and not taken down since."""
    return frozenset(path.stem for path in (session.paths.state / "deployed").glob("*.json"))


def last_deployed(session: Session, stack: str) -> str | None:
    """Return when a stack was last deployed, UTC; None when unknown."""
    from operations.deployment import deployed_record

    try:
        return str(json.loads(deployed_record(session.paths.state, stack).read_text())["at"])
    except (OSError, ValueError, KeyError):
        return None


# -- open ----------------------------------------------------------------------------------------------------------


def admin_login(session: Session, environment: Environment) -> str:
    """Return the administrator's log-in name out of the environment's own Secret.

    Raises:
        OperationError: With `UNHEALTHY`, when the environment is not there.
    """
    import base64

    from infra.naming import ODOO_SECRETS

    secret = cluster_reader(session)(f"/api/v1/namespaces/{environment.namespace}/secrets/{ODOO_SECRETS}")
    encoded = (secret or {}).get("data", {}).get("admin_login")
    if not encoded:
        raise failure(
            ExitCode.UNHEALTHY,
            f"The environment {environment.stack} is not there, or not complete",
            f"its Secret {ODOO_SECRETS} does not exist yet",
            f"make it: ./careops up {environment.stack}",
        )
    return base64.b64decode(encoded).decode()


def forward_ended(environment: Environment) -> OperationError:
    """Return the error of a forward that ended by itself."""
    return failure(
        ExitCode.UNHEALTHY,
        f"The connection to {environment.stack} ended",
        "its edge was restarted or the cluster stopped",
        f"open it again: ./careops open {environment.stack}",
    )
