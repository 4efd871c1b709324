from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from operations.status import Ready, healthy, read_environment, read_platform


def deployment(ready: int, wanted: int, *, observed: int = 1, updated: int | None = None) -> dict[str, Any]:
    return {
        "metadata": {"generation": 1},
        "spec": {"replicas": wanted},
        "status": {
            "observedGeneration": observed,
            "readyReplicas": ready,
            "updatedReplicas": ready if updated is None else updated,
        },
    }


def cluster_of(namespace: str, **parts: Any):
    apps = f"/apis/apps/v1/namespaces/{namespace}/deployments"
    paths: dict[str, Any] = {
        f"/api/v1/namespaces/{namespace}": {"status": {"phase": parts.get("phase", "Active")}},
        f"/apis/postgresql.cnpg.io/v1/namespaces/{namespace}/clusters/postgresql": {
            "spec": {"instances": 2},
            "status": {"readyInstances": parts.get("instances", 2)},
        },
        f"{apps}/odoo-web": parts.get("web", deployment(2, 2)),
        f"{apps}/odoo-cron": parts.get("cron", deployment(1, 1)),
        f"{apps}/edge": parts.get("edge", deployment(1, 1)),
    }
    return paths.get


def test_an_environment_whose_parts_are_all_ready_is_ready_and_says_how_to_use_it(make_environment):
    found = read_environment(cluster_of("riverside-prod"), make_environment("prod"), "2026-11-24T05:00:00+00:00")
    assert found.state == "ready"
    assert found.database == Ready(ready=2, wanted=2)
    assert str(found.web) == "2/2"
    assert "careops open prod" in found.hint
    assert found.last_up == "2026-11-24T05:00:00+00:00"


def test_an_environment_without_a_namespace_is_absent(make_environment):
    found = read_environment(lambda _path: None, make_environment("dev"), None)
    assert found.state == "absent"
    assert "careops up dev" in found.hint


def test_a_namespace_that_is_being_deleted_is_half_deleted_with_a_remedy_even_while_its_pods_run(make_environment):
    found = read_environment(cluster_of("riverside-dev", phase="Terminating"), make_environment("dev"), None)
    assert found.state == "half-deleted"
    assert "careops down dev" in found.hint


def test_an_environment_without_its_edge_is_incomplete(make_environment):
    found = read_environment(cluster_of("riverside-dev", edge=None), make_environment("dev"), None)
    assert found.state == "incomplete"


def test_an_environment_without_cron_is_ready_where_web_runs_the_scheduled_actions(make_environment):
    assert read_environment(cluster_of("riverside-dev", cron=None), make_environment("dev"), None).state == "ready"


def test_an_environment_that_lost_its_cron_is_incomplete_and_the_remedy_makes_it_again(make_environment):
    prod = replace(make_environment("prod"), dedicated_cron=True)
    found = read_environment(cluster_of("riverside-prod", cron=None), prod, None)
    assert found.state == "incomplete"
    assert "careops up prod --refresh" in found.hint


@pytest.mark.parametrize(
    "parts",
    [
        {"instances": 1},
        {"web": deployment(1, 2)},
        {"cron": deployment(0, 1)},
        {"web": deployment(2, 2, observed=0)},
        {"web": deployment(2, 2, updated=1)},
        {"web": deployment(0, 0)},
    ],
    ids=["one instance", "one web pod", "no cron pod", "old generation", "old pods", "scaled to none"],
)
def test_an_environment_with_a_part_that_is_not_ready_is_starting(make_environment, parts):
    found = read_environment(cluster_of("riverside-prod", **parts), make_environment("prod"), None)
    assert found.state == "starting"
    assert not healthy([found], [])


def test_dns_and_storage_are_judged_only_on_a_cluster_that_careops_made():
    def read(path: str) -> dict[str, Any] | None:
        return deployment(1, 1) if "cnpg" in path else None

    assert not healthy([], read_platform(read, embedded=True))
    assert healthy([], read_platform(read, embedded=False))
