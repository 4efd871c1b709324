"""Orders get exactly as far as they are meant to, each step once, whenever the run was killed before."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operations.errors import OperationError
from operations.seed.hospital import generate
from operations.seed.load import Loader
from operations.seed.tables import tables
from operations.seed.workflow import CHART, Workflow, ensure_chart
from tests.unit.operations.seed.fake_odoo import FakeOdoo, Killed

HOSPITAL = generate(30, 2)
NOW = "2030-01-01 00:00:00"


@dataclass
class Trading(FakeOdoo):
    """An Odoo whose orders, invoices and payments behave."""

    payments: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    wizards: dict[int, tuple[list[int], dict[str, Any]]] = field(default_factory=dict)

    def call(self, model: str, method: str, *arguments: Any, context: Any = None, **named: Any) -> Any:
        self.context = context or {}
        return super().call(model, method, *arguments, context=context, **named)

    def _create(self, model: str, values: list[dict[str, Any]]) -> list[int]:
        if model in {"sale.advance.payment.inv", "account.payment.register"}:
            self.last += 1
            ids = self.context.get("active_ids") or values[0]["sale_order_ids"][0][2]
            self.wizards[self.last] = (ids, values[0])
            return [self.last]
        begin = {"sale.order": "draft", "purchase.order": "draft", "hr.leave": "confirm"}.get(model)
        values = [one | {"versions_count": 1} for one in values] if model == "hr.employee" else values
        extra = {"state": begin, "invoice_ids": [], "picking_ids": []} if begin else {}
        return super()._create(model, [one | extra for one in values])

    def _button_confirm(self, model: str, ids: list[int]) -> None:
        for one in ids:
            assert self.records[model][one]["state"] == "draft", "confirmed twice"
            self.records[model][one] |= {"state": "purchase", "date_approve": NOW, "invoice_status": "to invoice"}

    def _action_confirm(self, model: str, ids: list[int]) -> None:
        for one in ids:
            assert self.records[model][one]["state"] == "draft", "confirmed twice"
            self.records[model][one] |= {"state": "sale", "date_order": NOW, "invoice_status": "to invoice"}

    def _invoice(self, model: str, orders: list[int]) -> None:
        for order in orders:
            assert self.records[model][order]["invoice_status"] == "to invoice", "invoiced twice"
            move = self._add("account.move", [{"state": "draft", "payment_state": "not_paid", "amount_total": 100.0}])
            self.records[model][order] |= {"invoice_status": "invoiced", "invoice_ids": move}

    def _action_create_invoice(self, model: str, ids: list[int]) -> None:
        self._invoice(model, ids)

    def _create_invoices(self, _model: str, ids: list[int]) -> None:
        orders, values = self.wizards[ids[0]]
        assert values["consolidated_billing"] is False
        self._invoice("sale.order", orders)

    def _action_post(self, model: str, ids: list[int]) -> None:
        for one in ids:
            move = self.records[model][one]
            assert move["state"] == "draft"
            assert move["invoice_date"], "posted without its date"
            move["state"] = "posted"

    def _action_create_payments(self, _model: str, ids: list[int]) -> None:
        moves, values = self.wizards[ids[0]]
        for one in moves:
            move = self.records["account.move"][one]
            assert move["state"] == "posted"
            assert move["payment_state"] == "not_paid", "paid twice"
            move["payment_state"] = "partial" if values.get("amount", 100.0) < 100.0 else "paid"
            self.payments.append((one, values))

    def _create_version(self, model: str, ids: list[int], values: dict[str, Any]) -> list[int]:
        employee = self.records[model][ids[0]]
        assert employee["versions_count"] == 1, "moved twice"
        employee |= {"versions_count": 2, **values}
        return [1]

    def _action_approve(self, model: str, ids: list[int]) -> None:
        for one in ids:
            self.records[model][one]["state"] = "validate"


def carry_out(odoo: Trading) -> Loader:
    time = itertools.count(0, 1000)
    loader = Loader(odoo, clock=lambda: next(time), sleep=lambda _seconds: None)
    loader.open()
    for table in tables(HOSPITAL):
        loader.load(table, lambda _text: None)
    for _, step in Workflow(loader, HOSPITAL).steps():
        step(lambda _text: None)
    return loader


@pytest.fixture(scope="module")
def done() -> tuple[Trading, Loader]:
    odoo = Trading()
    return odoo, carry_out(odoo)


def order_of(done: tuple[Trading, Loader], key: str) -> dict[str, Any]:
    odoo, loader = done
    return odoo.records["sale.order"][loader.known[key][1]]


def test_every_order_gets_as_far_as_its_stage(done: tuple[Trading, Loader]) -> None:
    for one in HOSPITAL.orders:
        record = order_of(done, one.key)
        moves = [done[0].records["account.move"][move] for move in record["invoice_ids"]]
        assert (record["state"] == "draft") == (one.stage == "quote")
        assert bool(moves) == (one.stage in {"invoiced", "paid", "partial"})
        wanted = {"invoiced": "not_paid", "paid": "paid", "partial": "partial"}
        assert all(move["payment_state"] == wanted[one.stage] for move in moves)


def test_a_confirmed_order_keeps_the_time_it_was_written(done: tuple[Trading, Loader]) -> None:
    for one in HOSPITAL.orders:
        assert order_of(done, one.key)["date_order"] == f"{one.at:%Y-%m-%d %H:%M:%S}"


def test_an_invoice_carries_its_own_date(done: tuple[Trading, Loader]) -> None:
    for one in HOSPITAL.orders:
        for move in order_of(done, one.key)["invoice_ids"]:
            assert done[0].records["account.move"][move]["invoice_date"] == f"{one.invoiced}"


def test_a_part_is_paid_by_itself_and_leaves_the_rest_open(done: tuple[Trading, Loader]) -> None:
    parts = [values for _, values in done[0].payments if "amount" in values]
    assert len(parts) == sum(one.stage == "partial" for one in HOSPITAL.orders) > 0
    assert {values["payment_difference_handling"] for values in parts} == {"open"}
    assert all(0 < values["amount"] < 100 for values in parts)


def test_a_patient_who_moved_has_the_new_address_and_odoo_tracked_the_change(done: tuple[Trading, Loader]) -> None:
    odoo, loader = done
    moved = [one for one in HOSPITAL.patients if one.new_email]
    assert moved
    for one in moved:
        assert odoo.records["res.partner"][loader.known[one.key][1]]["email"] == one.new_email


def test_staff_who_moved_get_a_second_version_with_the_new_address(done: tuple[Trading, Loader]) -> None:
    odoo, loader = done
    moved = [one for one in HOSPITAL.staff if one.moved]
    assert moved
    for one in moved:
        record = odoo.records["hr.employee"][loader.known[one.key][1]]
        assert (record["versions_count"], record["private_street"]) == (2, one.new_street)
        assert one.moved > one.hired


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 260), min_size=1, max_size=3))
def test_a_run_killed_after_any_call_confirms_invoices_and_pays_nothing_twice(kills: list[int]) -> None:
    odoo = Trading()
    for calls in kills:
        odoo.kill_after = calls
        try:
            carry_out(odoo)
        except Killed:
            continue
    odoo.kill_after = None
    carry_out(odoo)
    paid = Counter(move for move, _ in odoo.payments)
    assert len(paid) == sum(one.stage in {"paid", "partial"} for one in HOSPITAL.orders)
    assert set(paid.values()) == {1}


def test_a_company_without_a_chart_of_accounts_gets_the_one_that_odoo_brings() -> None:
    odoo = FakeOdoo()
    loader = Loader(odoo)
    company = loader.xml("base.main_company")
    odoo.records["res.company"][company] = {"id": company}

    def try_loading(_model: str, _ids: list[int], chart: str, number: int) -> None:
        odoo.records["res.company"][number]["chart_template"] = chart

    odoo._try_loading = try_loading
    assert ensure_chart(loader) == CHART
    odoo._try_loading = None  # a second call would fail
    assert ensure_chart(loader) == CHART


def test_a_chart_that_does_not_load_stops_it_with_what_to_do() -> None:
    odoo = FakeOdoo()
    loader = Loader(odoo)
    company = loader.xml("base.main_company")
    odoo.records["res.company"][company] = {"id": company}
    odoo._try_loading = lambda *_: None
    with pytest.raises(OperationError, match="no chart of accounts"):
        ensure_chart(loader)
