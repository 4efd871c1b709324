"""`careops open`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from operations.cli.options import AsJson, OneEnvironment

if TYPE_CHECKING:
    from operations.environments import Environment


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("open")(open_environment)


def open_environment(
    environment: OneEnvironment,
    port: Annotated[
        str | None,
        typer.Option(
            metavar="PORT",
            help="Port on 127.0.0.1. Default: dev 8441, test 8442, training 8443, prod 8444.",
            show_default=False,
        ),
    ] = None,
    only_print: Annotated[
        bool, typer.Option("--print", help="Only print the address and where the login is; open nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Open an environment on this machine.

    Forwards its edge to 127.0.0.1 until Ctrl-C. Shows the address, the login name, and the command that reads
    the password. The password itself is never printed.
    """
    from operations import live
    from operations.cli.current import session
    from operations.cli.output import say
    from operations.environments import choose_one
    from operations.forward import forward_command, forwarded, refuse_taken_port
    from operations.session import parse_port

    current = session()
    chosen = choose_one(live.environments(current), environment)
    local = parse_port(port, "--port") if port else chosen.port
    if only_print:
        _tell(access(chosen, local, live.admin_login(current, chosen)), as_json=as_json)
        return
    refuse_taken_port(local)
    login = live.admin_login(current, chosen)
    command = forward_command(live.kubectl(current), current.paths.kubeconfig, chosen.namespace, local)
    with forwarded(command, current.environ) as forward:
        _tell(access(chosen, local, login), as_json=as_json)
        say("\nCtrl-C ends it.")
        try:
            forward.process.wait()
        except KeyboardInterrupt:
            say("closed.")
            return
    raise live.forward_ended(chosen)


def access(environment: Environment, port: int, login: str) -> dict[str, str]:
    """Return how to get in: address, login name, and the commands that read the password and the authority."""
    from infra.naming import EDGE_TLS, ODOO_SECRETS

    def secret(name: str, key: str) -> str:
        path = key.replace(".", "\\.")
        return (
            f"./careops kubectl -n {environment.namespace} get secret {name} -o jsonpath='{{.data.{path}}}' | base64 -d"
        )

    return {
        "name": environment.stack,
        "url": environment.url(port),
        "login": login,
        "password_command": secret(ODOO_SECRETS, "admin_password"),
        "authority_command": secret(EDGE_TLS, "ca.crt"),
    }


def _tell(found: dict[str, str], *, as_json: bool) -> None:
    from operations.cli.output import data, print_json

    if as_json:
        print_json({"schema": 1, **found})
        return
    out = data()
    out.print(f"URL       {found['url']}", markup=False)
    out.print(f"login     {found['login']}", markup=False)
    out.print(f"password  {found['password_command']}", markup=False, soft_wrap=True)
    out.print(f"authority {found['authority_command']}", markup=False, soft_wrap=True)
    out.print("          (import it in the browser, or accept the warning: the certificate is the environment's own)")
    host = found["url"].removeprefix("https://").partition(":")[0]
    out.print(f"If a program does not find {host}, write into /etc/hosts: 127.0.0.1 {host}", markup=False)
