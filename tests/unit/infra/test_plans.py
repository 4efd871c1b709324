"""Pure decisions: names, quantities, sizes, and hashes that change only with their content."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.fields import SITE_NAME_LENGTH
from infra.naming import ENVIRONMENTS, Naming, type_token
from infra.plans.jobs import secrets_job_name
from infra.plans.odoo import plan_odoo
from infra.plans.pods import content_hash
from infra.plans.sizes import peak_demand
from infra.quantities import cpu_millicores, format_cpu, format_memory, memory_bytes
from tests import declared


@given(st.from_regex(rf"[a-z]([-a-z0-9]{{0,{SITE_NAME_LENGTH - 2}}}[a-z0-9])?", fullmatch=True))
def test_a_namespace_of_the_longest_site_name_fits_kubernetes(site):
    for environment in ENVIRONMENTS:
        names = Naming(site=site, environment=environment)
        assert len(names.namespace) <= 63
        assert all(len(value) <= 63 for value in names.labels("odoo-web", "web").values())


def test_identity_namespace_and_token_have_their_documented_form():
    names = Naming(site="riverside", environment="prod")
    assert (names.identity, names.namespace) == ("riverside/prod", "riverside-prod")
    assert type_token("database", "PostgresCluster") == "careops:database:PostgresCluster"


def test_other_host_names_run_the_secrets_job_again_and_restart_the_edge():
    before = declared.settings("dev")
    network = before.settings.network.model_copy(update={"hostnames": ("erp.example.org",)})
    after = replace(before, settings=before.settings.model_copy(update={"network": network}))
    jobs = [secrets_job_name("image", stack.edge_names) for stack in (before, after)]
    assert jobs[0] != jobs[1], "a job of the same name would not run again"
    assert "erp.example.org" in after.edge_names
    assert after.base_url.removeprefix("https://") in after.edge_names, (
        "the edge answers to the address in Odoo's mails"
    )
    assert before.base_url.removeprefix("https://") in before.edge_names


@given(st.integers(min_value=1, max_value=2**50))
def test_memory_written_as_kubernetes_does_reads_back_no_smaller(size):
    assert 0 <= memory_bytes(format_memory(size)) - size < 1024


@given(st.integers(min_value=1, max_value=1_000_000))
def test_processor_time_written_as_kubernetes_does_reads_back_the_same(millicores):
    assert cpu_millicores(format_cpu(millicores)) == millicores


@pytest.mark.parametrize("text", ["", "1", "1.5Gi", "512M", "0Mi", "-1Gi", "Gi", "1 Gi"])
def test_a_memory_quantity_without_whole_binary_unit_is_refused(text):
    with pytest.raises(ValueError, match="whole number"):
        memory_bytes(text)


@pytest.mark.parametrize("text", ["", "0", "0m", "1.0001", "-1", "1c"])
def test_a_processor_quantity_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="processor"):
        cpu_millicores(text)


def test_demand_counts_the_surge_of_a_rolling_update():
    settings = declared.settings("dev").settings
    web, database = 768, 512
    small = 64 + 128  # edge and mail sink
    passing = web + 64 + 1536 + 192 + database
    assert peak_demand(settings).memory_limits == (web + database + small + passing) * 2**20


def test_a_hash_depends_on_content_and_not_on_order():
    assert content_hash({"a": 1, "b": 2}) == content_hash({"b": 2, "a": 1})
    assert content_hash({"a": 1}) != content_hash({"a": 2})


def test_changing_only_webs_workers_does_not_run_the_migration_again():
    first = plan_odoo(declared.settings("prod"), declared.facts())
    stack = declared.with_odoo(declared.settings("prod"), workers=4)
    second = plan_odoo(stack, declared.facts())
    assert first.migration_name == second.migration_name
    assert first.settings_checksum("web") != second.settings_checksum("web")


def test_web_replicas_never_exceed_the_nodes():
    stack = declared.settings("prod")
    assert [plan_odoo(stack, declared.facts(node_count=count)).replicas for count in (1, 2, 5)] == [1, 2, 2]
