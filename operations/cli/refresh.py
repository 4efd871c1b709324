"""`careops refresh`."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads signatures at run time
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson, NoInput, PlanOnly

if TYPE_CHECKING:
    from operations.refresh.jobs import JobState

app = typer.Typer(
    help="Fill training with masked data from prod, prove it, and undo it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Site = Annotated[str | None, typer.Option(metavar="NAME", help="The site. Default: the first one.", show_default=False)]
Confirm = Annotated[
    str | None,
    typer.Option(
        metavar="SITE/training", help="Confirm that training's data is replaced, by its identity.", show_default=False
    ),
]


def register(application: typer.Typer) -> None:
    """Add the group to the application."""
    application.add_typer(app, name="refresh")


@app.command()
def training(
    site: Site = None,
    plan_only: PlanOnly = False,
    confirm: Confirm = None,
    no_input: NoInput = False,
    as_json: AsJson = False,
) -> None:
    """Replace training's data by masked data from prod.

    Shows the plan first. Prod's data is copied into a throw-away PostgreSQL inside prod's isolation, masked while it is
    read, adopted by training's own Odoo and verified; only then it takes the place of training's database, which stays
    for `careops refresh rollback`. When anything fails, or on Ctrl-C, nothing is replaced (exit code 13, or 130).
    Refused with exit code 9 while another refresh runs, and with 2 in the hours of an approved class, in a release
    freeze, or so shortly before either that it would last into it. Its certificate says that nobody approved it; for
    one that somebody did approve, see `careops sandbox rebuild`.
    """
    import getpass

    from operations.cli.current import session
    from operations.cli.refreshing import fill, tell
    from operations.refresh.run import Asked
    from operations.refresh.sites import training_of

    current, who = session(), getpass.getuser()
    chosen = training_of(current.paths.root, site)
    asked = Asked(requested_by=who)
    outcome = fill(current, chosen, asked, plan_only=plan_only, confirm=confirm, no_input=no_input, as_json=as_json)
    if outcome:
        tell(current, chosen, outcome, as_json=as_json)


@app.command()
def status(site: Site = None, as_json: AsJson = False) -> None:
    """Show what training holds, the runs, and what is in their way.

    Those runs that the cluster still knows: the last two of each kind, what runs now, and what class hours or a freeze
    kept the schedule from starting within the last hour. A certificate that a scheduled run left in training's database
    is kept as `careops refresh training` keeps it; exit code 13 when the data has none that is genuine.
    """
    from dataclasses import asdict

    from operations.cli.current import session
    from operations.cli.output import print_json, say, table
    from operations.cli.refreshing import against_now
    from operations.refresh import plan as planning
    from operations.refresh import stored
    from operations.refresh.cluster import live_cluster
    from operations.refresh.pins import Pins, trusted
    from operations.refresh.sites import training_of

    current = session()
    chosen = training_of(current.paths.root, site)
    cluster, name = live_cluster(current), chosen.site.name
    holds, states = planning.make_plan(cluster, name), planning.all_jobs(cluster, name)
    missed, (against, _) = planning.left_out(cluster, name), against_now(current, chosen)
    schedule = chosen.site.refresh.schedule if chosen.site.refresh else None

    def certificate() -> str | None:
        folder = current.paths.state / "evidence"
        if not holds.generation:
            return None
        key = trusted(cluster, Pins(root=current.paths.root, state=current.paths.state), name)
        return str(stored.keep(cluster, name, holds.generation, folder, key))

    if as_json:
        runs = [asdict(state) | {"seconds": state.seconds} for state in states]
        base = {"schema": 1, "identity": chosen.identity, "generation": holds.generation or None, "schedule": schedule}
        more = {"against_now": against.what if against else None, "left_out": [asdict(each) for each in missed]}
        print_json({**base, "previous_bytes": holds.previous, "jobs": runs, **more, "certificate": certificate()})
        return
    made = f"data of run {holds.generation}" if holds.generation else "data that no refresh made"
    back = f"a rollback brings {planning.amount(holds.previous)} back" if holds.previous else "nothing to roll back to"
    say(f"{chosen.identity}: {made}; {back}.")
    say(f"Schedule: {f'{schedule} ({chosen.site.time_zone})' if schedule else 'none; it runs when it is asked for'}.")
    if missed:
        say(f"The schedule could not start one at {missed[0].at}: {missed[0].why}.")
    if against:
        say(f"{against.what}.")
    if states:
        table("run", "job", "state", "began", "took", "", rows=[_row(state) for state in _by_run(states)])
    else:
        say("The cluster knows no run.")
    if found := certificate():
        say(f"Certificate: {found}")


@app.command()
def rollback(site: Site = None, confirm: Confirm = None, no_input: NoInput = False, as_json: AsJson = False) -> None:
    """Put training's previous data back.

    Training's present data is kept in its place, so that a second rollback undoes the first.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.cli.progress import reporter
    from operations.cli.refreshing import require_consent, watched
    from operations.errors import failure
    from operations.exit_codes import ExitCode
    from operations.refresh import plan as planning
    from operations.refresh.cluster import live_cluster
    from operations.refresh.jobs import rollback_part
    from operations.refresh.run import Asked, Run
    from operations.refresh.sites import training_of

    current = session()
    chosen = training_of(current.paths.root, site)
    cluster, name = live_cluster(current), chosen.site.name
    with live.platform_lock(current):
        planning.refuse_unless_ready(cluster, name, rollback_part(name))
        holds = planning.make_plan(cluster, name)
        if not holds.previous:
            raise failure(
                ExitCode.USAGE,
                f"There is nothing to put back in {chosen.identity}",
                f"its PostgreSQL has no database {planning.PREVIOUS}, which a refresh leaves behind",
                "see ./careops refresh status",
            )
        now, back = planning.amount(holds.target.bytes), planning.amount(holds.previous)
        say(f"{chosen.identity} holds {now} of run {holds.generation or 'none'}; {back} would take their place.")
        require_consent(chosen.identity, confirm, "put its previous data back", no_input=no_input)
        run = Run(cluster, name, [rollback_part(name)])
        with reporter() as shown, shown.step(f"Rollback {run.name}") as step:
            outcome = watched(run, lambda: run.go(step, Asked(requested_by="")))
    if as_json:
        print_json({"schema": 1, "identity": chosen.identity, "run": outcome.run, "seconds": outcome.seconds})
    say(f"{chosen.identity} has its previous data back.")


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The certificate: the JSON file that a refresh kept.")],
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The public key of the environment that made it. Default: the pinned one of its site.",
            show_default=False,
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write it as one page for people.", show_default=False),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a refresh's certificate, offline.

    Exit code 0 only for one that was signed with a key you trust, was not changed since, has every check and says that
    all passed; else 12. Trusted are the file named with --key, or what is pinned: sites/SITE.evidence.pub.pem when you
    commit one, else the key that `careops up` saw first. Without either, a certificate whose signature holds with the
    key beside it is of an unknown signer (12): that key may have been exchanged together with it.
    """
    import json

    from operations.anonymise.page import html
    from operations.cli.current import session
    from operations.cli.output import print_json, say
    from operations.errors import failure
    from operations.exit_codes import ExitCode
    from operations.refresh import evidence
    from operations.refresh.pins import Pins

    paths = session().paths
    pin = None if key else Pins(root=paths.root, state=paths.state).for_certificate(file)
    verdict, fingerprint = evidence.check(file, key or (pin.path if pin else evidence.beside(file)))
    what = verdict.certificate
    if what and page:
        page.write_text(html(json.loads(file.read_bytes())), encoding="utf-8")
        say(f"written: {page}")
    if not verdict.good:
        raise failure(
            ExitCode.TESTS_FAILED,
            f"The certificate {file} is {verdict.outcome.value}",
            verdict.detail or "that is what its signature and content say",
            evidence.action(verdict),
        )
    if not (key or pin):
        raise failure(
            ExitCode.TESTS_FAILED,
            f"The signature of {file} holds, its signer is unknown",
            f"the key {fingerprint} lies beside it and is pinned nowhere: whoever made the file may have made the key",
            "get the key from the environment's operator, and name it: --key FILE",
        )
    if pin and what["source"].partition("/")[0] != pin.site:
        raise failure(
            ExitCode.TESTS_FAILED,
            f"The certificate {file} is of {what['source']}, but signed with the key of {pin.site}",
            f"that key is pinned in {pin.path}",
            "trust nothing in it; get the file from where the refresh kept it",
        )
    if as_json:
        print_json({"schema": 1, "good": True, "key": fingerprint, "certificate": dict(what)})
    say(f"Genuine: run {what['run']} filled {what['target']} with masked data of {what['source']} as of")
    say(f"{what['source_time']}; all {len(what['verification'])} checks passed. Approved by {what['approved_by']}.")
    say(f"Signed with the key {fingerprint}, {f'pinned in {pin.path}' if pin else 'which you named'}.")


@app.command()
def logins(site: Site = None, as_json: AsJson = False) -> None:
    """Print training's logins and passwords.

    Those of the trainers and trainees that the last refresh made; they are good until the next one.
    """
    import base64

    from infra.naming import REFRESH_LOGINS_SECRET
    from operations.cli.current import session
    from operations.cli.output import print_json, table
    from operations.errors import failure
    from operations.exit_codes import ExitCode
    from operations.refresh import logins as derived
    from operations.refresh.cluster import live_cluster
    from operations.refresh.links import SEED_OF
    from operations.refresh.plan import generation
    from operations.refresh.sites import training_of

    current = session()
    chosen = training_of(current.paths.root, site)
    cluster, roles = live_cluster(current), chosen.site.refresh.roles if chosen.site.refresh else ()
    secret = cluster.get(f"/api/v1/namespaces/{chosen.namespace}/secrets/{REFRESH_LOGINS_SECRET}")
    run = generation(cluster, chosen.site.name)
    if secret is None or not run:
        raise failure(
            ExitCode.UNHEALTHY,
            f"{chosen.identity} has no logins of a refresh",
            "its data was not made by one" if secret else f"its Secret {REFRESH_LOGINS_SECRET} is not there",
            "make them: ./careops refresh training",
        )
    seeds = secret["data"]
    found = derived.logins(roles, base64.b64decode(seeds.get(f"{SEED_OF}{run}", seeds["seed"])), run)
    if as_json:
        entries = [{"role": each.role, "login": each.name, "password": each.password} for each in found]
        print_json({"schema": 1, "identity": chosen.identity, "run": run, "logins": entries})
        return
    table("login", "password", rows=[(each.name, each.password) for each in found])


def _by_run(states: list[JobState]) -> list[JobState]:
    return sorted(states, key=lambda state: (state.started, state.run), reverse=True)


def _row(state: JobState) -> tuple[str, ...]:
    from operations.cli.progress import duration

    took = "" if state.seconds is None else duration(state.seconds)
    return (state.run, state.part.template, state.phase.value, state.started, took, state.why)
