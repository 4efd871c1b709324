from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest

from operations.environments import ORDER
from operations.errors import OperationError, Problem, failure
from operations.exit_codes import ExitCode
from operations.lock import PlatformLock
from operations.machine import GIB, Machine
from operations.phases import write_record
from operations.up import WAVES, Up

IN_ORDER = [
    {"settings"},
    {"passphrase"},
    {"machine"},
    {"packages"},
    {"build"},
    {"cluster"},
    {"remains"},
    {"facts"},
    {"networks"},
    {"images:cloudnative-pg"},
    {"images", "deploy:platform", "deployed:platform"},
    {"deploy:dev", "deployed:dev", "deploy:test", "deployed:test"},
    {"deploy:training", "deployed:training", "deploy:prod", "deployed:prod"},
    {"login:dev"},
    {"login:test"},
    {"login:training"},
    {"login:prod"},
]
"""What `up` does; what stands in one line may happen in any order."""

TOUCHES_NOTHING = {"settings", "passphrase", "machine"}


def up(world, shown, *asked: str):
    return Up(list(asked), "careops up", world.parts(), shown)


def in_stages(calls: list[str], stages: list[set[str]] = IN_ORDER) -> list[set[str]]:
    """Return the calls cut into pieces as long as the stages."""
    left = iter(calls)
    return [{next(left, "") for _ in stage} for stage in stages] + [{call} for call in left]


def test_up_checks_everything_before_it_touches_anything_and_deploys_the_platform_before_its_environments(world, shown):
    record = up(world, shown).run()
    assert in_stages(world.calls) == IN_ORDER
    assert record.finished
    assert [phase.name for phase in record.phases] == [
        "settings",
        "machine",
        "packages",
        "toolchain",
        "cluster",
        "remains",
        "facts",
        "networks",
        "images:platform",
        "images",
        "deploy:platform",
        "deploy:dev",
        "deploy:test",
        "deploy:training",
        "deploy:prod",
        "health",
    ]


def test_only_the_environments_asked_for_are_deployed_and_in_promotion_order(world, shown):
    up(world, shown, "test", "dev").run()
    deployed = [call for call in world.calls if call.startswith("deploy:")]
    assert deployed[0] == "deploy:platform"
    assert set(deployed[1:]) == {"deploy:dev", "deploy:test"}
    assert world.checked == ("dev", "test")


def test_an_unknown_environment_is_refused_with_the_closest_known_name(world, shown):
    with pytest.raises(OperationError) as caught:
        up(world, shown, "trainning", "dev", "production").run()
    assert caught.value.code == ExitCode.USAGE
    first, second = caught.value.problems
    assert "trainning" in first.what
    assert "`training`" in first.action
    assert "production" in second.what
    assert set(world.calls) <= TOUCHES_NOTHING


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"root": False}, "root"),
        ({"state_free_bytes": 3 * GIB}, "disk"),
        ({"memory_available_bytes": 2 * GIB}, "memory"),
    ],
)
def test_an_unfit_machine_is_refused_before_anything_is_touched(world, shown, make_host, changes, expected):
    world.machine = Machine(host=make_host(**changes))
    with pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert caught.value.code == ExitCode.MACHINE_UNFIT
    assert any(expected in problem.what for problem in caught.value.problems)
    assert set(world.calls) <= TOUCHES_NOTHING
    assert not (world.folder / "lock").exists(), "a refused machine must not even get a lock file"


def test_every_reason_a_machine_is_unfit_for_is_told_at_once(world, shown, make_host):
    taken = Problem(what="Port 16443 on 127.0.0.1 is taken", why="nginx", action="end it")
    world.machine = Machine(
        host=make_host(root=False, state_free_bytes=GIB, memory_available_bytes=GIB), port_problem=taken
    )
    with pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert len(caught.value.problems) == 4
    assert taken in caught.value.problems


FAILING = [
    ("packages", ExitCode.TOOLCHAIN),
    ("build", ExitCode.TOOLCHAIN),
    ("cluster", ExitCode.CLUSTER),
    ("networks", ExitCode.SETTINGS_INVALID),
    ("images:cloudnative-pg", ExitCode.CLUSTER),
    ("images", ExitCode.CLUSTER),
    ("deploy:platform", ExitCode.DEPLOYMENT),
    ("deploy:test", ExitCode.POLICY),
]


@pytest.mark.parametrize(("where", "code"), FAILING)
def test_a_failure_stops_up_where_it_happens_and_a_second_up_completes(world, shown, where, code):
    world.fail[where] = failure(code, f"{where} failed", "a reason", "a remedy")
    with pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert caught.value.code == code
    stage = next(index for index, calls in enumerate(IN_ORDER) if where in calls)
    assert not set(world.calls) & set().union(*IN_ORDER[stage + 1 :]), "nothing after the failure may begin"
    failed = [phase for phase in world.records[-1].phases if phase.outcome != "done"]
    assert [(phase.outcome, phase.note) for phase in failed] == [("failed", f"{where} failed")]
    assert not world.records[-1].finished
    world.fail.clear()
    world.calls.clear()
    assert up(world, shown).run().finished
    assert in_stages(world.calls) == IN_ORDER


def test_an_interrupted_up_is_recorded_frees_its_lock_and_can_be_continued(world, shown):
    world.fail["deploy:dev"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        up(world, shown).run()
    assert "interrupted" in {phase.outcome for phase in world.records[-1].phases}
    assert not [call for call in world.calls if call in {"deploy:training", "deploy:prod"}]
    assert PlatformLock(world.folder / "lock", "x").holder() is None
    world.fail.clear()
    assert up(world, shown).run().finished


def test_a_half_deleted_environment_is_refused_before_any_environment_is_touched(world, shown):
    world.dying = ("riverside-test",)
    with pytest.raises(OperationError) as caught:
        up(world, shown).run()
    problem = caught.value.problems[0]
    assert caught.value.code == ExitCode.DEPLOYMENT
    assert "riverside-test" in problem.what
    assert "careops down test" in problem.action
    assert not [call for call in world.calls if call.startswith("deploy:")]


def test_every_environment_that_does_not_answer_is_named_with_its_complaint(world, shown):
    world.complaints = {"dev": "/web/login answered 502", "prod": "connection refused"}
    with pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert caught.value.code == ExitCode.UNHEALTHY
    assert [problem.why for problem in caught.value.problems] == ["/web/login answered 502", "connection refused"]


def test_a_second_up_names_the_holder_of_the_lock_and_touches_nothing(world, shown):
    held = PlatformLock(world.folder / "lock", "careops up prod")
    with held, pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert caught.value.code == ExitCode.LOCK_HELD
    assert "careops up prod" in caught.value.problems[0].what
    assert str(os.getpid()) in caught.value.problems[0].what
    assert set(world.calls) <= TOUCHES_NOTHING
    assert world.records == [], "a refused run must not overwrite the record of the one that works"


def test_the_holder_of_a_busy_port_is_not_blamed_while_another_up_is_just_starting_the_cluster(world, shown):
    taken = Problem(what="Port 16443 on 127.0.0.1 is taken", why="that other up", action="end it")
    world.machine = replace(world.machine, port_problem=taken)
    with PlatformLock(world.folder / "lock", "careops up"), pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert caught.value.code == ExitCode.LOCK_HELD


def test_an_existing_cluster_asks_neither_for_root_nor_for_debian_packages(world, shown, make_host):
    world.embedded = False
    world.machine = Machine(host=make_host(root=False, memory_available_bytes=GIB))
    assert up(world, shown).run().finished
    assert "packages" not in world.calls
    assert "machine" not in world.calls


def test_an_existing_cluster_that_does_not_enforce_networkpolicy_gets_nothing_deployed(world, shown):
    world.embedded = False
    world.fail["cluster"] = failure(ExitCode.CLUSTER, "kind does not enforce NetworkPolicy", "a packet", "install one")
    with pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert caught.value.code == ExitCode.CLUSTER
    assert not {"images", "images:cloudnative-pg", "facts", "deploy:platform"} & set(world.calls)


def test_the_record_file_tells_how_far_an_interrupted_up_came_and_what_each_phase_took(world, shown, tmp_path):
    path = tmp_path / "state" / "last-up.json"
    world.fail["deploy:training"] = KeyboardInterrupt()
    operation = Up([], "careops up", replace(world.parts(), record=write_record(path)), shown)
    with pytest.raises(KeyboardInterrupt):
        operation.run()
    kept = json.loads(path.read_text())
    assert kept["finished"] is False
    assert kept["schema"] == 2
    assert {phase["name"]: phase["outcome"] for phase in kept["phases"]}["deploy:training"] == "interrupted"
    assert all(0 <= phase["began"] <= phase["began"] + phase["seconds"] <= kept["seconds"] for phase in kept["phases"])


def test_the_record_says_what_was_there_before_and_what_had_to_be_built(world, shown):
    assert up(world, shown).run().circumstances == {
        "cluster_existed": False,
        "stacks_existed": [],
        "artifacts_built": 0,
        "artifacts_found": 9,
    }


def test_every_environment_belongs_to_one_wave_in_promotion_order():
    assert [name for wave in WAVES for name in ORDER if name in wave] == list(ORDER)


def test_two_environments_are_deployed_at_the_same_time(world, shown):
    together = threading.Barrier(2, timeout=10)
    world.slow = dict.fromkeys(("dev", "test", "training", "prod"), together.wait)
    assert up(world, shown).run().finished, "each waits for the other: one after the other would break the barrier"


def test_training_and_prod_are_not_touched_when_dev_fails_and_test_comes_to_its_end(world, shown):
    world.slow = {"test": lambda: time.sleep(0.1)}
    world.fail["deploy:dev"] = failure(ExitCode.POLICY, "dev failed", "a reason", "a remedy")
    with pytest.raises(OperationError, match="dev failed"):
        up(world, shown).run()
    assert "deployed:test" in world.calls
    assert not {"deploy:training", "deploy:prod"} & set(world.calls)
    outcomes = {phase.name: phase.outcome for phase in world.records[-1].phases}
    assert (outcomes["deploy:dev"], outcomes["deploy:test"]) == ("failed", "done")


def test_everything_that_failed_at_the_same_time_is_told_at_once_with_the_first_exit_code(world, shown):
    together = threading.Barrier(2, timeout=10)
    world.slow = dict.fromkeys(("dev", "test"), together.wait)
    world.fail["deployed:dev"] = failure(ExitCode.POLICY, "dev failed", "a reason", "a remedy")
    world.fail["deployed:test"] = failure(ExitCode.DEPLOYMENT, "test failed", "a reason", "a remedy")
    with pytest.raises(OperationError) as caught:
        up(world, shown).run()
    assert caught.value.code == ExitCode.POLICY
    assert [problem.what for problem in caught.value.problems] == ["dev failed", "test failed"]


def test_a_killed_holder_frees_the_lock(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys, time, pathlib; from operations.lock import PlatformLock\n"
        f"with PlatformLock(pathlib.Path({str(path)!r}), 'careops up'):\n"
        "    print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "held"
        holder = PlatformLock(path, "careops down").holder()
        assert holder is not None
        assert holder.pid == process.pid
        process.kill()
    assert PlatformLock(path, "careops down").holder() is None
    with PlatformLock(path, "careops down"):
        pass
