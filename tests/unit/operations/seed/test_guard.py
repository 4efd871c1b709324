"""No environment is filled that is another one or holds data of its own."""

from __future__ import annotations

import pytest

from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.seed import guard
from operations.seed.guard import Found, Origin
from tests.unit.operations.seed.fake_odoo import FakeOdoo

WANTED = Origin(patients=200, seed=1)


def prod(**parameters: str) -> FakeOdoo:
    odoo = FakeOdoo()
    odoo.call("ir.config_parameter", "set_param", guard.IDENTITY, "riverside/prod")
    for key, value in parameters.items():
        odoo.call("ir.config_parameter", "set_param", key.replace("__", "."), value)
    return odoo


def judge(odoo: FakeOdoo, wanted: Origin = WANTED, identity: str = "riverside/prod") -> Found:
    found = guard.look(odoo)
    guard.refuse(found, wanted, identity)
    return found


def test_a_new_environment_may_be_filled() -> None:
    odoo = prod()
    odoo.call(
        "ir.model.data", "create", [{"module": "base", "name": "main_partner", "model": "res.partner", "res_id": 1}]
    )
    odoo.records["res.partner"][1] = {"id": 1}
    assert judge(odoo).foreign == {}


@pytest.mark.parametrize("model", guard.REAL)
def test_an_environment_with_a_record_of_its_own_is_refused(model: str) -> None:
    odoo = prod()
    odoo.call(model, "create", [{"name": "a real one"}])
    with pytest.raises(OperationError) as caught:
        judge(odoo)
    assert caught.value.code is ExitCode.USAGE
    assert f"{model}: 1" in caught.value.problems[0].why
    assert "a real one" not in str(caught.value.problems), "a refusal shows no data"


def test_demo_data_are_no_real_data() -> None:
    odoo = prod()
    odoo.call("ir.module.module", "create", [{"name": "base", "demo": True}])
    odoo.call("res.partner", "create", [{"name": "made by demo data"}])
    assert judge(odoo).demo


@pytest.mark.parametrize("finished", [False, True])
def test_an_environment_of_the_same_seed_is_continued(finished: bool) -> None:
    odoo = prod(careops_seed__origin=WANTED.as_text(finished=finished))
    odoo.call("res.partner", "create", [{"name": "made by the seed"}])
    assert judge(odoo).finished is finished


@pytest.mark.parametrize("origin", [Origin(patients=200, seed=2), Origin(patients=201, seed=1)])
def test_another_seed_is_not_mixed_in_and_the_right_one_is_named(origin: Origin) -> None:
    odoo = prod(careops_seed__origin=origin.as_text(finished=True))
    with pytest.raises(OperationError) as caught:
        judge(odoo)
    assert f"--size {origin.patients} --seed {origin.seed}" in caught.value.problems[0].action


def test_another_generator_does_not_continue() -> None:
    odoo = prod(careops_seed__origin=Origin(patients=200, seed=1, generator=0).as_text(finished=False))
    with pytest.raises(OperationError, match="another release"):
        judge(odoo)


@pytest.mark.parametrize("label", ["riverside/test", ""])
def test_a_database_with_another_label_or_none_is_refused(label: str) -> None:
    odoo = prod()
    odoo.call("ir.config_parameter", "set_param", guard.IDENTITY, label)
    with pytest.raises(OperationError, match="not the database of riverside/prod"):
        judge(odoo)


def test_looking_changes_nothing() -> None:
    odoo = prod()
    guard.look(odoo)
    assert not {method for _, method in odoo.calls[1:]} & {"create", "write", "set_param", "unlink"}
