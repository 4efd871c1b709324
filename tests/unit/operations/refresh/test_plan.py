"""What is told and refused before a refresh is started."""

from __future__ import annotations

import json

import pytest

from operations.errors import OperationError
from operations.exit_codes import ExitCode
from operations.refresh import plan as planning
from operations.refresh.jobs import rollback_part, run_parts
from tests import declared
from tests.unit.operations.refresh.conftest import with_sizes

GIB = 1 << 30


def job(part, run="29400180", **status):
    return part.jobs_path(part.job(run)), {"metadata": {"name": part.job(run)}, "status": status}


def test_the_plan_says_what_is_copied_what_is_replaced_and_what_is_dropped(cluster):
    with_sizes(cluster, prod=4 * GIB, training=GIB, previous=2 * GIB)
    plan = planning.make_plan(cluster, "riverside")
    assert (plan.source.identity, plan.source.bytes, plan.source.files) == ("riverside/prod", 4 * GIB, 120)
    assert (plan.target.identity, plan.target.bytes) == ("riverside/training", GIB)
    assert plan.source.release == "19.0.20261101-1"
    assert plan.generation == "29400180"
    assert plan.previous == 2 * GIB
    assert json.loads(json.dumps(plan.as_json()))["source"]["bytes"] == 4 * GIB


def test_a_training_that_no_refresh_made_has_no_generation(cluster):
    cluster.rows["riverside-training", "parameters"] = ()
    plan = planning.make_plan(cluster, "riverside")
    assert (plan.generation, plan.target.release) == ("", "")


def test_the_duration_follows_from_the_last_run_and_grows_with_the_database(cluster):
    last = {"site": "riverside", "run": "r1", "seconds": 600, "bytes": 2 * GIB, "started": "2026-11-01"}
    plan = planning.make_plan(cluster, "riverside", [{**last, "site": "north", "seconds": 1}, last])
    assert (plan.seconds, plan.last) == (1200.0, "r1")
    smaller = planning.make_plan(cluster, "riverside", [{**last, "bytes": 8 * GIB}])
    assert smaller.seconds == 600, "a smaller database is not promised to be quicker"
    assert planning.make_plan(cluster, "riverside").seconds is None


def test_records_that_cannot_be_read_are_left_out_and_the_newest_comes_first(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps({"run": "old", "started": "2026-01-01"}))
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.json").write_text(json.dumps({"run": "new", "started": "2026-02-01"}))
    assert [record["run"] for record in planning.records(tmp_path)] == ["new", "old"]
    assert planning.records(tmp_path / "nowhere") == []


def test_a_run_is_refused_while_another_one_is_under_way(cluster):
    planning.refuse_unless_ready(cluster, "riverside")
    path, running = job(run_parts("riverside")[1], startTime="2026-11-24T10:00:00Z")
    cluster.objects[path] = running
    with pytest.raises(OperationError) as told:
        planning.refuse_unless_ready(cluster, "riverside")
    assert told.value.code == ExitCode.LOCK_HELD
    assert "29400180" in str(told.value)
    running["status"]["conditions"] = [{"type": "Complete", "status": "True"}]
    planning.refuse_unless_ready(cluster, "riverside")


def test_a_run_is_refused_while_a_rollback_is_under_way(cluster):
    path, running = job(rollback_part("riverside"), run="20261124t100000")
    cluster.objects[path] = running
    with pytest.raises(OperationError) as told:
        planning.refuse_unless_ready(cluster, "riverside")
    assert told.value.code == ExitCode.LOCK_HELD


def test_a_job_that_is_not_of_the_refresh_does_not_stand_in_its_way(cluster):
    path = "/apis/batch/v1/namespaces/riverside-training/jobs/odoo-migrate-abc"
    cluster.objects[path] = {"metadata": {"name": "odoo-migrate-abc"}, "status": {}}
    planning.refuse_unless_ready(cluster, "riverside")


def test_every_template_that_is_not_deployed_is_named(cluster):
    for part in run_parts("riverside"):
        cluster.objects.pop(part.template_path)
    with pytest.raises(OperationError) as told:
        planning.refuse_unless_ready(cluster, "riverside")
    assert told.value.code == ExitCode.DEPLOYMENT
    assert len(told.value.problems) == 3


def test_volumes_that_cannot_hold_the_run_refuse_it_before_it_begins(cluster):
    training = declared.settings("training")
    with_sizes(cluster, prod=GIB, training=GIB)
    planning.refuse_without_room(planning.make_plan(cluster, "riverside"), training)
    with_sizes(cluster, prod=8 * GIB, training=GIB)
    with pytest.raises(OperationError) as told:
        planning.refuse_without_room(planning.make_plan(cluster, "riverside"), training)
    assert told.value.code == ExitCode.SETTINGS_INVALID
    whole = " ".join(problem.action for problem in told.value.problems)
    assert "isolated_storage in sites/riverside.yaml" in whole
    assert "database.storage in Pulumi.training.yaml" in whole


def test_amounts_are_written_for_people():
    assert [planning.amount(size) for size in (0, 1023, 1536, 5 << 20, 3 * GIB)] == [
        "0 B",
        "1023 B",
        "2 KiB",
        "5 MiB",
        "3.0 GiB",
    ]
