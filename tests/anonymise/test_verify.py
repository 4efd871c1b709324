"""Every check fails on a copy that nobody masked, and finds every canary in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import psycopg
import pytest

from operations.anonymise import canaries
from operations.anonymise.catalogue.loader import load
from operations.anonymise.model import Catalogue
from operations.anonymise.schema import read_schema
from operations.anonymise.verify import credentials, dictionary, kanonymity, shapes, structure
from operations.anonymise.verify.report import Looked, Status, run
from operations.anonymise.verify.run import Wanted, verify
from operations.anonymise.verify.structure import Pair
from operations.anonymise.verify.values import entries, leaves, what_of
from tests.anonymise.support import Server


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load()


@pytest.fixture(scope="module")
def planted_pair(server: Server, demo: str, catalogue: Catalogue) -> Iterator[tuple[Pair, canaries.Planting]]:
    """The demo baseline with canaries, and a copy of it that nobody masked."""
    with server.copy(demo) as source:
        with server.connect(source) as connection:
            planting = canaries.plant(connection, read_schema(connection))
        with server.copy(source) as target, server.connect(source) as left, server.connect(target) as right:
            schema = read_schema(left)
            yield (
                Pair(source=left, target=right, before=schema, after=read_schema(right), catalogue=catalogue),
                planting,
            )


def test_enough_canaries_are_planted_in_the_demo_data(planted_pair: tuple[Pair, canaries.Planting]):
    _, planting = planted_pair
    assert planting.refused == {}
    assert len(planting.canaries) >= 100
    kinds = {canary.place.kind for canary in planting.canaries}
    assert kinds == set(canaries.MAKERS)


def test_an_unmasked_copy_fails_every_check_about_people_and_shows_every_canary(
    planted_pair: tuple[Pair, canaries.Planting],
):
    pair, planting = planted_pair
    result = verify(pair, Wanted(), planting)
    by_name = {check.name: check for check in result.checks}
    print(*(f"{c.name}: {c.status} {c.seconds:.1f}s {dict(c.facts)} {c.why}" for c in result.checks), sep="\n")
    assert not result.passed
    people = (
        "canaries",
        "dictionary",
        "credentials",
        "unchanged cells",
        "dates and numbers",
        "k-anonymity",
        "rows",
        "neutralised",
    )
    assert {name: by_name[name].status for name in people} == dict.fromkeys(people, Status.FAILED)
    whole = ("constraints", "sequences", "references", "shapes", "ledger")
    assert {name: by_name[name].status for name in whole} == dict.fromkeys(whole, Status.PASSED)
    found = {finding.what for finding in by_name["canaries"].findings}
    assert found == {f"holds the canary of: {canary.place.place}" for canary in planting.canaries}


def test_the_dictionary_finds_the_canaries_where_they_stand(planted_pair: tuple[Pair, canaries.Planting]):
    pair, planting = planted_pair
    looked = dictionary.check(pair.source, pair.target, (pair.before, pair.after), pair.catalogue)
    found = {(finding.table, finding.column) for finding in looked.findings}
    missed = []
    for canary in planting.canaries:
        place = canary.place
        line = pair.catalogue.column(place.table, place.column)
        what, value = what_of(line) if line else None, canaries.MAKERS[place.kind][1](canary.needle)
        if what is None or not isinstance(value, str):
            continue
        wanted = [entry for text in leaves(value) for entry in entries(what, text)]
        if wanted and (place.table, place.column) not in found:
            missed.append(place.place)
    assert missed == []


def test_a_finding_never_holds_a_value(planted_pair: tuple[Pair, canaries.Planting]):
    pair, planting = planted_pair
    text = " ".join(str(check.as_json()) for check in verify(pair, Wanted(), planting).checks).lower()
    assert [canary.place for canary in planting.canaries if canary.needle in text] == []


def test_canaries_are_taken_out_again(server: Server, standard: str):
    with server.copy(standard) as name, server.connect(name) as connection:
        schema = read_schema(connection)
        before = connection.execute("SELECT count(*) FROM res_partner").fetchone()
        planting = canaries.plant(connection, schema)
        assert len(planting.canaries) >= canaries.LEAST, planting.refused
        assert canaries.remove(connection, schema, planting) >= len(planting.rows) - len(planting.refused)
        assert connection.execute("SELECT count(*) FROM res_partner").fetchone() == before
        looked = canaries.check(connection, schema, planting)
        assert list(looked.findings) == []


def test_too_few_canaries_prove_nothing(server: Server, standard: str):
    with server.connect(standard) as connection:
        schema = read_schema(connection)
        result = run("canaries", lambda: canaries.check(connection, schema, canaries.Planting()))
    assert result.status is Status.COULD_NOT_RUN


@pytest.fixture
def damaged(server: Server, standard: str, catalogue: Catalogue) -> Iterator[tuple[Pair, psycopg.Connection]]:
    """The standard baseline and a copy of it to damage."""
    with server.copy(standard) as target, server.connect(standard) as left, server.connect(target) as right:
        schema = read_schema(left)
        yield Pair(source=left, target=right, before=schema, after=schema, catalogue=catalogue), right


def _columns(looked: Looked) -> set[tuple[str, str]]:
    return {(finding.table, finding.column) for finding in looked.findings}


def test_a_lost_row_and_a_leftover_row_are_told(damaged: tuple[Pair, psycopg.Connection]):
    pair, target = damaged
    target.execute("DELETE FROM res_country_state WHERE id = (SELECT max(id) FROM res_country_state)")
    assert ("res_country_state", "") in _columns(structure.rows(pair))
    assert ("bus_bus", "") in _columns(structure.rows(pair)), "a table to be emptied still has rows"


def test_after_an_update_records_and_constraints_of_modules_may_differ_and_people_s_rows_may_not(
    damaged: tuple[Pair, psycopg.Connection],
):
    pair, target = damaged
    pair = replace(pair, updated=True)
    query = "SELECT res_id FROM ir_model_data WHERE model = 'ir.cron' ORDER BY 1 LIMIT 1"
    gone = target.execute(query).fetchone()
    target.execute("DELETE FROM ir_cron WHERE id = %s", gone)
    assert ("ir_cron", "") in _columns(structure.rows(pair)), "a module's record without its name is a loss"
    target.execute("DELETE FROM ir_model_data WHERE model = 'ir.cron' AND res_id = %s", gone)
    target.execute("ALTER TABLE res_partner DROP CONSTRAINT res_partner_check_name")
    target.execute("DROP TABLE res_country_state CASCADE")
    pair = replace(pair, after=read_schema(target))
    lost = {table for table, _ in _columns(structure.rows(pair))}
    assert lost & {"ir_cron", "ir_model_data", "res_country_state"} == set()
    assert list(structure.constraints(pair).findings) == []
    assert list(structure.references(pair).findings) == []
    target.execute("ALTER TABLE res_partner ADD CONSTRAINT more CHECK (id <> 0) NOT VALID")
    assert _columns(structure.constraints(pair)) == {("res_partner", "more")}
    target.execute("SET session_replication_role = replica")
    target.execute("DELETE FROM res_country_group")
    target.execute("DELETE FROM res_users WHERE id = (SELECT max(id) FROM res_users)")
    assert ("res_users", "") in _columns(structure.rows(pair))


def test_a_dropped_or_unvalidated_constraint_is_told(damaged: tuple[Pair, psycopg.Connection]):
    pair, target = damaged
    assert list(structure.constraints(pair).findings) == []
    target.execute("ALTER TABLE res_partner DROP CONSTRAINT res_partner_check_name")
    target.execute("ALTER TABLE res_partner ADD CONSTRAINT more CHECK (id <> 0) NOT VALID")
    assert _columns(structure.constraints(pair)) == {
        ("res_partner", "res_partner_check_name"),
        ("res_partner", "more"),
    }


def test_a_sequence_behind_its_table_is_told(damaged: tuple[Pair, psycopg.Connection]):
    pair, target = damaged
    assert list(structure.sequences(pair).findings) == []
    target.execute("SELECT setval('res_partner_id_seq', 1)")
    assert _columns(structure.sequences(pair)) == {("res_partner", "id")}


def test_a_link_by_model_and_number_that_leads_nowhere_is_told(damaged: tuple[Pair, psycopg.Connection]):
    pair, target = damaged
    assert list(structure.references(pair).findings) == []
    target.execute("UPDATE mail_message SET res_id = 2000000000 WHERE model = 'res.partner'")
    assert ("mail_message", "res_id") in _columns(structure.references(pair))


def test_a_column_that_collapsed_is_told(damaged: tuple[Pair, psycopg.Connection]):
    pair, target = damaged
    assert list(shapes.shapes(pair).findings) == []
    target.execute("UPDATE mail_message SET email_from = 'one@example.com'")
    target.execute("UPDATE mail_message SET date = NULL")
    found = _columns(shapes.shapes(pair))
    assert ("mail_message", "date") in found


def test_an_entry_that_does_not_balance_is_told(server: Server, demo: str, catalogue: Catalogue):
    with server.copy(demo) as name, server.connect(demo) as source, server.connect(name) as target:
        schema = read_schema(source)
        pair = Pair(source=source, target=target, before=schema, after=schema, catalogue=catalogue)
        looked = structure.ledger(pair)
        assert list(looked.findings) == []
        assert looked.facts["entries"] > 0
        target.execute("UPDATE account_move_line SET debit = debit + 10 WHERE debit > 0")
        assert len(list(structure.ledger(pair).findings)) == 2


def test_small_groups_are_told_and_suppressing_ends_them(server: Server, demo: str, catalogue: Catalogue):
    with server.copy(demo) as name, server.connect(name) as target:
        schema = read_schema(target)
        target.execute("UPDATE hr_employee SET birthday = make_date(1950 + id % 60, 1, 1)")
        looked = kanonymity.check(target, schema, catalogue, 5)
        assert {finding.table for finding in looked.findings} >= {"hr_employee", "hr_version"}
        assert kanonymity.suppress(target, schema, catalogue, 5) > 0
        after = kanonymity.check(target, schema, catalogue, 5)
        links = {"employee_category_rel", "hr_employee_skill", "res_partner_res_partner_category_rel"}
        left = {finding.table for finding in after.findings}
        assert left <= links, "these take no NULL; masking leaves their rare rows out while it reads"
        assert after.facts["sets"] >= 4
        left = target.execute("SELECT count(*) FROM hr_employee").fetchone()
        assert left
        assert left[0] > 0, "suppressing empties columns, it removes nobody"


def test_a_credential_that_moved_to_another_place_is_told(damaged: tuple[Pair, psycopg.Connection]):
    pair, target = damaged
    target.execute("UPDATE res_users SET password = 'other', totp_secret = NULL")
    target.execute("UPDATE ir_config_parameter SET value = 'other' WHERE key LIKE 'database.%'")
    target.execute("UPDATE ir_config_parameter SET value = 'True' WHERE key = 'database.is_neutralized'")
    secret = pair.source.execute("SELECT value FROM ir_config_parameter WHERE key = 'database.secret'").fetchone()
    assert secret
    before = _columns(credentials.survivors(pair))
    assert ("res_users", "password") not in before
    target.execute("UPDATE res_users SET totp_secret = %s WHERE id = 2", secret)
    assert ("res_users", "totp_secret") in _columns(credentials.survivors(pair))


def test_what_sends_or_calls_is_told(damaged: tuple[Pair, psycopg.Connection]):
    pair, target = damaged
    target.execute("UPDATE ir_cron SET active = false")
    target.execute("UPDATE ir_mail_server SET active = false")
    target.execute("DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'")
    target.execute("INSERT INTO ir_config_parameter (key, value) VALUES ('database.is_neutralized', 'True')")
    target.execute("DELETE FROM mail_mail")
    assert list(credentials.neutralised(pair).findings) == []
    target.execute("UPDATE ir_cron SET active = true")
    target.execute("DELETE FROM ir_config_parameter WHERE key = 'database.is_neutralized'")
    assert _columns(credentials.neutralised(pair)) == {("ir_cron", "active"), ("ir_config_parameter", "value")}
