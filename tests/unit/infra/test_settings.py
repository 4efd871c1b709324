"""Bad settings are refused before anything is touched, each with where, what and what to do."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from infra.naming import ENVIRONMENTS
from infra.plans.sizes import peak_demand, steady_cpu_requests
from infra.settings import (
    SettingsError,
    check_against_facts,
    environment_from_values,
    json_schema,
    load_all,
    load_platform,
    load_sites,
    load_stack,
)
from tests import declared

if TYPE_CHECKING:
    from infra.problems import Problem

TODAY = date(2026, 11, 24)
WAIVER = {
    "rule": "database-standby",
    "environment": "prod",
    "reason": "One node until the second one is delivered",
    "approver": "A. Martin, CISO",
    "expires": "2026-12-31",
}


def problems(load) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        load()
    assert all(problem.path and problem.message and problem.action for problem in caught.value.problems)
    return caught.value.problems


def only_problem(checkout, stack: str) -> Problem:
    found = problems(lambda: load_stack(checkout.root, stack, today=TODAY))
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_the_repositorys_own_settings_are_valid():
    loaded = load_all(declared.ROOT)
    assert [stack.stack for stack in loaded.environments] == list(ENVIRONMENTS)
    assert [stack.namespace for stack in loaded.environments] == [f"riverside-{name}" for name in ENVIRONMENTS]


def test_four_environments_leave_processor_time_for_the_system_on_two_cores():
    stacks = [declared.settings(name) for name in ENVIRONMENTS]
    # Web replicas are one for each node; on one node prod runs one.
    second_replica = 200
    assert sum(steady_cpu_requests(stack.settings) for stack in stacks) - second_replica < 1500


def test_every_quota_holds_a_rolling_update():
    for name in ENVIRONMENTS:
        settings = declared.settings(name).settings
        assert peak_demand(settings).storage > 0, name


def test_a_misspelt_setting_is_named_with_the_nearest_known_one(checkout):
    checkout.edit("Pulumi.dev.yaml", odoo__replicas=..., odoo__replcas=1)
    found = {problem.path: problem for problem in problems(lambda: load_stack(checkout.root, "dev"))}
    assert "'replicas'" in found["Pulumi.dev.yaml: odoo.replcas"].action
    assert found["Pulumi.dev.yaml: odoo.replicas"].message == "is missing"


def test_a_misspelt_section_is_named(checkout):
    checkout.edit("Pulumi.dev.yaml", netwrok={"client_cidrs": []})
    problem = only_problem(checkout, "dev")
    assert problem.path == "Pulumi.dev.yaml: netwrok"
    assert "'network'" in problem.action


def test_all_problems_come_at_once_even_beside_missing_and_misspelt_ones(checkout):
    checkout.edit(
        "Pulumi.prod.yaml",
        odoo__replcas=1,
        odoo__replicas=...,
        data__accepts_demo_data=True,
        network__client_cidrs=["10.0.0.300/24"],
        database__instances="two",
    )
    checkout.edit("sites/riverside.yaml", region="us-east-1", time_zone="Europe/Pari")
    paths = {problem.path for problem in problems(lambda: load_stack(checkout.root, "prod"))}
    assert paths == {
        "Pulumi.prod.yaml: odoo.replcas",
        "Pulumi.prod.yaml: odoo.replicas",
        "Pulumi.prod.yaml: data.accepts_demo_data",
        "Pulumi.prod.yaml: network.client_cidrs[0]",
        "Pulumi.prod.yaml: database.instances",
        "sites/riverside.yaml: time_zone",
    }


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("odoo__replicas", "1"),
        ("odoo__replicas", 1.5),
        ("odoo__cron__dedicated", "yes"),
        ("data__accepts_demo_data", 1),
        ("database__parameters", {"max_connections": 60}),
        ("network__client_cidrs", "10.20.10.0/24"),
        ("odoo", 5),
    ],
)
def test_a_value_of_another_type_is_refused_and_never_converted(checkout, path, value):
    checkout.edit("Pulumi.dev.yaml", **{path: value})
    assert only_problem(checkout, "dev").path.startswith(f"Pulumi.dev.yaml: {path.replace('__', '.')}")


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("network__client_cidrs", ["10.20.10.5/24"], "network range"),
        ("network__client_cidrs", ["10.20.10.0/33"], "network range"),
        ("network__client_cidrs", ["0.0.0.0/0"], "so wide"),
        ("network__hostnames", ["https://erp.example.org"], "host name"),
        ("network__hostnames", ["erp"], "host name"),
        ("odoo__resources__memory_limit", "768M", "whole number"),
        ("odoo__resources__memory_limit", "0Mi", "whole number"),
        ("odoo__resources__cpu_request", "fast", "processor quantity"),
        ("filestore__size", "-1Gi", "whole number"),
        ("filestore__access", "nfs", "values"),
        ("odoo__replicas", 0, "greater than or equal"),
        ("odoo__resources__memory_request", "2Gi", "more than memory_limit"),
        ("odoo__resources__cpu_request", "3", "more than cpu_limit"),
    ],
)
def test_an_invalid_value_is_refused_where_it_stands(checkout, path, value, word):
    checkout.edit("Pulumi.dev.yaml", **{path: value})
    found = problems(lambda: load_stack(checkout.root, "dev"))
    assert any(path.replace("__", ".") in each.path and word in each.message for each in found)


@pytest.mark.parametrize(
    ("path", "value", "word"),
    [
        ("time_zone", "Europe/Pariss", "Europe/Paris"),
        ("region", "Paris", "eu-west-3"),
        ("company__country", "France", "ISO 3166"),
        ("company__currency", "euro", "ISO 4217"),
        ("languages", ["french"], "fr_FR"),
        ("modules", ["CRM"], "sale_management"),
        ("domain", "http://x", "erp.example.org"),
        ("name", "Riverside Hospital", "a-z"),
    ],
)
def test_an_invalid_value_of_a_site_is_refused_with_the_form_it_takes(checkout, path, value, word):
    checkout.edit("sites/riverside.yaml", **{path: value})
    (problem,) = problems(lambda: load_sites(checkout.root))
    assert problem.path.startswith(f"sites/riverside.yaml: {path.replace('__', '.')}")
    assert word in problem.action


def test_a_region_outside_the_allowed_list_is_refused(checkout):
    checkout.edit("sites/riverside.yaml", region="us-east-1")
    problem = only_problem(checkout, "dev")
    assert problem.path == "sites/riverside.yaml: region"
    assert "outside" in problem.message
    assert "eu-west-3" in problem.action


def test_an_unknown_environment_is_refused_with_the_nearest_one(checkout):
    checkout.edit("Pulumi.prod.yaml", environment="prd")
    problem = only_problem(checkout, "prod")
    assert problem.path == "Pulumi.prod.yaml: environment"
    assert "'prod'" in problem.action


def test_an_unknown_stack_is_refused_with_the_nearest_one(checkout):
    problem = only_problem(checkout, "trainnig")
    assert "'training'" in problem.action


def test_prod_never_accepts_demo_data(checkout):
    checkout.edit("Pulumi.prod.yaml", data__accepts_demo_data=True)
    problem = only_problem(checkout, "prod")
    assert problem.path == "Pulumi.prod.yaml: data.accepts_demo_data"
    assert "prod" in problem.message


def test_a_demo_baseline_needs_an_environment_that_accepts_demo_data(checkout):
    checkout.edit("Pulumi.training.yaml", data__baseline="demo")
    assert only_problem(checkout, "training").path == "Pulumi.training.yaml: data.baseline"


def test_training_reaches_no_partner(checkout):
    partner = {"name": "laboratory", "cidr": "192.0.2.16/28", "ports": [443]}
    checkout.edit("Pulumi.training.yaml", network__partners=[partner])
    assert only_problem(checkout, "training").path == "Pulumi.training.yaml: network.partners"
    checkout.edit("Pulumi.prod.yaml", network__partners=[partner])
    assert load_stack(checkout.root, "prod").settings.network.partners[0].name == "laboratory"


def test_two_partners_of_one_name_are_refused(checkout):
    partner = {"name": "laboratory", "cidr": "192.0.2.16/28", "ports": [443]}
    checkout.edit("Pulumi.prod.yaml", network__partners=[partner, partner])
    assert "twice" in only_problem(checkout, "prod").message


def test_prod_without_a_standby_needs_a_waiver(checkout):
    checkout.edit("Pulumi.prod.yaml", database__instances=1)
    problem = only_problem(checkout, "prod")
    assert problem.path == "Pulumi.prod.yaml: database.instances"
    assert "waiver of database-standby" in problem.action


def test_a_waiver_with_reason_approver_and_end_lets_prod_run_without_a_standby(checkout):
    checkout.edit("Pulumi.prod.yaml", database__instances=1)
    checkout.edit("sites/riverside.yaml", waivers=[WAIVER])
    assert load_stack(checkout.root, "prod", today=TODAY).settings.database.instances == 1


def test_an_expired_waiver_covers_nothing(checkout):
    checkout.edit("Pulumi.prod.yaml", database__instances=1)
    checkout.edit("sites/riverside.yaml", waivers=[WAIVER | {"expires": "2026-11-23"}])
    assert "expired on 2026-11-23" in only_problem(checkout, "prod").message


def test_a_waiver_may_not_reach_further_than_a_year(checkout):
    checkout.edit("Pulumi.prod.yaml", database__instances=1)
    checkout.edit("sites/riverside.yaml", waivers=[WAIVER | {"expires": "2028-01-01"}])
    assert "366 days" in only_problem(checkout, "prod").message


@pytest.mark.parametrize("change", [{"approver": ""}, {"reason": "because"}, {"rule": "everything"}])
def test_an_incomplete_waiver_is_refused(checkout, change):
    checkout.edit("sites/riverside.yaml", waivers=[WAIVER | change])
    (problem,) = problems(lambda: load_sites(checkout.root))
    assert problem.path == f"sites/riverside.yaml: waivers[0].{next(iter(change))}"


def test_a_quota_that_cannot_hold_a_rolling_update_is_refused_with_the_size_it_needs(checkout):
    checkout.edit("Pulumi.dev.yaml", quota={"cpu_requests": "200m", "memory_limits": "2Gi", "storage": "5Gi"})
    found = {each.path: each.message for each in problems(lambda: load_stack(checkout.root, "dev"))}
    assert set(found) == {f"Pulumi.dev.yaml: quota.{name}" for name in ("cpu_requests", "memory_limits", "storage")}
    assert found["Pulumi.dev.yaml: quota.cpu_requests"].endswith("450m")


def test_replicas_on_several_nodes_need_a_shared_filestore(checkout):
    checkout.edit("Pulumi.prod.yaml", filestore__access="single-node")
    assert only_problem(checkout, "prod").path == "Pulumi.prod.yaml: filestore.access"


@pytest.mark.parametrize("name", ["ssl", "pgaudit.log", "shared_preload_libraries", "log_connections"])
def test_a_stack_cannot_switch_encryption_or_the_audit_trail_off(checkout, name):
    checkout.edit("Pulumi.dev.yaml", database__parameters={name: "off"})
    assert only_problem(checkout, "dev").path == f"Pulumi.dev.yaml: database.parameters.{name}"


def test_a_missing_site_file_is_refused_with_the_nearest_one(checkout):
    checkout.edit("Pulumi.dev.yaml", site="riversid")
    found = problems(lambda: load_stack(checkout.root, "dev"))
    assert [each.path for each in found if "sites/riversid.yaml" in each.message] == ["Pulumi.dev.yaml: site"]
    assert "'riverside'" in found[0].action


def test_two_files_for_one_site_are_refused(checkout):
    copy = (checkout.root / "sites/riverside.yaml").read_text()
    (checkout.root / "sites/lakeside.yaml").write_text(copy)
    found = problems(lambda: load_sites(checkout.root))
    assert any("also declared by sites/lakeside.yaml" in each.message for each in found)


def test_two_stacks_for_one_environment_are_refused(checkout):
    copy = (checkout.root / "Pulumi.dev.yaml").read_text()
    (checkout.root / "Pulumi.riverside.dev.yaml").write_text(copy)
    found = problems(lambda: load_all(checkout.root))
    assert any("declares riverside/dev, as Pulumi.dev.yaml does" in each.message for each in found)


def test_a_second_site_brings_its_own_stacks(checkout):
    site = (checkout.root / "sites/riverside.yaml").read_text().replace("name: riverside", "name: lakeside")
    (checkout.root / "sites/lakeside.yaml").write_text(site)
    stack = (checkout.root / "Pulumi.dev.yaml").read_text().replace("site: riverside", "site: lakeside")
    (checkout.root / "Pulumi.lakeside.dev.yaml").write_text(stack)
    loaded = load_all(checkout.root)
    assert next(stack.namespace for stack in loaded.environments) == "lakeside-dev"
    assert len(loaded.environments) == 5


def test_a_stack_file_named_after_another_environment_is_refused(checkout):
    checkout.edit("Pulumi.test.yaml", environment="dev")
    assert "Pulumi.dev.yaml" in only_problem(checkout, "test").action


def test_a_setting_given_twice_is_refused(checkout):
    path = checkout.root / "Pulumi.dev.yaml"
    path.write_text(path.read_text() + "  careops:site: lakeside\n")
    assert "given twice" in only_problem(checkout, "dev").message


def test_a_file_that_is_not_yaml_is_refused_with_the_line(checkout):
    (checkout.root / "Pulumi.dev.yaml").write_text("config:\n  - [unclosed\n")
    assert "line" in only_problem(checkout, "dev").path


def test_a_file_without_settings_is_refused(checkout):
    (checkout.root / "Pulumi.dev.yaml").write_text("")
    assert "does not hold settings" in only_problem(checkout, "dev").message


def test_a_setting_outside_the_project_is_refused(checkout):
    path = checkout.root / "Pulumi.dev.yaml"
    path.write_text(path.read_text() + "  kubernetes:context: prod\n")
    assert only_problem(checkout, "dev").path == "Pulumi.dev.yaml: config.kubernetes:context"


def test_a_stack_that_allows_default_providers_is_refused(checkout):
    path = checkout.root / "Pulumi.dev.yaml"
    path.write_text(path.read_text().replace("  pulumi:disable-default-providers: [kubernetes]\n", ""))
    assert "another cluster" in only_problem(checkout, "dev").message


def test_pulumis_own_entries_are_accepted(checkout):
    path = checkout.root / "Pulumi.dev.yaml"
    path.write_text("encryptionsalt: v1:abc\n" + path.read_text())
    assert load_stack(checkout.root, "dev").stack == "dev"


def test_a_misspelt_setting_of_the_platform_is_refused(checkout):
    checkout.edit("Pulumi.platform.yaml", operator__resuorces={})
    (problem,) = problems(lambda: load_platform(checkout.root))
    assert "'resources'" in problem.action


def test_values_from_pulumi_and_from_files_go_through_the_same_model(checkout):
    stack = load_stack(checkout.root, "dev")
    values = stack.settings.model_dump(mode="json")
    assert environment_from_values(checkout.root, "dev", values) == stack
    found = problems(lambda: environment_from_values(checkout.root, "dev", values | {"netwrok": {}}))
    assert found[0].path == "Pulumi.dev.yaml: netwrok"


def test_the_error_lists_each_problem_with_its_remedy(checkout):
    checkout.edit("Pulumi.dev.yaml", odoo__replicas="1", netwrok={})
    with pytest.raises(SettingsError) as caught:
        load_stack(checkout.root, "dev")
    text = str(caught.value)
    assert text.startswith("2 problems in the settings; nothing was touched")
    assert all(problem.action in text for problem in caught.value.problems)


def test_every_setting_is_described_in_the_schema():
    def undescribed(schema, path):
        for name, field in schema.get("properties", {}).items():
            # A setting that is a section is described by the section; pydantic then says it only there.
            if "description" not in field and "$ref" not in field:
                yield f"{path}.{name}"

    missing = [
        name
        for title, schema in json_schema().items()
        for part, definition in {title: schema, **schema.get("$defs", {})}.items()
        for name in undescribed(definition, part)
    ]
    assert missing == []


def test_clients_inside_the_cluster_are_refused_against_its_facts(checkout):
    checkout.edit("Pulumi.prod.yaml", network__client_cidrs=["10.0.0.0/8"])
    stack = load_stack(checkout.root, "prod")
    facts = declared.facts(pod_cidrs=["10.244.0.0/16"])
    what = " ".join(each.message for each in check_against_facts(stack, facts))
    assert "the pods" in what
    assert "the nodes" in what
    assert check_against_facts(declared.settings("prod"), facts) == []


@pytest.mark.parametrize("cidr", ["169.254.169.254/32", "169.254.0.0/16", "169.0.0.0/8"])
def test_a_partner_where_clouds_hand_out_credentials_is_refused(checkout, cidr):
    checkout.edit("Pulumi.prod.yaml", network__partners=[{"name": "laboratory", "cidr": cidr, "ports": [80]}])
    found = check_against_facts(load_stack(checkout.root, "prod"), declared.facts())
    assert [problem.path for problem in found] == ["Pulumi.prod.yaml: network.partners[0].cidr"]
    assert "where clouds hand out credentials" in found[0].message


def test_training_and_prod_are_protected_unless_they_say_otherwise(checkout):
    assert [load_stack(checkout.root, name).protected for name in ENVIRONMENTS] == [False, False, True, True]
    checkout.edit("Pulumi.training.yaml", data__protected=False)
    assert load_stack(checkout.root, "training").protected is False
    checkout.edit("Pulumi.prod.yaml", data__protected=False)
    assert "waiver of data-protection" in only_problem(checkout, "prod").action
