"""`careops seed` fills an environment through its edge, once, and nothing that holds other data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from operations.seed.hospital import generate
from tests.live.support import SITE, Browser, Platform, browser
from toolchain.cluster.processes import children

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.live

SIZE, SEED = 10, 1
FILL_DEV = ("seed", "dev", "--size", f"{SIZE}", "--seed", f"{SEED}", "--yes")


@pytest.fixture(scope="module")
def seeded(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Fill dev: killed once in the middle of patients, then run to its end."""
    planted = tmp_path_factory.mktemp("seed") / "planted.json"
    kill_at(platform, "Creating guarantors")
    done = platform.careops(*FILL_DEV, "--json", "--planted", str(planted))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) | {"planted": json.loads(planted.read_text())}


def kill_at(platform: Platform, line: str) -> None:
    """Start the command and kill it with SIGKILL when it writes a line; one that ends without it fails."""
    process = platform.start(*FILL_DEV, own_session=True, stdout=subprocess.DEVNULL)
    assert process.stderr
    heard = []
    for said in process.stderr:
        heard.append(said)
        if line in said:
            forwards = children(process.pid)  # in sessions of their own: nobody else would end them
            os.killpg(process.pid, signal.SIGKILL)
            for number in forwards:
                os.kill(number, signal.SIGKILL)
            break
    else:
        process.wait()
        pytest.fail(f"seed ended with {process.returncode} and never said {line!r}:\n{''.join(heard[-20:])}")
    assert process.wait() == -signal.SIGKILL, "it ended before it could be killed: nothing was interrupted"


@pytest.fixture
def user(platform: Platform, tmp_path: Path) -> Iterator[Browser]:
    with browser(platform, "dev", tmp_path) as one:
        one.log_in()
        yield one


def keys(user: Browser, model: str) -> dict[int, str]:
    """Return what the seed created of a model, with the seed's own keys."""
    domain = [["module", "=", "careops_seed"], ["model", "=", model]]
    return {one["res_id"]: one["name"] for one in user.call("ir.model.data", "search_read", domain, ["res_id", "name"])}


def ids(user: Browser, model: str) -> list[int]:
    """Return what the seed created of a model."""
    return list(keys(user, model))


def test_a_killed_run_is_continued_and_every_record_is_there_once(seeded: dict, user: Browser) -> None:
    assert seeded["there"] == seeded["total"]
    assert user.call("res.partner", "search_count", [["ref", "=like", "MRN-%"]]) == seeded["patients"]
    assert user.call("sale.order", "search_count", [["client_order_ref", "=like", "MRN-%"]]) == seeded["rows"]["quotes"]


@pytest.mark.usefixtures("seeded")
def test_a_second_run_adds_nothing(platform: Platform) -> None:
    done = platform.careops(*FILL_DEV, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["created"] == {}


@pytest.mark.usefixtures("seeded")
def test_another_seed_is_refused(platform: Platform) -> None:
    done = platform.careops("seed", "dev", "--size", f"{SIZE}", "--seed", f"{SEED + 1}", "--yes")
    assert done.returncode == 2
    assert "--size 10 --seed 1" in done.stderr


@pytest.mark.usefixtures("seeded")
def test_orders_are_invoiced_posted_and_paid_in_their_own_years(user: Browser) -> None:
    orders = user.call("sale.order", "read", ids(user, "sale.order"), ["state", "date_order", "invoice_ids"])
    moves = [move for order in orders for move in order["invoice_ids"]]
    read = user.call("account.move", "read", moves, ["state", "payment_state", "invoice_date"])
    assert {order["state"] for order in orders} == {"draft", "sale"}
    assert {move["state"] for move in read} == {"posted"}
    assert {"paid", "partial", "not_paid"} & {move["payment_state"] for move in read} >= {"paid", "not_paid"}
    assert len({move["invoice_date"][:4] for move in read}) > 1
    assert len({order["date_order"][:4] for order in orders}) > 1


@pytest.mark.usefixtures("seeded")
def test_goods_were_received(user: Browser) -> None:
    products = ids(user, "product.product")
    assert user.call("stock.move", "search_count", [["product_id", "in", products], ["state", "=", "done"]]) > 0


@pytest.mark.usefixtures("seeded")
def test_private_data_of_staff_are_on_every_version_and_who_moved_has_two(user: Browser) -> None:
    staff = keys(user, "hr.employee")
    fields = ["employee_id", "ssnid", "private_street", "wage"]
    versions = user.call("hr.version", "search_read", [["employee_id", "in", list(staff)]], fields)
    assert all(one["ssnid"] and one["private_street"] and one["wage"] for one in versions)
    streets = {key: {v["private_street"] for v in versions if v["employee_id"][0] == one} for one, key in staff.items()}
    moved = {one.key for one in generate(SIZE, SEED).staff if one.moved}
    assert moved, "nobody moves: this test can tell nothing here"
    assert {key: len(found) for key, found in streets.items()} == {key: 1 + (key in moved) for key in staff.values()}
    assert len(versions) == len(staff) + len(moved)


@pytest.mark.usefixtures("seeded")
def test_text_of_attached_files_is_indexed(user: Browser) -> None:
    read = user.call("ir.attachment", "read", ids(user, "ir.attachment"), ["mimetype", "index_content"])
    indexed = {one["mimetype"] for one in read if "MRN-" in (one["index_content"] or "")}
    assert {"text/plain", "text/csv"} <= indexed
    assert {"application/pdf", "image/png", "image/jpeg"} <= {one["mimetype"] for one in read}


def test_the_planted_values_are_in_the_database(seeded: dict, user: Browser) -> None:
    values = seeded["planted"]["values"]
    names = {one["value"] for one in values if one["kind"] == "name" and one["key"].startswith("patient_")}
    found = user.call("res.partner", "search_read", [["ref", "=like", "MRN-%"]], ["name"])
    assert {one["name"] for one in found} == names


def test_no_mail_waits_to_be_sent(seeded: dict, user: Browser) -> None:
    domain = [["state", "=", "outgoing"], ["model", "in", ["sale.order", "account.move", "hr.leave", "res.partner"]]]
    assert user.call("mail.mail", "search_count", [*domain, ["create_date", ">", started(seeded)]]) == 0


def started(seeded: dict) -> str:
    """Return a moment before the run, as Odoo writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - sum(seeded["seconds"].values()) - 600))


def test_an_environment_with_a_contact_of_its_own_is_refused(platform: Platform, tmp_path: Path) -> None:
    with browser(platform, "training", tmp_path) as user:
        user.log_in()
        contact = user.call("res.partner", "create", [{"name": "A contact that somebody typed in"}])
        try:
            done = platform.careops("seed", "training", "--size", "10", "--confirm", f"{SITE}/training")
            assert done.returncode == 2, done.stderr
            assert "holds data already" in done.stderr
            assert "typed in" not in done.stderr
            assert user.call("ir.config_parameter", "get_param", "careops_seed.origin") is False
        finally:
            user.call("res.partner", "unlink", contact)


def test_production_is_not_filled_without_its_identity(platform: Platform) -> None:
    done = platform.careops("seed", "prod", "--size", "10", "--yes", "--no-input")
    assert done.returncode == 10, done.stderr
    assert f"--confirm {SITE}/prod" in done.stderr
