"""The list of what a refresh survives names tests that exist, and as many moments as they have."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tests.anonymise.playing import EXPORT_STEPS, MASK_STEPS
from tests.anonymise.test_faults import READING
from tests.images.adopting import BACK_STEPS, STEPS
from tests.live.crashes import MOMENTS

TESTS = Path(__file__).parents[2]
TEXT = (TESTS / "anonymise" / "README.md").read_text()
WANTED = 20
"""Distinct moments at which a refresh is killed, at least: what was asked for."""


def points() -> dict[str, int]:
    """Return the number of moments that the list gives each test."""
    rows = re.findall(r"^\|[^|]+\|[^|]+\| (\d+) \| `[^:]+::(\w+)` \|$", TEXT, re.MULTILINE)
    return {name: int(number) for number, name in rows}


def test_every_test_that_the_list_names_exists():
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", TEXT)
    assert len(named) > WANTED
    for file, name in named:
        tree = ast.parse((TESTS / file).read_text())
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{file} has no {name}"


def test_the_list_counts_the_moments_that_the_tests_have():
    adopting = dict.fromkeys(STEPS)
    wanted = {
        "test_an_export_killed_at_any_step": len(EXPORT_STEPS),
        "test_a_mask_killed_at_any_step": len(MASK_STEPS),
        "test_killed_at_any_step": len(adopting),
        "test_a_rollback_killed_at_any_step": len(dict.fromkeys(BACK_STEPS)),
        "test_the_isolated_server_killed_at_any_step": len(READING),
        "test_trainings_server_killed_at_any_step_is_named": len(MASK_STEPS) - 1,
        "test_trainings_server_killed_at_any_step_leaves": len(adopting) - 1,
        "test_a_rollback_whose_server_is_killed": len(BACK_STEPS) - 3,
        "test_a_node_killed_in_a_refresh": len(MOMENTS),
    }
    listed = points()
    for begin, number in wanted.items():
        assert [each for name, each in listed.items() if name.startswith(begin)] == [number], begin
    assert sum(listed.values()) >= WANTED
