"""The shipped catalogue against the schemas that Odoo really makes, with and without demo data."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from operations.anonymise.catalogue.check import compare
from operations.anonymise.catalogue.loader import COLUMN_HEADER, DATA, column_line, load, read
from operations.anonymise.catalogue.propose import proposals
from operations.anonymise.model import PERSONAL, Action, Catalogue, Gdpr
from operations.anonymise.rules.grammar import Effect, parse
from operations.anonymise.rules.words import Kind
from operations.anonymise.schema import Schema, read_schema
from tests.anonymise.support import Server


@pytest.fixture(scope="module")
def schemas() -> dict[str, Schema]:
    """Schemas that were read, by database."""
    return {}


@pytest.fixture
def live(server: Server, either: str, schemas: dict[str, Schema]) -> Schema:
    return _read(server, either, schemas)


def _read(server: Server, database: str, schemas: dict[str, Schema]) -> Schema:
    if database not in schemas:
        with server.connect(database) as connection:
            schemas[database] = read_schema(connection)
    return schemas[database]


@pytest.fixture(scope="module")
def shipped() -> Catalogue:
    return load()


def test_every_column_of_every_table_is_classified(live: Schema, shipped: Catalogue):
    found = compare(live, shipped)
    assert found.unclassified == ()
    assert found.unlisted == ()
    assert sum(len(table.columns) for table in live.tables.values()) > 8000


def test_every_rule_fits_its_column_and_no_line_is_about_nothing(live: Schema, shipped: Catalogue):
    found = compare(live, shipped)
    assert [str(misfit) for misfit in found.misfits] == []
    assert found.vanished == ()


def test_every_personal_column_of_the_schema_names_its_identifier_and_gdpr_class(live: Schema, shipped: Catalogue):
    personal = [
        rule
        for table in live.tables.values()
        for column in table.columns
        if (rule := shipped.column(table.name, column.name)) and rule.classification in PERSONAL
    ]
    assert len(personal) > 1500
    assert [rule.name for rule in personal if rule.safe_harbor is None or rule.gdpr is Gdpr.NONE] == []


def test_every_transient_table_is_emptied(live: Schema, shipped: Catalogue):
    transient = [name for name, fields in live.orm.items() if any(field.transient for field in fields.values())]
    kept = [name for name in transient if name in live.tables and shipped.tables[name].action is not Action.EMPTY]
    assert len(transient) > 100
    assert kept == []


def test_no_row_that_is_copied_can_miss_the_row_it_needs(live: Schema, shipped: Catalogue):
    for table in live.tables.values():
        if shipped.tables[table.name].action is Action.EMPTY:
            continue
        for key in table.foreign_keys:
            needed = any(column.not_null for column in table.columns if column.name in key.columns)
            assert not (needed and shipped.tables[key.target].action is Action.EMPTY), f"{table.name}.{key.columns}"


def test_every_condition_of_a_table_is_understood_by_postgresql_and_leaves_rows(
    server: Server, either: str, shipped: Catalogue
):
    conditions = [rule for rule in shipped.tables.values() if rule.action is Action.WHERE]
    assert len(conditions) >= 3
    with server.connect(either) as connection:
        for rule in conditions:
            query = f'SELECT count(*) FROM "{rule.table}" WHERE {rule.where}'  # noqa: S608 - the catalogue's own text
            row = connection.execute(query).fetchone()
            assert row
            # Where nobody shares a tag with enough others, none is copied.
            few = rule.table == "ir_default" or "careops_mask.k" in rule.where
            assert row[0] > 0 or few, rule.table


def test_no_secret_of_the_parameters_is_copied(server: Server, either: str, shipped: Catalogue):
    condition = shipped.tables["ir_config_parameter"].where
    with server.connect(either) as connection:
        connection.execute("BEGIN")
        connection.execute("INSERT INTO ir_config_parameter (key, value) VALUES ('some.module.api_token', 'x')")
        query = f"SELECT key FROM ir_config_parameter WHERE {condition}"  # noqa: S608 - the catalogue's own text
        copied = {row[0] for row in connection.execute(query)}
        connection.execute("ROLLBACK")
    assert copied
    assert copied & {"database.secret", "database.uuid", "web.base.url", "some.module.api_token"} == set()


def test_text_stays_only_where_nobody_types_about_people(live: Schema, shipped: Catalogue):
    """Choices (selection fields) and texts of set-up and shipped tables stay; every other text is masked."""
    free = set()
    for table in live.tables.values():
        for column in table.columns:
            rule = shipped.column(table.name, column.name)
            field = live.field(table.name, column.name)
            typed = field is not None and field.ttype in {"html", "text"} and column.kind in {Kind.TEXT, Kind.JSON}
            if rule and typed and parse(rule.rule).word == "keep" and rule.classification != "public":
                free.add(rule.name)
    # Code, filters and lists of set-up tables; no long text about a record is among them.
    assert free <= {
        "gamification_goal_definition.compute_code",
        "ir_act_server.code",
        "ir_act_server.value",
        "mail_alias.alias_defaults",
        "account_journal.sequence_override_regex",
        "event_lead_rule.event_registration_filter",
        "ir_config_parameter.value",
        "mail_template.description",
        "res_groups.comment",
        "res_groups_privilege.description",
        "website.cdn_filters",
        "website.custom_blocked_third_party_domains",
        "website_snippet_filter.help",
        "event_stage.description",
        "gamification_karma_rank.name",
    }, free


def _without(folder: Path, number: int, file: str) -> tuple[Catalogue, str]:
    """Return the shipped catalogue without one line of one file, and that line."""
    for path in DATA.glob("*.tsv"):
        shutil.copy(path, folder / path.name)
    lines = (folder / file).read_text(encoding="utf-8").splitlines()
    removed = lines.pop(number)
    (folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read(sorted(folder.glob("*.tsv"))), removed


@pytest.mark.parametrize("file", sorted(path.name for path in DATA.glob("*.tsv") if path.name != "tables.tsv"))
def test_a_removed_line_stops_the_run_and_is_proposed(
    tmp_path: Path, server: Server, standard: str, schemas: dict[str, Schema], file: str
):
    live = _read(server, standard, schemas)
    lines = (DATA / file).read_text(encoding="utf-8").splitlines()
    data = [number for number, text in enumerate(lines) if text and not text.startswith(("#", "table\t"))]
    numbers = [number for number in data if "#" not in lines[number].split("\t")[1]]
    less, removed = _without(tmp_path, random.Random(file).choice(numbers), file)
    found = compare(live, less)
    table, column = removed.split("\t")[:2]
    assert found.unclassified == ((table, column),)
    assert not found.usable
    _, proposed = proposals(found, live)
    assert [column_line(rule).split("\t")[:2] for rule in proposed] == [[table, column]]
    added = tmp_path / "site.tsv"
    pasted = "\n".join(("\t".join(COLUMN_HEADER), column_line(proposed[0]), ""))
    added.write_text(pasted, encoding="utf-8")
    assert compare(live, read(sorted(tmp_path.glob("*.tsv")))).unclassified == ()


def test_a_column_of_a_module_that_nobody_classified_is_found_in_the_live_schema(
    server: Server, standard: str, shipped: Catalogue
):
    with server.copy(standard) as name, server.connect(name) as connection:
        connection.execute("ALTER TABLE res_partner ADD COLUMN x_blood_group varchar")
        connection.execute(
            "CREATE TABLE x_visit (id serial PRIMARY KEY, partner_id int REFERENCES res_partner, day date)"
        )
        live = read_schema(connection)
    found = compare(live, shipped)
    assert set(found.unclassified) == {
        ("res_partner", "x_blood_group"),
        *(("x_visit", column) for column in ("id", "partner_id", "day")),
    }
    assert found.unlisted == ("x_visit",)
    _, columns = proposals(found, live)
    rules = {rule.name: rule for rule in columns}
    assert rules["x_visit.day"].rule == "shift-date(partner_id)"
    assert parse(rules["res_partner.x_blood_group"].rule).effect is Effect.REPLACES
    assert rules["res_partner.x_blood_group"].gdpr is Gdpr.SPECIAL


def test_more_analytic_plans_need_no_more_lines(server: Server, standard: str, shipped: Catalogue):
    with server.copy(standard) as name, server.connect(name) as connection:
        connection.execute(
            "ALTER TABLE account_analytic_line ADD COLUMN x_plan77_id int REFERENCES account_analytic_account"
        )
        live = read_schema(connection)
    assert compare(live, shipped).usable
