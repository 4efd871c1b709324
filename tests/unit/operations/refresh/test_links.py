"""The Secrets between the parts of a refresh."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from infra import naming
from operations.refresh import keys
from operations.refresh.links import ensure, renew_seed
from tests import declared

PROD, REFRESH, TRAINING = "riverside-prod", "riverside-refresh", "riverside-training"
NOW = datetime(2026, 11, 24, tzinfo=UTC)
WANTED = {
    (PROD, "refresh-source-role"): {"username", "password"},
    (PROD, "refresh-source-link"): {"password", "ca.crt"},
    (REFRESH, "refresh-isolated"): {"password", "tls.crt", "tls.key", "ca.crt"},
    (REFRESH, "refresh-target"): {"password", "ca.crt"},
    (REFRESH, "refresh-evidence"): {"key.pem"},
    (TRAINING, "refresh-role"): {"username", "password"},
    (TRAINING, "refresh-logins"): {"seed"},
}


def test_every_secret_is_made_once_and_kept_afterwards(cluster):
    made = ensure(cluster, "riverside", {}, NOW)
    assert {tuple(change.name.split("/")) for change in made} == {
        *WANTED,
        (REFRESH, "refresh-evidence-key"),
        (TRAINING, "refresh-evidence-key"),
    }
    assert {place: set(cluster.secret(*place)) for place in WANTED} == WANTED
    written = len(cluster.applied)
    assert ensure(cluster, "riverside", {}, NOW) == []
    assert len(cluster.applied) == written


def test_every_secret_that_a_pod_mounts_is_made_with_the_keys_it_mounts(cluster):
    ensure(cluster, "riverside", {}, NOW)
    mounted = 0
    for environment in ("prod", "training"):
        for template in declared.environment(environment).of("CronJob"):
            namespace = template.metadata["namespace"]
            for volume in template.spec["jobTemplate"]["spec"]["template"]["spec"]["volumes"]:
                secret = volume.get("secret", {})
                if secret.get("secretName", "").startswith("refresh-"):
                    held = cluster.secret(namespace, secret["secretName"])
                    assert {item["key"] for item in secret.get("items", ())} <= set(held)
                    mounted += 1
    assert mounted >= 8


def test_the_roles_secrets_are_the_ones_the_clusters_name(cluster):
    ensure(cluster, "riverside", {}, NOW)
    for environment in ("prod", "training"):
        (role,) = declared.environment(environment).of("Cluster")[0].spec["managed"]["roles"][1:]
        found = cluster.secret(f"riverside-{environment}", role["passwordSecret"]["name"])
        assert found["username"].decode() == role["name"]
        path = f"/api/v1/namespaces/riverside-{environment}/secrets/{role['passwordSecret']['name']}"
        written = cluster.objects[path]
        assert written["type"] == "kubernetes.io/basic-auth"
        assert written["metadata"]["labels"]["cnpg.io/reload"] == "true"


def test_both_ends_of_a_link_hold_the_same_password_and_no_private_key_travels(cluster):
    ensure(cluster, "riverside", {}, NOW)
    isolated, link = cluster.secret(REFRESH, "refresh-isolated"), cluster.secret(PROD, "refresh-source-link")
    assert link == {"password": isolated["password"], "ca.crt": isolated["ca.crt"]}
    target = cluster.secret(REFRESH, "refresh-target")
    assert target == {"password": cluster.secret(TRAINING, "refresh-role")["password"], "ca.crt": b"authority"}


def test_passwords_are_long_and_need_no_quoting(cluster):
    ensure(cluster, "riverside", {}, NOW)
    passwords = {cluster.secret(*place)["password"] for place, held in WANTED.items() if "password" in held}
    assert len(passwords) == 3, "three that were made up, two of them in two places"
    assert all(re.fullmatch(rb"[A-Za-z0-9_-]{24,}", password) for password in passwords)


def test_a_changed_password_reaches_the_other_end(cluster):
    ensure(cluster, "riverside", {}, NOW)
    del cluster.objects[f"/api/v1/namespaces/{TRAINING}/secrets/refresh-role"]
    changed = {change.name: change.verb for change in ensure(cluster, "riverside", {}, NOW)}
    assert changed == {f"{TRAINING}/refresh-role": "made", f"{REFRESH}/refresh-target": "renewed"}
    new = cluster.secret(TRAINING, "refresh-role")["password"]
    assert cluster.secret(REFRESH, "refresh-target")["password"] == new


def test_a_certificate_that_ends_soon_is_renewed_at_both_ends(cluster):
    ensure(cluster, "riverside", {}, NOW)
    before = cluster.secret(REFRESH, "refresh-isolated")
    assert ensure(cluster, "riverside", {}, NOW + timedelta(days=300)) == []
    changed = ensure(cluster, "riverside", {}, NOW + timedelta(days=340))
    assert {change.name for change in changed} == {f"{REFRESH}/refresh-isolated", f"{PROD}/refresh-source-link"}
    after = cluster.secret(REFRESH, "refresh-isolated")
    assert after["tls.crt"] != before["tls.crt"]
    assert cluster.secret(PROD, "refresh-source-link")["ca.crt"] == after["ca.crt"]


@pytest.mark.parametrize("missing", ["tls.key", "ca.crt", "password"])
def test_a_secret_that_lost_a_value_is_made_anew(cluster, missing):
    ensure(cluster, "riverside", {}, NOW)
    del cluster.objects[f"/api/v1/namespaces/{REFRESH}/secrets/refresh-isolated"]["data"][missing]
    changed = {change.name: change.verb for change in ensure(cluster, "riverside", {}, NOW)}
    assert changed[f"{REFRESH}/refresh-isolated"] == "renewed"


def test_the_certificate_is_for_the_name_the_programs_connect_to_and_signed_by_its_authority(cluster):
    ensure(cluster, "riverside", {}, NOW)
    held = cluster.secret(REFRESH, "refresh-isolated")
    certificate = x509.load_pem_x509_certificate(held["tls.crt"])
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["refresh-mask.riverside-refresh.svc"]
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(held["ca.crt"]))
    key = serialization.load_pem_private_key(held["tls.key"], None)
    assert key.public_key() == certificate.public_key()


def test_the_public_key_belongs_to_the_evidence_key(cluster):
    ensure(cluster, "riverside", {}, NOW)
    private = cluster.secret(REFRESH, "refresh-evidence")["key.pem"]
    config = cluster.objects[f"/api/v1/namespaces/{REFRESH}/configmaps/{naming.REFRESH_EVIDENCE_KEY}"]
    assert config["data"]["key.pub.pem"].encode() == keys.public_key(private)
    assert "PRIVATE" not in str(config)
    handed = cluster.objects[f"/api/v1/namespaces/{TRAINING}/configmaps/{naming.REFRESH_EVIDENCE_KEY}"]
    assert handed["data"] == config["data"], "the adoption checks the certificate before it swaps"


def test_something_else_in_the_place_of_an_evidence_key_is_no_key():
    files = keys.server_files("example.org", NOW)
    assert keys.public_key(files.key) is None, "an elliptic-curve key is none of ours"
    assert keys.public_key(b"nothing") is None


def test_before_the_second_environment_is_there_only_its_own_half_is_made(cluster):
    for name in (PROD, REFRESH):
        del cluster.objects[f"/api/v1/namespaces/{name}"]
    assert {change.name for change in ensure(cluster, "riverside", {}, NOW)} == {
        f"{TRAINING}/refresh-role",
        f"{TRAINING}/refresh-logins",
    }


def test_a_namespace_that_is_being_deleted_gets_nothing(cluster):
    cluster.objects[f"/api/v1/namespaces/{REFRESH}"] = {"status": {"phase": "Terminating"}}
    ensure(cluster, "riverside", {}, NOW)
    assert {manifest["metadata"]["namespace"] for manifest in cluster.applied} == {PROD, TRAINING}


def test_the_sites_own_catalogue_travels_and_goes_again(cluster):
    ensure(cluster, "riverside", {"extra.tsv": "table\tcolumn\n"}, NOW)
    path = f"/api/v1/namespaces/{REFRESH}/configmaps/{naming.REFRESH_CATALOGUE}"
    assert cluster.objects[path]["data"] == {"extra.tsv": "table\tcolumn\n"}
    ensure(cluster, "riverside", {}, NOW)
    assert cluster.objects[path]["data"] == {}


def test_nothing_is_printed(cluster, capsys):
    made = ensure(cluster, "riverside", {}, NOW)
    said = capsys.readouterr()
    assert said.out + said.err == ""
    values = [value for place in WANTED for value in cluster.secret(*place).values() if len(value) > 12]
    assert not [value for value in values if value.decode(errors="replace") in str(made)]


def test_each_run_has_a_seed_of_its_own_and_the_present_datas_stays_known(cluster):
    ensure(cluster, "riverside", {}, NOW)
    first = cluster.secret(TRAINING, "refresh-logins")["seed"]
    renew_seed(cluster, "riverside", "417", "418")
    held = cluster.secret(TRAINING, "refresh-logins")
    assert held["seed"] != first
    assert held["seed-of-417"] == first
    assert held["seed-of-418"] == held["seed"], "what a rollback may bring back is known by its name"
    second = held["seed"]
    renew_seed(cluster, "riverside", "417", "419")
    held = cluster.secret(TRAINING, "refresh-logins")
    assert held["seed-of-417"] == first, "418 came to nothing"
    assert held["seed"] not in {first, second}
    assert ensure(cluster, "riverside", {}, NOW) == []


def test_however_many_runs_come_to_nothing_the_seed_of_the_present_data_stays(cluster):
    ensure(cluster, "riverside", {}, NOW)
    first = cluster.secret(TRAINING, "refresh-logins")["seed"]
    for run in range(418, 450):
        renew_seed(cluster, "riverside", "417", str(run))
    held = cluster.secret(TRAINING, "refresh-logins")
    assert held["seed-of-417"] == first
    assert len(held) == 8 + 2
