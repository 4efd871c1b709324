"""`careops seed`: what is asked before anything is written, and what is told afterwards."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from operations.cli.main import main
from operations.exit_codes import ExitCode
from operations.seed import guard, run
from operations.seed.run import patients_of
from tests.unit.operations.seed.fake_odoo import FakeOdoo


@pytest.fixture
def odoo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeOdoo:
    """Every environment's Odoo, without its orders' workflow."""
    made = FakeOdoo()
    made.call("ir.config_parameter", "set_param", guard.IDENTITY, "riverside/prod")
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(run, "opened", lambda *_: contextlib.nullcontext(made))
    monkeypatch.setattr(run, "ensure_chart", lambda _: "generic_coa")
    monkeypatch.setattr(run.Workflow, "steps", lambda _: ())
    return made


def writes(odoo: FakeOdoo) -> int:
    return sum(method in {"create", "set_param", "web_save_multi"} for _, method in odoo.calls[1:])


def test_the_plan_needs_no_platform_and_writes_nothing(odoo: FakeOdoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed", "prod", "--size", "10", "--plan-only", "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["identity"] == "riverside/prod"
    assert shown["rows"]["patients"] > 0
    assert shown["total"] == sum(shown["rows"].values())
    assert writes(odoo) == 0


@pytest.mark.parametrize(
    "arguments", [["--no-input"], ["--yes", "--no-input"], ["--confirm", "riverside/test"], ["--confirm", "prod"]]
)
def test_production_is_filled_only_when_named_by_its_identity(odoo: FakeOdoo, arguments: list[str]) -> None:
    assert main(["seed", "prod", "--size", "10", *arguments]) == ExitCode.NOT_CONFIRMED
    assert writes(odoo) == 0


def test_production_that_is_named_is_filled_and_counted(odoo: FakeOdoo, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed", "prod", "--size", "10", "--confirm", "riverside/prod", "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["there"] == len(odoo.seeded()) == shown["total"]
    assert shown["created"] == shown["rows"]
    assert guard.look(odoo).finished


def test_a_development_environment_takes_a_yes(odoo: FakeOdoo) -> None:
    odoo.call("ir.config_parameter", "set_param", guard.IDENTITY, "riverside/dev")
    assert main(["seed", "dev", "--size", "10", "--yes"]) == ExitCode.OK
    assert odoo.seeded()


def test_real_data_stop_it_before_the_first_write(odoo: FakeOdoo, tmp_path: Path) -> None:
    odoo.call("res.partner", "create", [{"name": "real"}])
    before, path = writes(odoo), tmp_path / "planted.json"
    arguments = ["seed", "prod", "--size", "10", "--confirm", "riverside/prod", "--planted", str(path)]
    assert main(arguments) == ExitCode.USAGE
    assert writes(odoo) == before
    assert not path.exists()


def test_the_list_of_planted_values_is_there_before_anything_is_planted(odoo: FakeOdoo, tmp_path: Path) -> None:
    path = tmp_path / "planted.json"
    odoo.refuse = "res.partner.category"
    assert main(["seed", "prod", "--size", "10", "--confirm", "riverside/prod", "--planted", str(path)])
    assert json.loads(path.read_text())["values"]
    assert not odoo.seeded()


def test_a_list_that_cannot_be_written_stops_it(
    odoo: FakeOdoo, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "no such folder" / "planted.json"
    arguments = ["seed", "prod", "--size", "10", "--confirm", "riverside/prod", "--planted", str(path)]
    assert main(arguments) == ExitCode.MACHINE_UNFIT
    assert "nothing was planted" in capsys.readouterr().err
    assert writes(odoo) == 0


def test_mails_that_odoo_queued_are_cancelled_and_told(
    odoo: FakeOdoo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    old = odoo.call("mail.mail", "create", [{"state": "outgoing"}])
    queued: list[int] = []

    def step(_note) -> None:
        queued.extend(odoo.call("mail.mail", "create", [{"state": "outgoing"}, {"state": "sent"}]))

    cancelled: list[int] = []
    monkeypatch.setattr(run.Workflow, "steps", lambda _: (("something", step),))
    monkeypatch.setattr(odoo, "_cancel", lambda _model, ids: cancelled.extend(ids), raising=False)
    assert main(["seed", "prod", "--size", "10", "--confirm", "riverside/prod", "--json"]) == ExitCode.OK
    assert cancelled == queued[:1]
    assert old[0] not in cancelled
    assert json.loads(capsys.readouterr().out)["mails_cancelled"] == 1


@pytest.mark.parametrize(("typed", "patients"), [("small", 200), ("medium", 2000), ("large", 10000), ("37", 37)])
def test_a_size_is_a_name_or_a_number_of_patients(typed: str, patients: int) -> None:
    assert patients_of(typed) == patients


@pytest.mark.parametrize("typed", ["huge", "9", "200001", "-5", "1e3", "", "٣٠"])
def test_anything_else_is_no_size(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["seed", "prod", "--size", typed, "--plan-only"]) == ExitCode.USAGE
    assert "--size is not a size" in capsys.readouterr().err
