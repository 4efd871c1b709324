"""What happens to orders after they were written: confirmed, delivered, invoiced, paid.

Every step asks Odoo first what is left to do, so that it can be run again at any point.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from operations.errors import failure
from operations.exit_codes import ExitCode
from operations.seed.events import stamp
from operations.seed.load import QUIET
from operations.seed.odoo import batches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from operations.seed.load import Loader
    from operations.seed.model import Hospital, Order, Purchase

CHART = "generic_coa"
"""The chart of accounts that `account` itself brings; a country's own would install a module."""

AT_ONCE = 50
NOT_BACK = {"skip_backorder": True, "skip_sms": True, "skip_expired": True, "cancel_backorder": False}


def ensure_chart(loader: Loader) -> str:
    """Give the company a chart of accounts when it has none; without one nothing can be invoiced.

    Returns:
        The chart's name.
    """
    company = loader.xml("base.main_company")
    read = loader.odoo.call("res.company", "read", [company], ["chart_template"])[0]["chart_template"]
    if not read:
        loader.odoo.call("account.chart.template", "try_loading", [], CHART, company)
        read = loader.odoo.call("res.company", "read", [company], ["chart_template"])[0]["chart_template"]
    if not read:
        raise failure(
            ExitCode.UNHEALTHY,
            "The company has no chart of accounts",
            f"Odoo did not load {CHART}",
            "choose a fiscal localisation in Odoo's settings (Invoicing), then run the same command again",
        )
    return str(read)


class Workflow:
    """Carries the generated orders as far as they are meant to get."""

    def __init__(self, loader: Loader, hospital: Hospital) -> None:
        self.loader, self.odoo = loader, loader.odoo
        self.orders = {one.key: one for one in hospital.orders}
        self.purchases = {one.key: one for one in hospital.purchases}
        self.hospital = hospital

    def steps(self) -> tuple[tuple[str, Callable[[Callable[[str], None]], None]], ...]:
        """Return titles and steps in order; a step takes a function that is told how far it is."""
        return (
            ("purchase orders confirmed", self.confirm_purchases),
            ("goods received", self.receive),
            ("vendor bills posted", self.bill),
            ("orders confirmed", self.confirm_orders),
            ("goods delivered", self.deliver),
            ("invoices made", self.invoice),
            ("invoices posted", self.post),
            ("payments registered", self.pay),
            ("leaves approved", self.approve_leaves),
            ("changed addresses tracked", self.change_addresses),
            ("staff who moved", self.move_staff),
        )

    # -- tools -----------------------------------------------------------------------------------------------------

    def _read(self, model: str, ids: Iterable[int], fields: Sequence[str]) -> dict[int, dict[str, Any]]:
        found: dict[int, dict[str, Any]] = {}
        for batch in batches(sorted(ids), 500):
            found |= {one["id"]: one for one in self.odoo.call(model, "read", list(batch), list(fields))}
        return found

    def _by_id(self, keys: Iterable[str]) -> dict[int, str]:
        return {self.loader.known[key][1]: key for key in keys}

    def _write_each(
        self, model: str, changes: Mapping[int, Mapping[str, Any]], context: Mapping[str, Any] = QUIET
    ) -> None:
        """Write different values to different records, many in one call."""
        for batch in batches(sorted(changes), AT_ONCE):
            self.odoo.call(model, "web_save_multi", list(batch), [changes[one] for one in batch], {}, context=context)

    def _press(
        self,
        model: str,
        button: str,
        ids: Iterable[int],
        note: Callable[[str], None],
        **context: Any,  # noqa: ANN401 - plain values of any shape
    ) -> None:
        todo = list(ids)
        for number, batch in enumerate(batches(todo, AT_ONCE), start=1):
            self.odoo.call(model, button, list(batch), context={**QUIET, **context})
            note(f"{min(len(todo), number * AT_ONCE)} of {len(todo)}")

    # -- buying ----------------------------------------------------------------------------------------------------

    def _bought(self, *stages: str) -> dict[int, Purchase]:
        keys = [key for key, one in self.purchases.items() if one.stage in stages and key in self.loader.known]
        return {number: self.purchases[key] for number, key in self._by_id(keys).items()}

    def confirm_purchases(self, note: Callable[[str], None]) -> None:
        """Confirm purchase orders at the time they were written."""
        wanted = self._bought("confirmed", "received", "billed")
        read = self._read("purchase.order", wanted, ["state"])
        self._press("purchase.order", "button_confirm", [one for one in read if read[one]["state"] == "draft"], note)
        self._put_back("purchase.order", "date_approve", {one: order.at for one, order in wanted.items()})

    def _put_back(self, model: str, field: str, times: Mapping[int, datetime]) -> None:
        """Put a time back that Odoo set to now."""
        read = self._read(model, times, [field])
        changes = {one: {field: stamp(at)} for one, at in times.items() if read[one][field] != stamp(at)}
        self._write_each(model, changes)

    def receive(self, note: Callable[[str], None]) -> None:
        """Receive the goods of purchase orders, a week after they were ordered."""
        wanted = self._bought("received", "billed")
        self._move({one: order.at + timedelta(days=7) for one, order in wanted.items()}, "purchase.order", note)

    def _move(self, times: Mapping[int, datetime], model: str, note: Callable[[str], None]) -> None:
        """Validate the transfers of orders and put their times where they belong."""
        if "stock.picking" not in self.loader.models():
            return
        owners = {
            picking: one
            for one, read in self._read(model, times, ["picking_ids"]).items()
            for picking in read["picking_ids"]
        }
        pickings = self._read("stock.picking", owners, ["state", "date_done"])
        open_ones = [one for one, read in pickings.items() if read["state"] in {"assigned", "confirmed", "waiting"}]
        self.odoo.call("stock.picking", "action_assign", open_ones, context=QUIET) if open_ones else None
        ready = [
            one
            for one, read in self._read("stock.picking", open_ones, ["state"]).items()
            if read["state"] == "assigned"
        ]
        self._press("stock.picking", "button_validate", ready, note, **NOT_BACK)
        done = [one for one, read in self._read("stock.picking", owners, ["state"]).items() if read["state"] == "done"]
        self._put_back("stock.picking", "date_done", {one: times[owners[one]] for one in done})

    def bill(self, note: Callable[[str], None]) -> None:
        """Make and post the bills of vendors; orders of one vendor share a bill, as Odoo does it."""
        wanted = self._bought("billed")
        read = self._read("purchase.order", wanted, ["invoice_status"])
        todo = [one for one in wanted if read[one]["invoice_status"] == "to invoice"]
        self._press("purchase.order", "action_create_invoice", todo, note)
        dates: dict[int, date] = {}
        for one, found in self._read("purchase.order", wanted, ["invoice_ids"]).items():
            for move in found["invoice_ids"]:
                dates[move] = max(wanted[one].billed, dates.get(move, date.min))
        moves = self._read("account.move", dates, ["state"])
        drafts = {one: dates[one] for one, found in moves.items() if found["state"] == "draft"}
        changes = {
            one: {"invoice_date": f"{day}", "date": f"{day}", "ref": f"BILL-{one:06d}"} for one, day in drafts.items()
        }
        self._write_each("account.move", changes)
        self._press("account.move", "action_post", drafts, note)

    # -- selling ---------------------------------------------------------------------------------------------------

    def _sold(self, *stages: str) -> dict[int, Order]:
        keys = [key for key, one in self.orders.items() if one.stage in stages and key in self.loader.known]
        return {number: self.orders[key] for number, key in self._by_id(keys).items()}

    def confirm_orders(self, note: Callable[[str], None]) -> None:
        """Confirm quotes at the time they were written."""
        wanted = self._sold("confirmed", "invoiced", "paid", "partial")
        read = self._read("sale.order", wanted, ["state"])
        todo = [one for one in wanted if read[one]["state"] in {"draft", "sent"}]
        self._press("sale.order", "action_confirm", todo, note)
        self._put_back("sale.order", "date_order", {one: order.at for one, order in wanted.items()})

    def deliver(self, note: Callable[[str], None]) -> None:
        """Hand out what was ordered and is in stock."""
        wanted = self._sold("invoiced", "paid", "partial")
        self._move({one: order.at + timedelta(hours=2) for one, order in wanted.items()}, "sale.order", note)

    def invoice(self, note: Callable[[str], None]) -> None:
        """Make one invoice for each order that is to have one."""
        wanted = self._sold("invoiced", "paid", "partial")
        read = self._read("sale.order", wanted, ["invoice_status"])
        todo = sorted(one for one in wanted if read[one]["invoice_status"] == "to invoice")
        for number, batch in enumerate(batches(todo, AT_ONCE), start=1):
            values = {
                "sale_order_ids": [[6, 0, list(batch)]],
                "advance_payment_method": "delivered",
                "consolidated_billing": False,
            }
            wizard = self.odoo.call("sale.advance.payment.inv", "create", [values], context=QUIET)
            self.odoo.call("sale.advance.payment.inv", "create_invoices", wizard, context=QUIET)
            note(f"{min(len(todo), number * AT_ONCE)} of {len(todo)}")

    def _invoices(self, *stages: str) -> dict[int, Order]:
        wanted = self._sold(*stages)
        read = self._read("sale.order", wanted, ["invoice_ids"])
        return {move: wanted[one] for one, found in read.items() for move in found["invoice_ids"]}

    def post(self, note: Callable[[str], None]) -> None:
        """Date and post the invoices."""
        wanted = self._invoices("invoiced", "paid", "partial")
        read = self._read("account.move", wanted, ["state"])
        drafts = {one: wanted[one].invoiced for one, found in read.items() if found["state"] == "draft"}
        self._write_each("account.move", {one: {"invoice_date": f"{day}"} for one, day in drafts.items()})
        self._press("account.move", "action_post", sorted(drafts, key=lambda one: (drafts[one], one)), note)

    def pay(self, note: Callable[[str], None]) -> None:
        """Register payments: whole ones together by week, parts one by one."""
        wanted = self._invoices("paid", "partial")
        read = self._read("account.move", wanted, ["payment_state", "amount_total"])
        todo = {
            one: wanted[one] for one in wanted if read[one]["payment_state"] == "not_paid" and read[one]["amount_total"]
        }
        weeks: dict[date, list[int]] = defaultdict(list)
        for one, order in todo.items():
            if order.stage == "paid":
                weeks[order.paid + timedelta(days=4 - order.paid.weekday())].append(one)
        count = 0
        for day, moves in sorted(weeks.items()):
            self._register(moves, {"payment_date": f"{day}"})
            count += len(moves)
            note(f"{count} of {len(todo)}")
        for one, order in todo.items():
            if order.stage == "partial":
                amount = round(read[one]["amount_total"] * order.share, 2)
                self._register(
                    [one], {"payment_date": f"{order.paid}", "amount": amount, "payment_difference_handling": "open"}
                )
                count += 1
                note(f"{count} of {len(todo)}")

    def _register(self, moves: Sequence[int], values: Mapping[str, Any]) -> None:
        context = {
            **QUIET,
            "active_model": "account.move",
            "active_ids": list(moves),
            "dont_redirect_to_payments": True,
        }
        grouping = {} if len(moves) == 1 else {"group_payment": False}
        wizard = self.odoo.call("account.payment.register", "create", [{**values, **grouping}], context=context)
        self.odoo.call("account.payment.register", "action_create_payments", wizard, context=context)

    # -- the rest --------------------------------------------------------------------------------------------------

    def approve_leaves(self, note: Callable[[str], None]) -> None:
        """Approve two leaves of three."""
        keys = [
            one.key for number, one in enumerate(self.hospital.leaves) if number % 3 and one.key in self.loader.known
        ]
        read = self._read("hr.leave", self.loader.ids(keys), ["state"])
        self._press("hr.leave", "action_approve", [one for one in read if read[one]["state"] == "confirm"], note)

    def change_addresses(self, note: Callable[[str], None]) -> None:
        """Give patients the address they changed to; Odoo keeps the old one in the history of the contact."""
        moved = {one.key: one.new_email for one in self.hospital.patients if one.new_email}
        numbers = self._by_id(moved)
        read = self._read("res.partner", numbers, ["email"])
        changes = {one: {"email": moved[key]} for one, key in numbers.items() if read[one]["email"] != moved[key]}
        loud = {"lang": "en_US", "mail_create_nosubscribe": True, "mail_notify_force_send": False}
        self._write_each("res.partner", changes, context=loud)
        note(f"{len(changes)}")

    def move_staff(self, note: Callable[[str], None]) -> None:
        """Give staff who moved a second version; the first keeps the old address, as Odoo does it."""
        moved = {one.key: one for one in self.hospital.staff if one.moved and one.key in self.loader.known}
        numbers = self._by_id(moved)
        read = self._read("hr.employee", numbers, ["versions_count"])
        todo = [one for one in numbers if read[one]["versions_count"] == 1]
        for count, one in enumerate(todo, start=1):
            staff = moved[numbers[one]]
            values = {"date_version": f"{staff.moved}", "private_street": staff.new_street}
            self.odoo.call("hr.employee", "create_version", [one], values, context=QUIET)
            note(f"{count} of {len(todo)}")
