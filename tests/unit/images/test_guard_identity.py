"""Whose data it is."""

from __future__ import annotations

import pytest
from careops_odoo.errors import Refused
from careops_odoo.identity import Mark, check, filestore_mark, secret_mark, write_filestore_mark

OURS = "riverside/dev"


@pytest.mark.parametrize("part", ["database", "filestore", "secret"])
def test_another_environment_s_part_is_refused_by_name_with_exit_78(part):
    with pytest.raises(Refused, match=f"{part} belongs to riverside/prod, not to riverside/dev") as caught:
        check(Mark(part=part, empty=False, identity="riverside/prod"), OURS)
    assert caught.value.code == 78


def test_another_environment_s_mark_is_refused_even_on_an_empty_part():
    with pytest.raises(Refused):
        check(Mark(part="filestore", empty=True, identity="riverside/prod"), OURS)


def test_data_that_nobody_marked_is_refused():
    with pytest.raises(Refused, match="no environment has marked"):
        check(Mark(part="database", empty=False, identity=None), OURS)


@pytest.mark.parametrize("mark", [Mark(part="database", empty=True, identity=None), secret_mark(OURS)])
def test_nothing_at_all_and_our_own_are_accepted(mark):
    check(mark, OURS)


def test_a_filestore_s_mark_survives_and_its_content_is_noticed(tmp_path):
    assert filestore_mark(tmp_path) == Mark(part="filestore", empty=True, identity=None)
    (tmp_path / "sessions").mkdir()
    (tmp_path / "sessions" / "s").write_text("x")
    (tmp_path / "filestore" / "odoo").mkdir(parents=True)
    assert filestore_mark(tmp_path).empty, "sessions and empty folders are no data"
    (tmp_path / "filestore" / "odoo" / "ab").write_text("x")
    assert not filestore_mark(tmp_path).empty
    write_filestore_mark(tmp_path, OURS)
    assert filestore_mark(tmp_path).identity == OURS
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".new")] == []
