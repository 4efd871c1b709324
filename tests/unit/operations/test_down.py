from __future__ import annotations

import pytest

from operations.down import (
    Doomed,
    DownPlan,
    Volume,
    all_named,
    carry_out,
    names_to_confirm,
    read_volumes,
    refuse_unconfirmed,
)
from operations.errors import OperationError
from operations.exit_codes import ExitCode


class Hands:
    """Records what is destroyed."""

    def __init__(self) -> None:
        self.did: list[str] = []

    def destroy(self, stack, _reporter) -> None:
        self.did.append(f"destroy {stack}")

    def wait_gone(self, namespace, _reporter) -> None:
        self.did.append(f"gone {namespace}")

    def wipe(self, _reporter) -> None:
        self.did.append("wipe")

    def forget(self) -> None:
        self.did.append("forget")

    def drop_cache(self, _reporter) -> None:
        self.did.append("drop cache")


@pytest.fixture
def plan(make_environment):
    def make(*names: str, **changes) -> DownPlan:
        doomed = tuple(
            Doomed(environment=make_environment(name), resources=40, volumes=(Volume(name="filestore", size="10Gi"),))
            for name in names
        )
        return DownPlan(**({"doomed": doomed, "platform": False, "embedded": True} | changes))

    return make


def test_training_and_prod_have_to_be_confirmed_by_name_and_dev_and_test_do_not(plan):
    everything = plan("prod", "training", "test", "dev")
    assert names_to_confirm(everything, []) == ("prod", "training")
    assert names_to_confirm(everything, ["prod"]) == ("training",)
    assert names_to_confirm(everything, ["prod", "training"]) == ()


def test_an_environment_that_was_never_made_needs_no_confirmation(make_environment):
    nothing = Doomed(environment=make_environment("prod"), resources=None)
    assert not nothing.needs_name


def test_data_without_a_stack_still_has_to_be_confirmed(make_environment):
    lost = Doomed(environment=make_environment("prod"), resources=None, volumes=(Volume(name="pg-1", size="10Gi"),))
    assert lost.needs_name


def test_the_refusal_names_every_unconfirmed_environment_and_the_command_that_confirms_it():
    with pytest.raises(OperationError) as caught:
        refuse_unconfirmed(["prod", "training"])
    assert caught.value.code == ExitCode.NOT_CONFIRMED
    assert [problem.action.split("--confirm ")[1] for problem in caught.value.problems] == ["prod", "training"]


def test_environments_go_one_by_one_and_each_must_be_gone_before_the_next(plan, shown):
    hands = Hands()
    carry_out(plan("test", "dev"), hands, shown, alive=lambda: True)
    assert hands.did == ["destroy test", "gone riverside-test", "destroy dev", "gone riverside-dev"]


def test_everything_on_the_embedded_cluster_goes_with_the_cluster_even_when_it_does_not_answer(plan, shown):
    hands = Hands()
    carry_out(plan("prod", "dev", platform=True), hands, shown, alive=lambda: False)
    assert hands.did == ["wipe"]


def test_everything_on_an_existing_cluster_is_destroyed_stack_by_stack_and_the_cluster_stays(plan, shown):
    hands = Hands()
    carry_out(plan("dev", platform=True, embedded=False), hands, shown, alive=lambda: True)
    assert hands.did == ["destroy dev", "gone riverside-dev", "destroy platform", "forget"]


def test_nothing_is_destroyed_when_the_cluster_does_not_answer(plan, shown):
    hands = Hands()
    with pytest.raises(OperationError) as caught:
        carry_out(plan("dev"), hands, shown, alive=lambda: False)
    assert caught.value.code == ExitCode.CLUSTER
    assert "careops start" in caught.value.problems[0].action
    assert hands.did == []


def test_an_existing_cluster_that_does_not_answer_is_not_ours_to_start(plan, shown):
    hands = Hands()
    for platform in (False, True):
        with pytest.raises(OperationError) as caught:
            carry_out(plan("dev", platform=platform, embedded=False), hands, shown, alive=lambda: False)
        action = caught.value.problems[0].action
        assert "careops start" not in action
        assert "down --all" not in action, "it would be refused for the same reason"
        assert "state folder" in action
    assert hands.did == []


def test_an_empty_plan_is_agreed_to_by_nobodys_name(plan):
    assert not all_named(plan(platform=True), ["prod"])
    assert not all_named(plan("prod", "dev"), ["prod"])
    assert all_named(plan("prod", "dev"), ["dev", "prod"])


def test_the_cache_goes_only_when_asked_for(plan, shown):
    hands = Hands()
    carry_out(plan("dev", platform=True, keep_cache=False), hands, shown, alive=lambda: True)
    assert hands.did == ["wipe", "drop cache"]


def test_volumes_show_their_real_size_and_what_was_asked_for_while_they_are_not_bound():
    claims = {
        "items": [
            {
                "metadata": {"name": "filestore"},
                "spec": {"resources": {"requests": {"storage": "5Gi"}}},
                "status": {"capacity": {"storage": "10Gi"}},
            },
            {"metadata": {"name": "pg-1"}, "spec": {"resources": {"requests": {"storage": "8Gi"}}}, "status": {}},
        ]
    }
    found = read_volumes(lambda _path: claims, "riverside-dev")
    assert [(volume.name, volume.size) for volume in found] == [("filestore", "10Gi"), ("pg-1", "8Gi")]
    assert read_volumes(lambda _path: None, "riverside-dev") == ()
