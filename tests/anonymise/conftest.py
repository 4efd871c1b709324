"""A PostgreSQL of the platform's image with Odoo's baselines; nothing is skipped when it cannot be had."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.anonymise.support import Server, serving


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running PostgreSQL, empty at the start of the run."""
    with serving() as started:
        yield started


@pytest.fixture(scope="session")
def standard(server: Server) -> str:
    """The database of the standard baseline: only read it; `server.copy` gives one to change."""
    server.restore("standard", "standard")
    return "standard"


@pytest.fixture(scope="session")
def demo(server: Server) -> str:
    """The database of the demo baseline: only read it; `server.copy` gives one to change."""
    server.restore("demo", "demo")
    return "demo"


@pytest.fixture(params=["standard", "demo"])
def either(request: pytest.FixtureRequest) -> str:
    """Each of the two baselines in turn."""
    return request.getfixturevalue(request.param)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything here as live: a server of the platform's image is needed, which the fast tests do not have."""
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.live)
