"""`careops sandbox`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson, NoInput, PlanOnly
from operations.cli.person import chosen_training, person
from operations.cli.refresh import Confirm, Site

if TYPE_CHECKING:
    from operations.sandbox.desk import Desk
    from operations.sandbox.model import Request
    from operations.sandbox.store import Store

app = typer.Typer(
    help="Ask for training with fresh data, approve, and see who has it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        envvar="CAREOPS_PERSON",
        help="Act with this person's access. Default: the platform's administrator.",
        show_default=False,
    ),
]
Id = Annotated[str, typer.Argument(metavar="ID", help="The request, as `careops sandbox list` shows it.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Why; one line, kept in the history.")]


def register(application: typer.Typer) -> None:
    """Add the group to the application."""
    app.command()(person)
    application.add_typer(app, name="sandbox")


@app.command()
def request(
    course: Annotated[str, typer.Option(metavar="NAME", help="The course.")],
    date: Annotated[str, typer.Option(metavar="DAY", help="First day, such as 2026-12-01.")],
    begins: Annotated[str, typer.Option("--from", metavar="HH:MM", help="When the class begins on each day.")],
    ends: Annotated[str, typer.Option("--to", metavar="HH:MM", help="When it ends on each day.")],
    group: Annotated[
        list[str], typer.Option(metavar="NAME=COUNT", help="Who is trained, such as sales=3; can be given again.")
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; one line, for who approves.")],
    until: Annotated[
        str | None, typer.Option(metavar="DAY", help="Last day. Default: the first.", show_default=False)
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="The release taught. Default: what training runs.", show_default=False),
    ] = None,
    site: Site = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """Ask for training with fresh data, for a class.

    Days and hours are those of the site's time zone. Refused, with every reason at once and exit code 2: what is in the
    past, too long, in a release freeze, in the hours of another approved class, or unknown to training. Exit code 14
    when you may not ask.
    """
    from operations.cli.output import print_json, say
    from operations.sandbox.decide import describe
    from operations.sandbox.wish import Wish

    wish = Wish(
        course=course,
        first_day=date,
        last_day=until,
        begins=begins,
        ends=ends,
        groups=group,
        reason=reason,
        release=release,
    )
    made = _desk(site, kubeconfig).ask(wish)
    if as_json:
        print_json(_document(made))
        return
    say(f"{made.id} is requested by {made.requester}: {made.asked.course}, {describe(made.asked)}.")
    say(f"A second person approves it: ./careops sandbox approve {made.id}")


@app.command()
def approve(name: Id, why: Why = "", site: Site = None, kubeconfig: Kubeconfig = None, as_json: AsJson = False) -> None:
    """Approve somebody else's request.

    Its hours are judged again and taken. Exit code 14 when you asked for it yourself, or are no approver; 9 when
    somebody else changed it, or another class got the hours, at the same moment.
    """
    _decided(_desk(site, kubeconfig).approve(name, why), as_json=as_json)


@app.command()
def reject(name: Id, why: Why, site: Site = None, kubeconfig: Kubeconfig = None, as_json: AsJson = False) -> None:
    """Reject somebody else's request.

    Exit code 14 when you asked for it yourself, or are no approver.
    """
    _decided(_desk(site, kubeconfig).reject(name, why), as_json=as_json)


@app.command()
def withdraw(name: Id, why: Why, site: Site = None, kubeconfig: Kubeconfig = None, as_json: AsJson = False) -> None:
    """Withdraw your request; its hours are free again.

    An approved one too; an approver may withdraw anybody's. Exit code 14 when it is not yours and you are no approver.
    """
    _decided(_desk(site, kubeconfig).withdraw(name, why), as_json=as_json)


@app.command("list")
def list_(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    site: Site = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """Show the requests, and what to do next."""
    from operations.cli.output import print_json, say, table
    from operations.sandbox.decide import next_step

    situation = _desk(site, kubeconfig).situation()
    shown = [each for each in situation.others if every or each.state in ("requested", "approved", "ready")]
    if as_json:
        from operations.sandbox.decide import is_due

        due = {each.id: is_due(each, situation.rules, situation.now) for each in shown}
        requests = [each.as_json() | {"due": due[each.id]} for each in shown]
        print_json({"schema": 1, "requests": requests, "unreadable": dict(situation.unreadable)})
        return
    for name, wrong in situation.unreadable.items():
        say(f"{name} was not made by careops and takes no hours: {wrong}. An administrator removes it:")
        say(f"  ./careops kubectl -n {chosen_training(site).namespace} delete sandboxrequest {name}")
    if not shown:
        say("No requests." if every else "No open requests. Those that are over: ./careops sandbox list --all")
        return
    table(
        "id",
        "course",
        "days",
        "hours",
        "groups",
        "state",
        "asked by",
        "next",
        rows=[(*_row(each), next_step(each, situation)) for each in shown],
    )


@app.command()
def show(name: Id, site: Site = None, kubeconfig: Kubeconfig = None, as_json: AsJson = False) -> None:
    """Show one request with its history: who did what, when and why."""
    from zoneinfo import ZoneInfo

    from operations.cli.output import print_json, say, table
    from operations.sandbox.decide import describe

    found = _store(site, kubeconfig).one(name)
    if as_json:
        print_json(_document(found))
        return
    say(f"{found.id}: {found.asked.course}, {describe(found.asked)}; release {found.asked.release}; {_groups(found)}.")
    zone = ZoneInfo(found.asked.time_zone)
    rows = [
        (f"{entry.when.astimezone(zone):%Y-%m-%d %H:%M}", entry.state, entry.who, entry.why, entry.run)
        for entry in found.history
    ]
    table(f"when ({zone.key})", "state", "who", "why", "refresh", rows=rows)


@app.command()
def calendar(
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it, such as t.ics.")],
    site: Site = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
) -> None:
    """Write approved classes and release freezes as an iCalendar file.

    Calendar programs take it in again and again: a class keeps its identity, a changed one replaces what they have, a
    withdrawn one is there as cancelled.
    """
    from operations.cli.output import print_json, say
    from operations.sandbox.calendar import calendar as made

    chosen = chosen_training(site)
    situation = _desk(site, kubeconfig).situation()
    content = made(chosen.site.name, situation.others, situation.rules, situation.now)
    output.write_bytes(content)
    events = content.count(b"BEGIN:VEVENT")
    if as_json:
        print_json({"schema": 1, "file": str(output), "events": events})
    else:
        say(f"{output}: {events} events, one for each day of a class and for each release freeze.")


@app.command()
def expire(site: Site = None, kubeconfig: Kubeconfig = None, as_json: AsJson = False) -> None:
    """Mark the requests whose time is over.

    A sandbox expires some days after its last class (sandbox.keep_days of the site's settings); a request that nobody
    approved when its class begins. Run it from a timer, or by hand. Exit code 14 for who is no approver.
    """
    from operations.cli.output import print_json, say

    ended = _desk(site, kubeconfig).expire()
    if as_json:
        print_json({"schema": 1, "expired": [each.as_json() for each in ended]})
        return
    for each in ended:
        say(f"{each.id} ({each.asked.course}) is expired: {each.history[-1].why}.")
    if any(entry.state == "ready" for each in ended for entry in each.history):
        say("Its logins work until the next refresh: ./careops sandbox rebuild the next one, or")
        say("./careops refresh training, which changes every login.")
    if not ended:
        say("Nothing to expire.")


@app.command()
def rebuild(
    name: Id,
    site: Site = None,
    plan_only: PlanOnly = False,
    confirm: Confirm = None,
    no_input: NoInput = False,
    as_json: AsJson = False,
) -> None:
    """Refresh training for an approved request.

    As `careops refresh training` does it, with the administrator's rights; its certificate says who asked and who
    approved. Refused in a release freeze, in another class's hours, and while another class comes first (exit code 2).
    When it fails, training and the request are as they were (13).
    """
    from operations.cli.current import session
    from operations.cli.output import print_json
    from operations.cli.refreshing import fill, tell
    from operations.refresh.run import Asked

    current, chosen, desk = session(), chosen_training(site), _desk(site, None)
    wanted = desk.to_rebuild(name)
    approved = wanted.approval.who if wanted.approval else ""
    asked = Asked(requested_by=wanted.requester, approved_by=approved, request=wanted.id)
    outcome = fill(current, chosen, asked, plan_only=plan_only, confirm=confirm, no_input=no_input, as_json=as_json)
    if outcome is None:
        return
    # The certificate first: it must not be lost when the request was withdrawn meanwhile.
    tell(current, chosen, outcome, as_json=False)
    ready = desk.ready(name, outcome.run)
    if as_json:
        print_json(_document(ready))


def _store(site: str | None, kubeconfig: Path | None) -> Store:
    """Return the requests of a site's training, with the access of who acts."""
    from operations.cli.current import session
    from operations.sandbox import access
    from operations.sandbox.store import Store

    return Store(access.api(session(), kubeconfig), chosen_training(site).namespace)


def _desk(site: str | None, kubeconfig: Path | None) -> Desk:
    from operations.sandbox.desk import Desk

    return Desk(_store(site, kubeconfig))


def _decided(request: Request, *, as_json: bool) -> None:
    from operations.cli.output import print_json, say
    from operations.sandbox.decide import describe

    if as_json:
        print_json(_document(request))
        return
    last = request.history[-1]
    say(f"{request.id} is {last.state} by {last.who}: {request.asked.course}, {describe(request.asked)}.")
    if last.state == "approved":
        say(f"Before the class the operator gives it fresh data: ./careops sandbox rebuild {request.id}")


def _document(request: Request) -> dict[str, object]:
    return {"schema": 1, "request": request.as_json()}


def _groups(request: Request) -> str:
    return ", ".join(f"{role} {count}" for role, count in sorted(request.asked.trainees.items()))


def _row(request: Request) -> tuple[str, ...]:
    asked = request.asked
    days = " to ".join(dict.fromkeys((str(asked.first_day), str(asked.last_day))))
    hours = f"{asked.begins}-{asked.ends}"
    return (request.id, asked.course, days, hours, _groups(request), request.state, request.requester)
