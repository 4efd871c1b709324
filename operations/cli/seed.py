"""`careops seed`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads signatures at run time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from operations.cli.options import AsJson, NoInput, OneEnvironment, PlanOnly, Yes

if TYPE_CHECKING:
    from operations.environments import Environment
    from operations.seed.model import Hospital
    from operations.seed.run import Outcome
    from operations.session import Session


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command()(seed)


def seed(
    environment: OneEnvironment,
    size: Annotated[
        str,
        typer.Option(
            metavar="SIZE", help="small (200 patients), medium (2000), large (10000), or a number of patients."
        ),
    ] = "small",
    number: Annotated[
        int, typer.Option("--seed", min=0, metavar="N", help="The same size and seed always give the same hospital.")
    ] = 1,
    confirm: Annotated[
        str | None,
        typer.Option(metavar="SITE/ENV", help="Confirm the environment by its identity, such as riverside/prod."),
    ] = None,
    planted: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Write every personal value that is planted to this file, for its owner only."
        ),
    ] = None,
    plan_only: PlanOnly = False,
    yes: Yes = False,
    no_input: NoInput = False,
    as_json: AsJson = False,
) -> None:
    """Fill a new environment with a generated hospital company.

    Patients, staff, vendors, orders, invoices, payments, stock, projects, appointments, chatter and files, through
    Odoo's own API. All people are made up; mail addresses and telephone numbers belong to nobody, and no mail is sent.
    Refuses an environment that holds other data. Interrupted, it continues when it is run again.
    On two busy processors small takes two minutes and medium a quarter of an hour; payments take most of it.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.environments import choose_one
    from operations.seed.hospital import generate
    from operations.seed.run import patients_of, plan

    current = session()
    chosen = choose_one(live.environments(current), environment)
    hospital = generate(patients_of(size), number)
    planned = plan(hospital, chosen.identity)
    if plan_only:
        print_json({"schema": 1, **planned}) if as_json else _show(planned)
        return
    _require_consent(chosen, confirm, yes=yes, no_input=no_input)
    with live.platform_lock(current):
        outcome = _fill(current, chosen, hospital, planted)
    if as_json:
        print_json({"schema": 1, **planned, **_as_json(outcome)})
        return
    _tell(outcome)
    say(f"{chosen.identity} is filled: {outcome.there} records. Look at it: ./careops open {chosen.stack}")


def _fill(current: Session, chosen: Environment, hospital: Hospital, planted: Path | None) -> Outcome:
    """Check the environment, write the list of planted values, load."""
    from operations.cli.progress import reporter
    from operations.seed import guard, run
    from operations.seed.planted import document, write

    wanted = guard.Origin(patients=hospital.patients_wanted, seed=hospital.seed)
    with reporter() as shown, run.opened(current, chosen) as odoo:
        with shown.step("Looking at the environment") as step:
            found = guard.look(odoo)
            guard.refuse(found, wanted, chosen.identity)
            step.note("continues an earlier run" if found.origin else "new")
        if planted:  # before anything is planted: a run that is interrupted leaves a list that covers it
            _write(lambda: write(planted, document(hospital, chosen.identity)), planted)
        return run.fill(odoo, hospital, found, shown)


def _write(act: Any, path: Path) -> None:  # noqa: ANN401 - a function without arguments
    from operations.errors import failure
    from operations.exit_codes import ExitCode

    try:
        act()
    except OSError as error:
        raise failure(
            ExitCode.MACHINE_UNFIT,
            f"The list of planted values cannot be written to {path}",
            str(error.strerror or error),
            "choose another file: --planted FILE; nothing was planted yet",
        ) from error


def _require_consent(chosen: Environment, confirm: str | None, *, yes: bool, no_input: bool) -> None:
    """Return only when the environment was named by its identity; a yes is enough where data can be made again.

    Raises:
        OperationError: With `NOT_CONFIRMED`.
    """
    from operations.cli import ask
    from operations.errors import failure
    from operations.exit_codes import ExitCode

    if confirm == chosen.identity:
        return
    if confirm is None and not chosen.holds_data:
        ask.agreed(f"Fill {chosen.identity} with generated data", yes=yes, no_input=no_input)
        return
    if confirm is None and ask.may_ask(no_input=no_input) and _typed_identity(chosen.identity):
        return
    raise failure(
        ExitCode.NOT_CONFIRMED,
        f"Not confirmed; nothing was written to {chosen.identity}",
        f"--confirm says {confirm}"
        if confirm
        else "generated data cannot be taken out of it again, so it is asked for by name",
        f"if you mean it: --confirm {chosen.identity}",
    )


def _typed_identity(identity: str) -> bool:
    import sys

    sys.stderr.write(f"Type the identity of the environment to fill it with generated data ({identity}): ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == identity


def _show(planned: dict[str, Any]) -> None:
    from operations.cli.output import say, table

    say(f"{planned['identity']} would get {planned['patients']} patients of seed {planned['seed']}:")
    table("what", "records", rows=[(title, str(count)) for title, count in planned["rows"].items()])
    say(f"{planned['total']} records; the orders among them are confirmed, delivered, invoiced and paid afterwards.")


def _tell(outcome: Outcome) -> None:
    from operations.cli.output import say, table

    table("made now", "records", rows=[(title, str(count)) for title, count in outcome.created.items()])
    for title, model in outcome.missing.items():
        say(f"left out: {title}; this Odoo has no {model}")
    if outcome.mails:
        say(f"{outcome.mails} mails that Odoo had queued were cancelled")


def _as_json(outcome: Outcome) -> dict[str, Any]:
    return {
        "created": outcome.created,
        "there": outcome.there,
        "missing": outcome.missing,
        "chart": outcome.chart,
        "mails_cancelled": outcome.mails,
        "seconds": outcome.seconds,
    }
