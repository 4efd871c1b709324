"""The cluster's facts are checked before a program relies on them."""

from __future__ import annotations

import json

import pytest

from infra.facts import facts_path, load_facts, parse_facts
from infra.settings import SettingsError
from tests.declared import FACTS


def test_facts_are_read_from_the_file_operations_wrote(tmp_path):
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(FACTS))
    assert load_facts(path).api_server.port == 6443


def test_an_addition_by_a_newer_writer_is_ignored():
    assert parse_facts(json.dumps({**FACTS, "weather": "fine"})).context == "careops"


def test_missing_facts_say_which_command_writes_them(tmp_path):
    with pytest.raises(SettingsError, match="careops up"):
        load_facts(tmp_path / "facts.json")


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"schema": 2}, "schema"),
        ({"api_server": {"cidrs": [], "port": 6443}}, "api_server.cidrs"),
        ({"api_server": {"cidrs": ["10.199.0.2/32"], "port": 0}}, "api_server.port"),
        ({"node_count": 0}, "node_count"),
        ({"node_cidrs": ["10.199.0.2/8"]}, "node_cidrs[0]"),
        ({"images": {**FACTS["images"], "odoo": "careops.local/odoo:19.0"}}, "images.odoo"),
        ({"images": {key: value for key, value in FACTS["images"].items() if key != "edge"}}, "images.edge"),
    ],
)
def test_unusable_facts_are_refused_with_their_place(change, path):
    with pytest.raises(SettingsError) as caught:
        parse_facts(json.dumps({**FACTS, **change}))
    assert [problem.path for problem in caught.value.problems] == [f"facts.json: {path}"]


def test_facts_that_are_not_json_are_refused():
    with pytest.raises(SettingsError):
        parse_facts("{")


def test_the_facts_path_follows_the_variable_and_else_the_state_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CAREOPS_FACTS", raising=False)
    assert facts_path(tmp_path) == tmp_path / ".careops" / "facts.json"
    monkeypatch.setenv("CAREOPS_FACTS", "/elsewhere/facts.json")
    assert str(facts_path(tmp_path)) == "/elsewhere/facts.json"
