"""The judge of the packet matrix and its probe, without a cluster: they must fail on what they exist to find."""

from __future__ import annotations

import socket
import threading

import pytest

from tests.live.matrix import ENVIRONMENT_ROLES, POD_PORTS, Attempt, Endpoint, attempts, differences, unproved
from tests.live.packets import arguments, parsed, run_here


def end(namespace: str, role: str, number: int, **rest) -> Endpoint:
    return Endpoint(namespace=namespace, role=role, pod=f"{role}-{number}", ip=f"10.0.0.{number}", **rest)


EDGE = end("s-dev", "edge", 1)
WEB = end("s-dev", "odoo-web", 2)
PROD_DATABASE = end("s-prod", "postgresql", 3)
STRANGER = end("test", "stranger", 4)
NODE = end("-", "node", 5)
OUTSIDE = end("-", "outside", 6)
METADATA = end("-", "metadata", 7)
OPERATOR = end("cnpg-system", "operator", 8)
DNS = end("kube-system", "dns", 9)
PROD_DATABASE_SERVICE = end("s-prod", "postgresql", 10, only=("tcp/5432",))


def test_everything_open_is_reported_between_environments() -> None:
    tries = attempts([EDGE, WEB], [EDGE, WEB, PROD_DATABASE, PROD_DATABASE_SERVICE])
    found = differences(dict.fromkeys(tries, "open"))
    assert "s-dev/odoo-web → s-prod/postgresql tcp/5432 is open and must be silent" in found
    assert "s-dev/odoo-web → s-prod/postgresql (Service) tcp/5432 is open and must be silent" in found
    assert not any("s-dev/edge → s-dev/odoo-web tcp/8069" in line for line in found)


@pytest.mark.parametrize("target", [NODE, OUTSIDE, METADATA, OPERATOR], ids=lambda target: target.role)
@pytest.mark.parametrize("role", ENVIRONMENT_ROLES)
def test_everything_open_is_reported_towards_what_is_no_pod_of_an_environment(role: str, target: Endpoint) -> None:
    source = end("s-prod", role, 20)
    tries = attempts([source], [target])
    found = differences(dict.fromkeys(tries, "open"))
    api_server = role in {"postgresql", "odoo-secrets"} and target.role == "node"
    assert len(found) == len(target.ports) - api_server


def test_names_are_all_that_every_pod_may_ask_for_outside_its_namespace() -> None:
    open_ports = {
        attempt.port
        for role in ENVIRONMENT_ROLES
        for attempt in attempts([end("s-training", role, 20)], [DNS])
        if attempt.allowed()
    }
    assert open_ports == {"tcp/53", "udp/53"}


def test_the_long_poll_is_open_in_prod_and_closed_elsewhere() -> None:
    def long_poll(namespace: str) -> Attempt:
        return Attempt(source=end(namespace, "edge", 20), target=end(namespace, "odoo-web", 21), port="tcp/8072")

    assert long_poll("s-prod").allowed()
    assert differences({long_poll("s-prod"): "refused"}), "in prod somebody listens"
    assert not long_poll("s-training").allowed()


def test_a_refusal_counts_as_reached_because_a_packet_came_back() -> None:
    tried = {Attempt(source=WEB, target=PROD_DATABASE, port="tcp/5432"): "refused"}
    assert len(differences(tried)) == 1


def test_an_allowed_connection_that_nobody_takes_is_reported() -> None:
    tried = {Attempt(source=EDGE, target=WEB, port="tcp/8069"): "refused"}
    assert differences(tried) == ["s-dev/edge → s-dev/odoo-web tcp/8069 is refused and must be open"]


def test_everything_silent_is_reported_for_the_allowed_ones() -> None:
    tries = attempts([EDGE], [WEB])
    assert differences(dict.fromkeys(tries, "silent")) == [
        "s-dev/edge → s-dev/odoo-web tcp/8069 is silent and must be open"
    ]


def test_a_stranger_is_stopped_by_the_targets_alone() -> None:
    assert all(attempt.allowed() for attempt in attempts([STRANGER], [NODE, OUTSIDE, METADATA]))
    assert not any(attempt.allowed() for attempt in attempts([STRANGER], [WEB, PROD_DATABASE, OPERATOR]))


@pytest.mark.parametrize(
    ("control", "proved"), [("open", True), ("refused", False), ("silent", False), (None, False)], ids=str
)
def test_silence_of_a_listener_proves_nothing_unless_a_control_opens_it(control: str | None, proved: bool) -> None:
    tried = {Attempt(source=WEB, target=PROD_DATABASE, port="tcp/5432"): "silent"}
    controls = {Attempt(source=NODE, target=PROD_DATABASE, port="tcp/5432"): control} if control else {}
    assert (unproved(tried, controls) == []) == proved


def test_silence_of_a_closed_port_proves_nothing_unless_its_kernel_answers_a_control() -> None:
    tried = {Attempt(source=WEB, target=PROD_DATABASE, port="tcp/8069"): "silent"}
    control = Attempt(source=NODE, target=PROD_DATABASE, port="tcp/8069")
    assert unproved(tried, {control: "refused"}) == []
    assert unproved(tried, {control: "silent"}) == [
        "s-prod/postgresql tcp/8069 is silent from where it must be open or refused"
    ]


def test_one_control_that_arrives_is_enough() -> None:
    tried = {Attempt(source=WEB, target=OUTSIDE, port="tcp/443"): "silent"}
    by_node, by_stranger = (Attempt(source=s, target=OUTSIDE, port="tcp/443") for s in (NODE, STRANGER))
    assert unproved(tried, {by_node: "silent", by_stranger: "open"}) == []
    assert unproved(tried, {by_node: "open", by_stranger: "silent"}) == []


def test_every_pod_is_tried_on_every_port_that_any_pod_uses() -> None:
    tried = {attempt.port for attempt in attempts([WEB], [EDGE])}
    assert tried == set(POD_PORTS)
    assert {"tcp/5432", "tcp/8000", "tcp/8069", "tcp/8072", "tcp/9443", "udp/53"} <= tried


def test_the_probe_tells_open_from_refused_and_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as quiet:
        quiet.bind(("127.0.0.1", 0))
        with socket.create_server(("127.0.0.1", 0)) as gone:
            free = gone.getsockname()[1]
        opened, mute = server.getsockname()[1], quiet.getsockname()[1]
        wanted = {"127.0.0.1": (f"tcp/{opened}", f"tcp/{free}", f"udp/{free}", f"udp/{mute}")}
        seen = parsed(run_here(arguments(wanted, seconds=1)))
    assert seen.outcomes == {
        ("127.0.0.1", f"tcp/{opened}"): "open",
        ("127.0.0.1", f"tcp/{free}"): "refused",
        ("127.0.0.1", f"udp/{free}"): "refused",
        ("127.0.0.1", f"udp/{mute}"): "silent",
    }


def test_the_probe_takes_an_answer_on_udp_for_open() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = f"udp/{server.getsockname()[1]}"

        def answer() -> None:
            _, sender = server.recvfrom(512)
            server.sendto(b"here", sender)

        thread = threading.Thread(target=answer)
        thread.start()
        seen = parsed(run_here(arguments({"127.0.0.1": (port,)}, seconds=2)))
        thread.join()
    assert seen.outcomes == {("127.0.0.1", port): "open"}


def test_the_probe_resolves_names_and_says_which_are_unknown() -> None:
    no_name = "a" * 70  # a label of a name has 63 letters at most, so no server is asked
    seen = parsed(run_here(arguments({}, names=["localhost", no_name], seconds=1)))
    assert seen.names == {"localhost": "127.0.0.1", no_name: None}


def test_a_probe_that_says_nothing_useful_is_an_error() -> None:
    with pytest.raises(AssertionError, match="not a line of the probe"):
        parsed("Can't locate Socket.pm in @INC")
