"""The process that a benchmark of the refresh measures: it masks or verifies, and prints seconds and peak memory."""

from __future__ import annotations

import datetime
import json
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from refresh_data import KIB_PER_MIB

from operations.anonymise import canaries
from operations.anonymise.catalogue.loader import load
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.schema import read_schema
from operations.anonymise.sessions import Endpoint
from operations.anonymise.transfer import Result, Tools, transfer
from operations.anonymise.verify import kanonymity
from operations.anonymise.verify.run import Wanted, verify
from operations.anonymise.verify.structure import Pair
from tests.anonymise.support import SOCKETS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from operations.anonymise.model import Catalogue

RECOMPUTED = {
    "complete_name": "name(is_company)",
    "phone_sanitized": "phone",
    "commercial_company_name": "name(company)",
}
"""What Odoo computes again later is masked here, so that the transfer writes and indexes as much as pg_restore."""


def main() -> None:
    """Do the work that the argument describes, and print what it took as one line of JSON."""
    task = json.loads(sys.argv[1])
    works = {"mask": mask, "verify": verified}
    print(json.dumps(works[task["work"]](task)))


def mask(task: dict[str, Any]) -> dict[str, Any]:
    """Mask the source into the target."""
    done = _transfer(task, _complete(load()))
    return {"seconds": done.seconds, "rows": sum(done.rows.values()), "peak_mib": _peak()}


def verified(task: dict[str, Any]) -> dict[str, Any]:
    """Plant canaries, mask, hide who is too rare, and verify, as the program of a refresh does up to the adoption."""
    catalogue = load()
    source, target = Endpoint(conninfo=task["source"]), Endpoint(conninfo=task["target"])
    with source.connect() as connection:
        planted = canaries.plant(connection, read_schema(connection))
    done = _transfer(task, catalogue)
    with source.connect() as left, target.connect() as right:
        before, after = read_schema(left), read_schema(right)
        kanonymity.suppress(right, after, catalogue)
        pair = Pair(source=left, target=right, before=before, after=after, catalogue=catalogue)
        masking, used = _peak(), time.process_time()
        result = verify(pair, Wanted(adopted=False), planted, progress=lambda check: print(check.name, file=sys.stderr))
    return {
        "passed": result.passed,
        "findings": [f"{check.name}: {finding}" for check in result.checks for finding in check.findings],
        "could_not_run": [f"{check.name}: {check.why}" for check in result.checks if check.why],
        "check_seconds": {check.name: round(check.seconds, 2) for check in result.checks},
        "facts": {check.name: dict(check.facts) for check in result.checks if check.name == "dictionary"},
        "seconds": round(sum(check.seconds for check in result.checks), 2),
        "cpu_seconds_of_this_process": round(time.process_time() - used, 2),
        "rows": sum(done.rows.values()),
        "peak_mib": _peak(),
        "peak_mib_before": masking,
    }


def _transfer(task: dict[str, Any], catalogue: Catalogue) -> Result:
    source, target = Endpoint(conninfo=task["source"]), Endpoint(conninfo=task["target"])
    with source.connect() as connection:
        run = Run(schema=read_schema(connection), catalogue=catalogue)

    def command(argv: Sequence[str]) -> list[str]:
        start = [part.replace("PROGRAM", argv[0]) for part in task["command"]]
        return [*start, *(part.replace(task["folder"], SOCKETS) for part in argv[1:])]

    tools = Tools(folder=Path(task["folder"]), seen_as=SOCKETS, command=command)
    secrets = session_settings(RunKey(), run, datetime.datetime.now(tz=datetime.UTC).date())
    return transfer(source, target, compile_tables(run), secrets, tools)


def _complete(catalogue: Catalogue) -> Catalogue:
    columns = {table: dict(lines) for table, lines in catalogue.columns.items()}
    for column, rule in RECOMPUTED.items():
        columns["res_partner"][column] = replace(columns["res_partner"][column], rule=rule)
    return replace(catalogue, columns=columns)


def _peak() -> float:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB_PER_MIB, 1)


if __name__ == "__main__":
    main()
