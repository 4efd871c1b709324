"""What the image puts around Odoo: probes, and 503 while the database is closed."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from careops_odoo import serving

from infra.plans import odoo as plans


class Error(Exception):
    """psycopg2.Error."""


class OperationalError(Error):
    """psycopg2.OperationalError."""


class UnavailableError(Exception):
    """werkzeug's ServiceUnavailable."""

    def __init__(self, description, retry_after):
        super().__init__(description)
        self.retry_after = retry_after


class RegistryError(RuntimeError):
    """Odoo's, when it cannot use the database."""


class PlainConnection:
    """Odoo's class of connections."""


@pytest.fixture
def odoo():
    """Odoo's two modules, with what an attribute of the returned object says about the database."""
    state = SimpleNamespace(ready=True, closed=None, kind=None, loaded=True)

    class Registry:
        registries: dict[str, object]

        def __new__(cls, _name):
            if state.closed:
                raise state.closed
            return SimpleNamespace(ready=state.ready)

    class Cursor:
        def execute(self, query):
            assert query == "SELECT 1"

        @property
        def connection(self):
            return (state.kind or state.sql_db.PsycoConnection).__new__(state.kind or state.sql_db.PsycoConnection)

        def close(self):
            pass

    def connect(_name):
        if state.closed:
            raise state.closed
        return SimpleNamespace(cursor=Cursor)

    class Application:
        def __call__(self, environ, start_response):
            start_response("200 OK", [])
            return [b"odoo " + environ["PATH_INFO"].encode()]

    class Request:
        def _serve_db(self):
            if state.closed:
                raise RegistryError from state.closed
            return "page"

    Registry.registries = {"odoo": SimpleNamespace(ready=True)}
    state.sql_db = SimpleNamespace(PsycoConnection=PlainConnection, db_connect=connect)
    state.http = SimpleNamespace(
        Application=Application,
        Request=Request,
        Registry=Registry,
        RegistryError=RegistryError,
        psycopg2=SimpleNamespace(Error=Error, OperationalError=OperationalError),
        werkzeug=SimpleNamespace(exceptions=SimpleNamespace(ServiceUnavailable=UnavailableError)),
    )
    serving.install(state.sql_db, state.http, SimpleNamespace(check=print), "odoo")
    return state


def ask(odoo, path):
    started = []
    body = odoo.http.Application()({"PATH_INFO": path}, lambda status, headers: started.append((status, headers)))
    return started[0][0][:3], b"".join(body).decode()


def test_a_pod_with_its_database_is_ready(odoo):
    assert ask(odoo, serving.READY_PATH) == ("200", "ok\n")


def test_a_pod_whose_database_is_closed_is_alive_and_not_ready(odoo):
    odoo.closed = OperationalError('database "odoo" is not currently\naccepting connections')
    assert ask(odoo, serving.LIVE_PATH)[0] == "200"
    status, body = ask(odoo, serving.READY_PATH)
    assert status == "503"
    assert 'database "odoo" is not currently accepting connections' in body


def test_a_pod_that_still_loads_its_modules_is_not_ready(odoo):
    odoo.http.Registry.registries["odoo"].ready = False
    assert ask(odoo, serving.READY_PATH) == ("503", "not ready: its modules are being loaded\n")


def test_a_pod_that_lost_its_modules_loads_them_when_it_is_asked(odoo):
    odoo.http.Registry.registries.clear()
    assert ask(odoo, serving.READY_PATH)[0] == "200"
    odoo.closed = OperationalError("closed")
    assert ask(odoo, serving.READY_PATH)[0] == "503"


def test_a_pod_whose_odoo_makes_its_connections_past_the_fence_is_not_ready(odoo):
    odoo.kind = PlainConnection
    assert ask(odoo, serving.READY_PATH) == ("503", "not ready: its database connections are not fenced\n")


@pytest.mark.parametrize("path", ["/web/login", "/careops", "/careops/ready/x", "/fr/careops/ready"])
def test_every_other_path_is_odoo_s(odoo, path):
    assert ask(odoo, path) == ("200", f"odoo {path}")


def test_a_closed_database_is_a_503_and_logs_nobody_out(odoo):
    assert odoo.http.Request()._serve_db() == "page"
    odoo.closed = OperationalError("closed")
    with pytest.raises(UnavailableError) as raised:
        odoo.http.Request()._serve_db()
    assert raised.value.retry_after > 0


def test_a_database_that_is_broken_in_another_way_stays_odoo_s_to_report(odoo):
    odoo.closed = Error("no such column")
    with pytest.raises(RegistryError):
        odoo.http.Request()._serve_db()


def test_the_kubelet_asks_for_the_paths_that_the_image_answers():
    assert (plans.READY_PATH, plans.LIVE_PATH) == (serving.READY_PATH, serving.LIVE_PATH)
