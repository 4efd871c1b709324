"""Run inside `odoo shell`, which provides `env`: a trainer logs in, and a quote becomes an invoice that is paid.

Nothing of it stays: the transaction is rolled back. That the shell gives `env` at all means the registry was loaded.
"""
# ruff: noqa: F821  `env` is given by the shell

import json
import os
from pathlib import Path

WORD = os.environ.get("CAREOPS_WORD", "careops:")
"""What our own lines begin with: by it they are told from whatever else Odoo says, which may quote data."""
wishes = json.loads(Path(os.environ["CAREOPS_WISHES"]).read_text(encoding="utf-8"))


def log_in() -> int:
    """Log in as the web does; a wrong password must not do."""
    from odoo.exceptions import AccessDenied  # noqa: PLC0415  only the shell has Odoo  # ty: ignore[import-not-found]

    users = env["res.users"]  # ty: ignore[unresolved-reference]
    known = {"type": "password", "login": wishes["login"]}
    try:
        users.authenticate({**known, "password": "admin"}, {"interactive": False})
    except AccessDenied:
        pass
    else:
        raise SystemExit(f"{WORD} a wrong password was accepted")
    return users.authenticate({**known, "password": wishes["password"]}, {"interactive": False})["uid"]


def sell() -> str:
    """Quote, confirm, invoice and take the payment; returns the invoice's state of payment."""
    partner = env["res.partner"].create({"name": "Smoke boot"})  # ty: ignore[unresolved-reference]
    values = {"name": "Smoke boot", "type": "service", "list_price": 100.0, "invoice_policy": "order"}
    product = env["product.product"].create(values)  # ty: ignore[unresolved-reference]
    line = {"product_id": product.id, "product_uom_qty": 1}
    order = env["sale.order"].create({"partner_id": partner.id, "order_line": [(0, 0, line)]})  # ty: ignore[unresolved-reference]
    order.action_confirm()
    invoice = order._create_invoices()  # noqa: SLF001  Odoo's own; the button does the same
    invoice.action_post()
    context = {"active_model": "account.move", "active_ids": invoice.ids}
    env["account.payment.register"].with_context(**context).create({}).action_create_payments()  # ty: ignore[unresolved-reference]
    env.flush_all()  # ty: ignore[unresolved-reference]
    return invoice.payment_state


user = log_in()
print(f"{WORD} the trainer's login works (user {user})")
if "sale.order" in env and "account.payment.register" in env:  # ty: ignore[unresolved-reference]
    state = sell()
    if state not in {"paid", "in_payment"}:
        raise SystemExit(f"{WORD} a paid invoice is {state}")
    print(f"{WORD} quote, invoice and payment work ({state})")
else:
    print(f"{WORD} no sales and invoices are installed, so none were tried")
env.cr.rollback()  # ty: ignore[unresolved-reference]
