"""How the databases of a transfer are reached."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict

from operations.anonymise.sessions import Endpoint


def test_session_settings_are_added_to_those_of_the_conninfo():
    endpoint = Endpoint(conninfo="host=db dbname=x options='-c role=odoo'", password="open sesame")
    found = conninfo_to_dict(endpoint.with_options({"maintenance_work_mem": "64MB"}))
    assert found["options"] == "-c role=odoo -c maintenance_work_mem=64MB"
    assert found["host"] == "db"
    assert "sesame" not in endpoint.with_options({})


def test_an_endpoint_does_not_show_its_password():
    assert "sesame" not in repr(Endpoint(conninfo="host=db", password="open sesame"))
