"""What a migration decides to do."""

from __future__ import annotations

import pytest
from careops_odoo.database import Content, Facts
from careops_odoo.errors import Refused
from careops_odoo.plan import fingerprint, plan, recovery
from careops_odoo.settings import parse_settings

IMAGE = {"base": "1", "crm": "1", "sale_management": "1", "stock": "1"}


def content(document, **changes):
    values = {
        "empty": False,
        "identity": "riverside/dev",
        "installed": frozenset(IMAGE),
        "checksums": dict(IMAGE),
        "personal": parse_settings(document).personal_digest(),
        "languages": frozenset({"fr_FR", "en_US"}),
    }
    return Content(**{**values, **changes})


def test_nothing_changed_means_nothing_to_do(document):
    todo = plan(content(document), parse_settings(document), IMAGE)
    assert todo.nothing
    assert str(todo) == "nothing to do"


def test_a_module_that_was_listed_later_is_installed(document):
    found = content(document, installed=frozenset({"base", "crm"}))
    assert plan(found, parse_settings(document), IMAGE).install == ("sale_management",)


def test_a_module_that_is_no_longer_listed_stays_because_removing_it_would_remove_its_data(document):
    document["modules"] = ["crm"]
    assert plan(content(document), parse_settings(document), IMAGE).nothing


def test_installed_modules_whose_content_changed_are_updated_and_others_are_not(document):
    todo = plan(content(document), parse_settings(document), {**IMAGE, "stock": "2", "unused": "2"})
    assert (todo.install, todo.update) == ((), ("stock",))


def test_a_module_without_a_recorded_checksum_is_updated(document):
    todo = plan(content(document, checksums={"base": "1", "crm": "1", "stock": "1"}), parse_settings(document), IMAGE)
    assert todo.update == ("sale_management",)


def test_a_module_that_an_interrupted_odoo_left_half_way_is_finished(document):
    found = content(document, installed=frozenset({"base", "crm", "sale_management"}), unfinished=frozenset({"stock"}))
    assert plan(found, parse_settings(document), IMAGE).update == ("stock",)


@pytest.mark.parametrize(
    "change", [{"banner": "other"}, {"languages": ["fr_FR", "de_DE"]}, {"base_url": "https://new"}]
)
def test_changed_settings_are_written(document, change):
    todo = plan(content(document), parse_settings({**document, **change}), IMAGE)
    assert todo.personal
    assert "write changed settings" in str(todo)


def test_a_language_that_somebody_deactivated_is_loaded_again(document):
    assert plan(content(document, languages=frozenset({"en_US"})), parse_settings(document), IMAGE).personal


@pytest.mark.parametrize("change", ["listed", "installed"])
def test_a_module_that_the_image_does_not_have_is_refused(document, change):
    found = content(document)
    if change == "listed":
        document["modules"] = ["crm", "helpdesk"]
    else:
        found = content(document, installed=frozenset({*IMAGE, "helpdesk"}))
    with pytest.raises(Refused, match="helpdesk"):
        plan(found, parse_settings(document), IMAGE)


def test_the_fingerprint_follows_everything_a_copy_is_made_for(document):
    settings = parse_settings(document)
    mark = fingerprint("a/dev", settings, IMAGE)
    assert fingerprint("a/dev", parse_settings({**document, "workers": 7}), IMAGE) == mark
    assert fingerprint("a/prod", settings, IMAGE) != mark
    assert fingerprint("a/dev", settings, {**IMAGE, "crm": "2"}) != mark
    assert fingerprint("a/dev", parse_settings({**document, "modules": ["crm"]}), IMAGE) != mark


OPEN, CLOSED = Facts(open=True, comment=""), Facts(open=False, comment="")
PARTIAL, READY, STALE = OPEN, Facts(open=True, comment="careops: ready f"), Facts(open=True, comment="careops: ready g")


@pytest.mark.parametrize(
    ("main", "copy", "previous", "expected"),
    [
        (OPEN, None, None, "nothing"),
        (CLOSED, None, CLOSED, "nothing"),
        (CLOSED, PARTIAL, None, "discard the copy"),
        (CLOSED, READY, CLOSED, "swap the copy in"),
        (OPEN, READY, None, "discard the copy"),  # written to since: the copy is old
        (CLOSED, STALE, None, "discard the copy"),  # made for another image
        (None, READY, CLOSED, "rename the copy"),
        (None, PARTIAL, CLOSED, "bring the previous one back"),
        (None, None, CLOSED, "bring the previous one back"),
        (None, None, None, "nothing"),
    ],
)
def test_an_interrupted_migration_is_finished_only_when_its_copy_is_complete_and_still_true(
    main, copy, previous, expected
):
    assert recovery(main, copy, previous, "f") == expected
