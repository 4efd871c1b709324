"""The demo company, masked by the shipped catalogue, passes every check about its data, canaries and all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from operations.anonymise import canaries
from operations.anonymise.catalogue.loader import load
from operations.anonymise.rules.compile import Run, compile_tables, session_settings
from operations.anonymise.rules.key import RunKey
from operations.anonymise.rules.plain import FILES_TABLE
from operations.anonymise.schema import read_schema
from operations.anonymise.sessions import Endpoint
from operations.anonymise.transfer import transfer
from operations.anonymise.verify import dictionary, kanonymity, keyshapes, overrides, shapes, unmoved
from operations.anonymise.verify.run import Wanted, verify
from operations.anonymise.verify.structure import Pair
from tests.anonymise.masking import TODAY, source, tools
from tests.anonymise.support import Server


@pytest.fixture(scope="module")
def masked(server: Server, demo: str) -> Iterator[tuple[Pair, canaries.Planting]]:
    catalogue = load()
    with server.copy(demo) as name, source(server, "masked_demo") as made:
        with server.connect(name) as connection:
            connection.execute(FILES_TABLE.encode())
            schema = read_schema(connection)
            planting = canaries.plant(connection, schema)
        run = Run(schema=schema, catalogue=catalogue)
        transfer(
            Endpoint(conninfo=server.conninfo(name)),
            Endpoint(conninfo=server.conninfo(made.database)),
            compile_tables(run),
            session_settings(RunKey(), run, TODAY),
            tools(server),
        )
        with server.connect(name) as left, server.connect(made.database) as right:
            after = read_schema(right)
            kanonymity.suppress(right, after, catalogue)
            yield Pair(source=left, target=right, before=schema, after=after, catalogue=catalogue), planting


def test_masked_data_passes_every_check_of_the_data(masked: tuple[Pair, canaries.Planting]):
    pair, planting = masked
    result = verify(pair, Wanted(adopted=False), planting)
    print(*(f"{c.name}: {c.status} {c.seconds:.1f}s {dict(c.facts)} {c.why}" for c in result.checks), sep="\n")
    findings = [f"{c.name}: {finding}" for c in result.checks for finding in c.findings]
    print(*findings, sep="\n")
    assert findings == []
    assert result.passed


def test_one_real_value_in_a_masked_database_is_found(masked: tuple[Pair, canaries.Planting]):
    pair, _ = masked
    real = pair.source.execute(
        "SELECT email FROM res_partner WHERE email LIKE '%@%' AND NOT email LIKE '%,%' ORDER BY id DESC LIMIT 1"
    ).fetchone()
    assert real
    with pair.target.transaction(force_rollback=True):
        pair.target.execute(
            "UPDATE product_template SET name = name || jsonb_build_object('fr_FR', 'pour ' || upper(%s)) "
            "WHERE id = (SELECT min(id) FROM product_template)",
            real,
        )
        looked = dictionary.check(pair.source, pair.target, (pair.before, pair.after), pair.catalogue)
    assert ("product_template", "name") in {(finding.table, finding.column) for finding in looked.findings}


def test_a_row_that_keeps_its_own_common_name_is_a_link(masked: tuple[Pair, canaries.Planting]):
    pair, _ = masked
    with pair.source.transaction(force_rollback=True), pair.target.transaction(force_rollback=True):
        pair.source.execute("UPDATE res_partner SET name = 'Martin Adams' WHERE id > 20")
        pair.target.execute("UPDATE res_partner SET name = 'Martin Adams' WHERE id IN (21, 22, 23, 24, 25, 26)")
        looked = dictionary.check(pair.source, pair.target, (pair.before, pair.after), pair.catalogue)
    found = {(finding.table, finding.column, finding.count) for finding in looked.findings}
    assert ("res_partner", "name", 6) in found


JOB = "Oberaufseherin der Quartzgrotte"


@pytest.mark.parametrize("organisations", [True, False], ids=["also the name of a job", "one employee's alone"])
def test_a_title_that_the_organisation_uses_itself_is_nobodys(
    masked: tuple[Pair, canaries.Planting], *, organisations: bool
):
    pair, _ = masked
    job = "SELECT min(id) FROM hr_job"
    with pair.source.transaction(force_rollback=True), pair.target.transaction(force_rollback=True):
        pair.source.execute("UPDATE hr_version SET job_title = %s WHERE id = (SELECT min(id) FROM hr_version)", [JOB])
        named = f"UPDATE hr_job SET name = jsonb_build_object('en_US', %s::text) WHERE id = ({job})"  # noqa: S608 - ours
        if organisations:
            pair.source.execute(named.encode(), [JOB])
        pair.target.execute(named.encode(), [JOB])
        looked = dictionary.check(pair.source, pair.target, (pair.before, pair.after), pair.catalogue)
    found = {(finding.table, finding.column) for finding in looked.findings}
    assert (("hr_job", "name") in found) is not organisations


def test_only_odoos_stamps_of_the_last_change_may_be_of_one_moment(masked: tuple[Pair, canaries.Planting]):
    pair, _ = masked
    with pair.target.transaction(force_rollback=True):
        pair.target.execute("UPDATE mail_message SET write_date = now(), date = '2020-01-01'")
        before = {(f.table, f.column) for f in shapes.shapes(pair).findings}
        after = {(f.table, f.column) for f in shapes.shapes(pair, adopted=True).findings}
    assert ("mail_message", "write_date") in before
    assert ("mail_message", "write_date") not in after
    assert ("mail_message", "date") in after


def _looked(pair: Pair) -> set[tuple[str, str]]:
    looked = dictionary.check(pair.source, pair.target, (pair.before, pair.after), pair.catalogue)
    return {(finding.table, finding.column) for finding in looked.findings}


def test_a_real_name_is_exempt_in_the_very_cell_that_the_product_ships_and_nowhere_else(
    masked: tuple[Pair, canaries.Planting],
):
    pair, _ = masked
    name = "Oriol Zwartkruis"
    shipped = "(SELECT min(res_id) FROM ir_model_data WHERE model = 'product.template')"
    other = "(SELECT max(id) FROM res_partner_category)"
    with pair.source.transaction(force_rollback=True), pair.target.transaction(force_rollback=True):
        partner = "UPDATE res_partner SET name = %s WHERE id = (SELECT max(id) FROM res_partner WHERE NOT is_company)"
        pair.source.execute(partner.encode(), [name])
        for connection in (pair.source, pair.target):
            named = f"UPDATE product_template SET name = jsonb_build_object('en_US', %s::text) WHERE id = {shipped}"  # noqa: S608 - ours
            connection.execute(named.encode(), [f"Orthosis of {name}"])
        assert _looked(pair) == set(), "a product that a module ships is called like that"
        for connection in (pair.source, pair.target):
            named = (
                "UPDATE res_partner_category SET write_uid = 2, name = jsonb_build_object('en_US', %s::text) "  # noqa: S608 - ours
                f"WHERE id = {other}"
            )
            connection.execute(named.encode(), [f"Family of {name}"])
        assert ("res_partner_category", "name") in _looked(pair)


def test_a_common_name_in_full_that_somebody_typed_is_found_where_training_keeps_it(
    masked: tuple[Pair, canaries.Planting],
):
    pair, _ = masked
    name, wanted = "Martin Adams", "(SELECT max(id) FROM res_partner_category)"
    with pair.source.transaction(force_rollback=True), pair.target.transaction(force_rollback=True):
        partner = "UPDATE res_partner SET name = %s WHERE id = (SELECT max(id) FROM res_partner WHERE NOT is_company)"
        pair.source.execute(partner.encode(), [name])
        typed = (
            "UPDATE res_partner_category SET write_uid = 2, name = jsonb_build_object('en_US', %s::text) "  # noqa: S608 - ours
            f"WHERE id = {wanted}"
        )
        pair.target.execute(typed.encode(), [f"Family of {name}"])
        assert _looked(pair) == set(), "a made name is no finding: the source's cell has it not"
        pair.source.execute(typed.encode(), [f"Family of {name}"])
        assert _looked(pair) == {("res_partner_category", "name")}


def test_a_surname_that_many_have_is_found_behind_a_title(masked: tuple[Pair, canaries.Planting]):
    pair, _ = masked
    with pair.source.transaction(force_rollback=True), pair.target.transaction(force_rollback=True):
        people = "UPDATE res_partner SET name = 'Martin Zwartkruis' WHERE NOT is_company"
        pair.source.execute(people.encode())
        typed = "UPDATE res_partner_category SET name = %s::jsonb WHERE id = (SELECT max(id) FROM res_partner_category)"
        pair.target.execute(typed.encode(), ['{"en_US": "asked for by Mr Zwartkruis"}'])
        assert ("res_partner_category", "name") in _looked(pair)


def test_a_date_that_did_not_move_is_found_in_its_row(masked: tuple[Pair, canaries.Planting]):
    pair, _ = masked
    assert list(unmoved.unmoved(pair).findings) == []
    query = "SELECT create_date, id FROM mail_message WHERE create_date IS NOT NULL ORDER BY id DESC LIMIT 1"
    real = pair.source.execute(query).fetchone()
    with pair.target.transaction(force_rollback=True):
        pair.target.execute("UPDATE mail_message SET create_date = %s WHERE id = %s", real)
        looked = unmoved.unmoved(pair)
    assert {(f.table, f.column, f.count) for f in looked.findings} == {("mail_message", "create_date", 1)}


def test_what_a_site_s_own_line_lets_stay_is_looked_for_by_the_shipped_line_and_told(
    masked: tuple[Pair, canaries.Planting], tmp_path: Path
):
    pair, _ = masked
    site = tmp_path / "site.tsv"
    site.write_text(
        "table\tcolumn\tclassification\tsafe_harbor\tgdpr\trule\tnote\toverride\n"
        "res_partner\temail\tpublic\t-\tnone\tkeep\t\twe need it\n"
        "mail_message\tdate\tpublic\t-\tnone\tkeep\t\twe need it\n"
    )
    pair = replace(pair, catalogue=load([site]))
    email = pair.source.execute("SELECT email, id FROM res_partner WHERE email LIKE '%@%' ORDER BY id DESC LIMIT 1")
    date = pair.source.execute("SELECT date, id FROM mail_message WHERE date IS NOT NULL ORDER BY id DESC LIMIT 1")
    with pair.target.transaction(force_rollback=True):
        pair.target.execute("UPDATE res_partner SET email = %s WHERE id = %s", email.fetchone())
        pair.target.execute("UPDATE mail_message SET date = %s WHERE id = %s", date.fetchone())
        assert ("res_partner", "email") in _looked(pair)
        assert {(f.table, f.column) for f in unmoved.unmoved(pair).findings} == {("mail_message", "date")}
    told = overrides.overrides(pair).facts
    assert told["shipped lines replaced"] == 2
    assert "res_partner.email: keep (public) instead of email (direct-identifier)" in told


@pytest.mark.parametrize(
    "code",
    [
        "key = 'sk_live_51Hx99QqQq77aaZZ'",
        "# AKIAIOSFODNN7EXAMPLE",
        "pem = '-----BEGIN RSA PRIVATE KEY-----'",
        "requests.get(url, auth='q7Vx2LmP9sKd4RtYw8ZbN3cF')",
    ],
    ids=["of a payment service", "of a cloud", "private", "of no known shape"],
)
def test_what_looks_like_a_key_in_code_is_found(masked: tuple[Pair, canaries.Planting], code: str):
    pair, _ = masked
    assert list(keyshapes.keyshapes(pair).findings) == []
    with pair.target.transaction(force_rollback=True):
        pair.target.execute(
            "UPDATE ir_act_server SET write_uid = 2, code = %s WHERE id = (SELECT min(id) FROM ir_act_server)", [code]
        )
        looked = keyshapes.keyshapes(pair)
    assert {(f.table, f.column) for f in looked.findings} == {("ir_act_server", "code")}
