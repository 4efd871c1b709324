"""What is read of a live schema, from tables made for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from operations.anonymise.rules.words import Kind
from operations.anonymise.schema import ForeignKey, Schema, read_schema
from tests.anonymise.support import Server

MADE = """
    CREATE TABLE person (id serial PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'x', born date,
        tags text[], scan bytea, doc jsonb, size numeric(6, 2), at timestamp(3), ok boolean,
        upper_name text GENERATED ALWAYS AS (upper(name)) STORED);
    CREATE UNIQUE INDEX by_name ON person (lower(name), born) INCLUDE (ok) WHERE ok;
    CREATE UNIQUE INDEX by_day ON person (born) NULLS NOT DISTINCT;
    CREATE INDEX not_unique ON person (size);
    ALTER TABLE person ADD CONSTRAINT named CHECK (name <> '' OR born IS NULL);
    ALTER TABLE person ADD COLUMN gone text;
    ALTER TABLE person DROP COLUMN gone;
    CREATE TABLE visit (a int, b int, person_id int REFERENCES person ON DELETE CASCADE, PRIMARY KEY (a, b));
    CREATE TABLE "Odd name" (x int);
    CREATE TABLE parts (day date) PARTITION BY RANGE (day);
    CREATE TABLE part_one PARTITION OF parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE VIEW seen AS SELECT * FROM person;
    CREATE SCHEMA other;
    CREATE TABLE other.person (id int);
    CREATE SCHEMA careops_source;
    CREATE TABLE careops_source.files (sha1 text);
    SELECT lo_create(0);
"""


@pytest.fixture(scope="module")
def made(server: Server) -> Iterator[Schema]:
    with server.connect() as connection:
        connection.execute("CREATE DATABASE made")
    with server.connect("made") as connection:
        connection.execute(MADE)
        found = read_schema(connection)
    yield found
    with server.connect() as connection:
        connection.execute("DROP DATABASE made WITH (FORCE)")


def test_tables_of_every_schema_but_ours_are_read_and_partitions_are_one_table(made: Schema):
    assert set(made.tables) == {"person", "visit", "Odd name", "parts", "other.person"}


def test_columns_come_with_type_kind_length_and_who_computes_them(made: Schema):
    columns = {column.name: column for column in made.tables["person"].columns}
    assert "gone" not in columns
    kinds = {name: column.kind for name, column in columns.items()}
    assert kinds == {
        "id": Kind.INTEGER,
        "name": Kind.TEXT,
        "born": Kind.DATE,
        "tags": Kind.OTHER,
        "scan": Kind.BYTES,
        "doc": Kind.JSON,
        "size": Kind.NUMBER,
        "at": Kind.TIMESTAMP,
        "ok": Kind.BOOLEAN,
        "upper_name": Kind.TEXT,
    }
    name = columns["name"]
    assert (name.type, name.length, name.not_null) == ("character varying(40)", 40, True)
    assert name.default.startswith("'x'")
    assert columns["size"].length is None
    assert [column.name for column in columns.values() if column.generated] == ["upper_name"]


def test_a_unique_index_names_what_it_reads_and_how_it_takes_nulls(made: Schema):
    unique = {index.name: index for index in made.tables["person"].unique}
    assert set(unique) == {"person_pkey", "by_name", "by_day"}
    assert {"name", "born"} <= set(unique["by_name"].columns)
    assert unique["by_name"].nulls_distinct
    assert not unique["by_day"].nulls_distinct
    assert "lower" in unique["by_name"].definition


def test_keys_and_checks_are_read(made: Schema):
    visit = made.tables["visit"]
    assert visit.primary_key == ("a", "b")
    assert visit.foreign_key("person_id") == ForeignKey(
        name="visit_person_id_fkey",
        columns=("person_id",),
        target="person",
        target_columns=("id",),
        on_delete="cascade",
    )
    assert visit.foreign_key("a") is None
    (check,) = made.tables["person"].checks
    assert check.name == "named"
    assert set(check.columns) == {"name", "born"}


def test_sequences_extensions_and_large_objects_are_counted_and_odoo_is_not_needed(made: Schema):
    assert made.sequences == ("person_id_seq",)
    assert made.extensions == ("plpgsql",)
    assert made.large_objects == 1
    assert made.orm == {}


def test_what_odoo_knows_is_read_by_table(server: Server, standard: str):
    with server.connect(standard) as connection:
        found = read_schema(connection)
    name = found.field("product_template", "name")
    assert name
    assert (name.ttype, name.translate) == ("char", True)
    action = found.field("ir_act_server", "code")
    assert action, "a table that is not named after its model"
    wizard = found.field("res_config_settings", "id")
    assert wizard
    assert wizard.transient
    company = found.field("res_partner", "property_account_payable_id")
    assert company
    assert company.company_dependent
