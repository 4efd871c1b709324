"""Fills one environment: generates, checks, loads, and says what was made."""

from __future__ import annotations

import base64
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from operations.errors import failure
from operations.exit_codes import ExitCode
from operations.seed import guard
from operations.seed.guard import Found, Origin
from operations.seed.hospital import LARGEST, SIZES, SMALLEST, digest
from operations.seed.load import Loader
from operations.seed.tables import tables
from operations.seed.workflow import Workflow, ensure_chart

if TYPE_CHECKING:
    from collections.abc import Generator

    from operations.environments import Environment
    from operations.seed.model import Hospital
    from operations.seed.odoo import Api, Odoo
    from operations.session import Session
    from toolchain.progress import Reporter


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a run did.

    Attributes:
        created: Title -> records made by this run.
        there: Records of the seed that exist now.
        missing: Title -> model that this Odoo does not have.
        mails: Mails that Odoo queued all the same and that were cancelled.
        seconds: Title of a step -> seconds.
    """

    created: dict[str, int]
    there: int
    missing: dict[str, str]
    chart: str
    mails: int
    seconds: dict[str, float]


def patients_of(size: str) -> int:
    """Return the number of patients of a size as typed: a name, or a number.

    Raises:
        OperationError: With `USAGE`.
    """
    if size in SIZES:
        return SIZES[size]
    if size.isascii() and size.isdigit() and SMALLEST <= int(size) <= LARGEST:
        return int(size)
    raise failure(
        ExitCode.USAGE,
        f"--size is not a size: {size!r}",
        f"it is {', '.join(f'{name} ({count} patients)' for name, count in SIZES.items())}, "
        f"or a number of patients from {SMALLEST} to {LARGEST}",
        "give one of these",
    )


def plan(hospital: Hospital, identity: str) -> dict[str, Any]:
    """Return what would be made: counts by title, and the checksum of the content."""
    counts: dict[str, int] = {}
    for table in tables(hospital):
        counts[table.title] = counts.get(table.title, 0) + len(table.rows)
    return {
        "identity": identity,
        "patients": hospital.patients_wanted,
        "seed": hospital.seed,
        "digest": digest(hospital),
        "rows": counts,
        "total": sum(counts.values()),
    }


@contextlib.contextmanager
def opened(session: Session, environment: Environment) -> Generator[Odoo]:
    """Log in to an environment as its administrator, through its edge, for as long as the block runs."""
    from infra.naming import ODOO_SECRETS
    from operations import live
    from operations.certificates import certificate_authority, edge_tls_path
    from operations.forward import forward_command, forwarded
    from operations.seed.odoo import log_in

    read = live.cluster_reader(session)
    login = live.admin_login(session, environment)
    secret = read(f"/api/v1/namespaces/{environment.namespace}/secrets/{ODOO_SECRETS}") or {}
    password = base64.b64decode(secret["data"]["admin_password"]).decode()
    authority = certificate_authority(read(edge_tls_path(environment.namespace)))
    if authority is None:
        raise failure(
            ExitCode.UNHEALTHY,
            f"The environment {environment.stack} is not complete",
            "its Secret edge-tls has no certificate authority",
            f"make it: ./careops up {environment.stack}",
        )
    command = forward_command(live.kubectl(session), session.paths.kubeconfig, environment.namespace, 0)
    with forwarded(command, live.child_environment(session)) as forward:
        odoo = log_in(environment.host, forward.port, authority, login, password)
        with contextlib.closing(odoo.http):
            yield odoo


def fill(odoo: Api, hospital: Hospital, found: Found, reporter: Reporter) -> Outcome:
    """Load a hospital into a database that `guard.refuse` did not refuse.

    Args:
        odoo: The environment.
        hospital: What to load.
        found: What `guard.look` saw.
        reporter: Shows the steps.
    """
    origin = Origin(patients=hospital.patients_wanted, seed=hospital.seed)
    if found.origin is None:
        odoo.call("ir.config_parameter", "set_param", guard.ORIGIN, origin.as_text(finished=False))
    newest = odoo.call("mail.mail", "search", [], order="id desc", limit=1)
    loader, seconds = Loader(odoo), {}
    loader.open()
    with _timed(reporter, "Chart of accounts", seconds):
        chart = ensure_chart(loader)
    for table in tables(hospital):
        with _timed(reporter, f"Creating {table.title}", seconds) as step:
            loader.load(table, step.note)
    for title, act in Workflow(loader, hospital).steps():
        with _timed(reporter, title.capitalize(), seconds) as step:
            act(step.note)
    mails = _cancel_mails(odoo, newest[0] if newest else 0)
    odoo.call("ir.config_parameter", "set_param", guard.ORIGIN, origin.as_text(finished=True))
    return Outcome(
        created=loader.created,
        there=len(loader.known),
        missing=loader.missing,
        chart=chart,
        mails=mails,
        seconds=seconds,
    )


@contextlib.contextmanager
def _timed(reporter: Reporter, title: str, seconds: dict[str, float]) -> Generator[Any]:
    begin = time.monotonic()
    with reporter.step(title) as step:
        yield step
    seconds[title] = round(seconds.get(title, 0.0) + time.monotonic() - begin, 2)


def _cancel_mails(odoo: Api, newest: int) -> int:
    """Cancel every mail that was queued since; the addresses are on reserved domains, so none could have arrived."""
    queued = odoo.call("mail.mail", "search", [["id", ">", newest], ["state", "=", "outgoing"]])
    if queued:
        odoo.call("mail.mail", "cancel", queued)
    return len(queued)
