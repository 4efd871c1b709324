"""A benchmark of `up` accepts only a run that answers its question."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
STACKS = ("platform", "dev", "test", "training", "prod")


@pytest.fixture
def benchmark(monkeypatch, tmp_path):
    """The benchmark as a module, writing its results to a folder of the test."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("up", "report"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    up = importlib.import_module("up")
    monkeypatch.setattr(up.report, "RESULTS", tmp_path / "results")
    monkeypatch.setenv("CAREOPS_STATE", str(tmp_path / "state"))
    yield up
    for name in ("up", "report"):
        sys.modules.pop(name, None)


def record(*, built: int, found: int, **changes) -> dict:
    return {
        "schema": 2,
        "started": "2026-11-24T05:00:00+00:00",
        "finished": True,
        "seconds": 250.0,
        "phases": [{"name": f"deploy:{stack}", "seconds": 60.0, "began": 10.0} for stack in STACKS],
        "circumstances": {
            "cluster_existed": False,
            "stacks_existed": [],
            "artifacts_built": built,
            "artifacts_found": found,
        },
    } | changes


WARM, COLD = record(built=0, found=20), record(built=20, found=0)


def test_each_question_takes_its_own_kind_of_run(benchmark):
    assert benchmark.refusals(WARM, "up-warm") == []
    assert benchmark.refusals(COLD, "up-cold") == []
    assert "not warm" in benchmark.refusals(COLD, "up-warm")[0]
    assert "not an empty machine" in benchmark.refusals(WARM, "up-cold")[0]
    assert benchmark.refusals(record(built=3, found=17), "up-cold"), "a run that was interrupted and continued"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"finished": False}, "did not finish"),
        ({"schema": 1}, "form 1"),
        ({"phases": WARM["phases"][:4]}, "did not deploy prod"),
        ({"circumstances": WARM["circumstances"] | {"cluster_existed": True}}, "a cluster already"),
        ({"circumstances": WARM["circumstances"] | {"stacks_existed": ["dev"]}}, "stacks existed already: dev"),
        ({"circumstances": {}}, "a cluster already"),
    ],
)
def test_a_run_that_does_not_answer_the_question_is_refused_with_the_reason(benchmark, changes, reason):
    assert reason in " ".join(benchmark.refusals(WARM | changes, "up-warm"))


@pytest.mark.parametrize(("seconds", "met"), [(300.0, True), (300.1, False)])
def test_the_result_has_the_goal_and_whether_it_was_met(benchmark, monkeypatch, tmp_path, seconds, met):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "last-up.json").write_text(json.dumps(WARM | {"seconds": seconds}))
    monkeypatch.setattr(sys, "argv", ["up.py", "--as", "up-warm"])
    benchmark.main()
    told = json.loads((tmp_path / "results" / "up-warm.json").read_text())
    assert (told["total_seconds"], told["goal_seconds"], told["goal_met"]) == (seconds, 300, met)
    assert told["phase_seconds"]["deploy:prod"] == 60.0
    monkeypatch.setattr(sys, "argv", ["up.py", "--as", "up-cold"])
    with pytest.raises(SystemExit, match="does not answer up-cold"):
        benchmark.main()
