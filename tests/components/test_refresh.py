"""The refresh of training: what it declares in prod's isolation and in training, and what stays shut around it."""

from __future__ import annotations

import json

import pytest

from infra import naming
from infra.quantities import memory_bytes
from tests import declared
from tests.netpol import End, permits, pod, policies_of

PROD, REFRESH, TRAINING = "riverside-prod", "riverside-refresh", "riverside-training"
PORTS = (53, 80, 443, 1025, 5432, 6443, 8000, 8069, 8072, 8443)
EXPORT, MASK = pod(PROD, naming.REFRESH_EXPORT), pod(REFRESH, naming.REFRESH_MASK)
ADOPT, ROLLBACK = pod(TRAINING, naming.REFRESH_ADOPT), pod(TRAINING, naming.REFRESH_ROLLBACK)
PROD_DATABASE, TRAINING_DATABASE = pod(PROD, naming.POSTGRESQL), pod(TRAINING, naming.POSTGRESQL)
RUN_PODS = {"export": EXPORT, "mask": MASK, "adopt": ADOPT, "rollback": ROLLBACK}
IN_PROD = [pod(PROD, name) for name in (naming.EDGE, naming.ODOO_WEB, naming.ODOO_CRON, naming.ODOO_MIGRATE)]
IN_TRAINING = [
    pod(TRAINING, name)
    for name in (naming.EDGE, naming.ODOO_WEB, naming.ODOO_CRON, naming.ODOO_MIGRATE, naming.MAIL_SINK)
]
STRANGER = End(namespace=REFRESH, labels=(("app", "stranger"),))
OUTSIDE = [End(ip="203.0.113.9"), End(ip="169.254.169.254"), End(ip="10.199.0.2")]


@pytest.fixture(scope="module")
def policies(platform):
    return policies_of(platform, *(declared.environment(name) for name in naming.ENVIRONMENTS))


def template(environment, workload):
    return declared.environment(environment).pods()[workload]["spec"]


def variables(container):
    return {each["name"]: each.get("value") for each in container["env"]}


def mounts(spec):
    sources = {volume["name"]: volume for volume in spec["volumes"]}
    return {each["mountPath"]: sources[each["name"]] for each in spec["containers"][0]["volumeMounts"]}


# -- who may talk to whom ------------------------------------------------------------------------------------------


def test_a_run_opens_exactly_these_connections(policies):
    ends = {**RUN_PODS, "prod's database": PROD_DATABASE, "training's database": TRAINING_DATABASE}
    found = {
        (source, target, port)
        for source, here in RUN_PODS.items()
        for target, there in ends.items()
        for port in PORTS
        if permits(policies, here, there, port)
    }
    assert found == {
        ("export", "prod's database", 5432),
        ("export", "mask", 5432),
        ("mask", "training's database", 5432),
        ("adopt", "training's database", 5432),
        ("rollback", "training's database", 5432),
    }


def test_nothing_of_training_reaches_prod_or_the_namespace_that_masks(policies):
    here = [*IN_TRAINING, ADOPT, ROLLBACK, TRAINING_DATABASE]
    there = [*IN_PROD, EXPORT, PROD_DATABASE, MASK, STRANGER]
    assert not [1 for source in here for target in there for port in PORTS if permits(policies, source, target, port)]


def test_only_the_export_reaches_the_throw_away_postgresql(policies):
    others = [*IN_PROD, *IN_TRAINING, PROD_DATABASE, TRAINING_DATABASE, ADOPT, ROLLBACK, STRANGER, *OUTSIDE]
    assert not any(permits(policies, source, MASK, port) for source in others for port in PORTS)
    assert permits(policies, EXPORT, MASK, 5432)


@pytest.mark.parametrize("name", RUN_PODS)
def test_no_pod_of_a_run_reaches_the_outside_or_the_api_server(policies, name):
    assert not any(permits(policies, RUN_PODS[name], outside, port) for outside in OUTSIDE for port in PORTS)


def test_another_pod_of_the_masking_namespace_reaches_only_dns(policies):
    everybody = [*IN_PROD, *IN_TRAINING, PROD_DATABASE, TRAINING_DATABASE, EXPORT, MASK, *OUTSIDE]
    assert not any(permits(policies, STRANGER, target, port) for target in everybody for port in PORTS)
    assert permits(policies, STRANGER, End(namespace="kube-system", labels=(("k8s-app", "kube-dns"),)), 53, "UDP")


def test_the_check_of_the_flows_fails_where_training_may_reach_the_masking_namespace(policies):
    opened = [policy for policy in policies if policy.namespace not in (REFRESH, TRAINING)]
    assert permits(opened, IN_TRAINING[1], MASK, 5432)


# -- the namespace -------------------------------------------------------------------------------------------------


def test_the_masking_namespace_belongs_to_prods_isolation():
    namespace = declared.environment("prod").named("Namespace", REFRESH)
    labels = namespace.metadata["labels"]
    assert labels[naming.CLASSIFICATION_LABEL] == "phi"
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not namespace.protect, "nothing in it outlives a run"


def test_one_run_fits_into_the_masking_namespace_and_a_second_does_not():
    (quota,) = [
        each for each in declared.environment("prod").of("ResourceQuota") if each.metadata["namespace"] == REFRESH
    ]
    spec = template("prod", naming.REFRESH_MASK)
    containers = [*spec["initContainers"], *spec["containers"]]
    run = sum(memory_bytes(each["resources"]["limits"]["memory"]) for each in containers)
    allowed = memory_bytes(quota.spec["hard"]["limits.memory"])
    assert run < allowed < 2 * run
    assert quota.spec["hard"]["requests.storage"] == "0", "unmasked data never lies on a claim"


# -- the templates -------------------------------------------------------------------------------------------------


def cron_jobs(stack):
    return {each.metadata["name"]: each for each in declared.declare(stack).of("CronJob")}


def every_template(refresh):
    stacks = [declared.with_refresh(declared.settings(name), refresh) for name in ("prod", "training")]
    return {name: job for stack in stacks for name, job in cron_jobs(stack).items()}


def test_without_a_schedule_the_templates_are_suspended():
    found = every_template({})
    assert set(found) == {"refresh-export", "refresh-mask", "refresh-adopt", "refresh-rollback"}
    assert {job.spec["suspend"] for job in found.values()} == {True}


def test_with_a_schedule_the_three_jobs_start_together_and_the_rollback_never():
    found = every_template({"schedule": "30 1 * * 6"})
    rollback = found.pop("refresh-rollback")
    assert {(job.spec["schedule"], job.spec["timeZone"]) for job in found.values()} == {("30 1 * * 6", "Europe/Paris")}
    assert not any(job.spec["suspend"] for job in found.values())
    assert rollback.spec["suspend"] is True


def test_a_broken_run_is_never_continued():
    for name, job in every_template({}).items():
        spec = job.spec["jobTemplate"]["spec"]
        assert spec["backoffLimit"] == 0, name
        assert "podFailurePolicy" not in spec, "a rule that ignores a drained node would start the pod again"
        assert spec["template"]["spec"]["restartPolicy"] == "Never", name
        assert job.spec["concurrencyPolicy"] == "Forbid", name
        assert 0 < spec["activeDeadlineSeconds"] <= 6 * 3600, name


def test_a_site_without_a_refresh_declares_nothing_of_it():
    for name in ("prod", "training"):
        recording = declared.declare(declared.without_refresh(declared.settings(name)))
        assert recording.of("CronJob") == []
        assert "refresh" not in json.dumps([each.inputs for each in recording.resources if not each.component])


@pytest.mark.parametrize("name", ["dev", "test"])
def test_dev_and_test_have_no_part_in_it(name):
    assert declared.environment(name).of("CronJob") == []


# -- the pods ------------------------------------------------------------------------------------------------------


def test_a_refresh_never_pushes_out_other_pods():
    for environment, workload in (("prod", naming.REFRESH_EXPORT), ("prod", naming.REFRESH_MASK)):
        assert template(environment, workload)["priorityClassName"] == "careops-training"


def test_the_throw_away_postgresql_is_a_sidecar_with_its_own_user_on_a_place_that_goes_with_the_pod():
    spec = template("prod", naming.REFRESH_MASK)
    (sidecar,) = spec["initContainers"]
    assert sidecar["restartPolicy"] == "Always"
    assert sidecar["command"] == ["careops-isolated-postgresql"]
    assert sidecar["securityContext"]["runAsUser"] == sidecar["securityContext"]["runAsGroup"] == 26
    assert sidecar["startupProbe"]["exec"]["command"] == ["careops-isolated-postgresql", "ready"]
    volumes = {volume["name"]: volume for volume in spec["volumes"]}
    (data,) = [each["name"] for each in sidecar["volumeMounts"] if each["mountPath"] == "/var/lib/postgresql"]
    assert volumes[data]["emptyDir"]["sizeLimit"] == "10Gi"
    assert data not in [each["name"] for each in spec["containers"][0]["volumeMounts"]]
    assert not [volume for volume in spec["volumes"] if "persistentVolumeClaim" in volume]


def test_only_the_throw_away_postgresql_gets_its_private_key():
    spec = template("prod", naming.REFRESH_MASK)
    keys = {
        volume["name"]: {item["key"] for item in volume["secret"]["items"]}
        for volume in spec["volumes"]
        if volume.get("secret", {}).get("secretName") == naming.REFRESH_ISOLATED_SECRET
    }
    assert {name for name, held in keys.items() if "tls.key" in held} == {"isolated-tls"}
    assert "isolated-tls" not in [each["name"] for each in spec["containers"][0]["volumeMounts"]]


def test_the_export_can_only_read_prods_attachments():
    spec = template("prod", naming.REFRESH_EXPORT)
    (claim,) = [volume for volume in spec["volumes"] if "persistentVolumeClaim" in volume]
    assert claim["persistentVolumeClaim"] == {"claimName": "filestore", "readOnly": True}
    (mount,) = [each for each in spec["containers"][0]["volumeMounts"] if each["name"] == claim["name"]]
    assert mount["readOnly"] is True


@pytest.mark.parametrize(
    ("environment", "workload"),
    [
        ("prod", "refresh-export"),
        ("prod", "refresh-mask"),
        ("training", "refresh-adopt"),
        ("training", "refresh-rollback"),
    ],
)
def test_every_program_finds_the_file_of_each_variable_that_names_one(environment, workload):
    spec = template(environment, workload)
    found, folders = variables(spec["containers"][0]), mounts(spec)
    paths = [value for name, value in found.items() if name.endswith(("_FILE", "_KEY", "_SEED", "_CATALOGUE"))]
    paths += [
        word.partition("=")[2] for value in found.values() for word in (value or "").split() if "sslrootcert=" in word
    ]
    assert paths
    for path in paths:
        folder, _, name = path.rpartition("/")
        source = folders.get(folder) or folders[path]
        if "secret" in source and "items" in source["secret"]:
            assert name in [item["path"] for item in source["secret"]["items"]], path


def test_every_connection_verifies_who_answers_and_carries_no_password():
    for environment in ("prod", "training"):
        for workload, pod_template in declared.environment(environment).pods().items():
            container = pod_template["spec"]["containers"][0]
            for name, value in variables(container).items():
                if workload.startswith("refresh-") and value and "host=" in value:
                    assert "sslmode=verify-full" in value, name
                    assert "password" not in value, name


def test_a_program_reaches_the_throw_away_postgresql_by_the_name_in_its_certificate():
    host = "host=refresh-mask.riverside-refresh.svc"
    for workload in (naming.REFRESH_EXPORT, naming.REFRESH_MASK):
        assert host in variables(template("prod", workload)["containers"][0])["CAREOPS_ISOLATED"]
    (service,) = [each for each in declared.environment("prod").of("Service") if each.metadata["namespace"] == REFRESH]
    assert service.metadata["name"] == "refresh-mask"
    assert service.spec["selector"] == {naming.NAME_LABEL: "refresh-mask"}


def test_the_adoption_runs_trainings_own_image_with_the_migrations_settings():
    spec = template("training", naming.REFRESH_ADOPT)
    container = spec["containers"][0]
    assert container["image"] == declared.FACTS["images"]["odoo"]
    assert (container["command"], container["args"]) == (["careops-odoo"], ["adopt"])
    assert mounts(spec)["/etc/careops"]["configMap"]["items"] == [{"key": "odoo-migrate.json", "path": "odoo.json"}]
    roles = json.loads(variables(container)["CAREOPS_REFRESH_ROLES"])
    assert [role["name"] for role in roles] == ["sales", "stores", "personnel"]
    assert template("training", naming.REFRESH_ROLLBACK)["containers"][0]["args"] == ["adopt", "--rollback"]


def test_every_program_learns_its_run_from_its_jobs_name():
    for environment in ("prod", "training"):
        for workload, pod_template in declared.environment(environment).pods().items():
            spec = pod_template["spec"]
            for container in (*spec.get("initContainers", ()), *spec["containers"]):
                if workload.startswith("refresh-"):
                    (job,) = [each for each in container["env"] if each["name"] == "CAREOPS_JOB"]
                    path = job["valueFrom"]["fieldRef"]["fieldPath"]
                    assert path == "metadata.labels['batch.kubernetes.io/job-name']"


# -- the databases' roles ------------------------------------------------------------------------------------------


def further_roles(environment):
    roles = declared.environment(environment).of("Cluster")[0].spec["managed"]["roles"]
    return {role["name"]: role for role in roles if role["name"] != "odoo"}


def test_prods_role_reads_and_does_nothing_else():
    (role,) = further_roles("prod").values()
    assert (role["name"], role["inRoles"]) == ("refresh_source", ["pg_read_all_data"])
    assert not any(role[right] for right in ("createdb", "superuser", "createrole", "replication", "bypassrls"))
    assert role["passwordSecret"] == {"name": "refresh-source-role"}


def test_trainings_role_acts_for_the_applications_and_makes_databases():
    (role,) = further_roles("training").values()
    assert (role["name"], role["inRoles"], role["createdb"]) == ("refresh", ["odoo"], True)
    assert not any(role[right] for right in ("superuser", "createrole", "replication", "bypassrls"))


@pytest.mark.parametrize("name", ["dev", "test"])
def test_no_other_database_has_such_a_role(name):
    assert further_roles(name) == {}
