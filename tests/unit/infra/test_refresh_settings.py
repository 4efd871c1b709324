"""The settings of a site's refresh: what they accept, what they refuse, and what they ask of the quotas."""

from __future__ import annotations

import dataclasses
import json

import pytest
import yaml

from infra.model import QuasiIdentifiers, Refresh
from infra.plans.refresh import plan_refresh
from infra.plans.refresh_pods import mask_pod
from infra.plans.sizes import peak_demand
from infra.settings import SettingsError, load_sites, load_stack
from operations.anonymise.verify.quasi import QuasiSet, parse_sets
from tests import declared

SITE = "sites/riverside.yaml"


def problems(load):
    with pytest.raises(SettingsError) as caught:
        load()
    return caught.value.problems


@pytest.mark.parametrize("schedule", ["30 1 * * 6", "0 22 1,15 * *", "*/15 0-6 * 1-6/2 0", None])
def test_a_schedule_is_five_fields_of_numbers(checkout, schedule):
    checkout.edit(SITE, refresh={"schedule": schedule})
    assert load_sites(checkout.root)["riverside"].refresh.schedule == schedule


@pytest.mark.parametrize(
    "schedule", ["", "daily", "@daily", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * * 13 *",
                 "* * * * 7", "1,,2 * * * *", "a * * * *", "-1 * * * *"]
)  # fmt: skip
def test_anything_else_is_refused_with_an_example(checkout, schedule):
    checkout.edit(SITE, refresh={"schedule": schedule})
    (problem,) = problems(lambda: load_sites(checkout.root))
    assert problem.path == f"{SITE}: refresh.schedule"
    assert "30 1 * * 6" in problem.action


@pytest.mark.parametrize(
    ("refresh", "where", "word"),
    [
        ({"roles": []}, "refresh.roles", "at least 1"),
        ({"roles": [{"name": "a", "groups": ["Sales / Manager"]}]}, "refresh.roles[0].groups[0]", "group of Odoo"),
        ({"roles": [{"name": "a", "groups": []}]}, "refresh.roles[0].groups", "at least 1"),
        ({"roles": [{"name": "Dr. Who", "groups": ["base.group_user"]}]}, "refresh.roles[0].name", "cannot be part"),
        ({"k_anonymity": 1}, "refresh.k_anonymity", "greater than or equal to 2"),
        ({"quasi_identifiers": [{"table": "HR Employee", "columns": ["a"]}]}, "refresh.quasi_identifiers[0].table",
         "name of a table"),
        ({"quasi_identifiers": [{"table": "t", "columns": []}]}, "refresh.quasi_identifiers[0].columns", "at least 1"),
        ({"quasi_identifiers": [{"table": "t", "columns": ["a.b.c"]}]}, "refresh.quasi_identifiers[0].columns[0]",
         "name of a column"),
        ({"quasi_identifiers": [{"table": "t", "columns": ["a"], "threshold": 4}]},
         "refresh.quasi_identifiers[0].threshold", "weaker than k_anonymity: 5"),
        ({"quasi_identifiers": [{"table": "t", "columns": ["a", "a"]}]}, "refresh.quasi_identifiers[0].columns",
         "twice"),
        ({"quasi_identifiers": [{"table": "t", "columns": ["a"], "person": "b.c"}]},
         "refresh.quasi_identifiers[0].person", "column of another table"),
        ({"deadline_hours": 0}, "refresh.deadline_hours", "greater than or equal to 1"),
        ({"shedule": "* * * * *"}, "refresh.shedule", "unknown setting"),
        ({"sizes": {"isolated_storage": "10 GB"}}, "refresh.sizes.isolated_storage", "whole number"),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_where_it_stands(checkout, refresh, where, word):
    checkout.edit(SITE, refresh=refresh)
    (problem,) = problems(lambda: load_sites(checkout.root))
    assert problem.path == f"{SITE}: {where}"
    assert word in problem.message


def test_every_fault_of_the_sites_own_sets_is_told_at_once(checkout):
    sets = [
        {"table": "t", "columns": ["a", "b"], "threshold": 2},
        {"table": "t", "columns": ["b", "a"]},
        {"table": "t", "columns": ["c"], "person": "d.e", "threshold": 3},
    ]
    checkout.edit(SITE, refresh={"k_anonymity": 7, "quasi_identifiers": sets})
    assert {problem.path.removeprefix(f"{SITE}: refresh.quasi_identifiers") for problem in problems(
        lambda: load_sites(checkout.root)
    )} == {"[0].threshold", "[1]", "[2].threshold", "[2].person"}  # fmt: skip


def test_what_the_masking_program_gets_of_the_sites_own_sets_is_what_the_settings_say():
    given = [
        QuasiIdentifiers(table="x_round", columns=("x_ward", "employee_id.birthday"), person="employee_id"),
        QuasiIdentifiers(table="x_bed", columns=("x_floor",), threshold=9),
    ]
    stack = declared.settings("prod")
    assert stack.site.refresh
    refresh = stack.site.refresh.model_copy(update={"quasi_identifiers": tuple(given)})
    site = stack.site.model_copy(update={"refresh": refresh})
    plan = plan_refresh(dataclasses.replace(stack, site=site), declared.facts())
    assert plan
    pod = mask_pod(plan, service_account="refresh-mask")
    assert parse_sets(pod.env["CAREOPS_QUASI_IDENTIFIERS"]) == (
        QuasiSet(table="x_round", columns=("x_ward", "employee_id.birthday"), person="employee_id", declared=True),
        QuasiSet(table="x_bed", columns=("x_floor",), threshold=9, declared=True),
    )


def test_two_roles_of_one_name_would_have_the_same_logins(checkout):
    role = {"name": "sales", "groups": ["base.group_user"]}
    checkout.edit(SITE, refresh={"roles": [role, role]})
    (problem,) = problems(lambda: load_sites(checkout.root))
    assert "their logins would be the same" in problem.message


def test_a_request_above_its_limit_is_refused(checkout):
    size = {"cpu_request": "3", "cpu_limit": "2", "memory_request": "2Gi", "memory_limit": "1Gi"}
    checkout.edit(SITE, refresh={"sizes": {"mask": size}})
    found = {problem.path for problem in problems(lambda: load_sites(checkout.root))}
    assert found == {f"{SITE}: refresh.sizes.mask.cpu_request", f"{SITE}: refresh.sizes.mask.memory_request"}


@pytest.mark.parametrize(("environment", "memory"), [("prod", 512), ("training", 1536), ("dev", 0), ("test", 0)])
def test_a_run_counts_where_its_jobs_run(environment, memory):
    settings = declared.settings(environment).settings
    more = peak_demand(settings, Refresh()).memory_limits - peak_demand(settings).memory_limits
    assert more == memory << 20


@pytest.mark.parametrize("environment", ["prod", "training"])
def test_a_quota_that_cannot_hold_a_run_is_refused(checkout, environment):
    settings = declared.settings(environment).settings
    without, full = peak_demand(settings), peak_demand(settings, Refresh())
    quota = {"cpu_requests": "4", "storage": "50Gi", "memory_limits": f"{without.memory_limits >> 20}Mi"}
    checkout.edit(f"Pulumi.{environment}.yaml", quota=quota)
    (problem,) = problems(lambda: load_stack(checkout.root, environment))
    assert problem.path.endswith("quota.memory_limits")
    checkout.edit(f"Pulumi.{environment}.yaml", quota={**quota, "memory_limits": f"{full.memory_limits >> 20}Mi"})
    load_stack(checkout.root, environment)


def test_a_site_may_have_none(checkout):
    # Other sections of a site may need the refresh: they go with it.
    plain = {key: ... for key in yaml.safe_load((checkout.root / SITE).read_text()) if key in ("refresh", "sandbox")}
    checkout.edit(SITE, **plain)
    assert load_stack(checkout.root, "training").site.refresh is None


def test_what_the_program_gets_of_the_roles_is_what_the_settings_say():
    (template,) = [
        each for each in declared.environment("training").of("CronJob") if each.metadata["name"] == "refresh-adopt"
    ]
    (container,) = template.spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    (roles,) = [each["value"] for each in container["env"] if each["name"] == "CAREOPS_REFRESH_ROLES"]
    written = declared.settings("training").site.refresh.model_dump(mode="json")["roles"]
    assert json.loads(roles) == written
