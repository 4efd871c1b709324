"""What a live test changes in the cluster for a while, as the stack that owns it would, and puts back."""

from __future__ import annotations

import copy
import json
from contextlib import contextmanager
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from infra.model import Freeze
from infra.naming import SANDBOX_RULES, refresh_guard
from infra.plans.refresh_hours import freezes_policy
from infra.plans.sandbox import RULES_KEY
from tests.live.support import SITE, Platform
from toolchain.cluster.kubeapi import KubeApi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRAINING = f"{SITE}-training"
RULES = f"/api/v1/namespaces/{TRAINING}/configmaps/{SANDBOX_RULES}"
FREEZES = f"/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/{refresh_guard(SITE, 'freezes')}"
# What the server fills in.
_FILLED = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation")


@contextmanager
def changed(platform: Platform, path: str, change: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Change an object for the duration of the block, in the name of whoever deployed it: no conflict stays behind."""
    api = KubeApi(platform.paths.kubeconfig)
    found = api.get(path)
    assert found, f"{path} is not deployed"
    # A controller applies as well, to the status.
    applied = [each for each in found["metadata"]["managedFields"] if each["operation"] == "Apply"]
    (manager,) = {each["manager"] for each in applied if "subresource" not in each}
    described = {key: value for key, value in found["metadata"].items() if key not in _FILLED}
    kept = {**{key: value for key, value in found.items() if key != "status"}, "metadata": described}
    other = copy.deepcopy(kept)
    change(other)

    def apply(manifest: dict[str, Any]) -> None:
        query, form = urlencode({"fieldManager": manager, "force": "true"}), "application/apply-patch+yaml"
        api.request("PATCH", f"{path}?{query}", body=json.dumps(manifest), content_type=form)

    apply(other)
    try:
        yield
    finally:
        apply(kept)


@contextmanager
def frozen(platform: Platform, first: date, last: date) -> Iterator[None]:
    """Have one release freeze, and no other, for the duration of the block."""
    freeze = Freeze(first_day=first, last_day=last, reason="Tried by a test")
    rules: dict[str, Any] = {}

    def rewrite(found: dict[str, Any]) -> None:
        rules.update(json.loads(found["data"][RULES_KEY]))
        found["data"][RULES_KEY] = json.dumps({**rules, "freezes": [freeze.model_dump(mode="json")]})

    def guard(found: dict[str, Any]) -> None:
        found["spec"]["validations"] = freezes_policy(SITE, [freeze], rules["time_zone"])["validations"]

    with changed(platform, RULES, rewrite), changed(platform, FREEZES, guard):
        yield


@contextmanager
def outside_freezes(platform: Platform) -> Iterator[None]:
    """Keep the freezes of the site's settings from refusing what tests try, on the days they name."""
    found = KubeApi(platform.paths.kubeconfig).get(RULES)
    rules = json.loads(found["data"][RULES_KEY]) if found else {"freezes": ()}
    today = datetime.now(ZoneInfo(rules["time_zone"])).date().isoformat() if found else ""
    if any(each["first_day"] <= today <= each["last_day"] for each in rules["freezes"]):
        with frozen(platform, date(2000, 1, 1), date(2000, 1, 1)):
            yield
    else:
        yield
