"""PostgreSQL accepts its own environment's Odoo, over verified TLS, and nobody else."""

from __future__ import annotations

import json

import pytest

from tests.live.support import Platform

pytestmark = pytest.mark.live

# Runs in an Odoo pod, whose environment holds what Odoo itself connects with (PGHOST, PGPASSWORD, PGSSLROOTCERT …).
CONNECT = """
import json, os, sys, psycopg2
options = {"host": os.environ["PGHOST"], "user": "odoo", "dbname": "odoo", "password": os.environ["PGPASSWORD"],
           "sslmode": "verify-full", "sslrootcert": os.environ["PGSSLROOTCERT"], "connect_timeout": 3}
options.update(json.loads(sys.argv[1]))
try:
    connection = psycopg2.connect(**options)
    cursor = connection.cursor()
    cursor.execute(sys.argv[2])
    print("ANSWER " + json.dumps(cursor.fetchone(), default=str))
except psycopg2.Error as error:
    print("REFUSED " + " ".join(str(error).split()))
"""


def ask(platform: Platform, environment: str, query: str, **options: str) -> str:
    pod = platform.pod_named(platform.naming(environment).namespace, "odoo-web")
    output = platform.run_in(pod, ["python3", "-c", CONNECT, json.dumps(options), query])
    return output.strip().splitlines()[-1]


def test_odoo_connects_over_verified_tls(platform: Platform, environment: str) -> None:
    answer = ask(platform, environment, "select version from pg_stat_ssl where pid = pg_backend_pid()")
    assert "TLSv1.3" in answer


def test_every_connection_of_odoo_is_encrypted(platform: Platform, environment: str) -> None:
    query = (
        "select count(*) filter (where not ssl), count(*) from pg_stat_activity a join pg_stat_ssl s using (pid) "
        "where a.usename = 'odoo' and a.client_addr is not null"
    )
    clear, all_of_them = json.loads(ask(platform, environment, query).removeprefix("ANSWER "))
    assert clear == 0
    assert all_of_them >= 1


def test_a_connection_without_tls_is_refused(platform: Platform, environment: str) -> None:
    answer = ask(platform, environment, "select 1", sslmode="disable")
    assert answer.startswith("REFUSED")
    assert "pg_hba.conf rejects connection" in answer


def test_a_server_with_another_name_is_refused(platform: Platform) -> None:
    """verify-full: the right certificate under the wrong name is not the right server."""
    address = platform.pod_named(platform.naming("dev").namespace, "postgresql").status.pod_ip
    assert "does not match host name" in ask(platform, "dev", "select 1", host=address)


def test_a_wrong_password_is_refused(platform: Platform) -> None:
    assert "password authentication failed" in ask(platform, "dev", "select 1", password="wrong")


def test_a_foreign_environments_client_gets_no_answer(platform: Platform) -> None:
    prod = platform.pod_named(platform.naming("prod").namespace, "postgresql").status.pod_ip
    answer = ask(platform, "training", "select 1", host=prod, sslmode="require")
    assert answer.startswith("REFUSED")
    assert "timeout expired" in answer


def test_odoo_is_no_superuser(platform: Platform, environment: str) -> None:
    query = "select rolsuper, rolreplication, rolbypassrls, rolcreaterole from pg_roles where rolname = current_user"
    assert ask(platform, environment, query) == "ANSWER [false, false, false, false]"


def test_statements_that_change_the_schema_are_audited(platform: Platform, environment: str) -> None:
    assert "ddl" in ask(platform, environment, "select current_setting('pgaudit.log')")


def test_production_has_a_standby_that_follows(platform: Platform) -> None:
    namespace = platform.naming("prod").namespace
    pods = [pod for pod in platform.pods(namespace) if pod.metadata.name.startswith("postgresql-")]
    assert len(pods) == 2
    standby = next(pod for pod in pods if pod.metadata.labels.get("cnpg.io/instanceRole") == "replica")
    asked = platform.run_in(
        standby, ["psql", "-XAtc", "select pg_is_in_recovery(), status from pg_stat_wal_receiver"], container="postgres"
    )
    assert asked.strip() == "t|streaming"
