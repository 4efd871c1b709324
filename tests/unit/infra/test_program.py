"""The program takes its settings from Pulumi's own configuration, and notices what it does not know."""

from __future__ import annotations

import json
import subprocess
import sys

import pulumi
import pytest
import yaml

from infra import program
from infra.settings import SettingsError
from tests.declared import FACTS, ROOT
from tests.recording import record


@pytest.fixture
def configured(monkeypatch, tmp_path):
    """Hand a stack's file to the program as Pulumi's engine does: structured values as JSON text."""

    def configure(stack, **changes):
        config = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"] | changes
        encoded = {key: value if isinstance(value, str) else json.dumps(value) for key, value in config.items()}
        monkeypatch.setenv("PULUMI_CONFIG", json.dumps(encoded))
        facts = tmp_path / "facts.json"
        facts.write_text(json.dumps(FACTS))
        monkeypatch.setenv("CAREOPS_FACTS", str(facts))

    return configure


def test_the_program_declares_the_selected_environment(configured):
    configured("dev")
    recording = record(lambda: program.declare("dev", ROOT), stack="dev")
    assert recording.of("Namespace")[0].metadata["name"] == "riverside-dev"


def test_a_misspelt_setting_in_pulumis_configuration_stops_the_program_before_it_declares(configured):
    configured("dev", **{"careops:netwrok": {}})
    with pytest.raises(SettingsError, match="netwrok"):
        record(lambda: program.declare("dev", ROOT), stack="dev")


def test_a_problem_is_shown_by_pulumi_without_a_traceback(configured):
    configured("dev", **{"careops:odoo": "five"})
    with pytest.raises(pulumi.RunError, match=r"Pulumi\.dev\.yaml: odoo"):
        record(program.run, stack="dev")


def test_the_platform_without_its_manifest_says_which_command_writes_it(configured):
    configured("platform")
    with pytest.raises(SettingsError, match="careops up"):
        record(lambda: program.declare("platform", ROOT), stack="platform")


def test_reading_settings_needs_no_pulumi():
    code = "import sys, infra.settings; sys.exit('pulumi' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT).returncode == 0
