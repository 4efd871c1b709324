"""What Odoo says of a database that nobody has verified: why it failed is told, and nothing of a row."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest
from careops_odoo.adopt_output import LONGEST, drain, tell
from careops_odoo.errors import StepFailed
from careops_odoo.programs import Programs
from careops_odoo.settings import Pod

WORD = "0123456789abcdef"
SECRET = "Ada Lovelace"
LOG = "2026-11-24 10:00:00,123 7 {} odoo_refresh {}: {}"
FILE = "/usr/lib/python3/dist-packages/odoo/addons/crm/models/crm_lead.py"

KEPT = {
    f"{WORD} 4 logins for 2 roles": "4 logins for 2 roles",
    LOG.format("INFO", "odoo.modules.loading", "Loading module crm (4/10)"): "Loading module crm (4/10)",
    LOG.format("INFO", "odoo.modules.loading", "Module crm loaded in 0.31s, 120 queries (+120 other)"): (
        "Module crm loaded in 0.31s, 120 queries (+120 other)"
    ),
    f'  File "{FILE}", line 12, in write': f"  at {FILE}:12 in write",
    'psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint "res_users_login_key"': (
        'psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint "res_users_login_key"'
    ),
    f"odoo.tools.convert.ParseError: while parsing {FILE[:-3]}.xml:7, somewhere inside": (
        f"ParseError: while parsing {FILE[:-3]}.xml:7"
    ),
    f"ValueError: {SECRET}": "ValueError; its text is withheld",
    f"odoo.exceptions.ValidationError: {SECRET}": "odoo.exceptions.ValidationError; its text is withheld",
    LOG.format("ERROR", "odoo.sql_db", f"bad query: name={SECRET}"): ("ERROR of odoo.sql_db; its text is withheld"),
}
WITHHELD = [
    f"DETAIL:  Key (email)=({SECRET}) already exists.",
    f"CONTEXT:  COPY res_partner, line 3: {SECRET}",
    SECRET,
    f"Ada: {SECRET}",
    f"careops: {SECRET}",
    f"careops-odoo: adopt: {SECRET}",
    f'  File "{SECRET}", line 1, in x',
    f'  File "/a.py", line 1, in {SECRET}',
    LOG.format("INFO", "odoo.addons.crm", SECRET),
    LOG.format("INFO", "odoo.modules.loading", f"Loading module {SECRET} (1/2)"),
    f'    raise ValueError("{SECRET}")',
    f"LovelaceError: {SECRET}",
]


@pytest.mark.parametrize(("line", "wanted"), KEPT.items())
def test_a_person_can_find_out_what_failed_and_where(line: str, wanted: str):
    assert tell(line, WORD) == wanted
    assert SECRET not in tell(line, WORD)


@pytest.mark.parametrize("line", WITHHELD)
def test_whatever_may_quote_a_row_is_withheld(line: str):
    assert tell(line, WORD) == ""


def test_a_violated_constraint_whose_name_is_followed_by_more_is_told_by_its_kind_alone():
    line = f'psycopg2.errors.UniqueViolation: duplicate key value violates unique constraint "a" {SECRET}'
    assert tell(line, WORD) == "psycopg2.errors.UniqueViolation; its text is withheld"


def test_the_rest_of_a_line_that_is_too_long_is_no_line_of_its_own():
    inner = f"{WORD} {SECRET}\n".encode()
    said: list[str] = []
    drain(io.BytesIO(b"x" * LONGEST + inner + f"{WORD} done\n".encode()), WORD, said.append)
    assert said == ["done"]


def test_a_program_that_fails_on_unverified_data_says_why_and_quotes_nothing(tmp_path: Path, capfd):
    odoo = tmp_path / "odoo"
    odoo.write_text(
        f"#!{sys.executable}\nimport os, sys\nprint(os.environ['CAREOPS_WORD'], 'at work', flush=True)\n"
        f"print('DETAIL: Key (name)=({SECRET})', file=sys.stderr)\nraise ValueError('{SECRET}')\n"
    )
    odoo.chmod(0o755)
    pod = Pod(identity="riverside/training", host="h", port=1, user="u", database="d", sslmode="disable")
    said: list[str] = []
    programs = Programs(pod, tmp_path / "conf", odoo=str(odoo), say=said.append)
    with pytest.raises(StepFailed, match="neutralising failed"):
        programs.neutralise("odoo_refresh")
    assert said[0] == "at work"
    assert said[-1] == "ValueError; its text is withheld"
    assert SECRET not in "".join(said) + "".join(capfd.readouterr())


def test_a_migration_of_an_environments_own_data_leaves_odoos_output_as_it_is(tmp_path: Path, capfd):
    odoo = tmp_path / "odoo"
    odoo.write_text(f"#!{sys.executable}\nprint('as it is')\n")
    odoo.chmod(0o755)
    pod = Pod(identity="riverside/dev", host="h", port=1, user="u", database="d", sslmode="disable")
    Programs(pod, tmp_path / "conf", odoo=str(odoo)).neutralise("odoo")
    assert "as it is" in capfd.readouterr().out
