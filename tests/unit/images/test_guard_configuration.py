"""odoo.conf and the sizes in it."""

from __future__ import annotations

import configparser
import stat
from pathlib import Path

import jinja2
import pytest
from careops_odoo.configuration import hash_password, render, write
from careops_odoo.settings import parse_settings, read_pod
from careops_odoo.sizing import MIB, size

TEMPLATES = Path(__file__).parents[3] / "odoo-image" / "templates"


def options(document, pod_variables, role="web", **changes):
    settings = parse_settings({**document, **changes})
    text = render(TEMPLATES, read_pod(pod_variables), settings, "$pbkdf2-sha512$1$x$y%", role)
    parser = configparser.RawConfigParser()
    parser.read_string(text)
    return dict(parser["options"])


def test_the_hardening_options_are_there(document, pod_variables):
    conf = options(document, pod_variables)
    expected = {
        "db_sslmode": "verify-full",
        "list_db": "False",
        "proxy_mode": "True",
        "with_demo": "False",
        "logfile": "",
        "server_wide_modules": "base,rpc,web",
        "http_port": "8069",
        "gevent_port": "8072",
        "admin_passwd": "$pbkdf2-sha512$1$x$y%",
    }
    assert {key: conf[key] for key in expected} == expected


def test_no_database_password_and_no_clear_master_password_is_in_the_file(document, pod_variables):
    conf = options(document, {**pod_variables, "PGPASSWORD": "hunter2"})
    assert "db_password" not in conf
    assert "hunter2" not in str(conf)


@pytest.mark.parametrize(
    ("role", "http", "cron", "workers"),
    [("web", "True", "2", "3"), ("cron", "False", "2", "0"), ("migrate", "False", "0", "0")],
)
def test_only_web_serves_and_a_migration_neither_serves_nor_schedules(
    document, pod_variables, *, role, http, cron, workers
):
    conf = options(document, pod_variables, role)
    assert (conf["http_enable"], conf["max_cron_threads"], conf["workers"]) == (http, cron, workers)
    assert (conf["limit_memory_hard"] == "0") == (role == "migrate"), "an upgrade is bounded by its container only"


def test_mail_goes_to_the_relay_of_the_settings_or_the_options_are_absent(document, pod_variables):
    assert options(document, pod_variables)["smtp_server"] == "mail-sink"
    assert "smtp_server" not in options(document, pod_variables, smtp=None)


def test_a_line_break_in_a_value_cannot_add_an_option(document, pod_variables):
    with pytest.raises(ValueError, match="line break"):
        options(document, {**pod_variables, "PGHOST": "db\nadmin_passwd = admin"})


def test_an_undefined_name_in_the_template_is_an_error(document, pod_variables, tmp_path):
    (tmp_path / "odoo.conf.j2").write_text("{{ nothing }}")
    with pytest.raises(jinja2.UndefinedError):
        render(tmp_path, read_pod(pod_variables), parse_settings(document), "", "web")


def test_the_written_file_is_readable_by_its_owner_only(tmp_path):
    write(tmp_path / "run" / "odoo.conf", "x")
    assert stat.S_IMODE((tmp_path / "run" / "odoo.conf").stat().st_mode) == 0o600


def test_the_master_password_s_hash_is_the_one_passlib_makes():
    # passlib.hash.pbkdf2_sha512.using(salt=b"0123456789abcdef", rounds=1000).hash("secret"), made with passlib 1.7.4
    made = hash_password("secret", salt=b"0123456789abcdef", rounds=1000)
    assert made == (
        "$pbkdf2-sha512$1000$MDEyMzQ1Njc4OWFiY2RlZg$"
        "vgFvU7zWIDgDAUi7d8ayt.cfRiPWVVWfv8iQRsGZaZviWzsSNgWYXEE5PmvI/VELMsOmEbqLz0PKuePNjOk41A"
    )
    assert hash_password("secret") != hash_password("secret"), "salted"


@pytest.mark.parametrize(
    ("memory", "cpu", "wanted", "workers"),
    [
        (2048 * MIB, 1000, None, 3),  # the CPU decides: 2 x 1 + 1
        (1200 * MIB, 4000, None, 2),  # the memory decides
        (512 * MIB, 4000, None, 2),  # never fewer: the edge counts on the long-poll port
        (4096 * MIB, 500, None, 3),  # less than a core counts as one
        (0, 2000, None, 5),  # no memory limit
        (512 * MIB, 1000, 4, 4),  # the settings decide
        (8192 * MIB, 8000, 0, 0),
    ],
)
def test_workers_are_what_cpu_and_memory_allow_unless_the_settings_say(memory, cpu, wanted, workers):
    assert size(memory, cpu, wanted).workers == workers


def test_memory_limits_stay_within_what_odoo_s_virtual_memory_needs():
    assert size(512 * MIB, 1000, None).limit_memory_soft == 1024 * MIB
    assert size(2048 * MIB, 1000, None).limit_memory_soft == 1536 * MIB
    large = size(64 * 1024 * MIB, 1000, None)
    assert (large.limit_memory_soft, large.limit_memory_hard) == (2048 * MIB, 2560 * MIB)
