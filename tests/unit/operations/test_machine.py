from __future__ import annotations

import os
import socket

from operations import embedded
from operations.machine import CACHE_BYTES, GIB, LINK_MEMORY, PLATFORM_MEMORY, STATE_BYTES, Machine, judge, requirements
from operations.session import open_session


def four(make_environment):
    return [make_environment(name) for name in ("dev", "test", "training", "prod")]


def test_a_first_up_needs_room_for_builds_and_for_all_four_environments(make_environment, make_host):
    wanted = requirements(Machine(host=make_host()), four(make_environment))
    assert (wanted.cache_bytes, wanted.state_bytes) == (CACHE_BYTES, STATE_BYTES)
    assert wanted.memory_bytes == PLATFORM_MEMORY + 4 * GIB


def test_one_environment_needs_less_but_never_less_than_the_largest_build(make_environment, make_host):
    wanted = requirements(Machine(host=make_host()), [make_environment("dev")])
    assert wanted.memory_bytes == LINK_MEMORY
    assert wanted.state_bytes == STATE_BYTES // 4


def test_what_runs_already_asks_for_nothing_more(make_environment, make_host):
    everything = frozenset({"dev", "test", "training", "prod"})
    machine = Machine(host=make_host(), built=True, running=True, deployed=everything)
    wanted = requirements(machine, four(make_environment))
    assert (wanted.cache_bytes, wanted.state_bytes, wanted.memory_bytes) == (0, 0, 0)
    low = Machine(
        host=make_host(state_free_bytes=GIB, memory_available_bytes=GIB),
        built=True,
        running=True,
        deployed=everything,
    )
    assert judge(low, four(make_environment)) == ()


def test_a_stopped_platform_needs_its_memory_again(make_environment, make_host):
    machine = Machine(host=make_host(), built=True, running=False, deployed=frozenset({"dev"}))
    assert requirements(machine, [make_environment("dev")]).memory_bytes == PLATFORM_MEMORY + GIB


def test_a_further_environment_on_a_running_platform_needs_only_its_own(make_environment, make_host):
    machine = Machine(host=make_host(), built=True, running=True, deployed=frozenset({"dev"}))
    wanted = requirements(machine, [make_environment("dev"), make_environment("prod")])
    assert wanted.memory_bytes == GIB


def test_a_fit_machine_has_no_problem(make_environment, make_host):
    assert judge(Machine(host=make_host()), four(make_environment)) == ()


def test_a_taken_port_is_a_problem_with_its_holder_and_the_variable_that_chooses_another(tmp_path):
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        environ = {"HOME": str(tmp_path), "CAREOPS_STATE": str(tmp_path), "CAREOPS_API_PORT": str(port)}
        problem = embedded.port_problem(open_session(["up"], environ))
        assert problem is not None
        assert str(port) in problem.what
        assert str(os.getpid()) in problem.why
        assert f"CAREOPS_API_PORT={port + 1}" in problem.action
    assert embedded.port_problem(open_session(["up"], environ)) is None
