"""odoo.json, the pod's variables and the mounted secrets."""

from __future__ import annotations

import json

import pytest
from careops_odoo.errors import Refused
from careops_odoo.settings import parse_settings, read_pod, read_secrets, read_settings


def test_valid_settings_are_read_whole(document, tmp_path):
    (tmp_path / "odoo.json").write_text(json.dumps(document))
    settings = read_settings(tmp_path / "odoo.json")
    assert settings.modules == ("crm", "sale_management"), "sorted: their order means nothing"
    assert settings.languages == ("fr_FR", "en_US"), "the first is the default"
    assert settings.company.currency == "EUR"
    assert settings.smtp is not None
    assert settings.smtp.port == 1025


def test_what_is_optional_may_be_absent_or_null(document):
    for key in ("workers", "smtp", "banner"):
        document.pop(key)
    document["company"] = {"name": "x", "country": "FR", "time_zone": "Europe/Paris"}
    settings = parse_settings(document)
    assert (settings.workers, settings.smtp, settings.banner, settings.company.currency) == (None, None, None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moduls": []}, "moduls is unknown"),
        ({"modules": ["Sale; DROP"]}, "modules is"),
        ({"modules": "crm"}, "modules is 'crm', not a list"),
        ({"languages": []}, "languages is"),
        ({"languages": ["french"]}, "languages is"),
        ({"company": {"name": "x", "country": "France", "time_zone": "y"}}, "company.country is 'France'"),
        ({"company": {"name": "x", "country": "FR"}}, "company.time_zone is missing"),
        ({"company": None}, "company. is no object"),
        ({"base_url": "riverside"}, "base_url is"),
        ({"baseline": "big"}, "one of standard, demo"),
        ({"workers": -1}, "workers is"),
        ({"workers": True}, "workers is"),
        ({"limits": {"memory_bytes": "2G", "cpu_millicores": 1}}, "limits.memory_bytes is '2G'"),
        ({"smtp": {"host": "x"}}, "smtp.port is missing"),
        ({"smtp": "mail:25"}, "smtp is"),
    ],
)
def test_a_wrong_setting_is_named_with_its_path(document, change, message):
    with pytest.raises(Refused) as caught:
        parse_settings({**document, **change})
    assert message in str(caught.value)
    assert caught.value.code == 78


def test_all_wrong_settings_are_named_at_once(document):
    document.pop("base_url")
    with pytest.raises(Refused) as caught:
        parse_settings({**document, "workers": "four", "surprise": 1})
    assert all(part in str(caught.value) for part in ("surprise", "workers", "base_url"))


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_document_that_is_no_object_is_refused(tmp_path, text):
    (tmp_path / "odoo.json").write_text(text)
    with pytest.raises(Refused):
        read_settings(tmp_path / "odoo.json")


def test_only_what_a_migration_writes_changes_the_digest_it_compares(document):
    digest = parse_settings(document).personal_digest()
    assert parse_settings({**document, "workers": 4, "modules": []}).personal_digest() == digest
    for change in ({"banner": None}, {"base_url": "https://x"}, {"languages": ["en_US"]}, {"smtp": None}):
        assert parse_settings({**document, **change}).personal_digest() != digest


def test_the_pod_s_identity_is_site_and_environment(pod_variables):
    pod = read_pod(pod_variables)
    assert (pod.identity, pod.host, pod.port, pod.sslmode) == ("riverside/dev", "postgresql-rw", 5432, "verify-full")


def test_every_missing_variable_is_named(pod_variables):
    del pod_variables["CAREOPS_SITE"], pod_variables["PGSSLMODE"]
    with pytest.raises(Refused, match="CAREOPS_SITE, PGSSLMODE not set"):
        read_pod(pod_variables)


@pytest.mark.parametrize("change", [{"PGPORT": "x"}, {"PGDATABASE": 'odoo"; DROP'}, {"PGDATABASE": "x" * 60}])
def test_malformed_variables_are_refused(pod_variables, change):
    with pytest.raises(Refused):
        read_pod({**pod_variables, **change})


def test_secrets_are_read_without_their_line_ends_and_must_be_complete(tmp_path):
    for key in ("identity", "admin_login", "admin_password"):
        (tmp_path / key).write_text(f"{key}-value\n")
    with pytest.raises(Refused, match="master_password"):
        read_secrets(tmp_path)
    (tmp_path / "master_password").write_text("\n")
    with pytest.raises(Refused, match="it is empty"):
        read_secrets(tmp_path)
    (tmp_path / "master_password").write_text("m\n")
    assert read_secrets(tmp_path).identity == "identity-value"
