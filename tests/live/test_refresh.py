"""`careops refresh training`: nobody of production is in training, at no moment, and training works."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from kubernetes import client

from infra.naming import REFRESH_MASK
from operations.exit_codes import ExitCode
from tests.live.crashes import ISOLATED, MOMENTS, PROD, REFRESH, TRAINING, Moment, count, crash, generation
from tests.live.support import SITE, Browser, Platform, browser, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

IDENTIFYING = ("email", "ssn", "iban", "passport", "badge", "mrn")
EACH = 25
"""Values of each kind that are searched: a command line of an exec has to hold them."""
REACH = """
import socket, sys
for target in sys.argv[1:]:
    host, port = target.rsplit(":", 1)
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
        print(target, "open")
    except OSError:
        print(target, "shut")
"""


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """A run that ended well.

    Attributes:
        planted: Personal values of production by kind.
        outcome: What the command printed.
        reached: What could be reached while it ran: `source -> target` and open or shut.
        broken: Exit code and text of the run before it, whose database was killed.
        before: Run whose data training held before.
    """

    planted: dict[str, list[str]]
    outcome: dict
    reached: dict[str, str]
    broken: tuple[int, str]
    before: str | None


@pytest.fixture(scope="module")
def refreshed(platform: Platform, tmp_path_factory: pytest.TempPathFactory) -> Refreshed:
    """Fill production, break a run by killing its unmasked database, then run one to its end and watch packets."""
    file = tmp_path_factory.mktemp("refresh") / "planted.json"
    filled = platform.careops("seed", "prod", "--size", "40", "--confirm", f"{SITE}/prod", "--planted", str(file))
    assert filled.returncode == 0, filled.stderr
    planted: dict[str, list[str]] = {}
    for each in json.loads(file.read_text())["values"]:
        planted.setdefault(each["kind"], []).append(each["value"])
    before = generation(platform)
    broken = _broken(platform)
    process = platform.start(*REFRESH, "--json")
    reached = _watched(platform, _mask_pod(platform, process))
    out, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    return Refreshed(planted=planted, outcome=json.loads(out), reached=reached, broken=broken, before=before)


def _mask_pod(platform: Platform, process: subprocess.Popen[str]) -> client.V1Pod:
    """Wait for the pod that holds the unmasked copy, and return it."""

    def there() -> None:
        if process.poll() is not None:
            pytest.fail(f"the run ended before its pod ran: {process.communicate()}")
        platform.pod_named(ISOLATED, REFRESH_MASK)

    eventually(there)
    return platform.pod_named(ISOLATED, REFRESH_MASK)


def _name(pod: client.V1Pod) -> str:
    assert pod.metadata
    assert pod.metadata.name
    return pod.metadata.name


def _broken(platform: Platform) -> tuple[int, str]:
    """Run a refresh whose pod, unmasked copy and all, is killed when the copy has arrived."""
    process = platform.start(*REFRESH)
    pod = _mask_pod(platform, process)

    def arrived() -> None:
        log = platform.api.read_namespaced_pod_log(_name(pod), ISOLATED, container=REFRESH_MASK)
        assert "transfer: copy" in log

    eventually(arrived)
    platform.api.delete_namespaced_pod(_name(pod), ISOLATED, grace_period_seconds=0)
    _, err = process.communicate(timeout=600)
    return process.returncode, err


def _watched(platform: Platform, mask: client.V1Pod) -> dict[str, str]:
    """Try, while the unmasked copy is there, who reaches whom."""
    address = _address(mask)
    databases = {"prod": PROD, "training": TRAINING}
    targets = {name: f"{_address(platform.pod_named(space, 'postgresql'))}:5432" for name, space in databases.items()}
    sources = {
        "mask": (mask, REFRESH_MASK, targets),
        "training's Odoo": (platform.pod_named(TRAINING, "odoo-web"), None, {"mask": f"{address}:5432", **targets}),
        "dev's Odoo": (platform.pod_named(f"{SITE}-dev", "odoo-web"), None, {"mask": f"{address}:5432"}),
    }
    found = {}
    for source, (pod, container, reach) in sources.items():
        said = platform.run_in(pod, ["python3", "-c", REACH, *reach.values()], container=container)
        answers = dict(line.split() for line in said.strip().splitlines())
        found |= {f"{source} -> {target}": answers[where] for target, where in reach.items()}
    return found


def _address(pod: client.V1Pod) -> str:
    assert pod.status
    assert pod.status.pod_ip
    return pod.status.pod_ip


@pytest.fixture
def admin(platform: Platform, tmp_path: Path) -> Iterator[Browser]:
    with browser(platform, "training", tmp_path) as one:
        yield one


def _logs_in(user: Browser, login: str, password: str) -> bool:
    user.http.cookies.clear()
    page = replace(user, login=login, password=password).log_in()
    return page.url.path.startswith("/odoo")


def test_a_run_whose_unmasked_copy_is_killed_swaps_nothing_and_says_which_part_failed(refreshed: Refreshed) -> None:
    code, text = refreshed.broken
    assert code == ExitCode.REFRESH_FAILED
    assert "training is as it was" in text
    assert "refresh-mask" in text


def test_the_next_run_needs_no_cleaning_and_ends_with_a_certificate(platform: Platform, refreshed: Refreshed) -> None:
    file = refreshed.outcome["certificate"]
    good = platform.careops("refresh", "verify", file, "--json")
    assert good.returncode == 0, good.stderr
    certificate = json.loads(good.stdout)["certificate"]
    assert certificate["source"] == f"{SITE}/prod"
    assert certificate["key"]["destroyed"] is True
    assert len(certificate["verification"]) >= 15


def test_a_certificate_that_was_changed_is_refused(platform: Platform, refreshed: Refreshed, tmp_path: Path) -> None:
    original = Path(refreshed.outcome["certificate"])
    document = json.loads(original.read_text())
    document["certificate"]["rows"] += 1
    changed = tmp_path / original.name
    changed.write_text(json.dumps(document))
    (key,) = original.parent.glob(f"{original.stem}*.pem")
    refused = platform.careops("refresh", "verify", str(changed), "--key", str(key))
    assert refused.returncode == ExitCode.TESTS_FAILED
    assert "changed after it was signed" in refused.stderr


def test_nobodys_identifying_value_of_production_is_in_trainings_database(
    platform: Platform, refreshed: Refreshed
) -> None:
    for kind in IDENTIFYING:
        values = refreshed.planted[kind][:EACH]
        assert count(platform, PROD, "odoo", values) > 0, f"the search finds no {kind} in production either"
        assert count(platform, TRAINING, "odoo", values) == 0, f"a real {kind} is in training"


def test_while_it_runs_only_the_masking_pod_reaches_training_and_nothing_reaches_the_unmasked_copy(
    refreshed: Refreshed,
) -> None:
    assert refreshed.reached == {
        "mask -> prod": "shut",
        "mask -> training": "open",
        "training's Odoo -> mask": "shut",
        "training's Odoo -> prod": "shut",
        "training's Odoo -> training": "open",
        "dev's Odoo -> mask": "shut",
    }


def test_the_unmasked_copy_is_gone(platform: Platform, refreshed: Refreshed) -> None:
    assert refreshed.outcome["run"]
    assert platform.pods(ISOLATED) == []


@pytest.mark.usefixtures("refreshed")
def test_a_trainer_logs_in_and_productions_administrator_does_not(platform: Platform, admin: Browser) -> None:
    logins = json.loads(platform.careops("refresh", "logins", "--json").stdout)["logins"]
    trainer = next(each for each in logins if each["login"].startswith("trainer-"))
    production = platform.secret(PROD, "odoo-secrets")
    eventually(lambda: admin.http.get("/web/login").raise_for_status())  # pods of the old data end and start again
    assert _logs_in(admin, trainer["login"], trainer["password"])
    assert not _logs_in(admin, production["admin_login"], production["admin_password"])
    assert _logs_in(admin, admin.login, admin.password)


@pytest.mark.usefixtures("refreshed")
def test_every_page_says_that_this_is_training_and_how_old_the_data_are(admin: Browser) -> None:
    eventually(lambda: admin.http.get("/web/login").raise_for_status())
    assert f"data as of {time.strftime('%Y-')}" in admin.http.get("/web/login").text


def test_training_has_the_patients_orders_and_invoices_of_production_under_other_names(
    platform: Platform, refreshed: Refreshed, admin: Browser, tmp_path: Path
) -> None:
    eventually(lambda: admin.http.get("/web/login").raise_for_status())
    assert _logs_in(admin, admin.login, admin.password)
    with browser(platform, "prod", tmp_path) as production:
        production.log_in()
        for model in ("sale.order", "account.move", "stock.move", "hr.employee"):
            count = production.call(model, "search_count", [])
            assert count
            assert admin.call(model, "search_count", []) == count, model
    real = set(refreshed.planted["name"])
    shown = admin.call("res.partner", "search_read", [["email", "!=", False]], ["name"])
    assert isinstance(shown, list)
    alike = [row for row in shown if row["name"] in real]
    # Made names come from lists of real ones; one that somebody in production has by chance tells nothing.
    assert len(alike) < max(3, len(shown) / 20)


@pytest.mark.usefixtures("refreshed")
def test_a_second_refresh_is_refused_while_one_runs_and_ctrl_c_takes_its_jobs_back(platform: Platform) -> None:
    process = platform.start(*REFRESH)
    _mask_pod(platform, process)
    second = platform.careops(*REFRESH)
    assert second.returncode == ExitCode.LOCK_HELD, second.stderr
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == ExitCode.INTERRUPTED
    assert "training is as it was" in err
    eventually(lambda: _none(platform.pods(ISOLATED)))


def _none(pods: list) -> None:
    assert pods == []


@pytest.mark.full
@pytest.mark.usefixtures("refreshed")
def test_an_isolated_copy_that_outgrows_its_volume_is_ended_and_the_setting_that_gives_it_room_is_named(
    platform: Platform,
) -> None:
    before = generation(platform)
    with isolated_storage(platform, "80Mi"):
        ended = platform.careops(*REFRESH)
    assert ended.returncode == ExitCode.REFRESH_FAILED, ended.stderr
    assert "Evicted" in ended.stderr
    assert "refresh.sizes.isolated_storage" in ended.stderr
    assert "training is as it was" in ended.stderr
    assert generation(platform) == before
    eventually(lambda: _none(platform.pods(ISOLATED)))


@contextmanager
def isolated_storage(platform: Platform, size: str) -> Iterator[None]:
    """Give the isolated copy's volume another size until the end of the block."""
    batch = client.BatchV1Api(platform.apis)
    template = batch.read_namespaced_cron_job(REFRESH_MASK, ISOLATED)
    volumes = template.spec.job_template.spec.template.spec.volumes
    (volume,) = [each for each in volumes if each.name == "isolated-data"]

    def resize(limit: str) -> None:
        part = {"volumes": [{"name": volume.name, "emptyDir": {"sizeLimit": limit}}]}
        patch = {"spec": {"jobTemplate": {"spec": {"template": {"spec": part}}}}}
        batch.patch_namespaced_cron_job(REFRESH_MASK, ISOLATED, patch)

    resize(size)
    try:
        yield
    finally:
        resize(volume.empty_dir.size_limit)


def test_a_rollback_brings_the_previous_data_back_and_a_second_one_undoes_it(
    platform: Platform, refreshed: Refreshed
) -> None:
    assert generation(platform) == refreshed.outcome["run"]
    for expected in (refreshed.before, refreshed.outcome["run"]):
        done = platform.careops("refresh", "rollback", "--confirm", f"{SITE}/training")
        assert done.returncode == 0, done.stderr
        assert generation(platform) == expected


@pytest.mark.full
@pytest.mark.parametrize("moment", MOMENTS, ids=str)
def test_a_node_killed_in_a_refresh_leaves_the_old_or_the_new_data_and_none_of_the_unmasked(
    platform: Platform, refreshed: Refreshed, moment: Moment
) -> None:
    """Nobody cleans up between two of them, nor before the run after them."""
    left = crash(platform, moment, [value for kind in ("email", "ssn") for value in refreshed.planted[kind][:EACH]])
    assert left.after in {left.before, left.run}, "training is neither the old one nor the new one"
    assert left.entered is not True, "training's Odoo may enter a half database"
    assert left.real == 0, "somebody real is in training"
    assert (left.copies, left.pods) == ([], []), "the isolated copy is still there"
    assert left.code == ExitCode.REFRESH_FAILED, left.said
    unchanged, swapped = "training is as it was" in left.said, "training's data was swapped already" in left.said
    assert unchanged or swapped or "training's database does not answer" in left.said, left.said
    assert not (unchanged and left.after == left.run), left.said
    assert not (swapped and left.after != left.run), left.said


@pytest.mark.full
@pytest.mark.usefixtures("refreshed")
def test_the_run_after_killed_nodes_needs_no_cleaning(platform: Platform) -> None:
    done = platform.careops(*REFRESH, "--json")
    assert done.returncode == 0, done.stderr
    assert generation(platform) == json.loads(done.stdout)["run"]
