"""What the benchmarks of the refresh make of their measurements, and that they measure what they say."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

from operations.anonymise.catalogue.loader import load

ROOT = Path(__file__).resolve().parents[3]
MODULES = ("report", "refresh_data", "refresh_throughput", "refresh_memory", "refresh_verify", "refresh_pganonymize")


@pytest.fixture
def benchmarks(monkeypatch) -> dict[str, ModuleType]:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield {name: importlib.import_module(name) for name in MODULES}
    for name in MODULES:
        sys.modules.pop(name, None)


def test_the_command_that_is_recorded_is_the_one_that_ran(benchmarks, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/somewhere/benchmarks/refresh_memory.py", "--messages", "10", "20"])
    assert benchmarks["report"].command() == "./careops python benchmarks/refresh_memory.py --messages 10 20"


def test_a_ratio_below_one_says_that_masking_is_slower_than_that_way(benchmarks):
    ratios = benchmarks["refresh_throughput"].ratios({"a": [30.0, 90.0, 20.0], "b": [50.0], "masked": [40.0]})
    assert ratios == {"a": 0.75, "b": 1.25}


def test_each_measurement_is_kept_beside_the_median(benchmarks):
    assert benchmarks["refresh_throughput"].spread([3.0, 1.0, 2.0]) == {
        "median": 2.0,
        "least": 1.0,
        "most": 3.0,
        "all": [3.0, 1.0, 2.0],
    }


def test_messages_are_added_to_those_that_are_there(benchmarks):
    assert benchmarks["refresh_memory"].grown([100, 1000]) == [(0, 100), (100, 1000)]


def test_growth_is_that_of_the_largest_run_over_the_smallest(benchmarks):
    peaks = [{"worker": 50.0, "source sessions, own memory": own} for own in (40.0, 90.0, 60.0)]
    found = benchmarks["refresh_memory"].growth([{"peak_mib": each} for each in peaks])
    assert found == {"worker": 1.0, "source sessions, own memory": 1.5}


@pytest.mark.parametrize(("value", "usable"), [(None, False), ("ab", False), ("a\nlong one", False), ("Byron", True)])
def test_grep_gets_what_the_verification_looks_for_and_a_line_can_hold(benchmarks, value, usable):
    assert benchmarks["refresh_verify"].usable(value) is usable


def test_pganonymize_masks_only_columns_that_the_shipped_catalogue_masks_too(benchmarks):
    catalogue = load()
    columns = benchmarks["refresh_pganonymize"].COLUMNS
    kept = [
        f"{table}.{column}"
        for table, found in columns.items()
        for column in found
        if (line := catalogue.column(table, column)) is None or line.rule == "keep"
    ]
    assert kept == []


def test_pganonymize_gets_a_rule_for_each_of_them(benchmarks):
    tables = {
        name: rules for entry in benchmarks["refresh_pganonymize"].schema()["tables"] for name, rules in entry.items()
    }
    columns = benchmarks["refresh_pganonymize"].COLUMNS
    given = {table: {name for field in rules["fields"] for name in field} for table, rules in tables.items()}
    assert given == {table: set(found) for table, found in columns.items()}
