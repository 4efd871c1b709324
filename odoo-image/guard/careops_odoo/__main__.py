"""The command `careops-odoo`: everything a container of the Odoo image can be asked to do."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import signal
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from . import configuration, identity, login
from . import settings as pod_settings
from .adopt_marks import DATABASE
from .database import read_content
from .errors import CommandError, NotYet, Unavailable
from .fence import GENERATION, MAIN_PROCESS
from .kubernetes import Api
from .migrate import Migration, Places
from .programs import SERVER, Programs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .adopt import Adoption
    from .settings import Pod

WAIT_VARIABLE, WAIT_SECONDS = "CAREOPS_WAIT_SECONDS", "900"
"""How long web and cron wait for the database and its migration before they end, to be started again."""


def main(argv: list[str] | None = None) -> int:
    """Run a sub-command and return its exit status.

    Returns:
        0 well; 1 a step failed and was undone; 69 database or API unreachable; 75 waited in vain; 78 another
        environment's data or impossible settings.
    """
    parser = argparse.ArgumentParser(prog="careops-odoo", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (help_text, _) in COMMANDS.items():
        known = commands.add_parser(name, help=help_text)
        if name == "adopt":
            known.add_argument("--rollback", action="store_true", help="put the previous training database back")
    parsed = parser.parse_args(argv)
    command: str = parsed.command
    act = _rollback if getattr(parsed, "rollback", False) else COMMANDS[command][1]
    # A stopped pod's migration ends as an exception does: what it runs is ended, its copy is found by the next run.
    signal.signal(signal.SIGTERM, _stop)
    try:
        act()
    except CommandError as error:
        say(f"{command}: {error}")
        return error.code
    return 0


def say(text: str) -> None:
    """Write to the container's log; each line says whose it is, so that a reader can leave out all others."""
    print("\n".join(f"careops-odoo: {line}" for line in text.splitlines() or [""]), file=sys.stderr, flush=True)


def _stop(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


def guard(*, wait: bool = False) -> Pod:
    """Check that database, filestore and secret are this environment's.

    Args:
        wait: Wait for the database to be reachable and migrated to this image; otherwise an empty one is all right.

    Raises:
        Refused: One belongs to another environment.
        NotYet: Waited in vain.
    """
    pod = pod_settings.read_pod(os.environ)
    secrets = pod_settings.read_secrets()
    identity.check(identity.secret_mark(secrets.identity), pod.identity)
    identity.check(identity.filestore_mark(pod_settings.DATA_FOLDER), pod.identity)
    deadline = time.monotonic() + float(os.environ.get(WAIT_VARIABLE, WAIT_SECONDS)) if wait else 0.0
    image = pod_settings.image_modules()
    last = ""
    while True:
        why = _state(pod, image)
        if why is None or (not wait and not why.unreachable):
            identity.check(identity.filestore_mark(pod_settings.DATA_FOLDER), pod.identity)
            say(f"guard: database, filestore and secret belong to {pod.identity}")
            return pod
        if time.monotonic() >= deadline:
            error = Unavailable if why.unreachable and not wait else NotYet
            raise error(f"{pod.database} is not ready", why=why.text, action="see the migration job's log")
        if why.text != last:
            say(f"guard: waiting: {why.text}")
            last = why.text
        time.sleep(2)


class _Reason:
    """Why a database cannot be used yet."""

    def __init__(self, text: str, *, unreachable: bool = False) -> None:
        self.text = text
        self.unreachable = unreachable


def _state(pod: Pod, image: dict[str, str]) -> _Reason | None:
    try:
        content = read_content(pod, pod.database)
    except Unavailable as error:
        return _Reason(error.why, unreachable=True)
    identity.check(content.mark, pod.identity)
    if content.empty:
        return _Reason("it is empty: the first migration has not ended")
    behind = sorted(name for name in content.installed if content.checksums.get(name) != image.get(name))
    if behind:
        # Code and database must fit: old code on a migrated database, or the reverse, breaks records.
        return _Reason(f"its modules differ from this image's: {', '.join(behind[:5])}")
    return None


def _serve(role: configuration.Role) -> Callable[[], None]:
    def run() -> None:
        pod = guard(wait=True)
        settings = pod_settings.read_settings()
        conf = pod_settings.RUN_FOLDER / "odoo.conf"
        _write_conf(conf, pod, settings, role)
        say(f"{role}: {configuration.summary(settings)}")
        # The process keeps its number: its end is the container's.
        generation = read_content(pod, pod.database).generation or ""
        environ = {**os.environ, MAIN_PROCESS: str(os.getpid()), GENERATION: generation}
        os.execve(SERVER, [SERVER, "server", "-c", str(conf)], environ)  # noqa: S606 - an argument list; no shell

    return run


def _write_conf(conf: Path, pod: Pod, settings: pod_settings.Settings, role: configuration.Role) -> None:
    master = configuration.hash_password(pod_settings.read_secrets().master_password)
    configuration.write(conf, configuration.render(pod_settings.SHARE, pod, settings, master, role))


def _guard_only() -> None:
    guard()


def _migrate() -> None:
    pod = pod_settings.read_pod(os.environ)
    settings, secrets = pod_settings.read_settings(), pod_settings.read_secrets()
    conf = pod_settings.RUN_FOLDER / "migrate.conf"
    _write_conf(conf, pod, settings, "migrate")
    started = time.monotonic()

    def step(text: str) -> None:
        say(f"migrate: [{time.monotonic() - started:6.1f} s] {text}")

    places = Places(data=pod_settings.DATA_FOLDER, baseline=pod_settings.BASELINE_FOLDER, share=pod_settings.SHARE)
    migration = Migration(
        pod=pod, settings=settings, secrets=secrets, places=places, programs=Programs(pod, conf), step=step
    )
    migration.run()
    login.keep(pod, secrets, login.read_serial(), step)
    step("done")


def _adoption(*, logins: bool) -> Adoption:
    from .adopt import Adoption  # noqa: PLC0415 - training alone adopts
    from .adopt_settings import read_run, target  # noqa: PLC0415 - as above

    pod = pod_settings.read_pod(os.environ)
    run = read_run(os.environ, pod, logins=logins)
    mine, variables = target(os.environ, pod)
    os.environ.update(variables)
    settings = pod_settings.read_settings()
    conf = pod_settings.RUN_FOLDER / "adopt.conf"
    _write_conf(conf, dataclasses.replace(mine, database=DATABASE), settings, "migrate")
    started = time.monotonic()

    def step(text: str) -> None:
        say(f"adopt: [{time.monotonic() - started:6.1f} s] {text}")

    return Adoption(
        pod=pod,
        mine=mine,
        run=run,
        settings=settings,
        secrets=pod_settings.read_secrets(),
        places=Places(data=pod_settings.DATA_FOLDER, baseline=pod_settings.BASELINE_FOLDER, share=pod_settings.SHARE),
        programs=Programs(
            mine,
            conf,
            env={"PGOPTIONS": f"-c role={pod.user} -c synchronous_commit=off"},
            untouched="training is as it was; correct the cause and start a new run",
            say=lambda line: say(f"adopt: odoo: {line}"),
        ),
        step=step,
    )


def _adopt() -> None:
    from .adopt_faults import told  # noqa: PLC0415 - training alone adopts

    with told():
        adoption = _adoption(logins=True)
        certificate = adoption.go()
    adoption.step("done")
    lines = ("-----BEGIN CAREOPS CERTIFICATE-----", json.dumps(dict(certificate)), "-----END CAREOPS CERTIFICATE-----")
    print("\n".join(lines), file=sys.stderr, flush=True)


def _rollback() -> None:
    from .adopt_faults import told  # noqa: PLC0415 - as above

    with told():
        adoption = _adoption(logins=False)
        adoption.back()
    adoption.step("done")


def _secrets() -> None:
    from .secret_maker import make_missing  # noqa: PLC0415 - loads cryptography, which nothing else needs

    api = Api.from_pod(os.environ)
    site, environment = os.environ.get("CAREOPS_SITE", ""), os.environ.get("CAREOPS_ENVIRONMENT", "")
    variables = ("CAREOPS_SITE", "CAREOPS_ENVIRONMENT", "CAREOPS_EDGE_NAMES")
    if unset := [name for name in variables if not os.environ.get(name)]:
        raise pod_settings.Refused(
            "the pod's environment cannot be used", why=f"{', '.join(unset)} not set", action="set all of them"
        )
    labels = {
        "app.kubernetes.io/part-of": "careops",
        "app.kubernetes.io/managed-by": "careops-odoo",
        "careops.io/site": site,
        "careops.io/environment": environment,
    }
    names = tuple(name for name in os.environ.get("CAREOPS_EDGE_NAMES", "").split(",") if name)
    make_missing(api, identity=f"{site}/{environment}", names=names, labels=labels, say=say)


def _mail_sink() -> None:
    from .mailsink import serve  # noqa: PLC0415 - only this command listens

    serve()


COMMANDS: dict[str, tuple[str, Callable[[], None]]] = {
    "web": ("serve HTTP (8069, and 8072 for long-poll when workers fit)", _serve("web")),
    "cron": ("run scheduled actions only", _serve("cron")),
    "migrate": ("restore the baseline into an empty database, or install and update modules", _migrate),
    "adopt": ("make a masked database this environment's own, and swap it in once it is verified", _adopt),
    "guard": ("check that database, filestore and secret belong to this environment", _guard_only),
    "secrets": ("make this environment's Secrets where they are missing, renew the edge's certificate", _secrets),
    "mail-sink": ("take mail on 1025 and deliver none; health on 8025", _mail_sink),
}

if __name__ == "__main__":
    sys.exit(main())
