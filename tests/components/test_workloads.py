"""What runs in an environment, and how little it may do."""

from __future__ import annotations

import json

import pytest

from infra import naming
from infra.naming import ENVIRONMENTS
from infra.quantities import cpu_millicores, memory_bytes
from tests import declared


def containers(recording):
    """Return every container, sidecars included."""
    specs = [template["spec"] for template in recording.pods().values()]
    return [container for spec in specs for container in (*spec.get("initContainers", ()), *spec["containers"])]


def variables(template):
    return {each["name"]: each["value"] for each in template["spec"]["containers"][0]["env"]}


def test_every_container_is_non_root_with_a_read_only_root(environment):
    for name, template in environment.pods().items():
        pod = template["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["runAsUser"] > 0, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    for container in containers(environment):
        name = container["name"]
        assert container["securityContext"].get("runAsUser", 1) > 0, name
        assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
        assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name


def test_every_writable_place_has_a_limit(environment):
    for template in environment.pods().values():
        for volume in template["spec"]["volumes"]:
            assert "emptyDir" not in volume or volume["emptyDir"]["sizeLimit"]


def test_every_container_has_requests_and_limits(environment):
    for container in containers(environment):
        size = container["resources"]
        assert cpu_millicores(size["requests"]["cpu"]) <= cpu_millicores(size["limits"]["cpu"])
        assert memory_bytes(size["requests"]["memory"]) <= memory_bytes(size["limits"]["memory"])


def test_every_image_is_pinned_by_digest(environment):
    images = [container["image"] for container in containers(environment)]
    images.append(environment.of("Cluster")[0].spec["imageName"])
    assert all("@sha256:" in image for image in images)


def test_no_pod_learns_the_namespaces_services_from_its_environment(environment):
    assert all(template["spec"]["enableServiceLinks"] is False for template in environment.pods().values())


def test_every_pod_runs_with_its_environments_priority(environment):
    name = environment.of("Namespace")[0].metadata["labels"][naming.ENVIRONMENT_LABEL]
    # A refresh is training's work wherever it runs: see tests/components/test_refresh.py.
    classes = {
        template["spec"]["priorityClassName"]
        for workload, template in environment.pods().items()
        if not workload.startswith("refresh-")
    }
    assert classes == {environment.of("Cluster")[0].spec["priorityClassName"]} == {f"careops-{name}"}


def test_prod_has_no_mail_sink():
    assert naming.MAIL_SINK not in declared.environment("prod").pods()
    assert (
        json.loads(declared.environment("prod").named("ConfigMap", naming.ODOO_SETTINGS).inputs["data"]["odoo.json"])[
            "smtp"
        ]
        is None
    )


@pytest.mark.parametrize("name", ["dev", "test", "training"])
def test_outside_prod_mail_ends_in_the_sink(name):
    recording = declared.environment(name)
    assert naming.MAIL_SINK in recording.pods()
    mail = json.loads(recording.named("ConfigMap", naming.ODOO_SETTINGS).inputs["data"]["odoo.json"])["smtp"]
    assert mail == {"host": "mail-sink", "port": 1025}


def test_only_dev_and_test_start_from_demo_data():
    images = {
        name: declared.environment(name).pods()[naming.ODOO_MIGRATE]["spec"]["containers"][0]["image"]
        for name in ENVIRONMENTS
    }
    assert {name for name, image in images.items() if "baseline-demo" in image} == {"dev", "test"}
    assert {name for name, image in images.items() if "baseline-standard" in image} == {"training", "prod"}


def test_scheduled_actions_run_once_in_each_environment():
    for name in ENVIRONMENTS:
        recording = declared.environment(name)
        documents = recording.named("ConfigMap", naming.ODOO_SETTINGS).inputs["data"]
        in_web = json.loads(documents["odoo.json"])["cron_threads"] > 0
        assert in_web != (naming.ODOO_CRON in recording.pods()), name


def test_each_role_reads_its_own_settings_as_odoo_json(environment):
    keys = {}
    for name, template in environment.pods().items():
        for volume in template["spec"]["volumes"]:
            if volume.get("configMap", {}).get("name") == naming.ODOO_SETTINGS:
                (item,) = volume["configMap"]["items"]
                assert item["path"] == "odoo.json"
                keys[name] = item["key"]
    assert keys[naming.ODOO_WEB] == "odoo.json"
    assert keys[naming.ODOO_MIGRATE] == "odoo-migrate.json"
    assert set(keys.values()) == set(environment.named("ConfigMap", naming.ODOO_SETTINGS).inputs["data"])


def test_odoo_verifies_postgresql_and_never_sees_its_authoritys_key(environment):
    for name, template in environment.pods().items():
        variables = {each["name"]: each for each in template["spec"]["containers"][0]["env"]}
        if not name.startswith(("odoo-web", "odoo-cron", "odoo-migrate", "refresh-adopt", "refresh-rollback")):
            assert "PGHOST" not in variables
            continue
        assert variables["PGSSLMODE"]["value"] == "verify-full"
        assert variables["PGPASSWORD"]["valueFrom"]["secretKeyRef"]["name"] == "postgresql-app"
        (authority,) = [volume for volume in template["spec"]["volumes"] if volume["name"] == "postgresql-ca"]
        assert authority["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def test_no_secret_is_declared_so_none_can_be_in_pulumis_state(environment):
    assert environment.of("Secret") == []


def test_the_secrets_job_can_read_and_make_secrets_but_change_only_the_edges_certificate(environment):
    rules = environment.named("Role", naming.ODOO_SECRETS_JOB).inputs["rules"]
    assert [(rule["verbs"], rule.get("resourceNames")) for rule in rules] == [
        (["create"], None),
        (["get"], ["odoo-secrets", "edge-tls"]),
        (["update"], ["edge-tls"]),
    ]


def test_certificate_and_edge_have_the_same_names_and_none_that_environments_share():
    seen: set[str] = set()
    for name in ENVIRONMENTS:
        pods = declared.environment(name).pods()
        wanted = variables(pods[naming.ODOO_SECRETS_JOB])["CAREOPS_EDGE_NAMES"].split(",")
        assert variables(pods[naming.EDGE])["EDGE_NAMES"].split(" ") == wanted
        assert {f"riverside-{name}.{end}" for end in ("localhost", "careops.local")} < set(wanted)
        assert f"{name}.riverside.example.org" in wanted
        # `edge` alone is looked up in the caller's own namespace; nothing else may mean two environments.
        assert not seen & (set(wanted) - {"edge"}), "a browser would send one environment's cookies to another"
        assert "localhost" not in wanted
        seen |= set(wanted)


def test_postgresql_refuses_clear_text_before_it_accepts_anything(environment):
    assert environment.of("Cluster")[0].spec["postgresql"]["pg_hba"] == [
        "hostnossl all all all reject",
        "hostssl all all all scram-sha-256",
    ]


def test_postgresql_audits_and_keeps_parameters_out_of_the_log(environment):
    parameters = environment.of("Cluster")[0].spec["postgresql"]["parameters"]
    assert parameters["pgaudit.log"] == "ddl, role"
    assert parameters["pgaudit.log_parameter"] == "off"


def test_an_error_of_postgresql_quotes_no_row_and_no_statement_in_its_log(environment):
    parameters = environment.of("Cluster")[0].spec["postgresql"]["parameters"]
    assert parameters["log_error_verbosity"] == "terse"
    assert parameters["log_min_error_statement"] == "panic"


def test_postgresql_sorts_by_code_point_and_checks_its_pages(environment):
    first_boot = environment.of("Cluster")[0].spec["bootstrap"]["initdb"]
    assert (first_boot["localeProvider"], first_boot["builtinLocale"]) == ("builtin", "C.UTF-8")
    assert first_boot["dataChecksums"] is True


def test_the_applications_role_makes_databases_and_nothing_more(environment):
    role = environment.of("Cluster")[0].spec["managed"]["roles"][0]
    assert role["name"] == "odoo"
    assert role["createdb"] is True
    assert not any(role[right] for right in ("superuser", "createrole", "replication", "bypassrls"))
    assert environment.of("Cluster")[0].spec["enableSuperuserAccess"] is False


def test_prod_has_a_standby_and_the_others_do_not():
    assert {name: declared.environment(name).of("Cluster")[0].spec["instances"] for name in ENVIRONMENTS} == {
        "dev": 1,
        "test": 1,
        "training": 1,
        "prod": 2,
    }


def test_what_holds_data_is_protected_in_training_and_prod_only():
    for name in ENVIRONMENTS:
        protected = {resource.kind for resource in declared.environment(name).resources if resource.protect}
        expected = {"Namespace", "Cluster", "PersistentVolumeClaim"} if name in ("training", "prod") else set()
        assert protected == expected, name


def test_nothing_serves_before_the_migration_succeeded(environment):
    (migration,) = [job for job in environment.of("Job") if job.name == "odoo-migrate"]
    serving = [environment.named("Deployment", "odoo-web")]
    serving += [each for each in environment.of("Deployment") if each.metadata["name"] == "odoo-cron"]
    assert all(migration.urn in deployment.dependencies for deployment in serving)


def test_the_migration_waits_for_database_secrets_and_filestore(environment):
    (migration,) = [job for job in environment.of("Job") if job.name == "odoo-migrate"]
    (secrets,) = [job for job in environment.of("Job") if job.name == "secrets-job"]
    needed = [
        secrets,
        *environment.of("Cluster"),
        *environment.of("PersistentVolumeClaim"),
        environment.named("ConfigMap", naming.ODOO_SETTINGS),
    ]
    assert {resource.urn for resource in needed} <= set(migration.dependencies)


def test_the_edge_starts_after_odoo_and_the_certificate(environment):
    edge = environment.named("Deployment", "edge")
    (secrets,) = [job for job in environment.of("Job") if job.name == "secrets-job"]
    assert {environment.named("Service", "odoo-web").urn, secrets.urn} <= set(edge.dependencies)


def test_the_edge_sends_the_long_poll_to_its_own_port_only_where_there_is_one():
    for name, port in (("dev", 8069), ("prod", 8072)):
        values = variables(declared.environment(name).pods()[naming.EDGE])
        del values["EDGE_NAMES"]
        assert values == {"UPSTREAM_HTTP": "odoo-web:8069", "UPSTREAM_WEBSOCKET": f"odoo-web:{port}"}


def test_on_one_node_web_has_one_replica_and_no_budget_that_blocks_a_drain():
    recording = declared.environment("prod")
    assert recording.named("Deployment", "odoo-web").spec["replicas"] == 1
    assert recording.of("PodDisruptionBudget") == []


def test_on_three_nodes_prod_runs_two_replicas_spread_and_with_a_budget():
    recording = declared.declare(declared.settings("prod"), declared.facts(node_count=3))
    for name in ("odoo-web", "edge"):
        deployment = recording.named("Deployment", name)
        assert deployment.spec["replicas"] == 2
        (spread,) = deployment.spec["template"]["spec"]["topologySpreadConstraints"]
        assert spread["topologyKey"] == "kubernetes.io/hostname"
        assert recording.named("PodDisruptionBudget", name).spec["maxUnavailable"] == 1


def test_a_service_comes_after_the_deployment_that_makes_it_ready(environment):
    deployments = {each.metadata["name"]: each for each in environment.of("Deployment")}
    for service in environment.of("Service"):
        if service.metadata["name"] == naming.REFRESH_MASK:
            continue  # a pod stands behind it only while a refresh runs
        deployment = deployments[service.metadata["name"]]
        assert deployment.urn in service.dependencies
        assert service.urn not in deployment.dependencies


def test_liveness_of_web_does_not_depend_on_the_database(environment):
    web = environment.pods()[naming.ODOO_WEB]["spec"]["containers"][0]
    assert web["readinessProbe"]["httpGet"]["path"] == "/careops/ready"
    assert web["livenessProbe"]["httpGet"]["path"] == "/careops/live"


def migration_name(cluster):
    recording = declared.declare(declared.settings("dev"), cluster)
    (name,) = [job.metadata["name"] for job in recording.of("Job") if job.name == "odoo-migrate"]
    return name


def test_another_image_makes_another_migration_and_the_same_image_does_not():
    other = {**declared.FACTS["images"], "baseline-demo": f"careops.local/baseline-demo:1@sha256:{99:064x}"}
    assert migration_name(declared.facts()) == migration_name(declared.facts())
    assert migration_name(declared.facts()) != migration_name(declared.facts(images=other))


def test_a_filestore_for_one_node_uses_the_block_class():
    shared = declared.environment("dev").of("PersistentVolumeClaim")[0].spec
    assert (shared["accessModes"], shared["storageClassName"]) == (["ReadWriteMany"], "careops-shared")
    single = declared.with_filestore(declared.settings("dev"), access="single-node")
    spec = declared.declare(single).of("PersistentVolumeClaim")[0].spec
    assert (spec["accessModes"], spec["storageClassName"]) == (["ReadWriteOnce"], "careops-block")


def test_a_preview_knows_every_name_and_namespace():
    recording = declared.declare(declared.settings("prod"), preview=True)
    namespaced = [resource for resource in recording.resources if "namespace" in resource.inputs.get("metadata", {})]
    assert len(namespaced) > 20
    assert {resource.metadata["namespace"] for resource in namespaced} == {"riverside-prod", "riverside-refresh"}
    variables = recording.pods()[naming.ODOO_WEB]["spec"]["containers"][0]["env"]
    assert {"name": "PGHOST", "value": "postgresql-rw"} in variables
