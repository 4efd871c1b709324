"""Run inside `odoo shell`, which provides `env`: make a restored database this environment's own.

One transaction: it is committed as the last act, so a failure leaves the copy useless and unused.
"""
# ruff: noqa: F821  `env` is given by the shell

import json
import os
import secrets
from pathlib import Path
from typing import Any

WORD = os.environ.get("CAREOPS_WORD", "careops:")
"""What our own lines begin with: by it they are told from whatever else Odoo says, which may quote data."""
wishes = json.loads(Path(os.environ["CAREOPS_WISHES"]).read_text(encoding="utf-8"))
parameters = env["ir.config_parameter"].sudo()  # ty: ignore[unresolved-reference]
company = env.ref("base.main_company")  # ty: ignore[unresolved-reference]
admin = env.ref("base.user_admin")  # ty: ignore[unresolved-reference]


def install_languages(codes: list[str]) -> None:
    """Load the translations of languages that are not active yet."""
    known = env["res.lang"].with_context(active_test=False).search([("code", "in", codes)])  # ty: ignore[unresolved-reference]
    unknown = sorted(set(codes) - set(known.mapped("code")))
    if unknown:
        raise SystemExit(f"{WORD} Odoo knows no language {', '.join(unknown)}")
    inactive = known.filtered(lambda language: not language.active)
    if inactive:
        env["base.language.install"].create({"lang_ids": inactive.ids, "overwrite": False}).lang_install()  # ty: ignore[unresolved-reference]


def drop_other_languages(codes: list[str]) -> None:
    """Switch off what the baseline brings and the site does not name; Odoo's own processes need en_US."""
    unwanted = env["res.lang"].search([("code", "not in", [*codes, "en_US"])])  # ty: ignore[unresolved-reference]
    if unwanted and "website" in env:  # ty: ignore[unresolved-reference]
        # Demo data gives the website every language there is, and Odoo keeps those that a website uses.
        for website in env["website"].search([]):  # ty: ignore[unresolved-reference]
            website.language_ids -= unwanted
    unwanted.active = False


def write_company(wanted: dict) -> None:
    """Name the company and place it; a currency that documents already use stays."""
    country = env["res.country"].search([("code", "=", wanted["country"])])  # ty: ignore[unresolved-reference]
    if not country:
        raise SystemExit(f"{WORD} Odoo knows no country {wanted['country']}")
    company.write({"name": wanted["name"], "country_id": country.id})
    currency = country.currency_id
    if wanted["currency"]:
        currency = env["res.currency"].with_context(active_test=False).search([("name", "=", wanted["currency"])])  # ty: ignore[unresolved-reference]
        if not currency:
            raise SystemExit(f"{WORD} Odoo knows no currency {wanted['currency']}")
    used = "account.move.line" in env and env["account.move.line"].search_count(  # ty: ignore[unresolved-reference]
        [("company_id", "=", company.id)], limit=1
    )
    if currency and currency != company.currency_id and not used:
        currency.active = True
        company.currency_id = currency
    company.resource_calendar_id.tz = wanted["time_zone"]
    env["ir.default"].set("res.partner", "tz", wanted["time_zone"])  # ty: ignore[unresolved-reference]
    env["ir.default"].set("res.partner", "lang", wishes["languages"][0])  # ty: ignore[unresolved-reference]


def set_passwords(users: Any, password: str) -> None:  # noqa: ANN401  records of Odoo, which has no types
    """Store a password's hash as Odoo does, without the security alert that Odoo mails at once to the user.

    Nobody has used this database yet, and nothing that runs in a migration may reach a mail server.
    """
    digest = users._crypt_context().hash(password)  # noqa: SLF001  Odoo's own; slow on purpose
    for user in users:
        user._set_encrypted_password(user.id, digest)  # noqa: SLF001  Odoo's own hook


def take_over(login: dict) -> None:
    """Give the database its own identity and its own, only, password."""
    parameters.init(force=True)  # a new database.uuid and database.secret, as Odoo's own `db duplicate` does
    env.cr.execute("UPDATE res_users SET login = %s WHERE id = %s", (login["login"], admin.id))  # ty: ignore[unresolved-reference]
    set_passwords(admin, login["password"])
    admin.write({"lang": wishes["languages"][0], "tz": wishes["company"]["time_zone"]})
    # Demo data brings users with well-known passwords. Nobody ever learns the one they all get instead.
    others = env["res.users"].with_context(active_test=False).search([("id", "not in", [1, admin.id])])  # ty: ignore[unresolved-reference]
    set_passwords(others, secrets.token_urlsafe(32))


def show_banner(text: str | None) -> None:
    """Show a text on every page with the view that Odoo brings for copies of a database, or hide it."""
    view = env.ref("web.neutralize_banner", raise_if_not_found=False)  # ty: ignore[unresolved-reference]
    if not view:
        raise SystemExit(f"{WORD} this Odoo has no view web.neutralize_banner to show the banner with")
    if text:
        from lxml import etree  # noqa: PLC0415  # ty: ignore[import-not-found]  an Odoo dependency

        arch = etree.fromstring(view.arch_db)
        arch.xpath("//t[@t-out='neutralize_banner_text']")[0].text = text
        view.arch_db = etree.tostring(arch, encoding="unicode")
    view.active = bool(text)


install_languages(wishes["languages"])
if wishes["first"]:
    drop_other_languages(wishes["languages"])
    take_over(wishes["admin"])
if wishes["company"]:
    write_company(wishes["company"])
# A refresh remembers what to tell of its data; later changes of the settings do not take that away.
show_banner(parameters.get_param("careops.banner") or wishes["banner"])
parameters.set_param("web.base.url", wishes["base_url"])
parameters.set_param("web.base.url.freeze", "True")
if wishes["own_relay"]:
    env["ir.mail_server"].search([]).write({"active": False})  # ty: ignore[unresolved-reference]
env.cr.commit()  # ty: ignore[unresolved-reference]
# Pods that go on with this database, because no module changed, hear of what they have in memory.
env.registry.signal_changes()  # ty: ignore[unresolved-reference]
