"""Settings of requests for a sandbox, and of freezes: every fault with its place."""

from __future__ import annotations

import shutil

import pytest
import yaml

from infra.settings import SettingsError, load_sites
from tests import declared


def site(tmp_path, **changes):
    """Return the repository's site with some of its settings changed, read from a file."""
    (tmp_path / "sites").mkdir()
    path = shutil.copy(declared.ROOT / "sites" / "riverside.yaml", tmp_path / "sites" / "riverside.yaml")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump({**values, **changes}), encoding="utf-8")
    return load_sites(tmp_path)["riverside"]


SANDBOX = {"trainers": ["riverside-trainers"], "approvers": ["riverside-training-approvers"]}


def freeze(first="2026-12-21", last="2027-01-03", reason="Year-end closing"):
    return {"first_day": first, "last_day": last, "reason": reason}


def test_a_site_without_them_takes_no_requests_and_has_no_freeze(tmp_path):
    found = site(tmp_path, sandbox=None, freezes=[])
    assert found.sandbox is None
    assert found.freezes == ()


@pytest.mark.parametrize(
    ("changes", "place", "said"),
    [
        ({"freezes": [freeze(first="2027-01-03", last="2026-12-21")]}, "freezes[0].last_day", "before its first day"),
        ({"freezes": [freeze(), freeze(last="2026-12-22")]}, "freezes", "begin on 2026-12-21"),
        ({"freezes": [freeze(first="2026-02-30")]}, "freezes[0].first_day", "date"),
        ({"freezes": [freeze(reason="")]}, "freezes[0].reason", "at least 3"),
        ({"freezes": [{"from": "2026-12-21"}]}, "freezes[0].from", "unknown setting"),
        ({"refresh": None}, "sandbox", "has no refresh"),
        ({"sandbox": {**SANDBOX, "trainers": []}}, "sandbox.trainers", "at least 1"),
        ({"sandbox": {**SANDBOX, "trainers": ["system:masters"]}}, "sandbox.trainers[0]", "cannot be a group"),
        ({"sandbox": {**SANDBOX, "approvers": ["a\nb"]}}, "sandbox.approvers[0]", "cannot be a group"),
        ({"sandbox": {**SANDBOX, "longest_hours": 25}}, "sandbox.longest_hours", "less than or equal"),
    ],
)
def test_a_fault_is_told_with_its_place(tmp_path, changes, place, said):
    with pytest.raises(SettingsError) as told:
        site(tmp_path, **changes)
    assert f"sites/riverside.yaml: {place}" in [problem.path for problem in told.value.problems]
    assert said in str(told.value)


@pytest.mark.parametrize("group", ["riverside-trainers", "oidc:Trainers", "arn:aws:iam::1:role/trainers", "a@b.org"])
def test_groups_are_named_as_clusters_name_them(tmp_path, group):
    assert site(tmp_path, sandbox={**SANDBOX, "trainers": [group]}).sandbox.trainers == (group,)
