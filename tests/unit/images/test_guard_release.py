"""An older image on a newer database."""

from __future__ import annotations

import json

import pytest
from careops_odoo.database import Content
from careops_odoo.errors import EXIT_REFUSED, Refused
from careops_odoo.release import Release, is_older, read_release, refuse_downgrade
from hypothesis import given
from hypothesis import strategies as st

RELEASE = Release(package="19.0.20260701-1", versions={"base": "19.0.1.3", "crm": "19.0.1.9"})


def content(**changes):
    return Content(**{"empty": False, "checksums": {}, **changes})


def test_an_image_with_an_older_module_than_the_database_is_refused_with_both_versions():
    with pytest.raises(Refused, match="older than the database") as raised:
        refuse_downgrade(content(versions={"base": "19.0.1.3", "crm": "19.0.1.10"}), RELEASE)
    assert "crm 19.0.1.9 < 19.0.1.10" in raised.value.why
    assert "base" not in raised.value.why
    assert raised.value.code == EXIT_REFUSED


def test_an_image_with_an_older_package_is_refused_although_its_modules_versions_are_equal():
    with pytest.raises(Refused) as raised:
        refuse_downgrade(content(versions=RELEASE.versions, release="19.0.20260801-1"), RELEASE)
    assert "Odoo 19.0.20260701-1 < 19.0.20260801-1" in raised.value.why


@pytest.mark.parametrize(
    "found",
    [
        content(),
        content(versions=RELEASE.versions, release=RELEASE.package),
        content(versions={"base": "19.0.1.2", "crm": "18.0.2.0"}, release="19.0.20260601-1"),
        content(versions={"helpdesk": "99.0"}),
    ],
    ids=["nothing recorded", "the same", "older", "a module that the image lacks, which the plan refuses"],
)
def test_the_same_or_an_older_database_is_accepted(found):
    refuse_downgrade(found, RELEASE)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("19.0.1.9", "19.0.1.10"),
        ("18.0.9.9", "19.0.1.0"),
        ("19.0.1", "19.0.1.1"),
        ("19.0.0+dfsg-1", "19.0.0+dfsg-2"),
        ("19.0.0~rc1-1", "19.0.0-1"),
        ("19.0.0+dfsg-1", "19.0.0+dfsg.2-1"),
        ("19.0.20260101", "19.0.20260102"),
        ("19.0.0", "1:18.0.0"),
        ("1.0-1", "1.0-1+deb13u1"),
        ("1.0~a", "1.0~b"),
    ],
)
def test_versions_have_debian_s_order(older, newer):
    assert is_older(older, newer)
    assert not is_older(newer, older)


@given(st.text("0123456789.+~ab-", min_size=1, max_size=12), st.text("0123456789.+~ab-", min_size=1, max_size=12))
def test_no_version_is_older_than_itself_and_never_are_two_older_than_each_other(left, right):
    assert not is_older(left, left)
    assert not (is_older(left, right) and is_older(right, left))


def test_the_image_s_release_is_read_from_its_file(tmp_path):
    (tmp_path / "release.json").write_text(json.dumps({"package": "1", "versions": {"base": "19.0.1.3"}}))
    assert read_release(tmp_path) == Release(package="1", versions={"base": "19.0.1.3"})
