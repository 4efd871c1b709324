"""What `careops refresh training` and `careops sandbox rebuild` share: the plan, the consent, the run, its outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from infra.settings import StackSettings
    from operations.errors import Problem
    from operations.refresh.cluster import Cluster
    from operations.refresh.plan import Plan
    from operations.refresh.run import Asked, Outcome, Run
    from operations.session import Session
    from toolchain.progress import Reporter


def fill(
    current: Session,
    chosen: StackSettings,
    asked: Asked,
    *,
    plan_only: bool = False,
    confirm: str | None = None,
    no_input: bool = False,
    as_json: bool = False,
) -> Outcome | None:
    """Show the plan, ask, and replace training's data; return what came of it, None for the plan alone."""
    from operations import live
    from operations.cli.output import print_json
    from operations.cli.progress import reporter
    from operations.refresh import plan as planning
    from operations.refresh.cluster import live_cluster
    from operations.refresh.declared import refuse_unknown

    cluster, name = live_cluster(current), chosen.site.name
    refuse_unknown(current.paths.root, chosen.site)
    with live.platform_lock(current):
        planning.refuse_unless_ready(cluster, name)
        plan = planning.make_plan(cluster, name, planning.records(_records(current)))
        planning.refuse_without_room(plan, chosen)
        refuse_closed(current, chosen, plan, asked)
        if plan_only and as_json:
            print_json(plan.as_json())
            return None
        if not as_json:
            _show_plan(plan)
        if plan_only:
            return None
        require_consent(chosen.identity, confirm, "replace its data by masked data from prod", no_input=no_input)
        with reporter() as shown:
            return _carry_out(current, cluster, chosen, plan, asked, shown)


def refuse_closed(current: Session, chosen: StackSettings, plan: Plan, asked: Asked) -> Asked:
    """Return who wants the run, with when it has to have ended: class hours or a freeze begin then.

    Raises:
        OperationError: With `USAGE` in class hours or a freeze, or so shortly before that the run would last into them.
    """
    import dataclasses

    from operations.errors import OperationError
    from operations.exit_codes import ExitCode

    problem, until = against_now(current, chosen, plan.seconds, asked.request)
    if problem:
        raise OperationError(ExitCode.USAGE, problem)
    return dataclasses.replace(asked, until=until)


def against_now(
    current: Session, chosen: StackSettings, seconds: float | None = None, own_id: str = ""
) -> tuple[Problem | None, datetime | None]:
    """Return what stands against a refresh now, and when the next class hours or freeze begin.

    Args:
        current: This invocation.
        chosen: Training's stack.
        seconds: How long a run may take; None when nobody knows.
        own_id: The request that it is for.
    """
    from zoneinfo import ZoneInfo

    from operations.sandbox import access, closed
    from operations.sandbox.store import Store

    now, store = closed.this_moment(), Store(access.api(current, None), chosen.namespace)
    times = closed.read(store, chosen, now, own_id)
    zone = ZoneInfo(chosen.site.time_zone)
    return closed.refusal(times, zone, now, seconds), closed.begins_next(times, now)


def _carry_out(
    current: Session, cluster: Cluster, chosen: StackSettings, plan: Plan, asked: Asked, shown: Reporter
) -> Outcome:
    from datetime import UTC, datetime

    from operations.refresh import links
    from operations.refresh.pins import Pins, ensure_links
    from operations.refresh.run import Run, keep, wait_for_roles

    name = chosen.site.name
    run = Run(cluster, name)
    with shown.step("Secrets between the parts") as step:
        pins = Pins(root=current.paths.root, state=current.paths.state)
        changes, _ = ensure_links(cluster, pins, name, links.site_catalogue(current.paths.root, name))
        links.renew_seed(cluster, name, plan.generation, run.name)
        step.note(", ".join(f"{change.name} {change.verb}" for change in changes) or "all there")
    with shown.step("Roles in both databases") as step:
        wait_for_roles(cluster, name, step)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    # Once more: the question may have been answered an hour later, and somebody may have approved a class since.
    bounded = refuse_closed(current, chosen, plan, asked)
    with shown.step(f"Refresh {run.name}") as step:
        outcome = watched(run, lambda: run.go(step, bounded))
    keep(_records(current), name, outcome, started, plan.source.bytes)
    return run.with_certificate(outcome)


def watched(run: Run, go: Callable[[], Outcome]) -> Outcome:
    """Run to the end; on Ctrl-C, when the jobs are deleted already, say what training holds."""
    from operations.errors import failure
    from operations.exit_codes import ExitCode

    try:
        return go()
    except KeyboardInterrupt:
        holds = {
            True: "training's data was swapped already",
            False: "nothing was swapped: training is as it was",
            None: "what training holds is not known: its database does not answer",
        }
        raise failure(
            ExitCode.INTERRUPTED,
            f"The run {run.name} was interrupted; its jobs are deleted",
            holds[run.swapped()],
            "see what there is: ./careops refresh status; start a new run when you like",
        ) from None


def tell(current: Session, chosen: StackSettings, outcome: Outcome, *, as_json: bool) -> None:
    """Keep the certificate of a refresh, and say what came of it."""
    from operations.cli.output import print_json, say
    from operations.cli.progress import duration
    from operations.refresh import evidence
    from operations.refresh.cluster import live_cluster
    from operations.refresh.pins import Pins, trusted

    folder, name = current.paths.state / "evidence", chosen.site.name
    key = trusted(live_cluster(current), Pins(root=current.paths.root, state=current.paths.state), name)
    path = evidence.keep(folder, name, outcome.run, outcome.certificate, key)
    if as_json:
        parts = {"run": outcome.run, "seconds": outcome.seconds, "parts": dict(outcome.parts)}
        print_json({"schema": 1, "identity": chosen.identity, **parts, "certificate": str(path)})
    say(f"{chosen.identity} is refreshed (run {outcome.run}) in {duration(outcome.seconds)}.")
    for template, seconds in outcome.parts.items():
        say(f"  {template:<15} {duration(seconds)}")
    say(f"  certificate     {path}, and as a page: {path.with_suffix('.html').name}")
    say("  ./careops refresh verify FILE   checks it, without the cluster")
    say("  ./careops refresh logins        who can log in to training now")
    say("  ./careops refresh rollback      puts the previous data back")


def _show_plan(plan: Plan) -> None:
    from operations.cli.output import say, table
    from operations.cli.progress import duration
    from operations.refresh.plan import amount

    sides = (plan.source, plan.target)
    table(
        "",
        "from",
        "replaces",
        rows=[
            ("environment", *(side.identity for side in sides)),
            ("release", *(side.release or "unknown" for side in sides)),
            ("database", *(amount(side.bytes) for side in sides)),
            ("files", *(f"{side.files} ({amount(side.file_bytes)})" for side in sides)),
            ("data of", "the moment the run starts", f"run {plan.generation}" if plan.generation else "no refresh"),
        ],
    )
    if plan.source.release != plan.target.release:
        say("The releases differ: training's Odoo updates the modules after masking; an older one refuses.")
    if plan.previous:
        say(f"Dropped: the database that a rollback would bring back now ({amount(plan.previous)}).")
    say("Prod's files do not travel: placeholders of the same kind and size take their place.")
    took = f"about {duration(plan.seconds)}, by run {plan.last}" if plan.seconds else "unknown, there was no run before"
    say(f"Duration: {took}.")


def require_consent(identity: str, confirm: str | None, what: str, *, no_input: bool) -> None:
    """Return only when the environment was named by its identity.

    Raises:
        OperationError: With `NOT_CONFIRMED`.
    """
    import sys

    from operations.cli import ask
    from operations.errors import failure
    from operations.exit_codes import ExitCode

    if confirm == identity:
        return
    if confirm is None and ask.may_ask(no_input=no_input):
        sys.stderr.write(f"Type the identity of the environment to {what} ({identity}): ")
        sys.stderr.flush()
        if sys.stdin.readline().strip() == identity:
            return
    raise failure(
        ExitCode.NOT_CONFIRMED,
        f"Not confirmed; {identity} is as it was",
        f"--confirm says {confirm}" if confirm else "what people did in it is replaced, so it is asked for by name",
        f"if you mean it: --confirm {identity}",
    )


def _records(current: Session) -> Path:
    return current.paths.state / "refresh"
