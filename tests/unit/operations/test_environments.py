from __future__ import annotations

import pytest

from operations.environments import choose, choose_one, default_port
from operations.errors import OperationError
from operations.exit_codes import MEANING, ExitCode, epilogue


def test_no_name_means_every_environment(make_environment):
    known = [make_environment(name) for name in ("dev", "test", "training", "prod")]
    assert choose(known, []) == tuple(known)


def test_environments_of_a_further_site_are_named_with_the_site_and_open_on_ports_of_their_own(make_environment):
    first = make_environment("dev")
    second = make_environment("dev", site="north", site_index=1)
    assert choose_one([first, second], "north.dev") is second
    assert (first.port, second.port) == (8441, 8451)
    assert second.identity == "north/dev"


@pytest.mark.parametrize(("name", "port"), [("dev", 8441), ("test", 8442), ("training", 8443), ("prod", 8444)])
def test_each_environment_of_the_first_site_has_the_documented_port(name, port):
    assert default_port(0, name) == port


def test_a_name_nothing_like_a_known_one_gets_the_list_and_no_wild_guess(make_environment):
    with pytest.raises(OperationError) as caught:
        choose([make_environment("dev")], ["zzz"])
    assert "did you mean" not in caught.value.problems[0].action
    assert "dev" in caught.value.problems[0].why


@pytest.mark.parametrize(("name", "holds"), [("dev", False), ("test", False), ("training", True), ("prod", True)])
def test_training_and_prod_hold_data_that_cannot_be_made_again(make_environment, name, holds):
    assert make_environment(name).holds_data is holds


def test_every_exit_code_is_documented_in_the_help():
    assert set(MEANING) == set(ExitCode)
    for code in ExitCode:
        assert f"{code.value}  {MEANING[code]}" in epilogue()
