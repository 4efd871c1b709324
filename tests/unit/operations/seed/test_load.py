"""Loading creates every record exactly once, whenever it was killed before."""

from __future__ import annotations

import base64
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.errors import OperationError
from operations.seed.hospital import generate
from operations.seed.load import PENDING, QUIET, REQUEST_SECONDS, Loader
from operations.seed.model import Hospital
from operations.seed.odoo import RefusedError
from operations.seed.tables import tables
from tests.unit.operations.seed.fake_odoo import MODELS, FakeOdoo, Killed


@cache
def tiny() -> Hospital:
    return generate(10, 1)


class Clock:
    """Time passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def load(odoo: FakeOdoo, clock: Clock | None = None) -> Loader:
    clock = clock or Clock()
    loader = Loader(odoo, clock=lambda: clock.now, sleep=clock.sleep)
    loader.open()
    for table in tables(tiny()):
        loader.load(table, lambda _text: None)
    return loader


def wanted() -> dict[str, str]:
    return {row.key: table.model for table in tables(tiny()) for row in table.rows}


def test_every_row_becomes_one_record_with_its_external_id() -> None:
    odoo = FakeOdoo()
    load(odoo)
    assert {key: model for key, (model, _) in odoo.seeded().items()} == wanted()


def test_a_second_run_creates_nothing() -> None:
    odoo = FakeOdoo()
    load(odoo)
    before = {model: len(found) for model, found in odoo.records.items()}
    assert load(odoo).created == {}
    assert {model: len(found) for model, found in odoo.records.items()} == before


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 140), min_size=1, max_size=3))
def test_a_run_killed_after_any_call_is_continued_without_doubles(kills: list[int]) -> None:
    undisturbed = FakeOdoo()
    load(undisturbed)
    odoo = FakeOdoo()
    for calls in kills:
        odoo.kill_after = calls
        try:
            load(odoo)
        except Killed:
            continue
    odoo.kill_after = None
    load(odoo)
    assert {key: model for key, (model, _) in odoo.seeded().items()} == wanted()
    count = {model: len(found) for model, found in odoo.records.items()}
    assert count == {model: len(found) for model, found in undisturbed.records.items()}, (
        "records without a name are left"
    )


def test_a_batch_that_was_created_and_not_named_is_named_in_its_order() -> None:
    odoo = FakeOdoo(kill_after=1, kill_only="create")
    with pytest.raises(Killed):
        load(odoo)
    load(odoo)
    first = tables(tiny())[0]
    for row in first.rows:
        model, number = odoo.seeded()[row.key]
        assert odoo.records[model][number]["name"] == row.values["name"]


def test_nameless_records_that_somebody_added_to_are_not_guessed_at() -> None:
    odoo = FakeOdoo(kill_after=1, kill_only="create")
    with pytest.raises(Killed):
        load(odoo)
    odoo.call("res.partner.category", "create", [{"name": "somebody else's"}])
    with pytest.raises(OperationError, match="interrupted run left"):
        load(odoo)


def test_a_request_that_outlives_its_run_is_waited_for() -> None:
    odoo, clock = FakeOdoo(kill_after=1, kill_only="create"), Clock()
    with pytest.raises(Killed):
        load(odoo, clock)
    late = odoo.records["res.partner.category"]
    odoo.records["res.partner.category"] = {}
    wait = clock.sleep

    def sleep(seconds: float) -> None:
        wait(seconds)
        if clock.now >= 1030:
            odoo.records["res.partner.category"] |= late

    clock.sleep = sleep
    load(odoo, clock)
    assert len(odoo.records["res.partner.category"]) == len(tiny().tags)


def test_nothing_is_waited_for_longer_than_a_request_may_run() -> None:
    odoo, clock = FakeOdoo(kill_after=1, kill_only="create"), Clock()
    with pytest.raises(Killed):
        load(odoo, clock)
    odoo.records["res.partner.category"] = {}
    load(odoo, clock)
    assert REQUEST_SECONDS <= clock.now - 1000 <= REQUEST_SECONDS + 10
    assert len(odoo.records["res.partner.category"]) == len(tiny().tags)


def test_what_odoo_refused_is_not_waited_for() -> None:
    odoo, clock = FakeOdoo(), Clock()
    odoo.refuse = "hr.department"
    with pytest.raises(RefusedError, match=r"Odoo refused hr\.department\.create"):
        load(odoo, clock)
    odoo.refuse = None
    load(odoo, clock)
    assert clock.now == 1000
    assert {key: model for key, (model, _) in odoo.seeded().items()} == wanted()


def test_the_keys_of_a_batch_are_noted_before_it_is_created() -> None:
    odoo = FakeOdoo(kill_after=1, kill_only="create")
    with pytest.raises(Killed):
        load(odoo)
    assert tables(tiny())[0].rows[0].key in odoo._get_param("ir.config_parameter", PENDING)


def test_a_model_that_this_odoo_lacks_is_told_with_what_is_left_out() -> None:
    odoo = FakeOdoo(models=tuple(model for model in MODELS if model != "maintenance.request"))
    loader = load(odoo)
    assert loader.missing == {"maintenance requests": "maintenance.request"}
    notes = {key for key in odoo.seeded() if key.startswith("note_")}
    assert 0 < len(notes) < len(tiny().notes), "chatter of what is not there cannot be created"


def test_no_record_is_created_in_a_way_that_lets_odoo_write_mails() -> None:
    odoo = FakeOdoo()
    load(odoo)
    data = [
        context
        for (model, method), context in zip(creates(odoo), odoo.contexts, strict=True)
        if model != "ir.model.data"
    ]
    assert data
    assert all(context.items() >= QUIET.items() for context in data)
    users = odoo.records["res.users"].values()
    assert {user["notification_type"] for user in users} == {"inbox"}


def creates(odoo: FakeOdoo) -> list[tuple[str, str]]:
    return [call for call in odoo.calls if call[1] == "create"]


def test_passwords_are_not_those_of_another_run() -> None:
    one, other = FakeOdoo(), FakeOdoo()
    load(one)
    load(other)
    first, second = ({user["password"] for user in odoo.records["res.users"].values()} for odoo in (one, other))
    assert len(first) == len(one.records["res.users"])
    assert not first & second


def test_references_markers_and_bytes_become_values() -> None:
    odoo = FakeOdoo()
    load(odoo)
    known = odoo.seeded()
    order = tiny().orders[0]
    record = odoo.records["sale.order"][known[order.key][1]]
    assert record["partner_id"] == known[order.customer][1]
    assert record["order_line"][0][2]["product_id"] == known[order.lines[0].product][1]
    file = odoo.records["ir.attachment"][known[tiny().files[0].key][1]]
    assert file["res_model"] == known[tiny().files[0].about][0]
    assert base64.b64decode(file["datas"])


def test_names_in_french_are_written_after_those_in_english() -> None:
    odoo = FakeOdoo()
    load(odoo)
    product = tiny().products[0]
    assert odoo.records["product.product"][odoo.seeded()[product.key][1]]["name"] == product.name_fr
