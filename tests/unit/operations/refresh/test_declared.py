"""Columns that a site's settings name and nobody knows are told before a run copies anything."""

from __future__ import annotations

import pytest

from infra.model import QuasiIdentifiers
from infra.problems import SettingsError
from operations.refresh.declared import refuse_unknown
from tests import declared

ROUND = "table\tcolumn\tclassification\tsafe_harbor\tgdpr\trule\tnote\n"


def site(*sets):
    found = declared.settings("training").site
    assert found.refresh
    return found.model_copy(update={"refresh": found.refresh.model_copy(update={"quasi_identifiers": sets})})


def given(table, *columns, person=None):
    return QuasiIdentifiers(table=table, columns=columns, person=person)


def test_what_the_shipped_catalogue_knows_is_accepted(tmp_path):
    refuse_unknown(tmp_path, site(given("hr_version", "job_id", "employee_id.birthday", person="employee_id")))
    refuse_unknown(tmp_path, site())


def test_every_unknown_name_is_told_where_it_stands_with_the_nearest_known_one(tmp_path):
    sets = (
        given("hr_version", "job_id", "departement_id", person="employe_id"),
        given("hr_versions", "job_id"),
    )
    with pytest.raises(SettingsError) as caught:
        refuse_unknown(tmp_path, site(*sets))
    told = {problem.path: problem for problem in caught.value.problems}
    assert list(told) == [
        "sites/riverside.yaml: refresh.quasi_identifiers[0].columns[1]",
        "sites/riverside.yaml: refresh.quasi_identifiers[0].person",
        "sites/riverside.yaml: refresh.quasi_identifiers[1].table",
    ]
    actions = [problem.action for problem in told.values()]
    assert [("'department_id'" in actions[0]), ("'employee_id'" in actions[1]), ("'hr_version'" in actions[2])] == [
        True,
        True,
        True,
    ]


def test_what_the_sites_own_files_classify_is_accepted(tmp_path):
    folder = tmp_path / "sites/riverside.catalogue"
    folder.mkdir(parents=True)
    with pytest.raises(SettingsError, match="x_round"):
        refuse_unknown(tmp_path, site(given("x_round", "x_ward")))
    (folder / "own.tsv").write_text(f"{ROUND}x_round\tx_ward\tquasi-identifier\tB\tpersonal\tkeep\ta ward of many\n")
    refuse_unknown(tmp_path, site(given("x_round", "x_ward")))


def test_mistakes_of_the_sites_own_files_are_told_as_such(tmp_path):
    folder = tmp_path / "sites/riverside.catalogue"
    folder.mkdir(parents=True)
    (folder / "own.tsv").write_text(f"{ROUND}x_round\tx_ward\tsecret\t-\tnone\tkeep\t\n")
    with pytest.raises(SettingsError) as caught:
        refuse_unknown(tmp_path, site(given("x_round", "x_ward")))
    (problem,) = caught.value.problems
    assert problem.path == "sites/riverside.catalogue"
    assert "own.tsv:2" in problem.message
