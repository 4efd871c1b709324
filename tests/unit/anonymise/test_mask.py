"""What stops the masking program, and what it hands over, decided without a database."""

from __future__ import annotations

import pytest

from operations.anonymise.catalogue.check import compare
from operations.anonymise.marks import State, Step
from operations.anonymise.mask import recomputed, refuse_unclassified
from operations.anonymise.model import Action, Catalogue, Classification, ColumnRule, Gdpr, TableRule
from operations.anonymise.outcome import REFUSED, Refused
from operations.anonymise.schema import Column, OrmField, Schema, Table

SCHEMA = Schema(
    tables={
        name: Table(
            name=name,
            columns=(
                Column(name="id", type="integer", not_null=True),
                Column(name="complete_name", type="character varying", not_null=False),
            ),
            primary_key=("id",),
        )
        for name in ("res_partner", "mail_wizard")
    },
    orm={
        name: {"complete_name": OrmField(model=name.replace("_", "."), name="complete_name", ttype="char")}
        for name in ("res_partner", "mail_wizard")
    },
)


def rule(table: str, column: str, text: str) -> ColumnRule:
    return ColumnRule(
        table=table,
        column=column,
        classification=Classification.TECHNICAL,
        safe_harbor=None,
        gdpr=Gdpr.NONE,
        rule=text,
    )


def catalogue(wizard: Action = Action.EMPTY, text: str = "recompute") -> Catalogue:
    other = "empty-table" if wizard is Action.EMPTY else "keep"
    return Catalogue(
        columns={
            "res_partner": {"id": rule("res_partner", "id", "keep"), "complete_name": rule("res_partner", "c", text)},
            "mail_wizard": {name: rule("mail_wizard", name, other) for name in ("id", "complete_name")},
        },
        tables={
            "res_partner": TableRule(table="res_partner", action=Action.COPY, why="people"),
            "mail_wizard": TableRule(table="mail_wizard", action=wizard, why="transient"),
        },
        version="1",
    )


def test_a_column_that_nobody_classified_stops_the_run_with_the_line_to_add():
    lines = catalogue()
    known = dict(lines.columns)
    known["res_partner"] = {"id": rule("res_partner", "id", "keep")}
    incomplete = Catalogue(columns=known, tables=lines.tables, version="1")
    with pytest.raises(Refused) as refused:
        refuse_unclassified(compare(SCHEMA, incomplete), SCHEMA)
    assert refused.value.code == REFUSED
    assert "res_partner\tcomplete_name\t" in str(refused.value)


def test_a_catalogue_that_covers_the_schema_lets_the_run_go_on():
    refuse_unclassified(compare(SCHEMA, catalogue()), SCHEMA)


@pytest.mark.parametrize("text", ["recompute", "shipped(recompute)"])
def test_fields_to_recompute_are_those_of_the_catalogue_whose_rows_are_copied(text):
    assert recomputed(SCHEMA, catalogue(text=text)) == [("res.partner", "complete_name")]


def test_marks_of_another_run_say_nothing():
    state = State(steps={"masked": {"run": "6"}, "started": {"run": "7"}})
    assert state.of_run("7").detail(Step.MASKED) is None
    assert state.of_run("7").detail(Step.STARTED) == {"run": "7"}


def test_sets_that_name_what_is_not_there_stop_the_run_with_everything_else_at_once():
    unknown = ["x_round (x_flor): x_round has no column x_flor", "x_rounds (a): there is no table x_rounds"]
    with pytest.raises(Refused) as caught:
        refuse_unclassified(compare(SCHEMA, catalogue()), SCHEMA, unknown)
    assert all(text in caught.value.why for text in unknown)
    assert "refresh.quasi_identifiers" in caught.value.action
