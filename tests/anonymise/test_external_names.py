"""What staff typed into tables that modules fill: names of imports, programs of actions."""

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


PROGRAM = """INSERT INTO ir_act_server (name, type, binding_type, usage, state, model_id, code, write_uid)
    SELECT '{"en_US": "Ours"}', 'ir.actions.server', 'action', 'ir_actions_server', 'code', id,
           '# ask Tyler Morel; key sk_live_51Hx', 2 FROM ir_model LIMIT 1"""


def test_a_program_that_staff_typed_does_not_stay_and_those_of_modules_do(server: Server, standard: str):
    with server.copy(standard) as name:
        with server.connect(name) as connection:
            before = set(connection.execute("SELECT id, code FROM ir_act_server WHERE code IS NOT NULL"))
            connection.execute(PROGRAM.encode())
            schema = read_schema(connection)
        run = Run(schema=schema, catalogue=load())
        plan = compile_table(schema.tables["ir_act_server"], run)
        with reader(Endpoint(conninfo=server.conninfo(name)), session_settings(RunKey(), run, TODAY)) as session:
            rows = [dict(zip(plan.columns, row, strict=True)) for row in session.execute(plan.select().encode())]
    assert before
    assert {(row["id"], row["code"]) for row in rows if row["code"]} == before
    assert [row["code"] for row in rows if row["write_uid"] == 2] == [""]
