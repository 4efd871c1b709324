"""Names by which somebody's import or export knows records: whoever has the file knows who each row is."""

from __future__ import annotations

from operations.anonymise.catalogue.loader import load
from operations.anonymise.rules.compile import Run, compile_table, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.schema import read_schema
from operations.anonymise.sessions import Endpoint, reader
from tests.anonymise.masking import TODAY
from tests.anonymise.support import Server

NAMED = "INSERT INTO ir_model_data (module, name, model, res_id) VALUES (%s, %s, 'res.partner', 3)"
INSTALLED = "SELECT name FROM ir_module_module WHERE state = 'installed'"


def test_names_that_an_import_gave_records_are_not_copied_and_those_of_modules_are(server: Server, standard: str):
    with server.copy(standard) as name:
        with server.connect(name) as connection:
            for module in ("__import__", "__export__", "hospital_archive"):
                connection.execute(NAMED, (module, "mrn_0048213_byron_ada"))
            schema = read_schema(connection)
            installed = {row for (row,) in connection.execute(INSTALLED)}
            shipped = "SELECT count(*) FROM ir_model_data WHERE module = ANY(%s)"
            wanted = connection.execute(shipped, (sorted(installed),)).fetchone()
        run = Run(schema=schema, catalogue=load())
        plan = compile_table(schema.tables["ir_model_data"], run)
        endpoint = Endpoint(conninfo=server.conninfo(name))
        with reader(endpoint, session_settings(RunKey(), run, TODAY)) as session:
            rows = session.execute(plan.select().encode()).fetchall()
    found = [dict(zip(plan.columns, row, strict=True)) for row in rows]
    assert not [row for row in found if "byron" in row["name"]]
    assert {row["module"] for row in found} <= installed
    assert (len(found),) == wanted
