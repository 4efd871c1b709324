"""The baselines come up in a PostgreSQL of the platform's own image."""

from __future__ import annotations

from tests.anonymise.support import Server


def test_each_baseline_is_restored_whole(server: Server, either: str):
    with server.connect(either) as connection:
        version = connection.execute("SHOW server_version").fetchone()
        tables = connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
        modules = connection.execute("SELECT count(*) FROM ir_module_module WHERE state = 'installed'").fetchone()
    assert version
    assert version[0].startswith("17.")
    assert tables
    assert tables[0] > 800
    assert modules
    assert modules[0] > 150


def test_a_copy_is_dropped_at_the_end_and_leaves_its_template_alone(server: Server, standard: str):
    with server.copy(standard) as name, server.connect(name) as connection:
        connection.execute("DELETE FROM ir_config_parameter")
    with server.connect(standard) as connection:
        kept = connection.execute("SELECT count(*) FROM ir_config_parameter").fetchone()
        names = {row[0] for row in connection.execute("SELECT datname FROM pg_database")}
    assert kept
    assert kept[0] > 0
    assert name not in names
