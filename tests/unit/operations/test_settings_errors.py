"""The settings of the checkout itself, broken on purpose in a copy: what a person sees of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from infra.settings import SettingsError
from operations.catalogue import load, refuse_own_networks
from operations.cli import main as cli
from operations.exit_codes import ExitCode
from operations.translate import known
from tests.declared import FACTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A copy of the settings that the command line works on."""
    root = tmp_path / "checkout"
    root.mkdir()
    for path in [*ROOT.glob("Pulumi*.yaml"), ROOT / "policies" / "waivers.yaml"]:
        if path.is_file():
            (root / path.relative_to(ROOT)).parent.mkdir(exist_ok=True)
            shutil.copy(path, root / path.relative_to(ROOT))
    shutil.copytree(ROOT / "sites", root / "sites")
    monkeypatch.setattr("operations.session.ROOT", root)
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("CAREOPS_CACHE", str(tmp_path / "cache"))
    return root


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_settings_of_this_checkout_are_valid_and_declare_four_environments():
    assert [environment.stack for environment in load(ROOT)][:4] == ["dev", "test", "training", "prod"]
    assert all(environment.memory_bytes > 0 for environment in load(ROOT))


def test_the_repositorys_training_and_prod_run_scheduled_actions_apart():
    assert {one.name for one in load(ROOT) if one.dedicated_cron} == {"training", "prod"}


@pytest.mark.usefixtures("checkout")
def test_valid_settings_end_with_0(capsys):
    assert cli.main(["config", "validate"]) == ExitCode.OK
    assert "dev, test, training, prod" in capsys.readouterr().err


def test_every_mistake_in_every_file_is_told_at_once_with_what_why_and_what_to_do(checkout, capsys):
    edit(checkout / "Pulumi.dev.yaml", "careops:filestore", "careops:filestoer")
    edit(checkout / "Pulumi.prod.yaml", "10.20.128.0/17", "10.20.128.1/17")
    edit(checkout / "sites" / "riverside.yaml", "Europe/Paris", "Europe/Pariss")
    assert cli.main(["config", "validate"]) == ExitCode.SETTINGS_INVALID
    told = capsys.readouterr().err
    for expected in ("filestoer", "10.20.128.1/17", "Europe/Pariss"):
        assert expected in told
    assert told.count("error:") >= 3
    assert told.count("  why:") == told.count("  do:") == told.count("error:")


def test_up_refuses_wrong_settings_before_it_makes_a_single_file(checkout, tmp_path, capsys):
    edit(checkout / "Pulumi.prod.yaml", "accepts_demo_data: false", "accepts_demo_data: true")
    assert cli.main(["up"]) == ExitCode.SETTINGS_INVALID
    assert "demo" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()
    assert not (tmp_path / "cache").exists()


def test_json_reports_the_same_problems_for_scripts(checkout, capsys):
    edit(checkout / "Pulumi.dev.yaml", "careops:filestore", "careops:filestoer")
    assert cli.main(["config", "validate", "--json"]) == ExitCode.SETTINGS_INVALID
    document = json.loads(capsys.readouterr().out)
    assert document["error"]["code"] == 3
    assert all(set(problem) == {"what", "why", "action"} for problem in document["error"]["problems"])


@pytest.mark.usefixtures("checkout")
def test_an_unknown_environment_ends_with_2_and_the_closest_name(capsys):
    assert cli.main(["config", "show", "pord"]) == ExitCode.USAGE
    assert "did you mean `prod`?" in capsys.readouterr().err


@pytest.mark.usefixtures("checkout")
def test_show_prints_the_whole_settings_as_yaml_or_json(capsys):
    assert cli.main(["config", "show", "dev", "--json"]) == ExitCode.OK
    shown = json.loads(capsys.readouterr().out)
    assert shown["identity"] == "riverside/dev"
    assert shown["settings"]["database"]["instances"] == 1


@pytest.mark.usefixtures("checkout")
def test_the_schema_is_json_schema_for_every_kind_of_file(capsys):
    assert cli.main(["config", "schema"]) == ExitCode.OK
    assert {"site", "environment", "platform"} <= set(json.loads(capsys.readouterr().out))


def test_networks_of_the_cluster_itself_are_refused_for_every_chosen_environment_before_anything_is_deployed(
    checkout, tmp_path
):
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(FACTS | {"pod_cidrs": ["10.244.0.0/16"]}))
    refuse_own_networks(checkout, facts, ["dev", "test", "training", "prod"])
    edit(checkout / "Pulumi.prod.yaml", "10.20.128.0/17", "10.244.0.0/17")
    edit(checkout / "Pulumi.dev.yaml", "10.20.10.0/24", "10.199.0.0/24, 10.244.9.0/24")
    edit(checkout / "Pulumi.training.yaml", "client_cidrs: [", "client_cidrs: [10.244.8.0/24, ")
    with pytest.raises(SettingsError) as caught:
        refuse_own_networks(checkout, facts, ["dev", "prod"])
    told = known(caught.value)
    assert told is not None
    assert told.code == ExitCode.SETTINGS_INVALID
    where = [problem.what for problem in told.problems]
    assert [path.partition(": ")[0] for path in where] == ["Pulumi.dev.yaml"] * 3 + ["Pulumi.prod.yaml"]
    assert all("network.client_cidrs[" in path for path in where)
    refuse_own_networks(checkout, facts, ["test"])
