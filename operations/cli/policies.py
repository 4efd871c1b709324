"""`careops policies`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from operations.cli.options import AsJson, Environments
from operations.exit_codes import ExitCode

if TYPE_CHECKING:
    from operations.checkout import Checkout
    from operations.inspection import Inspection

policies = typer.Typer(
    help="Judge what runs by the policy rules, and list the rules.", no_args_is_help=True, rich_markup_mode=None
)


def register(app: typer.Typer) -> None:
    """Add the group to the application."""
    app.add_typer(policies, name="policies")


@policies.command()
def check(environments: Environments = None, as_json: AsJson = False) -> None:
    """Judge every object in the cluster by the rules.

    Pods that the database operator made and finished jobs included. Prints what failed, could not be judged or is
    waived, then one line of totals. Exits with 7 when something mandatory failed, or could not be judged or read; with
    6 when the cluster does not answer. Changes nothing.
    """
    from operations.checkout import checkout_of
    from operations.cli.current import session
    from operations.cli.output import print_json
    from operations.inspection import inspect_platform

    current = session()
    found = inspect_platform(current, environments or [])
    if as_json:
        print_json(as_report(found, checkout_of(current.paths.root, current.environ)))
    else:
        _show(found)
    if not found.complies:
        raise typer.Exit(ExitCode.POLICY)


@policies.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """List the rules.

    Each with its level and the controls and citations it serves; docs/controls.md has the whole catalogue.
    """
    from operations.cli.output import print_json, table

    rows = rule_rows()
    if as_json:
        print_json({"schema": 1, "rules": rows})
        return
    table(
        "RULE",
        "LEVEL",
        "SEVERITY",
        "EXCEPTIONS",
        "CONTROLS",
        "HIPAA 45 CFR",
        rows=[
            (
                row["rule"],
                row["level"],
                row["severity"],
                "by waiver" if row["waivable"] else "none",
                ", ".join(row["controls"]),
                ", ".join(row["hipaa"]),
            )
            for row in rows
        ],
    )


def rule_rows() -> list[dict[str, Any]]:
    """Return every rule of the pack as plain values."""
    from policies.controls import CONTROLS
    from policies.packs import HEALTHCARE

    def cited(controls: tuple[str, ...], framework: str) -> list[str]:
        return list(dict.fromkeys(cite for control in controls for cite in getattr(CONTROLS[control], framework)))

    return [
        {
            "rule": rule.id,
            "title": rule.title,
            "level": HEALTHCARE.levels[rule.id],
            "severity": rule.severity,
            "waivable": rule.waivable,
            "controls": list(rule.controls),
        }
        | {framework: cited(rule.controls, framework) for framework in ("hipaa", "nis2", "iso27001")}
        for rule in HEALTHCARE.rules
    ]


def as_report(found: Inspection, checkout: Checkout) -> dict[str, Any]:
    """Return what `--json` prints: the result, and what makes it evidence: when, of what, by which rules.

    Args:
        found: What came of looking.
        checkout: The version of careops that looked; its commit is null where git does not tell.
    """
    from operations.inspection import NOT_READ
    from policies.packs import HEALTHCARE

    rules = {rule: {"level": HEALTHCARE.levels[rule], **counts} for rule, counts in found.by_rule.items()}
    return {
        "schema": 1,
        "judged_at": found.judged_at.isoformat(timespec="seconds"),
        "pack": HEALTHCARE.name,
        "commit": checkout.commit,
        "commit_modified": checkout.modified,
        "environments": list(found.scope.identities),
        "complies": found.complies,
        "objects": found.objects,
        "counts": dict(found.counts),
        "rules": rules,
        "items": [asdict(item) for item in found.items],
        "not_read": list(found.unread),
        "namespaces": {name: value for name, value in asdict(found.scope).items() if name != "identities"},
        "rules_without_anything_to_judge": list(found.idle),
        "kinds_left_out": dict(NOT_READ),
    }


def totals(found: Inspection) -> str:
    """Return the one line that sums up."""
    passed, *others = found.counts.items()
    counts = ", ".join((f"{passed[1]} judgements {passed[0]}", *(f"{number} {status}" for status, number in others)))
    unread = len(found.unread) + len(found.scope.missing)
    return (
        f"{found.objects} objects in {len(found.scope.judged)} namespaces: {counts}"
        + (f"; {unread} could not be read" if unread else "")
        + ("" if found.objects else "; nothing was judged")
    )


def _show(found: Inspection) -> None:
    import sys

    from operations.cli.output import say

    for item in found.items:
        heading, *rest = item.text.splitlines()
        first = f"{item.status.upper()}  {item.object}  {item.rule}"
        sys.stdout.writelines(f"{line}\n" for line in (first, f"  {heading}", *rest, ""))
    sys.stdout.writelines(f"NOT READ  {line}\n" for line in (*found.scope.missing, *found.unread))
    sys.stdout.write(totals(found) + "\n")
    if found.scope.absent:
        say(f"not deployed, so not judged: {', '.join(found.scope.absent)}")
    if found.scope.left_out:
        say(f"namespaces left out, not careops' own or not asked for: {', '.join(found.scope.left_out)}")
