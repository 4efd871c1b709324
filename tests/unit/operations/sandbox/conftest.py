"""Training's requests in memory, kept as the API server keeps them: versions, names, and who asks."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import pytest

from infra.plans.sandbox import RULES_KEY, rules_document
from operations.sandbox import rules as reading
from operations.sandbox.desk import Desk
from operations.sandbox.model import Asked, Entry, Request
from operations.sandbox.store import Store
from operations.sandbox.wish import Wish
from tests import declared
from toolchain.cluster.errors import ApiRefused

NOW = datetime(2026, 11, 24, 11, 0, tzinfo=UTC)
RULES_PATH = "/api/v1/namespaces/riverside-training/configmaps/sandbox-rules"
REQUESTS = "/apis/careops.io/v1/namespaces/riverside-training/sandboxrequests"


@dataclass
class FakeApi:
    """What the commands ask of the API server; `user` is who asks, `refuse` answers instead of it."""

    user: str = "ada"
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    refuse: ApiRefused | None = None
    served: bool = True
    counter: int = 0

    def get(self, path: str, /, **_query: str) -> Any:
        if self.refuse:
            raise self.refuse
        if path == REQUESTS:
            found = [item for where, item in self.objects.items() if where.startswith(f"{REQUESTS}/")]
            return {"items": copy.deepcopy(found)} if self.served else None
        return copy.deepcopy(self.objects.get(path))

    def request(self, method: str, path: str, /, *, body: Any = None) -> Any:
        if path.endswith("/selfsubjectreviews"):
            return {"status": {"userInfo": {"username": self.user}}}
        if self.refuse:
            raise self.refuse
        self.counter += 1
        made = copy.deepcopy(body)
        if method == "POST":
            made["metadata"]["name"] = f"{made['metadata'].pop('generateName')}{self.counter}"
            path = f"{path}/{made['metadata']['name']}"
        elif self.objects[path]["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]:
            raise refusal(409, "the object has been modified")
        made["metadata"]["resourceVersion"] = str(self.counter)
        self.objects[path] = made
        return copy.deepcopy(made)


def refusal(status: int, why: str) -> ApiRefused:
    return ApiRefused("The API server refused.", why=why, action="Correct it.", status=status)


def rules(**changes: Any) -> reading.Rules:
    document = json.loads(rules_document(declared.settings("training"), declared.facts()))
    return reading.parse(json.dumps({**document, **changes}))


def asked(**changes: Any) -> Asked:
    given: dict[str, Any] = {
        "course": "Sales basics",
        "release": rules().release,
        "first_day": date(2026, 12, 1),
        "last_day": date(2026, 12, 1),
        "begins": "09:00",
        "ends": "12:00",
        "time_zone": "Europe/Paris",
        "trainees": {"sales": 2},
    }
    return Asked(**{**given, **changes})


def request(*states: str, name: str = "261201-1", who: str = "ada", **changes: Any) -> Request:
    """Return a request that went through these states, the first of which is requested."""
    actors = {"requested": who, "withdrawn": who}
    entries = [
        Entry(number=n, state=state, who=actors.get(state, "grace"), when=NOW, why="because", run="")
        for n, state in enumerate(("requested", *states), start=1)
    ]
    return Request(id=name, version="1", asked=asked(**changes), history=tuple(entries))


def wish(**changes: Any) -> Wish:
    given: dict[str, Any] = {
        "course": "Sales basics",
        "first_day": "2026-12-01",
        "last_day": None,
        "begins": "09:00",
        "ends": "12:00",
        "groups": ["sales=2"],
        "reason": "New sales people",
    }
    return Wish(**{**given, **changes})


@pytest.fixture
def api() -> FakeApi:
    made = FakeApi()
    document = rules_document(declared.settings("training"), declared.facts())
    made.objects[RULES_PATH] = {"data": {RULES_KEY: document}}
    return made


def at(api: FakeApi, user: str, now: datetime = NOW) -> Desk:
    """Return what a person does with requests at a moment."""
    api.user = user
    return Desk(Store(api, "riverside-training"), lambda: now)


def stored(api: FakeApi, name: str) -> dict[str, Any]:
    """Return a request as the API server keeps it."""
    return api.objects[f"{REQUESTS}/{name}"]
